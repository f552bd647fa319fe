//! Chunks taken apart and put together again: where a border, a deletion or an overlap goes through them.

use bytes::Bytes;
use model::{Chunk, ChunkEncoding, CounterResetHint, FloatHistogram, Histogram, HistogramSample, HistogramValue, Sample, is_stale_nan};

use super::BlockError;
use crate::chunk::{AppendOutcome, ChunkError, FloatHistogramAppender, HistogramAppender, XorAppender, XorIterator, visit_histograms};

/// Samples of a chunk that is written anew.
pub const SAMPLES_PER_CHUNK: u16 = 120;

/// A sample of any kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Point {
    /// A float.
    Float(Sample),
    /// A histogram.
    Histogram(HistogramSample),
}

/// What happened to overlapping chunks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OverlapStats {
    /// Chunks left out because another source has the same.
    pub identical_chunks: u64,
    /// Chunks that overlapped others and were written anew.
    pub recoded_chunks: u64,
    /// Samples for which sources had different values; the first source's was taken.
    pub conflicts: u64,
}

impl Point {
    /// Its time.
    #[must_use]
    pub fn t(&self) -> i64 {
        match self {
            Self::Float(sample) => sample.t,
            Self::Histogram(sample) => sample.t,
        }
    }
}

/// The samples of a chunk, in order.
pub fn decode(chunk: &Chunk) -> Result<Vec<Point>, BlockError> {
    decode_data(chunk.encoding, &chunk.data).map_err(|source| BlockError::Chunk { reference: 0, source })
}

pub(crate) fn decode_data(encoding: ChunkEncoding, data: &[u8]) -> Result<Vec<Point>, ChunkError> {
    let mut out = Vec::new();
    if encoding == ChunkEncoding::Xor {
        let mut it = XorIterator::new(data)?;
        while let Some(sample) = it.next()? {
            out.push(Point::Float(sample));
        }
    } else {
        visit_histograms(encoding, data, |sample| out.push(Point::Histogram(sample)))?;
    }
    Ok(out)
}

/// Samples, ascending, as chunks of at most [`SAMPLES_PER_CHUNK`]. Hints of counter resets are found anew: who was whose neighbour
/// before says nothing.
pub fn encode(points: Vec<Point>) -> Result<Vec<Chunk>, BlockError> {
    let mut out = Vec::new();
    let mut open = Open::None;
    for point in points {
        open = open.append(point, &mut out).map_err(|source| BlockError::Chunk { reference: 0, source })?;
    }
    open.close(&mut out);
    Ok(out)
}

/// The chunk that is being written, with the time of its first sample.
enum Open {
    None,
    Floats(i64, XorAppender),
    Ints(i64, HistogramAppender),
    HistogramFloats(i64, FloatHistogramAppender),
}

impl Open {
    fn append(self, point: Point, out: &mut Vec<Chunk>) -> Result<Self, ChunkError> {
        match point {
            Point::Float(sample) => Ok(self.float(sample, out)),
            Point::Histogram(HistogramSample { t, value: HistogramValue::Int(mut h) }) => {
                forget(&mut h.counter_reset_hint);
                self.int(t, &h, out)
            }
            Point::Histogram(HistogramSample { t, value: HistogramValue::Float(mut h) }) => {
                forget(&mut h.counter_reset_hint);
                self.histogram_float(t, &h, out)
            }
        }
    }

    fn float(self, sample: Sample, out: &mut Vec<Chunk>) -> Self {
        let (first, mut appender) = match self {
            Self::Floats(first, appender) if appender.count() < SAMPLES_PER_CHUNK => (first, appender),
            other => {
                other.close(out);
                (sample.t, XorAppender::new())
            }
        };
        appender.append(sample.t, sample.v);
        Self::Floats(first, appender)
    }

    fn int(self, t: i64, h: &Histogram, out: &mut Vec<Chunk>) -> Result<Self, ChunkError> {
        let (first, mut appender) = match self {
            Self::Ints(first, appender) if appender.count() < SAMPLES_PER_CHUNK => (first, appender),
            Self::Ints(first, appender) => {
                let next = appender.successor(h);
                Self::Ints(first, appender).close(out);
                (t, next)
            }
            other => {
                other.close(out);
                (t, HistogramAppender::new())
            }
        };
        match appender.append(t, h) {
            AppendOutcome::Appended | AppendOutcome::Recoded => Ok(Self::Ints(first, appender)),
            AppendOutcome::Refused(e) if appender.count() == 0 => Err(e),
            // What an open chunk refuses may still be fine alone.
            AppendOutcome::Refused(_) | AppendOutcome::NeedsNewChunk(_) => {
                let mut next = appender.successor(h);
                Self::Ints(first, appender).close(out);
                refused(next.append(t, h))?;
                Ok(Self::Ints(t, next))
            }
        }
    }

    fn histogram_float(self, t: i64, h: &FloatHistogram, out: &mut Vec<Chunk>) -> Result<Self, ChunkError> {
        let (first, mut appender) = match self {
            Self::HistogramFloats(first, appender) if appender.count() < SAMPLES_PER_CHUNK => (first, appender),
            Self::HistogramFloats(first, appender) => {
                let next = appender.successor(h);
                Self::HistogramFloats(first, appender).close(out);
                (t, next)
            }
            other => {
                other.close(out);
                (t, FloatHistogramAppender::new())
            }
        };
        match appender.append(t, h) {
            AppendOutcome::Appended | AppendOutcome::Recoded => Ok(Self::HistogramFloats(first, appender)),
            AppendOutcome::Refused(e) if appender.count() == 0 => Err(e),
            // What an open chunk refuses may still be fine alone.
            AppendOutcome::Refused(_) | AppendOutcome::NeedsNewChunk(_) => {
                let mut next = appender.successor(h);
                Self::HistogramFloats(first, appender).close(out);
                refused(next.append(t, h))?;
                Ok(Self::HistogramFloats(t, next))
            }
        }
    }

    fn close(self, out: &mut Vec<Chunk>) {
        let (encoding, min_t, max_t, data) = match self {
            Self::None => return,
            Self::Floats(t, a) => (ChunkEncoding::Xor, t, a.last().map_or(t, |(t, _)| t), a.finish()),
            Self::Ints(t, a) => (ChunkEncoding::Histogram, t, a.last_t().unwrap_or(t), a.finish()),
            Self::HistogramFloats(t, a) => (ChunkEncoding::FloatHistogram, t, a.last_t().unwrap_or(t), a.finish()),
        };
        out.push(Chunk { encoding, min_t, max_t, data: Bytes::from(data) });
    }
}

/// A first sample fits a new chunk, or it fits none.
fn refused(outcome: AppendOutcome) -> Result<(), ChunkError> {
    match outcome {
        AppendOutcome::Appended | AppendOutcome::Recoded => Ok(()),
        AppendOutcome::Refused(e) => Err(e),
        AppendOutcome::NeedsNewChunk(_) => Err(ChunkError::TooManyBuckets),
    }
}

fn forget(hint: &mut CounterResetHint) {
    if *hint != CounterResetHint::Gauge {
        *hint = CounterResetHint::Unknown;
    }
}

/// What of a chunk lies in `[min_t, max_t]` (inclusive) and in none of the deleted intervals, which ascend. A chunk of which all
/// stays is not touched.
pub(super) fn clip(chunk: Chunk, min_t: i64, max_t: i64, deleted: &[(i64, i64)], out: &mut Vec<Chunk>) -> Result<(), BlockError> {
    let whole = chunk.min_t >= min_t && chunk.max_t <= max_t;
    let touched = deleted.iter().any(|(from, to)| chunk.min_t <= *to && chunk.max_t >= *from);
    let gone = deleted.iter().any(|(from, to)| chunk.min_t >= *from && chunk.max_t <= *to);
    if gone || chunk.max_t < min_t || chunk.min_t > max_t {
        return Ok(());
    }
    if whole && !touched {
        out.push(chunk);
        return Ok(());
    }
    let mut points = decode(&chunk)?;
    points.retain(|p| {
        let t = p.t();
        t >= min_t && t <= max_t && !deleted.iter().any(|(from, to)| t >= *from && t <= *to)
    });
    out.extend(encode(points)?);
    Ok(())
}

/// One series of several sources, whose chunks come with the source's number: chunks that ascend and do not overlap. The same
/// chunk from two sources is taken once; overlapping ones are merged by time, and where two have a sample for one time, that of the
/// lower source stays.
pub fn merge_overlaps(mut chunks: Vec<(usize, Chunk)>, stats: &mut OverlapStats) -> Result<Vec<Chunk>, BlockError> {
    chunks.sort_by_key(|(source, chunk)| (chunk.min_t, chunk.max_t, *source));
    let mut out = Vec::with_capacity(chunks.len());
    let mut cluster: Vec<(usize, Chunk)> = Vec::new();
    let mut end = i64::MIN;
    for (source, chunk) in chunks {
        if cluster.iter().any(|(_, c)| same_chunk(c, &chunk)) {
            stats.identical_chunks += 1;
            continue;
        }
        if !cluster.is_empty() && chunk.min_t > end {
            close_cluster(std::mem::take(&mut cluster), stats, &mut out)?;
            end = i64::MIN;
        }
        end = end.max(chunk.max_t);
        cluster.push((source, chunk));
    }
    close_cluster(cluster, stats, &mut out)?;
    Ok(out)
}

fn same_chunk(a: &Chunk, b: &Chunk) -> bool {
    (a.encoding, a.min_t, a.max_t) == (b.encoding, b.min_t, b.max_t) && a.data == b.data
}

fn close_cluster(cluster: Vec<(usize, Chunk)>, stats: &mut OverlapStats, out: &mut Vec<Chunk>) -> Result<(), BlockError> {
    if cluster.len() < 2 {
        out.extend(cluster.into_iter().map(|(_, chunk)| chunk));
        return Ok(());
    }
    stats.recoded_chunks += cluster.len() as u64;
    let mut points = Vec::new();
    for (source, chunk) in cluster {
        points.extend(decode(&chunk)?.into_iter().map(|p| (p.t(), source, p)));
    }
    points.sort_by_key(|(t, source, _)| (*t, *source));
    let mut merged: Vec<Point> = Vec::with_capacity(points.len());
    for (t, _, point) in points {
        match merged.last().filter(|last| last.t() == t) {
            None => merged.push(point),
            Some(first) if same_value(first, &point) => {}
            Some(_) => stats.conflicts += 1,
        }
    }
    out.extend(encode(merged)?);
    Ok(())
}

/// Whether two samples of one time say the same. Histograms may have been written with other empty buckets.
fn same_value(a: &Point, b: &Point) -> bool {
    match (a, b) {
        (Point::Float(a), Point::Float(b)) => a == b,
        (Point::Histogram(a), Point::Histogram(b)) => {
            let same_kind = std::mem::discriminant(&a.value) == std::mem::discriminant(&b.value);
            let (a, b) = (a.value.to_float(), b.value.to_float());
            let stale = is_stale_nan(a.sum) && is_stale_nan(b.sum);
            same_kind && (stale || same_histogram(&a, &b))
        }
        _ => false,
    }
}

fn same_histogram(a: &FloatHistogram, b: &FloatHistogram) -> bool {
    let numbers = |h: &FloatHistogram| [h.zero_threshold, h.zero_count, h.count, h.sum].map(f64::to_bits);
    let gauge = |h: &FloatHistogram| h.counter_reset_hint == CounterResetHint::Gauge;
    (a.schema, gauge(a), numbers(a)) == (b.schema, gauge(b), numbers(b))
        && a.custom_values == b.custom_values
        && filled(&a.positive_spans, &a.positive_buckets).eq(filled(&b.positive_spans, &b.positive_buckets))
        && filled(&a.negative_spans, &a.negative_buckets).eq(filled(&b.negative_spans, &b.negative_buckets))
}

/// Index and count of the buckets that are not empty.
fn filled<'a>(spans: &'a [model::Span], counts: &'a [f64]) -> impl Iterator<Item = (i64, u64)> + 'a {
    let mut next = 0_i64;
    let indices = spans.iter().flat_map(move |span| {
        let start = next.saturating_add(i64::from(span.offset));
        next = start.saturating_add(i64::from(span.length));
        start..next
    });
    indices.zip(counts).filter(|(_, count)| **count != 0.0).map(|(index, count)| (index, count.to_bits()))
}
