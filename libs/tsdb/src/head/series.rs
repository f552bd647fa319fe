//! One series: what an append touches (hot) and the rest (cold).

use model::{ChunkEncoding, HistogramSample, Sample, SeriesHash, is_stale_nan};

use crate::chunk::{ChunkError, XorAppender, XorIterator};

mod closed;
mod histogram;

pub(super) use closed::{ChunkData, ClosedChunk};
use histogram::Appended;
pub(super) use histogram::OpenHistograms;
#[cfg(test)]
pub(super) use histogram::same;

/// Samples in a chunk. Prometheus's figure: longer chunks compress hardly better and cost more to read a part of.
pub(super) const CHUNK_SAMPLES: u16 = 120;

/// All that an append to a series touches, but for the end of the chunk's bytes: 96 bytes, two cache lines.
#[derive(Debug, Default)]
#[repr(align(32))]
pub(super) struct Hot {
    /// The hash; zero in a free slot.
    hash: [u64; 2],
    /// The open chunk if it is one of floats. At most one of `floats` and `histograms` has samples.
    pub(super) floats: XorAppender,
    /// While a chunk is open the first millisecond that belongs to the next chunk; otherwise the first that is newer than the series' newest
    /// sample, as far as that is known.
    chunk_end: i64,
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
    /// Finished chunks, ascending in time.
    pub(super) chunks: Vec<ClosedChunk>,
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
    /// The series' newest sample is at this later time.
    OutOfOrder(i64),
}

impl Hot {
    pub(super) fn new(hash: SeriesHash) -> Self {
        Self { hash: split(hash), chunk_end: i64::MIN, ..Self::default() }
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

    /// Time of the newest sample in the open chunk, which is the newest of the series.
    pub(super) fn newest(&self) -> Option<i64> {
        match &self.histograms {
            Some(open) => Some(open.last_t()),
            None => self.floats.last().map(|(t, _)| t),
        }
    }

    /// Appends a float. A chunk that ends by it goes to `closed`. `range` is the width of chunk ranges in milliseconds.
    #[inline]
    pub(super) fn append_float(&mut self, sample: Sample, range: i64, closed: &mut Option<ClosedChunk>) -> Verdict {
        if self.histograms.is_some() {
            return self.append_float_after_histograms(sample, range, closed);
        }
        match self.floats.last() {
            Some((t, v)) if sample.t <= t => return settle(t, Some(v), &sample),
            Some(_) if sample.t >= self.chunk_end || self.floats.count() >= CHUNK_SAMPLES => {
                *closed = self.close();
                self.chunk_end = range_end(sample.t, range);
            }
            Some(_) => {}
            None if sample.t < self.chunk_end => return Verdict::OutOfOrder(self.chunk_end.saturating_sub(1)),
            None => self.chunk_end = range_end(sample.t, range),
        }
        self.floats.append(sample.t, sample.v);
        Verdict::Taken
    }

    #[cold]
    fn append_float_after_histograms(&mut self, sample: Sample, range: i64, closed: &mut Option<ClosedChunk>) -> Verdict {
        if let Some(t) = self.newest()
            && sample.t <= t
        {
            return settle(t, None, &sample);
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
        match self.newest() {
            Some(newest) if sample.t < newest => return Ok(Verdict::OutOfOrder(newest)),
            Some(newest) if sample.t == newest => {
                let same = self.histograms.as_ref().is_some_and(|open| open.last_equals(&sample.value));
                return Ok(if same { Verdict::Duplicate } else { Verdict::Conflict(self.floats.last().map(|(_, v)| v)) });
            }
            None if sample.t < self.chunk_end => return Ok(Verdict::OutOfOrder(self.chunk_end.saturating_sub(1))),
            _ => {}
        }
        let next = match &mut self.histograms {
            None => Box::new(OpenHistograms::begin(sample)?),
            Some(open) if sample.t >= self.chunk_end || open.count() >= CHUNK_SAMPLES => Box::new(open.successor(sample)?),
            Some(open) => match open.append(sample)? {
                Appended::Yes => return Ok(Verdict::Taken),
                Appended::Next(next) => next,
            },
        };
        *closed = self.close();
        self.chunk_end = range_end(sample.t, range);
        self.histograms = Some(next);
        Ok(Verdict::Taken)
    }

    /// Ends the open chunk for good: what is not newer than it is out of order from now on.
    pub(super) fn seal(&mut self) -> Option<ClosedChunk> {
        let closed = self.close()?;
        self.chunk_end = closed.max_t().saturating_add(1);
        Some(closed)
    }

    /// Ends the open chunk and takes it out. A newer one must follow, or all that is older be refused.
    pub(super) fn close(&mut self) -> Option<ClosedChunk> {
        self.chunk_end = i64::MIN;
        if let Some(open) = self.histograms.take() {
            return Some(open.finish());
        }
        let (max_t, _) = self.floats.last()?;
        let data = std::mem::take(&mut self.floats).finish();
        Some(ClosedChunk::new(ChunkEncoding::Xor, first_time(&data).unwrap_or(max_t), max_t, data))
    }

    /// The open chunk, if any of it is in the range (inclusive).
    pub(super) fn open_chunk(&self, min_t: i64, max_t: i64) -> Option<OpenChunk<'_>> {
        let newest = self.newest().filter(|newest| *newest >= min_t)?;
        let (first, encoding, data) = match &self.histograms {
            Some(open) => (open.first_t(), open.encoding(), open.bytes()),
            None => (first_time(self.floats.bytes())?, ChunkEncoding::Xor, self.floats.bytes()),
        };
        (first <= max_t).then_some(OpenChunk { encoding, min_t: first, max_t: newest, data })
    }

    /// The newest sample of the series if it is a float in the range and no stale marker. All others of the series are older.
    pub(super) fn newest_float(&self, min_t: i64, max_t: i64) -> Option<Sample> {
        let (t, v) = self.floats.last().filter(|_| self.histograms.is_none())?;
        ((min_t..=max_t).contains(&t) && !is_stale_nan(v)).then_some(Sample { t, v })
    }

    /// Whether the open chunk has a sample in the range, as [`Hot::open_chunk`] says without copying.
    pub(super) fn open_overlaps(&self, min_t: i64, max_t: i64) -> bool {
        let first = match &self.histograms {
            Some(open) => Some(open.first_t()),
            None => first_time(self.floats.bytes()),
        };
        self.newest().is_some_and(|newest| newest >= min_t) && first.is_some_and(|first| first <= max_t)
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
    /// Adds a chunk that is newer than all others. Chunks come every half hour or so: room is made for one at a time.
    pub(super) fn push(&mut self, chunk: ClosedChunk) {
        self.chunks.reserve_exact(1);
        self.chunks.push(chunk);
    }
}

/// The verdict on a float that is not newer than the newest sample, at `newest` with the value `there` if it is a float.
#[cold]
fn settle(newest: i64, there: Option<f64>, sample: &Sample) -> Verdict {
    if sample.t < newest {
        Verdict::OutOfOrder(newest)
    } else if there.is_some_and(|v| v.to_bits() == sample.v.to_bits()) {
        Verdict::Duplicate
    } else {
        Verdict::Conflict(there)
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
