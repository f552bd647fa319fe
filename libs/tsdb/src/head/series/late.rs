//! The late samples of a series: those that came when the series had newer ones.
//!
//! They wait in a small sorted buffer. When it is full it is merged into chunks that are kept apart from those in order: ascending and disjoint
//! among themselves, so that one binary search finds the only chunk that may have a time, but overlapping anything else. Readers merge
//! ([`crate::block::recode::merge_overlaps`]); a series that never had a late sample pays a null pointer.
//!
//! No late sample is newer than the newest that came in order, and none has the time of another sample of the series: whoever adds one has
//! looked ([`super::lookup::Finder`]). Only a replay after damage, or chunks that could not be read when it looked, can break the second.

use model::{CounterResetHint, HistogramSample, HistogramValue, Sample, SeriesHash};

use super::{CHUNK_SAMPLES, ClosedChunk, range_end};
use crate::block::recode::{self, Point};

#[cfg(test)]
mod tests;

/// Samples that wait at most. A merge decodes at most one chunk for each of them, so a late sample costs at most the coding of some 120 others,
/// however they are scattered; samples near each other share that.
pub(in crate::head) const OPEN_SAMPLES: usize = 32;

/// The late samples of a series.
#[derive(Debug, Default)]
pub(in crate::head) struct Late {
    /// Samples that wait, by kind, each ascending; [`OPEN_SAMPLES`] together. A series has mostly one kind, and a float is half as large alone.
    floats: Vec<Sample>,
    histograms: Vec<HistogramSample>,
    /// Ascending and disjoint.
    pub(in crate::head) chunks: Vec<ClosedChunk>,
}

impl Late {
    /// Adds samples, ascending, none of which the series has. Histograms must be such that a chunk takes them.
    pub(in crate::head) fn add(&mut self, series: SeriesHash, points: Vec<Point>, range: i64) {
        if self.waiting() + points.len() > OPEN_SAMPLES {
            let mut all = self.take_waiting();
            all.extend(points);
            all.sort_by_key(Point::t);
            return self.merge(series, all, range);
        }
        for point in points {
            match point {
                Point::Float(sample) => {
                    let at = self.floats.partition_point(|s| s.t < sample.t);
                    self.floats.insert(at, sample);
                }
                Point::Histogram(sample) => {
                    let at = self.histograms.partition_point(|s| s.t < sample.t);
                    self.histograms.insert(at, sample);
                }
            }
        }
    }

    /// Merges what waits into chunks.
    pub(in crate::head) fn close(&mut self, series: SeriesHash, range: i64) {
        let waiting = self.take_waiting();
        if !waiting.is_empty() {
            self.merge(series, waiting, range);
        }
    }

    fn take_waiting(&mut self) -> Vec<Point> {
        let mut all: Vec<Point> = std::mem::take(&mut self.floats).into_iter().map(Point::Float).collect();
        all.extend(std::mem::take(&mut self.histograms).into_iter().map(Point::Histogram));
        all.sort_by_key(Point::t);
        all
    }

    /// The oldest sample that waits.
    pub(in crate::head) fn first_waiting(&self) -> Option<i64> {
        let (floats, histograms) = (self.floats.first().map(|s| s.t), self.histograms.first().map(|s| s.t));
        floats.into_iter().chain(histograms).min()
    }

    /// Merges ascending points into the chunks: each chunk takes what is not newer than its end, the last one the rest. Chunks without a new
    /// point stay as they are.
    fn merge(&mut self, series: SeriesHash, points: Vec<Point>, range: i64) {
        let (Some(first), Some(last)) = (points.first().map(Point::t), points.last().map(Point::t)) else { return };
        let from = self.chunks.partition_point(|c| c.max_t() < first);
        let to = from + self.chunks.get(from..).unwrap_or_default().partition_point(|c| c.min_t() <= last);
        // What is newer than all of them goes on where the one before ends, if that has room.
        let from = if from == to { from.saturating_sub(1) } else { from };
        let mut points = points.into_iter().peekable();
        let mut merged = Vec::with_capacity(to - from + 1);
        // Moved, not copied: of thousands of chunks in between most may stay as they are.
        for (at, chunk) in (from + 1..).zip(self.chunks.drain(from..to)) {
            let mut mine = Vec::new();
            while let Some(point) = points.next_if(|p| p.t() <= chunk.max_t() || at == to) {
                mine.push(point);
            }
            merge_one(series, chunk, mine, range, &mut merged);
        }
        close_all(points.collect(), CHUNK_SAMPLES.into(), range, &mut merged);
        self.chunks.splice(from..from, merged);
    }

    /// Samples that wait.
    pub(in crate::head) fn waiting(&self) -> usize {
        self.floats.len() + self.histograms.len()
    }

    /// Whether nothing is there.
    pub(in crate::head) fn is_empty(&self) -> bool {
        self.waiting() == 0 && self.chunks.is_empty()
    }

    /// The waiting sample of a time.
    pub(super) fn waiting_at(&self, t: i64) -> Option<Point> {
        if let Ok(at) = self.floats.binary_search_by_key(&t, |s| s.t) {
            return self.floats.get(at).copied().map(Point::Float);
        }
        let at = self.histograms.binary_search_by_key(&t, |s| s.t).ok()?;
        self.histograms.get(at).cloned().map(Point::Histogram)
    }

    /// The waiting samples, ascending, if any of them is in the range (inclusive).
    pub(in crate::head) fn waiting_in(&self, min_t: i64, max_t: i64) -> Vec<Point> {
        if !self.waiting_overlaps(min_t, max_t) {
            return Vec::new();
        }
        let mut all: Vec<Point> = self.floats.iter().copied().map(Point::Float).collect();
        all.extend(self.histograms.iter().cloned().map(Point::Histogram));
        all.sort_by_key(Point::t);
        all
    }

    fn waiting_overlaps(&self, min_t: i64, max_t: i64) -> bool {
        let within = |t: Option<i64>| t.is_some_and(|t| t <= max_t);
        within(self.floats.get(self.floats.partition_point(|s| s.t < min_t)).map(|s| s.t))
            || within(self.histograms.get(self.histograms.partition_point(|s| s.t < min_t)).map(|s| s.t))
    }

    /// Whether any sample may be in the range (inclusive).
    pub(in crate::head) fn overlaps(&self, min_t: i64, max_t: i64) -> bool {
        self.waiting_overlaps(min_t, max_t) || self.chunks.iter().any(|c| c.overlaps(min_t, max_t))
    }

    /// Drops chunks that end before `before`, and waiting samples that are older; how many chunks.
    pub(in crate::head) fn truncate(&mut self, before: i64) -> u64 {
        let old = self.chunks.partition_point(|c| c.max_t() < before);
        self.chunks.drain(..old);
        self.chunks.shrink_to_fit();
        self.floats.retain(|s| s.t >= before);
        self.histograms.retain(|s| s.t >= before);
        old as u64
    }

    /// Heap bytes, those of chunks' data not counted.
    pub(in crate::head) fn heap_bytes(&self) -> usize {
        let value = |h: &HistogramSample| match &h.value {
            HistogramValue::Int(h) => {
                size_of_val(&**h)
                    + 8 * (h.positive_spans.len() + h.negative_spans.len() + h.positive_deltas.len() + h.negative_deltas.len())
            }
            HistogramValue::Float(h) => {
                size_of_val(&**h)
                    + 8 * (h.positive_spans.len() + h.negative_spans.len() + h.positive_buckets.len() + h.negative_buckets.len())
            }
        };
        size_of::<Self>()
            + self.floats.capacity() * size_of::<Sample>()
            + self.histograms.capacity() * size_of::<HistogramSample>()
            + self.histograms.iter().map(value).sum::<usize>()
            + self.chunks.capacity() * size_of::<ClosedChunk>()
    }
}

/// One chunk and its new points. A chunk that grows at its end is filled up; one that grows elsewhere and overflows is halved, because more will
/// come in between.
fn merge_one(series: SeriesHash, chunk: ClosedChunk, points: Vec<Point>, range: i64, out: &mut Vec<ClosedChunk>) {
    let full = usize::from(CHUNK_SAMPLES);
    let Some(first) = points.first().map(Point::t) else {
        return out.push(chunk);
    };
    let appends = first > chunk.max_t();
    if appends && (chunk.samples(series) >= full || range_end(first, range) != range_end(chunk.max_t(), range)) {
        out.push(chunk);
        return close_all(points, full, range, out);
    }
    let Some(mut all) = chunk.decode(series) else {
        // What cannot be read stays as it is, for readers to say so.
        out.push(chunk);
        return close_all(points, full, range, out);
    };
    all.extend(points);
    all.sort_by_key(Point::t);
    let parts = all.len().div_ceil(full);
    let size = if appends { full } else { all.len().div_ceil(parts.max(1)) };
    close_all(all, size, range, out);
}

/// Encodes ascending points as chunks of at most `size` samples that do not cross the borders of ranges.
fn close_all(points: Vec<Point>, size: usize, range: i64, out: &mut Vec<ClosedChunk>) {
    let mut group: Vec<Point> = Vec::with_capacity(points.len().min(size));
    for point in points {
        let border = group.last().is_some_and(|last| range_end(last.t(), range) != range_end(point.t(), range));
        if border || group.len() >= size {
            close_one(std::mem::take(&mut group), out);
        }
        group.push(point);
    }
    close_one(group, out);
}

fn close_one(group: Vec<Point>, out: &mut Vec<ClosedChunk>) {
    let samples = group.len();
    match recode::encode(group) {
        Ok(chunks) => out.extend(chunks.iter().map(ClosedChunk::from_chunk)),
        // Each was encoded alone when it was taken or comes from a chunk, so a chunk of its own takes it. Whatever it is, the log has them.
        Err(error) => tracing::error!(%error, samples, "late samples could not be encoded and are missing until the next start"),
    }
}

/// A copy of a histogram that says nothing of its neighbour: that is another one than the sender meant.
pub(in crate::head) fn without_hint(sample: &HistogramSample) -> HistogramSample {
    let mut sample = sample.clone();
    let hint = match &mut sample.value {
        HistogramValue::Int(h) => &mut h.counter_reset_hint,
        HistogramValue::Float(h) => &mut h.counter_reset_hint,
    };
    if *hint != CounterResetHint::Gauge {
        *hint = CounterResetHint::Unknown;
    }
    sample
}
