//! What all histograms of a chunk share: schema, zero threshold, spans and custom bounds. Written once, before the samples.

use model::Span;
use model::histogram::CUSTOM_BUCKETS_SCHEMA;

use super::super::ChunkError;
use super::super::bitstream::{BitReader, BitWriter};
use super::super::varbit::{put_int, put_uint, take_int, take_length, take_uint};
use super::MAX_HISTOGRAM_BUCKETS;

/// The largest custom bound, in thousandths, that is written as an integer.
const MAX_MILLI_BOUND: f64 = 33_554_430.0;
/// Custom bounds are written as integers of this unit where that loses nothing.
const BOUND_SCALE: f64 = 1000.0;
/// Added to the IEEE 754 exponent (with its own bias) of a power of two that is written as one byte.
const THRESHOLD_BIAS: u64 = 779;
/// The byte that announces a zero threshold of eight bytes.
const THRESHOLD_RAW: u8 = 255;

/// See the module's description. Checked: [`Layout::new`] and [`Layout::take`] make no other.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Layout {
    pub(super) schema: i32,
    pub(super) zero_threshold: f64,
    pub(super) positive: Vec<Span>,
    pub(super) negative: Vec<Span>,
    pub(super) custom: Vec<f64>,
    positive_len: usize,
    negative_len: usize,
}

impl Layout {
    /// Checks and keeps a layout.
    pub(super) fn new(schema: i32, zero_threshold: f64, positive: &[Span], negative: &[Span], custom: &[f64]) -> Result<Self, ChunkError> {
        let mut layout = Self {
            schema,
            zero_threshold,
            positive: positive.to_vec(),
            negative: negative.to_vec(),
            custom: custom.to_vec(),
            ..Self::default()
        };
        layout.count_buckets()?;
        Ok(layout)
    }

    /// The same with other spans.
    pub(super) fn with_spans(&self, positive: &[Span], negative: &[Span]) -> Result<Self, ChunkError> {
        Self::new(self.schema, self.zero_threshold, positive, negative, &self.custom)
    }

    fn count_buckets(&mut self) -> Result<(), ChunkError> {
        check_shape(self.schema, &self.positive, &self.negative, &self.custom)?;
        self.positive_len = bucket_count(&self.positive)?;
        self.negative_len = bucket_count(&self.negative)?;
        Ok(())
    }

    /// The number of positive buckets. They come before the negative ones, in chunks and in our columns.
    pub(super) fn positive_len(&self) -> usize {
        self.positive_len
    }

    /// The number of all buckets but the zero bucket.
    pub(super) fn buckets(&self) -> usize {
        self.positive_len + self.negative_len
    }

    /// Bytes that one decoded sample of this layout takes, roughly.
    pub(super) fn decoded_bytes(&self) -> usize {
        size_of::<model::Histogram>() + 8 * (self.buckets() + self.positive.len() + self.negative.len() + self.custom.len())
    }

    pub(super) fn put(&self, out: &mut BitWriter) {
        put_zero_threshold(out, self.zero_threshold);
        put_int(out, self.schema.into());
        put_spans(out, &self.positive);
        put_spans(out, &self.negative);
        if self.schema == CUSTOM_BUCKETS_SCHEMA {
            put_uint(out, self.custom.len() as u64);
            for bound in &self.custom {
                put_bound(out, *bound);
            }
        }
    }

    pub(super) fn take(reader: &mut BitReader<'_>) -> Result<Self, ChunkError> {
        let zero_threshold = take_zero_threshold(reader);
        let schema = take_int(reader);
        let schema = i32::try_from(schema).map_err(|_| ChunkError::Schema(schema))?;
        let mut layout = Self { schema, zero_threshold, ..Self::default() };
        reader.check()?;
        layout.positive = take_spans(reader)?;
        layout.negative = take_spans(reader)?;
        if schema == CUSTOM_BUCKETS_SCHEMA {
            let len = take_length(reader, MAX_HISTOGRAM_BUCKETS, ChunkError::TooManyBuckets)?;
            for _ in 0..len {
                layout.custom.push(take_bound(reader));
                reader.check()?;
            }
        }
        layout.count_buckets()?;
        Ok(layout)
    }
}

/// Checks everything about a layout but the order of its spans.
fn check_shape(schema: i32, positive: &[Span], negative: &[Span], custom: &[f64]) -> Result<(), ChunkError> {
    let limit = MAX_HISTOGRAM_BUCKETS as usize;
    if positive.len() > limit || negative.len() > limit || custom.len() > limit {
        return Err(ChunkError::TooManyBuckets);
    }
    match schema {
        -4..=8 => Ok(()),
        CUSTOM_BUCKETS_SCHEMA => {
            // Buckets are numbered like the bounds, and the last one is above all bounds.
            let end: i64 = positive.iter().map(|span| i64::from(span.offset) + i64::from(span.length)).sum();
            let below = positive.first().is_some_and(|span| span.offset < 0);
            if below || end > custom.len() as i64 + 1 || !negative.is_empty() { Err(ChunkError::Spans) } else { Ok(()) }
        }
        _ => Err(ChunkError::Schema(schema.into())),
    }
}

/// The number of buckets in spans that ascend.
fn bucket_count(spans: &[Span]) -> Result<usize, ChunkError> {
    let mut end = 0_i64;
    let mut count = 0_u64;
    for (i, span) in spans.iter().enumerate() {
        end += i64::from(span.offset) + i64::from(span.length);
        count += u64::from(span.length);
        if (i > 0 && span.offset < 0) || i32::try_from(end).is_err() {
            return Err(ChunkError::Spans);
        }
    }
    if count > u64::from(MAX_HISTOGRAM_BUCKETS) { Err(ChunkError::TooManyBuckets) } else { Ok(count as usize) }
}

fn put_spans(out: &mut BitWriter, spans: &[Span]) {
    put_uint(out, spans.len() as u64);
    for span in spans {
        put_uint(out, span.length.into());
        put_int(out, span.offset.into());
    }
}

fn take_spans(reader: &mut BitReader<'_>) -> Result<Vec<Span>, ChunkError> {
    let len = take_length(reader, MAX_HISTOGRAM_BUCKETS, ChunkError::TooManyBuckets)?;
    let mut spans = Vec::new();
    for _ in 0..len {
        let length = take_length(reader, MAX_HISTOGRAM_BUCKETS, ChunkError::TooManyBuckets)?;
        let offset = i32::try_from(take_int(reader)).map_err(|_| ChunkError::Spans)?;
        reader.check()?;
        spans.push(Span { offset, length });
    }
    Ok(spans)
}

/// Powers of two from 2^-243 to 2^10, and 0, take one byte; everything else nine.
fn put_zero_threshold(out: &mut BitWriter, threshold: f64) {
    let bits = threshold.to_bits();
    // The sign is part of this exponent, so that negative numbers are out of range.
    let exponent = bits >> 52;
    let power_of_two = bits & ((1 << 52) - 1) == 0;
    if threshold == 0.0 {
        out.put(0, 8);
    } else if power_of_two && (THRESHOLD_BIAS + 1..THRESHOLD_BIAS + u64::from(THRESHOLD_RAW)).contains(&exponent) {
        out.put(exponent - THRESHOLD_BIAS, 8);
    } else {
        out.put(THRESHOLD_RAW.into(), 8);
        out.put(bits, 64);
    }
}

fn take_zero_threshold(reader: &mut BitReader<'_>) -> f64 {
    match reader.take(8) {
        0 => 0.0,
        255 => f64::from_bits(reader.take(64)),
        byte => f64::from_bits((byte + THRESHOLD_BIAS) << 52),
    }
}

/// Bounds of 0 to 33,554.430 in whole thousandths are written as that number plus one; others as a 0 bit, which is how the
/// number zero begins and ends, and eight bytes.
fn put_bound(out: &mut BitWriter, bound: f64) {
    let milli = bound * BOUND_SCALE;
    if (0.0..=MAX_MILLI_BOUND).contains(&milli) && milli.round() / BOUND_SCALE == bound {
        put_uint(out, milli.round() as u64 + 1);
    } else {
        out.put(0, 1);
        out.put(bound.to_bits(), 64);
    }
}

fn take_bound(reader: &mut BitReader<'_>) -> f64 {
    match take_uint(reader) {
        0 => f64::from_bits(reader.take(64)),
        milli => (milli - 1) as f64 / BOUND_SCALE,
    }
}

#[cfg(test)]
mod tests {
    use super::{BitReader, BitWriter, put_bound, put_zero_threshold, take_bound, take_zero_threshold};

    #[test]
    fn zero_thresholds_take_one_byte_or_nine() {
        let cases: [(f64, usize, u8); 10] = [
            (0.0, 1, 0),
            (2.0_f64.powi(-128), 1, 116),
            (2.0_f64.powi(-243), 1, 1),
            (2.0_f64.powi(10), 1, 254),
            (2.0_f64.powi(-244), 9, 255),
            (2.0_f64.powi(11), 9, 255),
            (0.001, 9, 255),
            (-0.5, 9, 255),
            (f64::INFINITY, 9, 255),
            (f64::MIN_POSITIVE / 2.0, 9, 255),
        ];
        for (threshold, len, first) in cases {
            let mut out = BitWriter::default();
            put_zero_threshold(&mut out, threshold);
            assert_eq!((out.bytes.len(), out.bytes[0]), (len, first), "{threshold}");
            assert_eq!(take_zero_threshold(&mut BitReader::new(&out.bytes, 0)).to_bits(), threshold.to_bits());
        }
    }

    #[test]
    fn bounds_are_thousandths_or_floats() {
        let cases: [(f64, usize); 11] = [
            (0.0, 1),
            (0.005, 1),
            (0.006, 1),
            (0.007, 2),
            (0.25, 2),
            (1.0, 3),
            (10.0, 3),
            (33_554.430, 4),
            (33_554.431, 9),
            (-1.0, 9),
            (0.000_1, 9),
        ];
        for (bound, len) in cases {
            let mut out = BitWriter::default();
            put_bound(&mut out, bound);
            assert_eq!(out.bytes.len(), len, "{bound}");
            assert_eq!(take_bound(&mut BitReader::new(&out.bytes, 0)).to_bits(), bound.to_bits());
        }
        for bound in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut out = BitWriter::default();
            put_bound(&mut out, bound);
            assert_eq!(take_bound(&mut BitReader::new(&out.bytes, 0)).to_bits(), bound.to_bits());
        }
    }
}
