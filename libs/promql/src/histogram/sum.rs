//! Sums and differences of histograms, compensated (Kahan, Neumaier) in every component.

use model::{CounterResetHint, FloatHistogram};

use super::cells::{self, Side, spread};
use super::zero::{ZeroBucket, buckets_reaching_into, buckets_within};
use super::{compact, custom, is_custom, scale};
use crate::functions::kahan::KahanSum;

/// A histogram with exponential and one with custom buckets have no sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("histograms with exponential and with custom buckets cannot be combined")]
pub struct IncompatibleBuckets;

/// What there is to say about an addition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Combined {
    /// One histogram said that there was a counter reset, the other that there was none.
    pub collision: bool,
    /// Custom bounds differed; the result has those that were in both.
    pub reconciled: bool,
}

/// `a + b` in the coarser schema and with the wider zero bucket of the two, compacted.
pub fn add(a: &FloatHistogram, b: &FloatHistogram) -> Result<(FloatHistogram, Combined), IncompatibleBuckets> {
    let mut sum = HistogramSum::of(a.clone());
    let combined = sum.add(b)?;
    Ok((compact(sum.into_value()), combined))
}

/// `a - b`, as [`add`]; always a gauge.
pub fn subtract(a: &FloatHistogram, b: &FloatHistogram) -> Result<(FloatHistogram, Combined), IncompatibleBuckets> {
    let mut difference = HistogramSum::of(a.clone());
    let combined = difference.subtract(b)?;
    let mut value = compact(difference.into_value());
    value.counter_reset_hint = CounterResetHint::Gauge;
    Ok((value, combined))
}

/// A running sum.
#[derive(Debug, Clone)]
pub struct HistogramSum {
    value: FloatHistogram,
    rest: Rest,
}

/// What the components of the sum lack. Lists are empty as long as there is nothing.
#[derive(Debug, Clone, Default)]
struct Rest {
    zero_count: f64,
    count: f64,
    sum: f64,
    positive: Vec<f64>,
    negative: Vec<f64>,
}

impl HistogramSum {
    /// A sum that begins with `value`.
    #[must_use]
    pub fn of(value: FloatHistogram) -> Self {
        Self { value, rest: Rest::default() }
    }

    /// The sum so far without its compensations.
    #[must_use]
    pub fn rounded(&self) -> &FloatHistogram {
        &self.value
    }

    /// Adds a histogram. After an error the sum is what it was.
    pub fn add(&mut self, other: &FloatHistogram) -> Result<Combined, IncompatibleBuckets> {
        self.combine(other, 1.0)
    }

    /// Subtracts a histogram. After an error the sum is what it was.
    pub fn subtract(&mut self, other: &FloatHistogram) -> Result<Combined, IncompatibleBuckets> {
        self.combine(other, -1.0)
    }

    /// Multiplies the sum.
    pub fn multiply(&mut self, factor: f64) {
        scale::multiply(&mut self.value, factor);
        self.rest.each(|v| *v *= factor);
    }

    /// Divides the sum; not by zero.
    pub fn divide(&mut self, divisor: f64) {
        scale::divide(&mut self.value, divisor);
        self.rest.each(|v| *v /= divisor);
    }

    /// The sum with its compensations; buckets as they came together.
    #[must_use]
    pub fn into_value(self) -> FloatHistogram {
        let Self { mut value, rest } = self;
        value.zero_count += rest.zero_count;
        value.count += rest.count;
        value.sum += rest.sum;
        value.positive_buckets.iter_mut().zip(rest.positive).for_each(|(v, rest)| *v += rest);
        value.negative_buckets.iter_mut().zip(rest.negative).for_each(|(v, rest)| *v += rest);
        value
    }

    /// Bytes outside of the value itself.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let h = &self.value;
        let spans = 8 * (h.positive_spans.capacity() + h.negative_spans.capacity());
        let counts = h.positive_buckets.capacity() + h.negative_buckets.capacity() + h.custom_values.capacity();
        spans + 8 * (counts + self.rest.positive.capacity() + self.rest.negative.capacity())
    }

    fn combine(&mut self, other: &FloatHistogram, sign: f64) -> Result<Combined, IncompatibleBuckets> {
        if is_custom(&self.value) != is_custom(other) {
            return Err(IncompatibleBuckets);
        }
        let collision = self.adjust_hint(other.counter_reset_hint);
        let zero_count = if is_custom(other) { KahanSum::default() } else { self.reconcile_zero_buckets(other) };
        let (h, rest) = (&mut self.value, &mut self.rest);
        increase(&mut h.zero_count, &mut rest.zero_count, sign * zero_count.sum);
        increase(&mut h.zero_count, &mut rest.zero_count, sign * zero_count.compensation);
        increase(&mut h.count, &mut rest.count, sign * other.count);
        increase(&mut h.sum, &mut rest.sum, sign * other.sum);
        if is_custom(other) && self.value.custom_values != other.custom_values {
            self.combine_at_shared_bounds(other, sign);
            return Ok(Combined { collision, reconciled: true });
        }
        self.coarsen_to(other.schema);
        let (h, rest) = (&mut self.value, &mut self.rest);
        let place = Place { schema: h.schema, shift: h.schema.abs_diff(other.schema), threshold: h.zero_threshold, sign };
        place.combine(Owned(&mut h.positive_spans, &mut h.positive_buckets, &mut rest.positive), other, true);
        place.combine(Owned(&mut h.negative_spans, &mut h.negative_buckets, &mut rest.negative), other, false);
        Ok(Combined { collision, reconciled: false })
    }

    /// The hint of the sum; whether the two contradict each other.
    fn adjust_hint(&mut self, other: CounterResetHint) -> bool {
        use CounterResetHint::{Gauge, Unknown};
        let mine = self.value.counter_reset_hint;
        let (hint, collision) = match (mine, other) {
            (a, b) if a == b => (a, false),
            (Gauge, _) | (_, Gauge) => (Gauge, false),
            (Unknown, _) | (_, Unknown) => (Unknown, false),
            _ => (Unknown, true),
        };
        self.value.counter_reset_hint = hint;
        collision
    }

    /// Widens the sum's zero bucket until it can take the other's, and returns what the other's holds then.
    fn reconcile_zero_buckets(&mut self, other: &FloatHistogram) -> KahanSum {
        let positive = (other.positive_spans.as_slice(), other.positive_buckets.as_slice(), [].as_slice());
        let negative = (other.negative_spans.as_slice(), other.negative_buckets.as_slice(), [].as_slice());
        let mut theirs = ZeroBucket::of(other);
        // Thresholds only grow, from one bound of a bucket to the next, so this ends.
        loop {
            let mine = self.value.zero_threshold;
            if mine > theirs.threshold {
                theirs = ZeroBucket::of(other).widened(mine, other.schema, positive, negative);
            } else if theirs.threshold > mine {
                self.widen_zero_bucket(theirs.threshold);
            } else {
                return theirs.count;
            }
        }
    }

    fn widen_zero_bucket(&mut self, threshold: f64) {
        let (h, rest) = (&mut self.value, &mut self.rest);
        let zero = ZeroBucket { threshold: h.zero_threshold, count: KahanSum { sum: h.zero_count, compensation: rest.zero_count } };
        let positive = (h.positive_spans.as_slice(), h.positive_buckets.as_slice(), rest.positive.as_slice());
        let negative = (h.negative_spans.as_slice(), h.negative_buckets.as_slice(), rest.negative.as_slice());
        let wide = zero.widened(threshold, h.schema, positive, negative);
        h.zero_threshold = wide.threshold;
        h.zero_count = wide.count.sum;
        rest.zero_count = wide.count.compensation;
        let schema = h.schema;
        for mut side in [
            Owned(&mut h.positive_spans, &mut h.positive_buckets, &mut rest.positive),
            Owned(&mut h.negative_spans, &mut h.negative_buckets, &mut rest.negative),
        ] {
            let within = buckets_reaching_into(side.0, side.1, schema, wide.threshold);
            side.1.iter_mut().take(within).for_each(|v| *v = 0.0);
            side.2.iter_mut().take(within).for_each(|v| *v = 0.0);
            side.change(Side::compact);
        }
    }

    /// Brings the sum to an exponential schema if that is coarser than its own.
    pub fn coarsen_to(&mut self, schema: i32) {
        let (h, rest) = (&mut self.value, &mut self.rest);
        if schema >= h.schema || super::is_custom_schema(schema) {
            return;
        }
        let shift = h.schema.abs_diff(schema);
        let coarser = |side: &mut Side| *side = cells::collect(cells::coarsen(spread(&side.spans, &side.counts, &side.rests), shift));
        Owned(&mut h.positive_spans, &mut h.positive_buckets, &mut rest.positive).change(coarser);
        Owned(&mut h.negative_spans, &mut h.negative_buckets, &mut rest.negative).change(coarser);
        h.schema = schema;
    }

    fn combine_at_shared_bounds(&mut self, other: &FloatHistogram, sign: f64) {
        let h = &mut self.value;
        let shared = custom::shared_bounds(&h.custom_values, &other.custom_values);
        let mut totals = vec![KahanSum::default(); shared.len() + 1];
        let mine = spread(&h.positive_spans, &h.positive_buckets, &self.rest.positive);
        custom::project(mine, &h.custom_values, &shared, 1.0, &mut totals);
        let theirs = spread(&other.positive_spans, &other.positive_buckets, &[]);
        custom::project(theirs, &other.custom_values, &shared, sign, &mut totals);
        let side = cells::collect(custom::occupied(totals));
        (h.positive_spans, h.positive_buckets, self.rest.positive) = (side.spans, side.counts, side.rests);
        h.custom_values = shared;
    }
}

impl Rest {
    fn each(&mut self, mut f: impl FnMut(&mut f64)) {
        f(&mut self.zero_count);
        f(&mut self.count);
        f(&mut self.sum);
        self.positive.iter_mut().chain(&mut self.negative).for_each(f);
    }
}

/// One side of the sum: spans, counts, compensations.
struct Owned<'a>(&'a mut Vec<model::Span>, &'a mut Vec<f64>, &'a mut Vec<f64>);

impl Owned<'_> {
    fn change(&mut self, f: impl FnOnce(&mut Side)) {
        self.2.resize(self.1.len(), 0.0);
        let take = |from: &mut Vec<f64>| std::mem::take(from);
        let mut side = Side { spans: std::mem::take(self.0), counts: take(self.1), rests: take(self.2) };
        f(&mut side);
        (*self.0, *self.1, *self.2) = (side.spans, side.counts, side.rests);
    }
}

/// What it takes to add a side: the other side is finer by `shift`, and its buckets below `threshold` are in its zero bucket already.
#[derive(Clone, Copy)]
struct Place {
    schema: i32,
    shift: u32,
    threshold: f64,
    sign: f64,
}

impl Place {
    fn combine(self, mut mine: Owned<'_>, other: &FloatHistogram, positive: bool) {
        let (spans, counts) =
            if positive { (&other.positive_spans, &other.positive_buckets) } else { (&other.negative_spans, &other.negative_buckets) };
        if counts.is_empty() {
            return;
        }
        if self.shift > 0 {
            // What the zero bucket holds already goes before a coarser bucket, which may reach out of it, takes it in.
            let within = buckets_within(spans, counts, other.schema, self.threshold);
            let coarse = cells::collect(cells::coarsen(spread(spans, counts, &[]).skip(within), self.shift));
            self.merge(&mut mine, (&coarse.spans, &coarse.counts, &coarse.rests));
        } else if *mine.0 == *spans && mine.1.len() == counts.len() {
            let within = self.within(spans, counts);
            mine.2.resize(counts.len(), 0.0);
            for ((sum, rest), v) in mine.1.iter_mut().zip(mine.2.iter_mut()).zip(counts).skip(within) {
                increase(sum, rest, self.sign * v);
            }
        } else {
            self.merge(&mut mine, (spans, counts, &[]));
        }
    }

    fn merge(self, mine: &mut Owned<'_>, (spans, counts, rests): super::zero::SideRef<'_>) {
        let within = self.within(spans, counts);
        mine.change(|side| {
            let theirs = spread(spans, counts, rests).skip(within);
            let sum = cells::add(spread(&side.spans, &side.counts, &side.rests), theirs, self.sign);
            *side = cells::collect(sum);
        });
    }

    fn within(self, spans: &[model::Span], counts: &[f64]) -> usize {
        if super::is_custom_schema(self.schema) { 0 } else { buckets_within(spans, counts, self.schema, self.threshold) }
    }
}

#[inline]
fn increase(sum: &mut f64, rest: &mut f64, v: f64) {
    let mut state = KahanSum { sum: *sum, compensation: *rest };
    state.add(v);
    (*sum, *rest) = (state.sum, state.compensation);
}
