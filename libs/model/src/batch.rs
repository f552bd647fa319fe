//! One decoded write request.

use std::ops::Range;

use bytes::Bytes;

use crate::exemplar::Exemplar;
use crate::hash::SeriesHash;
use crate::histogram::HistogramSample;
use crate::labels::LabelBlock;
use crate::metadata::Metadata;
use crate::sample::Sample;

/// A write request of one tenant: series in the sender's order, label blocks in place, samples in columns.
///
/// Label blocks lie either in the request body, where a remote-write 1.0 sender put them, or in an arena that holds those
/// that had to be written anew (remote write 2.0, labels out of order). Nothing else is copied. The batch is immutable and
/// shared (`Arc`) by everything between the socket and the WAL, also by three replicas in one process.
#[derive(Debug, Default)]
pub struct WriteBatch {
    body: Bytes,
    arena: Bytes,
    /// The series with their samples, in the sender's order; a series may occur more than once.
    pub series: Vec<BatchSeries>,
    /// Float samples of all series.
    pub samples: Vec<Sample>,
    /// Histogram samples of all series.
    pub histograms: Vec<HistogramSample>,
    /// Exemplars of all series.
    pub exemplars: Vec<Exemplar>,
    /// Metadata of metric families; belongs to no series.
    pub metadata: Vec<Metadata>,
    by_hash: bool,
}

/// What becomes of a series in [`WriteBatch::rewritten`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewrite {
    /// It stays as it is.
    Keep,
    /// It goes, with its samples.
    Drop,
    /// It has the labels that were appended to the buffer.
    Replace,
}

/// One series of a [`WriteBatch`]. Ranges index the batch's columns.
#[derive(Debug, Clone)]
pub struct BatchSeries {
    /// Identity: the hash of the canonical label block.
    pub hash: SeriesHash,
    labels: LabelSpan,
    /// Range in [`WriteBatch::samples`].
    pub samples: Range<u32>,
    /// Range in [`WriteBatch::histograms`].
    pub histograms: Range<u32>,
    /// Range in [`WriteBatch::exemplars`].
    pub exemplars: Range<u32>,
}

/// Where a label block lies.
#[derive(Debug, Clone, Copy)]
struct LabelSpan {
    in_arena: bool,
    start: u32,
    len: u32,
}

impl WriteBatch {
    /// The label block of one of this batch's series; empty for a series of another batch.
    #[inline]
    #[must_use]
    pub fn labels(&self, series: &BatchSeries) -> LabelBlock<'_> {
        let LabelSpan { in_arena, start, len } = series.labels;
        let source = if in_arena { &self.arena } else { &self.body };
        let range = start as usize..start as usize + len as usize;
        LabelBlock::from_validated(source.get(range).unwrap_or_default())
    }

    /// Float samples of a series.
    #[inline]
    #[must_use]
    pub fn samples_of(&self, series: &BatchSeries) -> &[Sample] {
        slice(&self.samples, &series.samples)
    }

    /// Histogram samples of a series.
    #[must_use]
    pub fn histograms_of(&self, series: &BatchSeries) -> &[HistogramSample] {
        slice(&self.histograms, &series.histograms)
    }

    /// Exemplars of a series.
    #[must_use]
    pub fn exemplars_of(&self, series: &BatchSeries) -> &[Exemplar] {
        slice(&self.exemplars, &series.exemplars)
    }

    /// Takes series out and gives others other labels, where they are: samples are not moved, and those of series that went are not looked at any more. `decide` is called
    /// once for each series, with its labels and a buffer for new ones, to which it appends a canonical block if it answers [`Rewrite::Replace`].
    #[must_use]
    pub fn rewritten(mut self, mut decide: impl FnMut(&BatchSeries, LabelBlock<'_>, &mut Vec<u8>) -> Rewrite) -> Self {
        // Not copied if nobody else holds it, which is so before a batch is shared.
        let mut arena = Vec::from(std::mem::take(&mut self.arena));
        let mut scratch = Vec::new();
        let body = self.body.clone();
        self.series.retain_mut(|series| {
            let LabelSpan { in_arena, start, len } = series.labels;
            let range = start as usize..start as usize + len as usize;
            let source = if in_arena { &arena[..] } else { &body[..] };
            scratch.clear();
            match decide(series, LabelBlock::from_validated(source.get(range).unwrap_or_default()), &mut scratch) {
                Rewrite::Keep => true,
                Rewrite::Drop => false,
                Rewrite::Replace => {
                    let block = LabelBlock::from_validated(&scratch);
                    series.hash = block.hash();
                    series.labels = LabelSpan { in_arena: true, start: arena.len() as u32, len: scratch.len() as u32 };
                    arena.extend_from_slice(&scratch);
                    true
                }
            }
        });
        self.arena = Bytes::from(arena);
        self
    }

    /// Whether series are named by their hash only, without labels. Such a batch adds to series that are there; it makes none.
    #[inline]
    #[must_use]
    pub fn is_by_hash(&self) -> bool {
        self.by_hash
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.is_empty() && self.metadata.is_empty()
    }
}

fn slice<'a, T>(column: &'a [T], range: &Range<u32>) -> &'a [T] {
    column.get(range.start as usize..range.end as usize).unwrap_or_default()
}

/// Builds a [`WriteBatch`] series by series: push samples, histograms and exemplars, then end the series with its labels.
#[derive(Debug)]
pub struct BatchBuilder {
    batch: WriteBatch,
    arena: Vec<u8>,
    open: BatchCursor,
}

/// Column lengths at the end of the last series.
#[derive(Debug, Default, Clone, Copy)]
struct BatchCursor {
    samples: u32,
    histograms: u32,
    exemplars: u32,
}

impl BatchBuilder {
    /// A builder over a request body, which label blocks may point into. Bodies of 4 GiB and more are refused long before.
    #[must_use]
    pub fn new(body: Bytes) -> Self {
        Self { batch: WriteBatch { body, ..WriteBatch::default() }, arena: Vec::new(), open: BatchCursor::default() }
    }

    /// Makes room for this many series and samples.
    pub fn reserve(&mut self, series: usize, samples: usize) {
        self.batch.series.reserve(series);
        self.batch.samples.reserve(samples);
    }

    /// Adds a float sample to the open series.
    #[inline]
    pub fn sample(&mut self, sample: Sample) {
        self.batch.samples.push(sample);
    }

    /// Adds a histogram to the open series.
    pub fn histogram(&mut self, histogram: HistogramSample) {
        self.batch.histograms.push(histogram);
    }

    /// Adds an exemplar to the open series.
    pub fn exemplar(&mut self, exemplar: Exemplar) {
        self.batch.exemplars.push(exemplar);
    }

    /// Adds metadata.
    pub fn metadata(&mut self, metadata: Metadata) {
        self.batch.metadata.push(metadata);
    }

    /// Ends the open series; its canonical block lies in the body at this range.
    #[inline]
    pub fn end_series_in_body(&mut self, hash: SeriesHash, range: Range<usize>) {
        let labels = LabelSpan { in_arena: false, start: range.start as u32, len: (range.end - range.start) as u32 };
        self.end_series(hash, labels);
    }

    /// Ends the open series of a batch without labels ([`WriteBatch::is_by_hash`]).
    #[inline]
    pub fn end_series_by_hash(&mut self, hash: SeriesHash) {
        self.batch.by_hash = true;
        self.end_series(hash, LabelSpan { in_arena: false, start: 0, len: 0 });
    }

    /// Ends the open series with a canonical block that is copied.
    pub fn end_series_with(&mut self, hash: SeriesHash, block: LabelBlock<'_>) {
        let start = self.arena.len() as u32;
        self.arena.extend_from_slice(block.as_bytes());
        self.end_series(hash, LabelSpan { in_arena: true, start, len: block.as_bytes().len() as u32 });
    }

    /// The arena, to write a canonical block into before its series ends with [`Self::end_series_in_arena`]. Only appended to: blocks of
    /// earlier series lie there.
    #[inline]
    pub fn arena_mut(&mut self) -> &mut Vec<u8> {
        &mut self.arena
    }

    /// The arena.
    #[inline]
    #[must_use]
    pub fn arena(&self) -> &[u8] {
        &self.arena
    }

    /// Ends the open series; its canonical block was written to the arena at this range.
    #[inline]
    pub fn end_series_in_arena(&mut self, hash: SeriesHash, range: Range<usize>) {
        self.end_series(hash, LabelSpan { in_arena: true, start: range.start as u32, len: (range.end - range.start) as u32 });
    }

    /// Forgets the samples, histograms and exemplars added since the last series ended; how many there were.
    pub fn discard_series(&mut self) -> (u32, u32, u32) {
        let now = self.cursor();
        let open = self.open;
        self.batch.samples.truncate(open.samples as usize);
        self.batch.histograms.truncate(open.histograms as usize);
        self.batch.exemplars.truncate(open.exemplars as usize);
        (now.samples - open.samples, now.histograms - open.histograms, now.exemplars - open.exemplars)
    }

    fn cursor(&self) -> BatchCursor {
        BatchCursor {
            samples: self.batch.samples.len() as u32,
            histograms: self.batch.histograms.len() as u32,
            exemplars: self.batch.exemplars.len() as u32,
        }
    }

    fn end_series(&mut self, hash: SeriesHash, labels: LabelSpan) {
        let now = self.cursor();
        let open = std::mem::replace(&mut self.open, now);
        self.batch.series.push(BatchSeries {
            hash,
            labels,
            samples: open.samples..now.samples,
            histograms: open.histograms..now.histograms,
            exemplars: open.exemplars..now.exemplars,
        });
    }

    /// The batch.
    #[must_use]
    pub fn finish(self) -> WriteBatch {
        WriteBatch { arena: Bytes::from(self.arena), ..self.batch }
    }
}
