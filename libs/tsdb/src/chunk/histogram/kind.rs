//! What tells chunks of integer counts from chunks of float counts: how counts are written, compared and presented.
//!
//! Both are handled as words of 64 bits: for integers the count (of buckets the difference to the bucket before, as the
//! model has it), for floats the bits of the float. A zero word is a count of zero in both.

use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::{CounterResetHint, FloatHistogram, Histogram, HistogramValue, Span};

use super::super::ChunkError;
use super::super::bitstream::{BitReader, BitWriter};
use super::super::varbit::{put_int, put_uint, take_int, take_uint};
use super::super::xor::XorWindow;
use super::layout::Layout;

/// The counts of one histogram.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    pub(super) total: u64,
    pub(super) zero: u64,
    /// Positive, then negative buckets; relative.
    pub(super) buckets: Vec<u64>,
}

/// What both kinds of histogram have in common.
#[derive(Debug)]
pub(super) struct Shape<'a> {
    pub(super) hint: CounterResetHint,
    pub(super) schema: i32,
    pub(super) zero_threshold: f64,
    pub(super) sum: f64,
    pub(super) positive: &'a [Span],
    pub(super) negative: &'a [Span],
    pub(super) positive_len: usize,
    pub(super) custom: &'a [f64],
}

impl Shape<'_> {
    /// Custom bounds that count; senders may leave some at other schemas.
    pub(super) fn bounds(&self) -> &[f64] {
        if self.schema == CUSTOM_BUCKETS_SCHEMA { self.custom } else { &[] }
    }
}

/// One number that is written sample after sample.
pub(super) trait Column: Copy + Clone + std::fmt::Debug + Default {
    /// The least bits that one bucket takes in the first sample.
    const MIN_FIRST_BITS: usize;
    /// Writes the first total (count or zero count).
    fn put_total(&mut self, out: &mut BitWriter, word: u64);
    /// Writes the first value of a bucket.
    fn put_bucket(&mut self, out: &mut BitWriter, word: u64);
    /// Writes any later value.
    fn put_next(&mut self, out: &mut BitWriter, word: u64);
    /// Writes the total of a later stale marker.
    fn put_stale(&mut self, out: &mut BitWriter);
    /// Reads what [`Column::put_total`] wrote.
    fn take_total(&mut self, reader: &mut BitReader<'_>);
    /// Reads what [`Column::put_bucket`] wrote.
    fn take_bucket(&mut self, reader: &mut BitReader<'_>);
    /// Reads what [`Column::put_next`] or [`Column::put_stale`] wrote.
    fn take_next(&mut self, reader: &mut BitReader<'_>) -> Result<(), ChunkError>;
    /// The current value.
    fn word(&self) -> u64;
}

/// A kind of histogram.
pub(super) trait Kind {
    /// The histogram of the model.
    type Histogram;
    /// How its counts are written.
    type Column: Column;
    /// Its shape.
    fn shape(h: &Self::Histogram) -> Shape<'_>;
    /// Its counts.
    fn counts(h: &Self::Histogram) -> Counts;
    /// A histogram of the model. A stale marker has nothing but its sum.
    fn build(layout: &Layout, hint: CounterResetHint, sum: f64, counts: &Counts) -> HistogramValue;
    /// The absolute count of a bucket, given that of the bucket before.
    fn absolute(before: u64, relative: u64) -> u64;
    /// The relative count of a bucket, given the absolute of the bucket before.
    fn relative(before: u64, absolute: u64) -> u64;
    /// Whether a total fell.
    fn total_fell(from: u64, to: u64) -> bool;
    /// Whether the absolute count of a bucket fell.
    fn bucket_fell(from: u64, to: u64) -> bool;
}

/// Integer counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Int;

/// Float counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Float;

/// Integers are written as differences of differences. All arithmetic wraps: it is undone by the same arithmetic.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct IntColumn {
    last: i64,
    delta: i64,
}

impl Column for IntColumn {
    const MIN_FIRST_BITS: usize = 1;

    fn put_total(&mut self, out: &mut BitWriter, word: u64) {
        put_uint(out, word);
        self.last = word as i64;
    }

    fn put_bucket(&mut self, out: &mut BitWriter, word: u64) {
        put_int(out, word as i64);
        self.last = word as i64;
    }

    fn put_next(&mut self, out: &mut BitWriter, word: u64) {
        let delta = (word as i64).wrapping_sub(self.last);
        put_int(out, delta.wrapping_sub(self.delta));
        self.delta = delta;
        self.last = word as i64;
    }

    fn put_stale(&mut self, out: &mut BitWriter) {
        put_int(out, 0);
    }

    fn take_total(&mut self, reader: &mut BitReader<'_>) {
        self.last = take_uint(reader) as i64;
    }

    fn take_bucket(&mut self, reader: &mut BitReader<'_>) {
        self.last = take_int(reader);
    }

    fn take_next(&mut self, reader: &mut BitReader<'_>) -> Result<(), ChunkError> {
        self.delta = self.delta.wrapping_add(take_int(reader));
        self.last = self.last.wrapping_add(self.delta);
        Ok(())
    }

    fn word(&self) -> u64 {
        self.last as u64
    }
}

/// Floats are written as the values of float chunks are, each with a window of its own.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FloatColumn {
    bits: u64,
    window: XorWindow,
}

impl FloatColumn {
    fn put_raw(&mut self, out: &mut BitWriter, word: u64) {
        out.put(word, 64);
        self.bits = word;
    }
}

impl Column for FloatColumn {
    const MIN_FIRST_BITS: usize = 64;

    fn put_total(&mut self, out: &mut BitWriter, word: u64) {
        self.put_raw(out, word);
    }

    fn put_bucket(&mut self, out: &mut BitWriter, word: u64) {
        self.put_raw(out, word);
    }

    fn put_next(&mut self, out: &mut BitWriter, word: u64) {
        self.window.put(&mut out.bytes, &mut out.used, self.bits ^ word, 0, 0);
        self.bits = word;
    }

    fn put_stale(&mut self, out: &mut BitWriter) {
        self.put_next(out, 0);
    }

    fn take_total(&mut self, reader: &mut BitReader<'_>) {
        self.bits = reader.take(64);
    }

    fn take_bucket(&mut self, reader: &mut BitReader<'_>) {
        self.bits = reader.take(64);
    }

    fn take_next(&mut self, reader: &mut BitReader<'_>) -> Result<(), ChunkError> {
        self.bits ^= self.window.take(reader, 0)?;
        Ok(())
    }

    fn word(&self) -> u64 {
        self.bits
    }
}

impl Kind for Int {
    type Histogram = Histogram;
    type Column = IntColumn;

    fn shape(h: &Histogram) -> Shape<'_> {
        Shape {
            hint: h.counter_reset_hint,
            schema: h.schema,
            zero_threshold: h.zero_threshold,
            sum: h.sum,
            positive: &h.positive_spans,
            negative: &h.negative_spans,
            positive_len: h.positive_deltas.len(),
            custom: &h.custom_values,
        }
    }

    fn counts(h: &Histogram) -> Counts {
        let buckets = h.positive_deltas.iter().chain(&h.negative_deltas).map(|delta| *delta as u64).collect();
        Counts { total: h.count, zero: h.zero_count, buckets }
    }

    fn build(layout: &Layout, hint: CounterResetHint, sum: f64, counts: &Counts) -> HistogramValue {
        let (positive, negative) = split(layout, counts);
        HistogramValue::Int(Box::new(Histogram {
            counter_reset_hint: hint,
            schema: layout.schema,
            zero_threshold: layout.zero_threshold,
            zero_count: counts.zero,
            count: counts.total,
            sum,
            positive_spans: layout.positive.clone(),
            negative_spans: layout.negative.clone(),
            positive_deltas: positive.iter().map(|word| *word as i64).collect(),
            negative_deltas: negative.iter().map(|word| *word as i64).collect(),
            custom_values: layout.custom.clone(),
        }))
    }

    fn absolute(before: u64, relative: u64) -> u64 {
        before.wrapping_add(relative)
    }

    fn relative(before: u64, absolute: u64) -> u64 {
        absolute.wrapping_sub(before)
    }

    fn total_fell(from: u64, to: u64) -> bool {
        to < from
    }

    fn bucket_fell(from: u64, to: u64) -> bool {
        (to as i64) < (from as i64)
    }
}

impl Kind for Float {
    type Histogram = FloatHistogram;
    type Column = FloatColumn;

    fn shape(h: &FloatHistogram) -> Shape<'_> {
        Shape {
            hint: h.counter_reset_hint,
            schema: h.schema,
            zero_threshold: h.zero_threshold,
            sum: h.sum,
            positive: &h.positive_spans,
            negative: &h.negative_spans,
            positive_len: h.positive_buckets.len(),
            custom: &h.custom_values,
        }
    }

    fn counts(h: &FloatHistogram) -> Counts {
        let buckets = h.positive_buckets.iter().chain(&h.negative_buckets).map(|count| count.to_bits()).collect();
        Counts { total: h.count.to_bits(), zero: h.zero_count.to_bits(), buckets }
    }

    fn build(layout: &Layout, hint: CounterResetHint, sum: f64, counts: &Counts) -> HistogramValue {
        let (positive, negative) = split(layout, counts);
        HistogramValue::Float(Box::new(FloatHistogram {
            counter_reset_hint: hint,
            schema: layout.schema,
            zero_threshold: layout.zero_threshold,
            zero_count: f64::from_bits(counts.zero),
            count: f64::from_bits(counts.total),
            sum,
            positive_spans: layout.positive.clone(),
            negative_spans: layout.negative.clone(),
            positive_buckets: positive.iter().map(|word| f64::from_bits(*word)).collect(),
            negative_buckets: negative.iter().map(|word| f64::from_bits(*word)).collect(),
            custom_values: layout.custom.clone(),
        }))
    }

    fn absolute(_: u64, relative: u64) -> u64 {
        relative
    }

    fn relative(_: u64, absolute: u64) -> u64 {
        absolute
    }

    fn total_fell(from: u64, to: u64) -> bool {
        f64::from_bits(to) < f64::from_bits(from)
    }

    fn bucket_fell(from: u64, to: u64) -> bool {
        Self::total_fell(from, to)
    }
}

fn split<'a>(layout: &Layout, counts: &'a Counts) -> (&'a [u64], &'a [u64]) {
    counts.buckets.split_at_checked(layout.positive_len()).unwrap_or_default()
}
