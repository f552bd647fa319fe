//! `rate`, `increase`, `delta`, `irate` and `idelta` of histograms. Their results are gauges.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram};

use super::super::{RangeCall, RangeFunction, RangeNotes, Window};
use crate::eval::Samples;
use crate::functions::rate::{extrapolation_factor, factor_from_zero};
use crate::functions::start_times;
use crate::histogram::{self, HistogramSum, is_custom, is_reset};

/// What does not change from window to window of a series.
pub(super) struct Series<'a> {
    pub(super) call: &'a RangeCall,
    pub(super) samples: &'a Samples,
    /// Times of the histograms.
    pub(super) ts: &'a [i64],
    /// Indices of histograms before which there was a reset.
    pub(super) resets: &'a [usize],
}

impl Series<'_> {
    /// One of the extrapolating functions over the histograms of a window.
    pub(super) fn extrapolated(&self, w: &Window, notes: &mut RangeNotes) -> Option<FloatHistogram> {
        let window = self.samples.histograms.get(w.lo..w.hi)?;
        let first = &window.first()?.1;
        let is_counter = self.call.function != RangeFunction::Delta;
        let starts = if is_counter { self.samples.histogram_starts.as_slice() } else { &[] };
        let zero = starts.get(w.lo).and_then(|start| start_times::zero_point(*start, w.start, self.ts[w.lo]));
        let difference = match window.len() {
            0 | 1 => None,
            _ if is_counter => Some(self.increase(window, w, notes)?),
            _ => Some(difference(window, notes)?),
        };
        let (mut result, mut factor) = match (difference, zero) {
            (None, None) => return None,
            // A counter that was zero inside of the window gained all of the first sample.
            (None, Some(zero)) => (first.as_ref().clone(), factor_from_zero(w, self.ts, zero)),
            (Some(gained), Some(zero)) => (added(gained, first, notes)?, factor_from_zero(w, self.ts, zero)),
            (Some(gained), None) => {
                let factor = extrapolation_factor(w, self.ts, first.count, gained.count, is_counter);
                (gained, factor)
            }
        };
        if self.call.function == RangeFunction::Rate {
            factor /= self.call.windows.range_ms as f64 / 1000.0;
        }
        histogram::multiply(&mut result, factor);
        Some(result)
    }

    /// What a counter gained in a window.
    fn increase(&self, window: &[(i64, Arc<FloatHistogram>)], w: &Window, notes: &mut RangeNotes) -> Option<FloatHistogram> {
        let [(_, first), (_, second), ..] = window else { return None };
        let last = &window.last()?.1;
        let inner = window.get(1..window.len() - 1)?;
        let from = self.resets.partition_point(|r| *r <= w.lo);
        let resets = self.resets.get(from..self.resets.partition_point(|r| *r < w.hi))?;
        // What came before a reset right after the first histogram does not matter, so its buckets may be of any kind.
        let nothing = (resets.first() == Some(&(w.lo + 1))).then(|| nothing_like(second));
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
        self.note_overlaps(w, notes);
        let mut sum = HistogramSum::of(last.as_ref().clone());
        // The result has the coarsest schema of all, whether or not the histogram that has it counts.
        sum.coarsen_to(inner.iter().map(|(_, h)| h.schema).min().unwrap_or(last.schema).min(before.schema));
        notes.reconciled_in_subtraction |= sum.subtract(before).ok()?.reconciled;
        for reset in resets {
            let lost = match &nothing {
                Some(nothing) if *reset == w.lo + 1 && is_reset(second, nothing) => nothing,
                Some(_) if *reset == w.lo + 1 => continue,
                _ => &self.samples.histograms.get(reset - 1)?.1,
            };
            notes.reconciled_in_addition |= sum.add(lost).ok()?.reconciled;
        }
        Some(finished(sum))
    }

    /// Notes whether a sample of the window covers time that the sample before it covers.
    fn note_overlaps(&self, w: &Window, notes: &mut RangeNotes) {
        let starts = &self.samples.histogram_starts;
        if !starts.is_empty() {
            let overlaps = |i: usize| start_times::overlaps(starts[i - 1], self.ts[i - 1], starts[i]);
            notes.start_overlaps += u64::from((w.lo + 1..w.hi).any(overlaps));
        }
    }
}

/// Last minus first histogram of a gauge.
fn difference(window: &[(i64, Arc<FloatHistogram>)], notes: &mut RangeNotes) -> Option<FloatHistogram> {
    let (first, last) = (&window.first()?.1, &window.last()?.1);
    let mut difference = HistogramSum::of(last.as_ref().clone());
    match difference.subtract(first) {
        Ok(combined) => notes.reconciled_in_subtraction |= combined.reconciled,
        Err(_) => {
            notes.mixed_buckets = true;
            return None;
        }
    }
    notes.not_gauge |= !is_gauge(first) || !is_gauge(last);
    Some(finished(difference))
}

fn added(gained: FloatHistogram, first: &FloatHistogram, notes: &mut RangeNotes) -> Option<FloatHistogram> {
    let mut sum = HistogramSum::of(gained);
    match sum.add(first) {
        Ok(combined) => notes.reconciled_in_addition |= combined.reconciled,
        Err(_) => {
            notes.mixed_buckets = true;
            return None;
        }
    }
    Some(sum.into_value())
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

pub(in crate::functions) fn is_gauge(h: &FloatHistogram) -> bool {
    h.counter_reset_hint == CounterResetHint::Gauge
}

/// The result of a rate: a gauge without empty buckets.
pub(in crate::functions) fn finished(sum: HistogramSum) -> FloatHistogram {
    FloatHistogram { counter_reset_hint: CounterResetHint::Gauge, ..histogram::compact(sum.into_value()) }
}
