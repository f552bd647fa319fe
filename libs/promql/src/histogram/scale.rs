//! Multiplication and division by a number.

use model::{CounterResetHint, FloatHistogram};

/// Multiplies all counts and the sum. A negative factor makes it a gauge.
pub fn multiply(h: &mut FloatHistogram, factor: f64) {
    each(h, |v| *v *= factor);
    if factor < 0.0 {
        h.counter_reset_hint = CounterResetHint::Gauge;
    }
}

/// Divides all counts and the sum. Division by zero leaves no buckets, only infinities. A negative divisor makes it a gauge.
pub fn divide(h: &mut FloatHistogram, divisor: f64) {
    if divisor == 0.0 {
        h.positive_spans.clear();
        h.negative_spans.clear();
        h.positive_buckets.clear();
        h.negative_buckets.clear();
    }
    each(h, |v| *v /= divisor);
    if divisor < 0.0 {
        h.counter_reset_hint = CounterResetHint::Gauge;
    }
}

fn each(h: &mut FloatHistogram, mut f: impl FnMut(&mut f64)) {
    f(&mut h.zero_count);
    f(&mut h.count);
    f(&mut h.sum);
    h.positive_buckets.iter_mut().chain(&mut h.negative_buckets).for_each(f);
}

/// Whether `holds` is true of any count, of the sum or of a bound.
pub(super) fn any(h: &FloatHistogram, holds: impl Fn(f64) -> bool) -> bool {
    let counts = h.positive_buckets.iter().chain(&h.negative_buckets).chain(&h.custom_values);
    [h.zero_count, h.count, h.sum].iter().chain(counts).any(|v| holds(*v))
}
