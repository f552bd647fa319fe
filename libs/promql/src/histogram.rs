//! Arithmetic of native histograms: pure functions of [`model::FloatHistogram`]. What histograms mean to a function or an operator, and what has
//! to be annotated, is decided elsewhere.
//!
//! In reading order:
//! - `bounds`, `buckets`: where buckets begin and end; all of them in order ([`all`]).
//! - `cells`: one side as a list of indexed counts, the form in which layouts change.
//! - `zero`, `custom`: what has to be reconciled before two histograms can be added: widths of zero buckets, custom bounds.
//! - `sum`, `mean`, `scale`: [`add`], [`subtract`], [`HistogramSum`], [`HistogramMean`], [`multiply`], [`divide`].
//! - `detect`: [`is_reset`] and [`equal`].
//! - `quantile`, `spread`, `trim`, `text`: [`quantile()`], [`fraction`], [`variance`], [`trim()`], [`to_text`].
//!
//! Invariants:
//! - Work and memory are proportional to the buckets that there are, never to gaps between their indices. Spans and counts that do not fit each
//!   other are cut to the shorter; nothing panics on them.
//! - Counts are floats: they may be fractional, negative, infinite or NaN, and nothing relies on their sum.

mod bounds;
mod buckets;
mod cells;
mod custom;
mod detect;
mod mean;
mod quantile;
mod scale;
mod spread;
mod sum;
mod text;
mod trim;
mod zero;

pub use buckets::{Bucket, all};
pub use detect::{equal, is_reset};
pub use mean::HistogramMean;
pub use quantile::{NanNote, fraction, quantile};
pub use scale::{divide, multiply};
pub use spread::variance;
pub use sum::{Combined, HistogramSum, IncompatibleBuckets, add, subtract};
pub use text::to_text;
pub use trim::{Keep, trim};

use std::sync::Arc;

use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::{CounterResetHint, FloatHistogram, Span};

/// Whether a histogram has custom bounds.
#[must_use]
pub fn is_custom(h: &FloatHistogram) -> bool {
    is_custom_schema(h.schema)
}

fn is_custom_schema(schema: i32) -> bool {
    schema == CUSTOM_BUCKETS_SCHEMA
}

/// The same histogram without empty buckets and with as few spans as possible.
#[must_use]
pub fn compact(mut h: FloatHistogram) -> FloatHistogram {
    for (spans, counts) in [(&mut h.positive_spans, &mut h.positive_buckets), (&mut h.negative_spans, &mut h.negative_buckets)] {
        let rests = vec![0.0; counts.len()];
        let mut side = cells::Side { spans: std::mem::take(spans), counts: std::mem::take(counts), rests };
        side.compact();
        (*spans, *counts) = (side.spans, side.counts);
    }
    h
}

/// The same histogram among other neighbours: what was known of a reset between it and the one before it is void.
#[must_use]
pub fn without_reset_hint(h: &Arc<FloatHistogram>) -> Arc<FloatHistogram> {
    match h.counter_reset_hint {
        CounterResetHint::Reset | CounterResetHint::NotReset => {
            Arc::new(FloatHistogram { counter_reset_hint: CounterResetHint::Unknown, ..h.as_ref().clone() })
        }
        CounterResetHint::Unknown | CounterResetHint::Gauge => Arc::clone(h),
    }
}

/// The buckets of one side that hold something, by index.
#[must_use]
pub fn occupied(spans: &[Span], counts: &[f64]) -> Vec<(i64, f64)> {
    buckets::Indexed::new(spans, counts).filter(|(_, count)| *count != 0.0).collect()
}

/// Bytes of a histogram with its lists.
#[must_use]
pub fn bytes(h: &FloatHistogram) -> usize {
    let counts = h.positive_buckets.len() + h.negative_buckets.len() + h.custom_values.len();
    size_of::<FloatHistogram>() + 8 * (counts + h.positive_spans.len() + h.negative_spans.len())
}

#[cfg(test)]
mod tests;
