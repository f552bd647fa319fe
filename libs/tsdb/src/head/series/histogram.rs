//! The open chunk of a series of histograms.

use model::{ChunkEncoding, FloatHistogram, Histogram, HistogramSample, HistogramValue, Span};

use super::ClosedChunk;
use crate::chunk::{AppendOutcome, ChunkError, FloatHistogramAppender, HistogramAppender, visit_histograms};

/// An open chunk with at least one sample.
#[derive(Debug)]
pub(in crate::head) struct OpenHistograms {
    appender: Appender,
    first_t: i64,
    last_t: i64,
}

#[derive(Debug)]
enum Appender {
    Int(HistogramAppender),
    Float(FloatHistogramAppender),
}

/// What a chunk did with a sample.
pub(super) enum Appended {
    Yes,
    /// It goes into the next chunk, which is this.
    Next(Box<OpenHistograms>),
}

impl OpenHistograms {
    /// A chunk of which nothing before is known.
    pub(in crate::head) fn begin(sample: &HistogramSample) -> Result<Self, ChunkError> {
        let empty = match &sample.value {
            HistogramValue::Int(_) => Appender::Int(HistogramAppender::new()),
            HistogramValue::Float(_) => Appender::Float(FloatHistogramAppender::new()),
        };
        Self::first(empty, sample)
    }

    /// The chunk after this one.
    pub(super) fn successor(&self, sample: &HistogramSample) -> Result<Self, ChunkError> {
        match (&self.appender, &sample.value) {
            (Appender::Int(open), HistogramValue::Int(h)) => Self::first(Appender::Int(open.successor(h)), sample),
            (Appender::Float(open), HistogramValue::Float(h)) => Self::first(Appender::Float(open.successor(h)), sample),
            _ => Self::begin(sample),
        }
    }

    fn first(mut appender: Appender, sample: &HistogramSample) -> Result<Self, ChunkError> {
        match appender.append(sample) {
            Some(AppendOutcome::Appended | AppendOutcome::Recoded) => Ok(Self { appender, first_t: sample.t, last_t: sample.t }),
            Some(AppendOutcome::Refused(e)) => Err(e),
            Some(AppendOutcome::NeedsNewChunk(_)) | None => Err(ChunkError::TooManyBuckets),
        }
    }

    /// Goes on where `data` ends, which may be anything; an error if there is no sample in it.
    pub(super) fn resume(encoding: ChunkEncoding, data: &[u8]) -> Result<Self, ChunkError> {
        let (mut first_t, mut last_t) = (None, None);
        visit_histograms(encoding, data, |sample| {
            first_t.get_or_insert(sample.t);
            last_t = Some(sample.t);
        })?;
        let appender = match encoding {
            ChunkEncoding::FloatHistogram => Appender::Float(FloatHistogramAppender::resume(data)?),
            _ => Appender::Int(HistogramAppender::resume(data)?),
        };
        let (Some(first_t), Some(last_t)) = (first_t, last_t) else { return Err(ChunkError::Truncated) };
        Ok(Self { appender, first_t, last_t })
    }

    /// Appends a newer sample.
    pub(super) fn append(&mut self, sample: &HistogramSample) -> Result<Appended, ChunkError> {
        match self.appender.append(sample) {
            Some(AppendOutcome::Appended | AppendOutcome::Recoded) => {
                self.last_t = sample.t;
                Ok(Appended::Yes)
            }
            Some(AppendOutcome::Refused(e)) => Err(e),
            Some(AppendOutcome::NeedsNewChunk(_)) | None => self.successor(sample).map(|next| Appended::Next(Box::new(next))),
        }
    }

    /// Whether the newest sample has this value. Decodes the chunk; for the rare case that somebody sends a time again.
    pub(super) fn last_equals(&self, value: &HistogramValue) -> bool {
        let mut last = None;
        let read = visit_histograms(self.encoding(), self.bytes(), |sample| last = Some(sample.value));
        match (read, last) {
            (Ok(()), Some(last)) => same(&last, value),
            _ => false,
        }
    }

    pub(super) fn finish(self) -> ClosedChunk {
        let (min_t, max_t, encoding) = (self.first_t, self.last_t, self.encoding());
        let data = match self.appender {
            Appender::Int(a) => a.finish(),
            Appender::Float(a) => a.finish(),
        };
        ClosedChunk::new(encoding, min_t, max_t, data)
    }

    pub(super) fn encoding(&self) -> ChunkEncoding {
        match self.appender {
            Appender::Int(_) => ChunkEncoding::Histogram,
            Appender::Float(_) => ChunkEncoding::FloatHistogram,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match &self.appender {
            Appender::Int(a) => a.bytes(),
            Appender::Float(a) => a.bytes(),
        }
    }

    pub(super) fn first_t(&self) -> i64 {
        self.first_t
    }

    pub(super) fn last_t(&self) -> i64 {
        self.last_t
    }

    pub(super) fn count(&self) -> u16 {
        match &self.appender {
            Appender::Int(a) => a.count(),
            Appender::Float(a) => a.count(),
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        match &self.appender {
            Appender::Int(a) => a.heap_bytes(),
            Appender::Float(a) => a.heap_bytes(),
        }
    }
}

impl Appender {
    /// `None` when the sample is of the other kind.
    fn append(&mut self, sample: &HistogramSample) -> Option<AppendOutcome> {
        match (self, &sample.value) {
            (Self::Int(a), HistogramValue::Int(h)) => Some(a.append(sample.t, h)),
            (Self::Float(a), HistogramValue::Float(h)) => Some(a.append(sample.t, h)),
            _ => None,
        }
    }
}

/// Whether two histograms say the same. A chunk stores the buckets of all its samples with each, so empty buckets and the
/// division into spans do not count; nor does the reset hint, which a reader derives.
pub(in crate::head) fn same(a: &HistogramValue, b: &HistogramValue) -> bool {
    match (a, b) {
        (HistogramValue::Int(a), HistogramValue::Int(b)) => same_int(a, b),
        (HistogramValue::Float(a), HistogramValue::Float(b)) => same_float(a, b),
        _ => false,
    }
}

fn same_int(a: &Histogram, b: &Histogram) -> bool {
    if model::is_stale_nan(a.sum) || model::is_stale_nan(b.sum) {
        return a.sum.to_bits() == b.sum.to_bits();
    }
    let counts = |deltas: &[i64]| {
        let mut at = 0_i64;
        deltas.iter().map(|d| (at = at.wrapping_add(*d), at).1).collect::<Vec<_>>()
    };
    let buckets = |spans: &[Span], deltas: &[i64]| filled(spans, &counts(deltas), |n| *n == 0);
    (a.schema, a.zero_count, a.count) == (b.schema, b.zero_count, b.count)
        && (a.zero_threshold.to_bits(), a.sum.to_bits()) == (b.zero_threshold.to_bits(), b.sum.to_bits())
        && a.custom_values == b.custom_values
        && buckets(&a.positive_spans, &a.positive_deltas) == buckets(&b.positive_spans, &b.positive_deltas)
        && buckets(&a.negative_spans, &a.negative_deltas) == buckets(&b.negative_spans, &b.negative_deltas)
}

fn same_float(a: &FloatHistogram, b: &FloatHistogram) -> bool {
    if model::is_stale_nan(a.sum) || model::is_stale_nan(b.sum) {
        return a.sum.to_bits() == b.sum.to_bits();
    }
    let bits = |h: &FloatHistogram| [h.zero_threshold, h.zero_count, h.count, h.sum].map(f64::to_bits);
    let buckets = |spans: &[Span], counts: &[f64]| filled(spans, &counts.iter().map(|c| c.to_bits()).collect::<Vec<_>>(), |n| *n == 0);
    a.schema == b.schema
        && bits(a) == bits(b)
        && a.custom_values == b.custom_values
        && buckets(&a.positive_spans, &a.positive_buckets) == buckets(&b.positive_spans, &b.positive_buckets)
        && buckets(&a.negative_spans, &a.negative_buckets) == buckets(&b.negative_spans, &b.negative_buckets)
}

/// The buckets that are not empty, with their indexes.
fn filled<T: Copy>(spans: &[Span], counts: &[T], empty: impl Fn(&T) -> bool) -> Vec<(i64, T)> {
    let mut out = Vec::new();
    let mut index = 0_i64;
    let mut counts = counts.iter();
    for span in spans {
        index = index.saturating_add(i64::from(span.offset));
        for count in counts.by_ref().take(span.length as usize) {
            if !empty(count) {
                out.push((index, *count));
            }
            index += 1;
        }
    }
    out
}
