//! The zero bucket: two histograms can be added once theirs are equally wide.
//!
//! A zero bucket is widened by moving buckets into it. Its new end must not lie inside a bucket with observations; if it would, it moves on to the
//! end of that bucket.

use model::{FloatHistogram, Span};

use super::bounds;
use super::cells::spread;
use crate::functions::kahan::KahanSum;

/// One side: spans, counts, compensations.
pub(super) type SideRef<'a> = (&'a [Span], &'a [f64], &'a [f64]);

/// A zero bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ZeroBucket {
    pub(super) threshold: f64,
    pub(super) count: KahanSum,
}

impl ZeroBucket {
    pub(super) fn of(h: &FloatHistogram) -> Self {
        Self { threshold: h.zero_threshold, count: KahanSum::of(h.zero_count) }
    }

    /// The zero bucket of a histogram with these sides if its threshold were at least `threshold`.
    pub(super) fn widened(self, threshold: f64, schema: i32, positive: SideRef<'_>, negative: SideRef<'_>) -> Self {
        let mut wanted = threshold;
        loop {
            let mut count = self.count;
            let reached = absorb(positive, schema, wanted, &mut count);
            let both = absorb(negative, schema, reached, &mut count);
            // Once the negative side has moved the end on, the positive side has to be looked at again.
            if both > reached {
                wanted = both;
            } else {
                return Self { threshold: reached, count };
            }
        }
    }
}

/// Adds the buckets that begin before `threshold`; returns where the zero bucket ends then.
fn absorb((spans, counts, rests): SideRef<'_>, schema: i32, threshold: f64, zero: &mut KahanSum) -> f64 {
    for cell in spread(spans, counts, rests) {
        if bounds::exponential(cell.index - 1, schema) >= threshold {
            break;
        }
        zero.add(cell.count.sum);
        zero.add(cell.count.compensation);
        let upper = bounds::exponential(cell.index, schema);
        if upper > threshold {
            return if cell.count.sum == 0.0 { threshold } else { upper };
        }
    }
    threshold
}

/// The number of leading buckets that lie in a zero bucket that ends at `threshold`.
pub(super) fn buckets_within(spans: &[Span], counts: &[f64], schema: i32, threshold: f64) -> usize {
    if threshold == 0.0 {
        return 0;
    }
    super::buckets::Indexed::new(spans, counts).take_while(|(index, _)| bounds::exponential(*index, schema) <= threshold).count()
}

/// The number of leading buckets that begin in a zero bucket that ends at `threshold`.
pub(super) fn buckets_reaching_into(spans: &[Span], counts: &[f64], schema: i32, threshold: f64) -> usize {
    super::buckets::Indexed::new(spans, counts).take_while(|(index, _)| bounds::exponential(index - 1, schema) < threshold).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_moves_on_to_the_end_of_a_populated_bucket() {
        let spans = [Span { offset: 0, length: 4 }];
        // (0.5, 1], (1, 2], (2, 4], (4, 8]; the negative side has (-4, -2] only.
        let positive = (spans.as_slice(), [1.0, 2.0, 0.0, 4.0].as_slice(), [].as_slice());
        let negative_spans = [Span { offset: 2, length: 1 }];
        let negative = (negative_spans.as_slice(), [10.0].as_slice(), [].as_slice());
        let none = ([].as_slice(), [].as_slice(), [].as_slice());
        let zero = ZeroBucket { threshold: 0.1, count: KahanSum::of(100.0) };
        let got = |threshold, negative| {
            let wide = zero.widened(threshold, 0, positive, negative);
            (wide.threshold, wide.count.value())
        };
        assert_eq!(got(0.5, none), (0.5, 100.0));
        assert_eq!(got(0.75, none), (1.0, 101.0));
        // The third bucket is empty: ending inside it is harmless.
        assert_eq!(got(3.0, none), (3.0, 103.0));
        // Unless the negative side has observations there.
        assert_eq!(got(3.0, negative), (4.0, 113.0));
    }
}
