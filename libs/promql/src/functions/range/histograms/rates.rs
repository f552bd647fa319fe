//! `rate`, `increase`, `delta`, `irate` and `idelta` of histograms. Their results are gauges.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram};

use super::super::{RangeCall, RangeFunction, RangeNotes, Window};
use crate::functions::rate::extrapolation_factor;
use crate::histogram::{self, HistogramSum, is_custom, is_reset};

/// One of the extrapolating functions over the histograms of window `w`, at the times `hts[w.lo..w.hi]`; `resets` are the indices of histograms
/// before which there was a reset.
pub(super) fn extrapolated(
    call: &RangeCall,
    w: &Window,
    hts: &[i64],
    window: &[(i64, Arc<FloatHistogram>)],
    resets: &[usize],
    notes: &mut RangeNotes,
) -> Option<FloatHistogram> {
    if window.len() < 2 {
        return None;
    }
    let is_counter = call.function != RangeFunction::Delta;
    let mut result = if is_counter { increase(window, w.lo, resets, notes)? } else { difference(window, notes)? };
    let first_count = window.first()?.1.count;
    let mut factor = extrapolation_factor(w, hts, first_count, result.count, is_counter);
    if call.function == RangeFunction::Rate {
        factor /= call.windows.range_ms as f64 / 1000.0;
    }
    histogram::multiply(&mut result, factor);
    Some(result)
}

/// Last minus first histogram of a gauge.
fn difference(window: &[(i64, Arc<FloatHistogram>)], notes: &mut RangeNotes) -> Option<FloatHistogram> {
    let (first, last) = (&window.first()?.1, &window.last()?.1);
    if is_custom(first) != is_custom(last) {
        notes.mixed_buckets = true;
        return None;
    }
    notes.not_gauge |= !is_gauge(first) || !is_gauge(last);
    let mut difference = HistogramSum::of(last.as_ref().clone());
    notes.reconciled_in_subtraction |= difference.subtract(first).ok()?.reconciled;
    Some(finished(difference))
}

/// What a counter gained in a window that begins with histogram `base` of its series.
fn increase(window: &[(i64, Arc<FloatHistogram>)], base: usize, resets: &[usize], notes: &mut RangeNotes) -> Option<FloatHistogram> {
    let [(_, first), (_, second), ..] = window else { return None };
    let last = &window.last()?.1;
    let inner = window.get(1..window.len() - 1)?;
    let resets = resets.get(resets.partition_point(|r| *r <= base)..)?;
    let resets = resets.get(..resets.partition_point(|r| *r < base + window.len()))?;
    // What came before a reset right after the first histogram does not matter, so its buckets may be of any kind.
    let nothing = (resets.first() == Some(&(base + 1))).then(|| nothing_like(second));
    let before = nothing.as_ref().unwrap_or(first);
    let custom = is_custom(before);
    if is_custom(last) != custom {
        notes.not_counter |= is_gauge(first) || is_gauge(last);
        notes.mixed_buckets = true;
        return None;
    }
    if inner.iter().any(|(_, h)| is_custom(h) != custom) {
        notes.mixed_buckets = true;
        return None;
    }
    notes.not_counter |= window.iter().any(|(_, h)| is_gauge(h));
    let mut sum = HistogramSum::of(last.as_ref().clone());
    // The result has the coarsest schema of all, whether or not the histogram that has it counts.
    sum.coarsen_to(inner.iter().map(|(_, h)| h.schema).min().unwrap_or(last.schema).min(before.schema));
    notes.reconciled_in_subtraction |= sum.subtract(before).ok()?.reconciled;
    for reset in resets {
        let lost = match &nothing {
            Some(nothing) if *reset == base + 1 && is_reset(second, nothing) => nothing,
            Some(_) if *reset == base + 1 => continue,
            _ => &window.get(reset - base - 1)?.1,
        };
        notes.reconciled_in_addition |= sum.add(lost).ok()?.reconciled;
    }
    Some(finished(sum))
}

fn nothing_like(h: &FloatHistogram) -> Arc<FloatHistogram> {
    Arc::new(FloatHistogram { schema: h.schema, custom_values: h.custom_values.clone(), ..FloatHistogram::default() })
}

/// The per-second increase or the difference of the last two histograms.
pub(super) fn instant(pair: &[(i64, Arc<FloatHistogram>)], is_rate: bool, reset: bool, notes: &mut RangeNotes) -> Option<FloatHistogram> {
    let [(before_t, before), (last_t, last)] = pair else { return None };
    if is_rate {
        notes.not_counter |= is_gauge(before) || is_gauge(last);
    } else {
        notes.not_gauge |= !is_gauge(before) || !is_gauge(last);
    }
    let mut result = HistogramSum::of(last.as_ref().clone());
    // After a reset the counter started from nothing.
    if !is_rate || !reset {
        match result.subtract(before) {
            Ok(combined) => notes.reconciled_in_subtraction |= combined.reconciled,
            Err(_) => {
                notes.mixed_buckets = true;
                return None;
            }
        }
    }
    let mut result = finished(result);
    if is_rate {
        histogram::divide(&mut result, last_t.wrapping_sub(*before_t) as f64 / 1000.0);
    }
    Some(result)
}

fn is_gauge(h: &FloatHistogram) -> bool {
    h.counter_reset_hint == CounterResetHint::Gauge
}

fn finished(sum: HistogramSum) -> FloatHistogram {
    FloatHistogram { counter_reset_hint: CounterResetHint::Gauge, ..histogram::compact(sum.into_value()) }
}
