//! Extended windows that hold native histograms.

use std::sync::Arc;

use model::FloatHistogram;

use super::{Extended, each};
use crate::error::QueryError;
use crate::eval::{ABSENT, Samples, StepVector};
use crate::functions::range::{
    CHECK_AFTER, RangeCall, RangeFunction, RangeNotes, RangeScratch, count_between, find_resets, finished, is_gauge, times,
};
use crate::histogram::{self, HistogramSum, IncompatibleBuckets, is_custom, is_reset};
use crate::plan::Extension;

/// Corrects the float result `out` at the steps around whose window there are histograms.
pub(super) fn account(
    call: &RangeCall,
    extension: Extension,
    s: &Samples,
    scratch: &mut RangeScratch,
    out: &mut StepVector,
    notes: &mut RangeNotes,
) -> Result<(), QueryError> {
    let ts = times(s);
    let mut floats: Vec<Option<Extended>> = vec![None; out.values.len()];
    each(&call.windows, extension, &s.ts, |w| floats[w.step] = Some(w));
    let counts = matches!(call.function, RangeFunction::Changes | RangeFunction::Resets);
    if counts {
        find_resets(s, &ts, &mut scratch.resets);
    }
    let (mut result, mut since_check) = (Ok(()), 0);
    each(&call.windows, extension, &ts, |w| {
        // A histogram is as much work as many floats.
        since_check += 16 * (w.hi - w.lo);
        if since_check > CHECK_AFTER {
            since_check = 0;
            result = result.clone().and_then(|()| call.cancel.check("expression evaluation"));
        }
        if result.is_err() {
            return;
        }
        let among = floats.get(w.step).copied().flatten();
        out.values[w.step] = ABSENT;
        if counts {
            if let Some(count) = w.count(call.function, s, &ts, among, &scratch.resets) {
                out.values[w.step] = count as f64;
            }
        } else if among.is_some() {
            notes.mixed = true;
        } else if let Some(h) = w.rate(call, s, &ts, notes) {
            out.put_histogram(w.step, Arc::new(h));
        }
    });
    result
}

impl Extended {
    /// `changes` and `resets`: from the last sample of either kind before the window to its end. `None` without a sample in the window.
    fn count(&self, function: RangeFunction, s: &Samples, ts: &[i64], floats: Option<Self>, resets: &[usize]) -> Option<usize> {
        let (flo, fhi) = floats.map_or((0, 0), |f| (f.lo, f.hi));
        let first_float = flo + s.ts[flo..fhi].partition_point(|t| *t <= self.start);
        let first_histogram = self.lo + ts[self.lo..self.hi].partition_point(|t| *t <= self.start);
        if first_float == fhi && first_histogram == self.hi {
            return None;
        }
        let float_before = (first_float > flo).then(|| s.ts[first_float - 1]);
        let histogram_before = (first_histogram > self.lo).then(|| ts[first_histogram - 1]);
        let (first_float, first_histogram) = match (float_before, histogram_before) {
            (None, None) => (first_float, first_histogram),
            (Some(float), histogram) if histogram.is_none_or(|h| float >= h) => (first_float - 1, first_histogram),
            _ => (first_float, first_histogram - 1),
        };
        Some(count_between(function, s, first_float..fhi, first_histogram..self.hi, resets))
    }

    /// `rate`, `increase`, `delta` of a window without floats.
    fn rate(&self, call: &RangeCall, s: &Samples, ts: &[i64], notes: &mut RangeNotes) -> Option<FloatHistogram> {
        let is_counter = call.function != RangeFunction::Delta;
        let (first, last) = self.outer(ts);
        if ts[last] <= self.start || (self.smoothed && ts[first] > self.end) {
            return None;
        }
        let window = s.histograms.get(first..=last)?;
        validate(window, is_counter, notes)?;
        let left = if self.smoothed && ts[first] < self.start && first + 1 < self.hi {
            interpolate(&s.histograms[first], &s.histograms[first + 1], self.start, is_counter, notes).ok()?
        } else {
            Arc::clone(&s.histograms[first].1)
        };
        let right = if self.smoothed && last > self.lo && ts[last] > self.end {
            interpolate(&s.histograms[last - 1], &s.histograms[last], self.end, is_counter, notes).ok()?
        } else {
            Arc::clone(&s.histograms[last].1)
        };
        notes.not_gauge |= !is_counter && [&left, &right].iter().any(|h| !is_gauge(h));
        let mut sum = HistogramSum::of(right.as_ref().clone());
        notes.reconciled_in_subtraction |= sum.subtract(&left).ok()?.reconciled;
        if is_counter {
            self.add_losses(&mut sum, window, (&left, &right), notes)?;
        }
        let mut result = finished(sum);
        if call.function == RangeFunction::Rate {
            histogram::divide(&mut result, call.windows.range_ms as f64 / 1000.0);
        }
        Some(result)
    }

    /// Adds what the counter had reached at each reset between the edges.
    fn add_losses(
        &self,
        sum: &mut HistogramSum,
        window: &[(i64, Arc<FloatHistogram>)],
        (left, right): (&Arc<FloatHistogram>, &Arc<FloatHistogram>),
        notes: &mut RangeNotes,
    ) -> Option<()> {
        let (mut previous, mut inner) = (left, window.get(1..).unwrap_or_default());
        if let [(first_t, first), (_, second), ..] = window
            && self.smoothed
            && *first_t < self.start
            && is_reset(second, first)
        {
            // The value at the left edge lies in this reset already.
            (previous, inner) = (second, inner.get(1..).unwrap_or_default());
            if window.len() == 2 {
                return Some(());
            }
        }
        if window.len() < 2 {
            return Some(());
        }
        // The last sample is the right edge, or that lies before it.
        let inner = inner.split_last().map_or(inner, |(_, rest)| rest);
        for current in inner.iter().map(|(_, h)| h).chain([right]) {
            if is_reset(current, previous) {
                notes.reconciled_in_addition |= sum.add(previous).ok()?.reconciled;
            }
            previous = current;
        }
        Some(())
    }
}

/// Histograms of one kind of buckets are needed; `None` otherwise.
fn validate(window: &[(i64, Arc<FloatHistogram>)], is_counter: bool, notes: &mut RangeNotes) -> Option<()> {
    let custom = is_custom(&window.first()?.1);
    for (_, h) in window {
        if is_custom(h) != custom {
            notes.mixed_buckets = true;
            return None;
        }
        notes.not_counter |= is_counter && is_gauge(h);
    }
    Some(())
}

/// The histogram at `t` on the line between two samples. A counter that was reset between them started from nothing.
pub(crate) fn interpolate(
    (t1, h1): &(i64, Arc<FloatHistogram>),
    (t2, h2): &(i64, Arc<FloatHistogram>),
    t: i64,
    is_counter: bool,
    notes: &mut RangeNotes,
) -> Result<Arc<FloatHistogram>, IncompatibleBuckets> {
    if t == *t1 {
        return Ok(Arc::clone(h1));
    }
    if t == *t2 {
        return Ok(Arc::clone(h2));
    }
    let share = t.wrapping_sub(*t1) as f64 / t2.wrapping_sub(*t1) as f64;
    let mut between = HistogramSum::of(h2.as_ref().clone());
    if is_counter && is_reset(h2, h1) {
        between.multiply(share);
    } else {
        notes.reconciled_in_subtraction |= between.subtract(h1)?.reconciled;
        between.multiply(share);
        notes.reconciled_in_addition |= between.add(h1)?.reconciled;
    }
    Ok(Arc::new(between.into_value()))
}
