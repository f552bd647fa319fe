//! Histograms of which only count and sum matter.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram, is_stale_nan};

use super::samples::Samples;
use crate::histogram;

impl Samples {
    /// Drops the buckets of all histograms. Counter resets, which cannot be seen without buckets, are told by hints afterwards; nothing is known
    /// of the first histogram but what it says itself.
    pub(super) fn keep_count_and_sum(&mut self) {
        let mut previous: Option<Arc<FloatHistogram>> = None;
        for (_, h) in &mut self.histograms {
            if is_stale_nan(h.sum) {
                continue;
            }
            let hint = match (h.counter_reset_hint, &previous) {
                (CounterResetHint::Unknown, Some(previous)) if histogram::is_reset(h, previous) => CounterResetHint::Reset,
                (CounterResetHint::Unknown, Some(_)) => CounterResetHint::NotReset,
                (hint, _) => hint,
            };
            let bare =
                FloatHistogram { counter_reset_hint: hint, schema: h.schema, count: h.count, sum: h.sum, ..FloatHistogram::default() };
            previous = Some(std::mem::replace(h, Arc::new(bare)));
        }
    }
}
