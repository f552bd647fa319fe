//! One series: what an append touches (hot) and the rest (cold).

use model::{ChunkEncoding, HistogramSample, Sample, SeriesHash, is_stale_nan};

use crate::block::recode::Point;
use crate::chunk::{ChunkError, XorAppender, XorIterator};

mod closed;
mod histogram;
mod late;
mod lookup;
mod restore;

pub(super) use closed::{ChunkData, ClosedChunk};
use histogram::Appended;
pub(super) use histogram::OpenHistograms;
#[cfg(test)]
pub(super) use histogram::same;
pub(super) use late::{Late, without_hint};
pub(super) use lookup::{Finder, Found, Value};

/// Samples in a chunk. Prometheus's figure: longer chunks compress hardly better and cost more to read a part of.
pub(super) const CHUNK_SAMPLES: u16 = 120;

/// All that an append to a series touches, but for the end of the chunk's bytes: 96 bytes, two cache lines.
#[derive(Debug)]
#[repr(align(32))]
pub(super) struct Hot {
    /// The hash; zero in a free slot.
    hash: [u64; 2],
    /// The open chunk if it is one of floats. At most one of `floats` and `histograms` has samples.
    pub(super) floats: XorAppender,
    /// While a chunk is open, the first millisecond that belongs to the next one. While none is, the newest time that the series had:
    /// what is not newer is late. `i64::MIN` if it had none.
    bound: i64,
    /// The series' name in the log, and where it stands there (`head/log.rs`).
    pub(super) log: LogState,
    /// The open chunk if it is one of histograms.
    pub(super) histograms: Option<Box<OpenHistograms>>,
}

const _: () = assert!(size_of::<Hot>() == 96);

/// How the log knows a series.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LogState {
    /// The reference within the generation.
    pub(super) reference: u32,
    /// `generation * 2 + confirmed`; 0 before the first (generations begin at 1).
    pub(super) epoch: u32,
}

/// What queries, series creation and collection need of a series.
#[derive(Debug, Default)]
pub(super) struct Cold {
    /// Finished chunks of what came in order, ascending in time.
    pub(super) chunks: Vec<ClosedChunk>,
    /// What came late.
    pub(super) late: Option<Box<Late>>,
    /// Where the pair ids lie in the stripe's arena.
    pub(super) pairs_at: u32,
    /// How many there are; 0 in a free slot.
    pub(super) pairs_len: u16,
}

/// A chunk under construction.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenChunk<'a> {
    pub(super) min_t: i64,
    pub(super) max_t: i64,
    pub(super) encoding: ChunkEncoding,
    pub(super) data: &'a [u8],
}

/// What became of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Verdict {
    /// It is in the head now.
    Taken,
    /// It was there before, with the same bits.
    Duplicate,
    /// Another value is there at its time; the float that is, if it is one.
    Conflict(Option<f64>),
    /// The series has or had a newer sample; what it has at the time must be looked up ([`Finder`]). Nothing has been changed.
    Late,
}

impl Default for Hot {
    fn default() -> Self {
        Self::new(SeriesHash(0))
    }
}

impl Hot {
    pub(super) fn new(hash: SeriesHash) -> Self {
        Self { hash: split(hash), floats: XorAppender::new(), bound: i64::MIN, log: LogState::default(), histograms: None }
    }

    #[inline]
    pub(super) fn is(&self, hash: SeriesHash) -> bool {
        self.hash == split(hash)
    }

    pub(super) fn hash(&self) -> SeriesHash {
        SeriesHash(u128::from(self.hash[0]) | u128::from(self.hash[1]) << 64)
    }

    /// Loads both cache lines.
    #[inline]
    pub(super) fn touch(&self) -> u64 {
        self.hash[0] ^ u64::from(self.log.epoch)
    }

    /// Loads the ends of the open chunk's bytes, which an append writes to.
    #[inline]
    pub(super) fn touch_chunk(&self) -> u8 {
        let bytes = self.floats.bytes();
        bytes.first().copied().unwrap_or_default() ^ bytes.last().copied().unwrap_or_default()
    }

    /// Time of the newest sample in the open chunk.
    pub(super) fn open_newest(&self) -> Option<i64> {
        match &self.histograms {
            Some(open) => Some(open.last_t()),
            None => self.floats.last().map(|(t, _)| t),
        }
    }

    /// Time of the first sample in the open chunk.
    pub(super) fn open_first(&self) -> Option<i64> {
        match &self.histograms {
            Some(open) => Some(open.first_t()),
            None => first_time(self.floats.bytes()),
        }
    }

    /// The open chunk as it is now; of no samples if none is open.
    pub(super) fn open_data(&self) -> (ChunkEncoding, &[u8]) {
        match &self.histograms {
            Some(open) => (open.encoding(), open.bytes()),
            None => (ChunkEncoding::Xor, self.floats.bytes()),
        }
    }

    /// Time of the newest sample that came in order, which is the newest of the series. It may be in a chunk that was closed.
    pub(super) fn newest(&self) -> Option<i64> {
        self.open_newest().or((self.bound > i64::MIN).then_some(self.bound))
    }

    /// Forgets that the series had samples: the next one is in order, whatever its time. Only when it has none.
    pub(super) fn forget_newest(&mut self) {
        if self.open_newest().is_none() {
            self.bound = i64::MIN;
        }
    }

    /// Appends a float. A chunk that ends by it goes to `closed`. `range` is the width of chunk ranges in milliseconds.
    #[inline]
    pub(super) fn append_float(&mut self, sample: Sample, range: i64, closed: &mut Option<ClosedChunk>) -> Verdict {
        if self.histograms.is_some() {
            return self.append_float_after_histograms(sample, range, closed);
        }
        match self.floats.last() {
            Some((t, v)) if sample.t <= t => return settle(t, v, &sample),
            Some(_) if sample.t >= self.bound || self.floats.count() >= CHUNK_SAMPLES => {
                *closed = self.close();
                self.bound = range_end(sample.t, range);
            }
            Some(_) => {}
            None if sample.t <= self.bound => return Verdict::Late,
            None => self.bound = range_end(sample.t, range),
        }
        self.floats.append(sample.t, sample.v);
        Verdict::Taken
    }

    #[cold]
    fn append_float_after_histograms(&mut self, sample: Sample, range: i64, closed: &mut Option<ClosedChunk>) -> Verdict {
        match self.open_newest() {
            Some(newest) if sample.t < newest => return Verdict::Late,
            Some(newest) if sample.t == newest => return Verdict::Conflict(None),
            _ => {}
        }
        *closed = self.close();
        self.append_float(sample, range, &mut None)
    }

    /// Appends a histogram; as [`Hot::append_float`]. The error says what is wrong with the histogram itself.
    pub(super) fn append_histogram(
        &mut self,
        sample: &HistogramSample,
        range: i64,
        closed: &mut Option<ClosedChunk>,
    ) -> Result<Verdict, ChunkError> {
        match self.open_newest() {
            Some(newest) if sample.t < newest => return Ok(Verdict::Late),
            None if sample.t <= self.bound => return Ok(Verdict::Late),
            Some(newest) if sample.t == newest => {
                let same = self.histograms.as_ref().is_some_and(|open| open.last_equals(&sample.value));
                return Ok(if same { Verdict::Duplicate } else { Verdict::Conflict(self.floats.last().map(|(_, v)| v)) });
            }
            _ => {}
        }
        let next = match &mut self.histograms {
            None => Box::new(OpenHistograms::begin(sample)?),
            Some(open) if sample.t >= self.bound || open.count() >= CHUNK_SAMPLES => Box::new(open.successor(sample)?),
            Some(open) => match open.append(sample)? {
                Appended::Yes => return Ok(Verdict::Taken),
                Appended::Next(next) => next,
            },
        };
        *closed = self.close();
        self.bound = range_end(sample.t, range);
        self.histograms = Some(next);
        Ok(Verdict::Taken)
    }

    /// Ends the open chunk and takes it out. What is not newer than it is late from now on.
    pub(super) fn close(&mut self) -> Option<ClosedChunk> {
        self.bound = self.newest()?;
        if let Some(open) = self.histograms.take() {
            return Some(open.finish());
        }
        let (max_t, _) = self.floats.last()?;
        let data = std::mem::take(&mut self.floats).finish();
        Some(ClosedChunk::new(ChunkEncoding::Xor, first_time(&data).unwrap_or(max_t), max_t, data))
    }

    /// The open chunk, if any of it is in the range (inclusive).
    pub(super) fn open_chunk(&self, min_t: i64, max_t: i64) -> Option<OpenChunk<'_>> {
        let newest = self.open_newest().filter(|newest| *newest >= min_t)?;
        let first = self.open_first()?;
        let (encoding, data) = self.open_data();
        (first <= max_t).then_some(OpenChunk { encoding, min_t: first, max_t: newest, data })
    }

    /// The newest sample of the series if it is a float in the range and no stale marker. All others of the series are older.
    pub(super) fn newest_float(&self, min_t: i64, max_t: i64) -> Option<Sample> {
        let (t, v) = self.floats.last().filter(|_| self.histograms.is_none())?;
        ((min_t..=max_t).contains(&t) && !is_stale_nan(v)).then_some(Sample { t, v })
    }

    /// Whether the open chunk has a sample in the range, as [`Hot::open_chunk`] says without copying.
    pub(super) fn open_overlaps(&self, min_t: i64, max_t: i64) -> bool {
        self.open_newest().is_some_and(|newest| newest >= min_t) && self.open_first().is_some_and(|first| first <= max_t)
    }

    /// Samples and heap bytes of the open chunk.
    pub(super) fn open_size(&self) -> (u64, usize) {
        match &self.histograms {
            Some(open) => (u64::from(open.count()), size_of::<OpenHistograms>() + open.heap_bytes()),
            None => (u64::from(self.floats.count()), self.floats.heap_bytes()),
        }
    }
}

impl Cold {
    /// Finished chunks, those in order and late ones.
    pub(super) fn finished(&self) -> impl Iterator<Item = &ClosedChunk> {
        self.chunks.iter().chain(self.late.iter().flat_map(|late| &late.chunks))
    }

    pub(super) fn finished_mut(&mut self) -> impl Iterator<Item = &mut ClosedChunk> {
        self.chunks.iter_mut().chain(self.late.iter_mut().flat_map(|late| &mut late.chunks))
    }

    /// Adds a chunk that is newer than all others. Chunks come every half hour or so: room is made for one at a time.
    pub(super) fn push(&mut self, chunk: ClosedChunk) {
        self.chunks.reserve_exact(1);
        self.chunks.push(chunk);
    }

    /// Adds late samples: ascending, and none of which the series has.
    pub(super) fn add_late(&mut self, series: SeriesHash, points: Vec<Point>, range: i64) {
        if !points.is_empty() {
            self.late.get_or_insert_default().add(series, points, range);
        }
    }

    /// Drops all finished chunks but those that `stays` says yes to.
    pub(super) fn retain_finished(&mut self, stays: impl Fn(&ClosedChunk) -> bool) {
        let before = self.chunks.len();
        self.chunks.retain(&stays);
        if self.chunks.len() < before {
            self.chunks.shrink_to_fit();
        }
        if let Some(late) = &mut self.late {
            late.chunks.retain(&stays);
            late.chunks.shrink_to_fit();
        }
        self.late.take_if(|late| late.is_empty());
    }

    /// Whether there is neither a finished chunk nor a late sample.
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.late.as_ref().is_none_or(|late| late.is_empty())
    }
}

/// The verdict on a float that is not newer than the newest sample, at `newest` with the value `there`.
#[cold]
fn settle(newest: i64, there: f64, sample: &Sample) -> Verdict {
    if sample.t < newest {
        Verdict::Late
    } else if there.to_bits() == sample.v.to_bits() {
        Verdict::Duplicate
    } else {
        Verdict::Conflict(Some(there))
    }
}

/// The end, exclusive, of the range of `range` milliseconds that holds `t`.
fn range_end(t: i64, range: i64) -> i64 {
    t.div_euclid(range).saturating_add(1).saturating_mul(range)
}

fn first_time(xor: &[u8]) -> Option<i64> {
    XorIterator::new(xor).ok()?.next().ok().flatten().map(|s| s.t)
}

fn split(hash: SeriesHash) -> [u64; 2] {
    [hash.0 as u64, (hash.0 >> 64) as u64]
}
