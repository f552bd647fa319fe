//! Counter resets between two histograms, and equality.

use model::{CounterResetHint, FloatHistogram, Span};

use super::buckets::Indexed;
use super::cells::{self, spread};
use super::zero::{ZeroBucket, buckets_within};
use super::{custom, is_custom};

/// Whether a counter was reset between `previous` and `current`: a hint says so, or something counts less than before. A finer schema or a narrower
/// zero bucket come only with a reset, too. The hint of a gauge says nothing.
#[must_use]
pub fn is_reset(current: &FloatHistogram, previous: &FloatHistogram) -> bool {
    match current.counter_reset_hint {
        CounterResetHint::Reset => return true,
        CounterResetHint::NotReset => return false,
        CounterResetHint::Unknown | CounterResetHint::Gauge => {}
    }
    if current.count < previous.count {
        return true;
    }
    if is_custom(current) {
        if !is_custom(previous) {
            return true;
        }
        if current.custom_values != previous.custom_values {
            return custom::decreased(
                (&current.positive_spans, &current.positive_buckets, &current.custom_values),
                (&previous.positive_spans, &previous.positive_buckets, &previous.custom_values),
            );
        }
    }
    if current.schema > previous.schema || current.zero_threshold < previous.zero_threshold {
        return true;
    }
    if zero_bucket_shrank(current, previous) {
        return true;
    }
    let shift = current.schema.abs_diff(previous.schema);
    let decreased = |now: Bucketed<'_>, before: Bucketed<'_>| side_decreased(current, shift, now, before);
    decreased((&current.positive_spans, &current.positive_buckets), (&previous.positive_spans, &previous.positive_buckets))
        || decreased((&current.negative_spans, &current.negative_buckets), (&previous.negative_spans, &previous.negative_buckets))
}

/// Spans and counts.
type Bucketed<'a> = (&'a [Span], &'a [f64]);

/// Compares zero buckets of the current width. Its end inside a populated bucket of before is a reset as well.
fn zero_bucket_shrank(current: &FloatHistogram, previous: &FloatHistogram) -> bool {
    if current.zero_threshold == previous.zero_threshold {
        return current.zero_count < previous.zero_count;
    }
    let positive = (previous.positive_spans.as_slice(), previous.positive_buckets.as_slice(), [].as_slice());
    let negative = (previous.negative_spans.as_slice(), previous.negative_buckets.as_slice(), [].as_slice());
    let before = ZeroBucket::of(previous).widened(current.zero_threshold, previous.schema, positive, negative);
    before.threshold != current.zero_threshold || current.zero_count < before.count.value()
}

/// Whether a bucket outside of the zero bucket counts less than before; the side of before is finer by `shift`.
fn side_decreased(current: &FloatHistogram, shift: u32, now: Bucketed<'_>, before: Bucketed<'_>) -> bool {
    let within = |(spans, counts): Bucketed<'_>| {
        if is_custom(current) { 0 } else { buckets_within(spans, counts, current.schema, current.zero_threshold) }
    };
    if shift == 0 {
        if now.0 == before.0 && now.1.len() == before.1.len() {
            return now.1.iter().zip(before.1).skip(within(now)).any(|(now, before)| now < before);
        }
        let previous = Indexed::new(before.0, before.1).skip(within(before));
        return decreased(Indexed::new(now.0, now.1).skip(within(now)), previous);
    }
    let coarse = cells::collect(cells::coarsen(spread(before.0, before.1, &[]), shift));
    let counts: Vec<f64> = coarse.counts.iter().zip(&coarse.rests).map(|(count, rest)| count + rest).collect();
    let previous = Indexed::new(&coarse.spans, &counts).skip(within((&coarse.spans, &counts)));
    decreased(Indexed::new(now.0, now.1).skip(within(now)), previous)
}

fn decreased(now: impl Iterator<Item = (i64, f64)>, before: impl Iterator<Item = (i64, f64)>) -> bool {
    let mut now = now.peekable();
    for (index, count) in before {
        while now.next_if(|(i, _)| *i < index).is_some() {}
        let is_less = match now.peek() {
            Some((i, current)) if *i == index => *current < count,
            // A bucket that is gone counts nothing.
            _ => count != 0.0,
        };
        if is_less {
            return true;
        }
    }
    false
}

/// Whether two histograms are the same to the bit, in the same buckets, empty ones included. Hints do not count.
#[must_use]
pub fn equal(a: &FloatHistogram, b: &FloatHistogram) -> bool {
    let bits = |x: &[f64], y: &[f64]| x.len() == y.len() && x.iter().zip(y).all(|(x, y)| x.to_bits() == y.to_bits());
    let places =
        |x: Bucketed<'_>, y: Bucketed<'_>| x.0 == y.0 || Indexed::new(x.0, x.1).map(|c| c.0).eq(Indexed::new(y.0, y.1).map(|c| c.0));
    let side = |x: Bucketed<'_>, y: Bucketed<'_>| bits(x.1, y.1) && places(x, y);
    a.schema == b.schema
        && bits(&[a.count, a.sum, a.zero_count], &[b.count, b.sum, b.zero_count])
        && a.zero_threshold == b.zero_threshold
        && (!is_custom(a) || a.custom_values == b.custom_values)
        && side((&a.positive_spans, &a.positive_buckets), (&b.positive_spans, &b.positive_buckets))
        && side((&a.negative_spans, &a.negative_buckets), (&b.negative_spans, &b.negative_buckets))
}
