//! Instant selectors with `smoothed`: at each step, what lies on the line between the samples around it.

use std::sync::Arc;

use model::labels::METRIC_NAME;
use model::{CounterResetHint, FloatHistogram, Labels};

use super::QueryState;
use super::column::StepVector;
use super::samples::Samples;
use crate::functions::extended::{interpolate, interpolate_histograms};
use crate::functions::range::RangeNotes;
use crate::histogram::is_custom;
use crate::plan::SelectorPlan;

/// Fills a column. Samples count within the lookback on either side of a step; the last one is carried on where none follows.
pub(super) fn fill(plan: &SelectorPlan, labels: &Labels, samples: &mut Samples, state: &QueryState, column: &mut StepVector) {
    samples.drop_stale();
    let mut notes = RangeNotes::default();
    let after = plan.extended.map_or(0, |e| e.after_ms);
    let times: Vec<i64> = samples.histograms.iter().map(|(t, _)| *t).collect();
    for step in 0..column.values.len() {
        let at = plan.reference.at(plan.grid.at(step));
        let around = (at.saturating_sub(plan.window_ms), at.saturating_add(after));
        match (Neighbours::of(&samples.ts, at, around), Neighbours::of(&times, at, around)) {
            (Some(_), Some(_)) => notes.mixed = true,
            (Some(floats), None) => {
                if let Some(v) = float(samples, &floats, at) {
                    column.values[step] = v;
                }
            }
            (None, Some(histograms)) => {
                if let Some(h) = histogram(samples, &histograms, at, &mut notes) {
                    column.put_histogram(step, h);
                }
            }
            (None, None) => {}
        }
    }
    state.annotations.of_range(labels.get(METRIC_NAME).unwrap_or_default(), notes, plan.span);
}

/// The samples next to a time, of those around it.
struct Neighbours {
    /// The last one before.
    before: Option<usize>,
    /// The first one after.
    after: Option<usize>,
    /// The one at that time.
    exact: Option<usize>,
}

impl Neighbours {
    /// Of the samples later than `around.0` and not later than `around.1`; `None` if there is none.
    fn of(ts: &[i64], at: i64, around: (i64, i64)) -> Option<Self> {
        let (lo, hi) = (ts.partition_point(|t| *t <= around.0), ts.partition_point(|t| *t <= around.1));
        let next = ts.partition_point(|t| *t < at).clamp(lo, hi.max(lo));
        let exact = (next < hi && ts[next] == at).then_some(next);
        (lo < hi).then_some(Self { before: (next > lo).then(|| next - 1), after: (next < hi).then_some(next), exact })
    }
}

fn float(samples: &Samples, around: &Neighbours, at: i64) -> Option<f64> {
    let point = |i: usize| (samples.ts[i], samples.vs[i]);
    match (around.exact, around.before, around.after) {
        (Some(exact), ..) => Some(samples.vs[exact]),
        (None, Some(before), Some(after)) => Some(interpolate(point(before), point(after), at, false)),
        (None, Some(before), None) => Some(samples.vs[before]),
        (None, None, _) => None,
    }
}

/// Samples are taken to be of a counter unless both say that they are of a gauge.
fn histogram(samples: &Samples, around: &Neighbours, at: i64, notes: &mut RangeNotes) -> Option<Arc<FloatHistogram>> {
    match (around.exact, around.before, around.after) {
        (Some(exact), ..) => Some(Arc::clone(&samples.histograms[exact].1)),
        (None, Some(before), Some(after)) => {
            let (before, after) = (&samples.histograms[before], &samples.histograms[after]);
            if is_custom(&before.1) != is_custom(&after.1) {
                notes.mixed_buckets = true;
                return None;
            }
            let is_gauge = |h: &FloatHistogram| h.counter_reset_hint == CounterResetHint::Gauge;
            let is_counter = !is_gauge(&before.1) || !is_gauge(&after.1);
            interpolate_histograms(before, after, at, is_counter, notes).ok()
        }
        (None, Some(before), None) => {
            // What is known of resets is about neighbours, not about the value.
            let carried = FloatHistogram { counter_reset_hint: CounterResetHint::Unknown, ..samples.histograms[before].1.as_ref().clone() };
            Some(Arc::new(carried))
        }
        (None, None, _) => None,
    }
}
