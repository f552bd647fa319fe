//! `sum_over_time` and `avg_over_time` of histograms.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram};

use super::super::RangeNotes;
use crate::histogram::{Combined, HistogramMean, HistogramSum, IncompatibleBuckets};

/// The sum of a window's histograms; none if exponential and custom buckets are mixed.
pub(super) fn sum(histograms: &[(i64, Arc<FloatHistogram>)], notes: &mut RangeNotes) -> Option<FloatHistogram> {
    let (first, rest) = histograms.split_first()?;
    let mut sum = HistogramSum::of(first.1.as_ref().clone());
    fold(histograms, rest, notes, |h| sum.add(h))?;
    Some(sum.into_value())
}

/// Their mean.
pub(super) fn mean(histograms: &[(i64, Arc<FloatHistogram>)], notes: &mut RangeNotes) -> Option<FloatHistogram> {
    let (first, rest) = histograms.split_first()?;
    let mut mean = HistogramMean::of(first.1.as_ref().clone());
    fold(histograms, rest, notes, |h| mean.add(h))?;
    Some(mean.into_value())
}

fn fold(
    all: &[(i64, Arc<FloatHistogram>)],
    rest: &[(i64, Arc<FloatHistogram>)],
    notes: &mut RangeNotes,
    mut add: impl FnMut(&FloatHistogram) -> Result<Combined, IncompatibleBuckets>,
) -> Option<()> {
    let mut reconciled = false;
    for (_, h) in rest {
        match add(h) {
            Ok(combined) => reconciled |= combined.reconciled,
            Err(IncompatibleBuckets) => {
                notes.mixed_buckets = true;
                return None;
            }
        }
    }
    let has = |hint| all.iter().any(|(_, h)| h.counter_reset_hint == hint);
    notes.collision |= has(CounterResetHint::Reset) && has(CounterResetHint::NotReset);
    notes.reconciled_in_aggregation |= reconciled;
    Some(())
}
