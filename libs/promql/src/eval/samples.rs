//! The samples of one series, decoded.

use std::hint::black_box;
use std::sync::Arc;

use model::{Chunk, ChunkEncoding, FloatHistogram, Sample, SeriesChunks, is_stale_nan};
use tsdb::chunk::{decode_xor_into, sample_count, visit_histograms};

use crate::error::QueryError;
use crate::histogram;
use crate::limits::{Budget, Charge};

/// Floats in two columns and histograms, each ascending in time, no two samples at one time. Reused from series to series.
#[derive(Debug, Default)]
pub struct Samples {
    /// Times of floats.
    pub ts: Vec<i64>,
    /// Floats.
    pub vs: Vec<f64>,
    /// Histograms.
    pub histograms: Vec<(i64, Arc<FloatHistogram>)>,
    /// When the counter of each float began, in milliseconds, 0 if unknown; empty if nothing is known of the series.
    pub float_starts: Vec<i64>,
    /// The same of histograms.
    pub histogram_starts: Vec<i64>,
    spare_ts: Vec<i64>,
    spare_vs: Vec<f64>,
}

impl Samples {
    /// Makes room for another series.
    pub fn clear(&mut self) {
        self.ts.clear();
        self.vs.clear();
        self.histograms.clear();
        self.float_starts.clear();
        self.histogram_starts.clear();
    }

    /// Takes over start times: pairs of a sample's time and its start, ascending.
    pub(super) fn set_starts(&mut self, known: &[(i64, i64)]) {
        let start_of = |t: i64| known.binary_search_by_key(&t, |(t, _)| *t).ok().and_then(|at| known.get(at)).map_or(0, |(_, st)| *st);
        self.float_starts.extend(self.ts.iter().map(|t| start_of(*t)));
        self.histogram_starts.extend(self.histograms.iter().map(|(t, _)| start_of(*t)));
    }

    /// Decodes the samples of a series from `min_t` to `max_t`, both inclusive, in place of what was there. Where chunks overlap, the first
    /// chunk's sample at a time wins. `charge` is kept at what the columns take.
    pub fn decode(
        &mut self,
        series: &SeriesChunks,
        min_t: i64,
        max_t: i64,
        budget: &Budget,
        charge: &mut Charge,
    ) -> Result<(), QueryError> {
        self.clear();
        if series.chunks.len() > 1 {
            black_box(touch(&series.chunks));
        }
        for chunk in series.chunks.iter().filter(|c| c.max_t >= min_t && c.min_t <= max_t) {
            charge.set(self.bytes_with(chunk)?)?;
            match chunk.encoding {
                ChunkEncoding::Xor => self.floats(chunk, min_t, max_t, budget)?,
                ChunkEncoding::Histogram | ChunkEncoding::FloatHistogram => self.add_histograms(chunk, min_t, max_t, budget)?,
            }
        }
        if let Some(sample) = series.newest.filter(|s| (min_t..=max_t).contains(&s.t)) {
            self.add_newest(sample);
            budget.add_samples(1)?;
        }
        self.drop_doubles();
        if !self.histograms.is_empty() {
            // How large histograms are is known only now.
            charge.set(self.bytes())?;
        }
        Ok(())
    }

    fn add_newest(&mut self, sample: Sample) {
        let base = self.ts.len();
        let overlaps = self.ts.last().is_some_and(|last| sample.t <= *last);
        self.ts.push(sample.t);
        self.vs.push(sample.v);
        if overlaps {
            self.merge_from(base);
        }
    }

    /// Removes stale markers, which are no samples to range functions.
    pub fn drop_stale(&mut self) {
        if self.vs.iter().any(|v| is_stale_nan(*v)) {
            let stale: Vec<bool> = self.vs.iter().map(|v| is_stale_nan(*v)).collect();
            retain_unmarked(&mut self.ts, &stale);
            retain_unmarked(&mut self.float_starts, &stale);
            self.vs.retain(|v| !is_stale_nan(*v));
        }
        if self.histograms.iter().any(|(_, h)| is_stale_nan(h.sum)) {
            let stale: Vec<bool> = self.histograms.iter().map(|(_, h)| is_stale_nan(h.sum)).collect();
            retain_unmarked(&mut self.histogram_starts, &stale);
            self.histograms.retain(|(_, h)| !is_stale_nan(h.sum));
        }
    }

    /// The number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ts.len() + self.histograms.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn bytes_with(&self, chunk: &Chunk) -> Result<usize, QueryError> {
        let next = usize::from(sample_count(&chunk.data).map_err(damaged)?).min(chunk.data.len() * 4);
        let width = if chunk.encoding == ChunkEncoding::Xor { 16 } else { 16 + size_of::<FloatHistogram>() };
        let more_floats = (self.ts.len() + next).saturating_sub(self.ts.capacity());
        Ok(self.bytes() + more_floats * 16 + next * (width - 16))
    }

    fn bytes(&self) -> usize {
        (self.ts.capacity() + self.spare_ts.capacity()) * 16 + self.histogram_bytes()
    }

    fn histogram_bytes(&self) -> usize {
        self.histograms.iter().map(|(_, h)| 16 + histogram::bytes(h)).sum()
    }

    fn floats(&mut self, chunk: &Chunk, min_t: i64, max_t: i64, budget: &Budget) -> Result<(), QueryError> {
        let base = self.ts.len();
        let decoded = decode_xor_into(&chunk.data, min_t, max_t, &mut self.ts, &mut self.vs).map_err(damaged)?;
        budget.add_samples(decoded)?;
        if let (Some(last), Some(first)) = (base.checked_sub(1).and_then(|i| self.ts.get(i)), self.ts.get(base))
            && first <= last
        {
            self.merge_from(base);
        }
        Ok(())
    }

    /// Merges the runs `..base` and `base..`; only what overlaps is touched.
    fn merge_from(&mut self, base: usize) {
        let first = self.ts[base];
        let from = self.ts[..base].partition_point(|t| *t < first);
        self.spare_ts.clear();
        self.spare_vs.clear();
        let (mut old, mut new) = (from, base);
        while old < base || new < self.ts.len() {
            let take_old = old < base && (new >= self.ts.len() || self.ts[old] <= self.ts[new]);
            let at = if take_old { old } else { new };
            if take_old {
                old += 1;
            } else {
                new += 1;
            }
            if self.spare_ts.last() != Some(&self.ts[at]) {
                self.spare_ts.push(self.ts[at]);
                self.spare_vs.push(self.vs[at]);
            }
        }
        self.ts.truncate(from);
        self.vs.truncate(from);
        self.ts.extend_from_slice(&self.spare_ts);
        self.vs.extend_from_slice(&self.spare_vs);
    }

    fn add_histograms(&mut self, chunk: &Chunk, min_t: i64, max_t: i64, budget: &Budget) -> Result<(), QueryError> {
        let base = self.histograms.len();
        let all = &mut self.histograms;
        visit_histograms(chunk.encoding, &chunk.data, |sample| {
            if (min_t..=max_t).contains(&sample.t) {
                all.push((sample.t, Arc::new(sample.value.to_float())));
            }
        })
        .map_err(damaged)?;
        budget.add_samples(all.len() - base)?;
        if base > 0 && all.get(base).is_some_and(|(t, _)| *t <= all[base - 1].0) {
            let overlap = all.get(base).map_or(i64::MAX, |(t, _)| *t);
            // Stable, so that of two at one time the first chunk's comes first.
            all.sort_by_key(|(t, _)| *t);
            all.dedup_by_key(|(t, _)| *t);
            // From there on a sample may follow one of another chunk, of which its own chunk knew nothing.
            let from = all.partition_point(|(t, _)| *t < overlap);
            all.iter_mut().skip(from).for_each(|(_, h)| *h = histogram::without_reset_hint(h));
        }
        Ok(())
    }

    /// A float and a histogram at one time cannot both be: the float stays.
    fn drop_doubles(&mut self) {
        if !self.ts.is_empty() && !self.histograms.is_empty() {
            let ts = &self.ts;
            self.histograms.retain(|(t, _)| ts.binary_search(t).is_err());
        }
    }
}

/// Reads a byte of every cache line of the chunks. They lie scattered in memory: here the cache misses overlap, while decoding would wait for each.
fn touch(chunks: &[Chunk]) -> u8 {
    const LINE: usize = 64;
    chunks.iter().fold(0, |sink, chunk| chunk.data.iter().step_by(LINE).fold(sink, |sink, byte| sink ^ byte))
}

/// Keeps what is not marked.
fn retain_unmarked<T>(items: &mut Vec<T>, marks: &[bool]) {
    let mut marks = marks.iter();
    items.retain(|_| !marks.next().is_some_and(|marked| *marked));
}

fn damaged(error: tsdb::chunk::ChunkError) -> QueryError {
    QueryError::Storage(format!("reading a chunk: {error}"))
}
