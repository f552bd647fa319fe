//! How many samples a query looks at, as Prometheus counts them: what each selector finds at each step, a window's samples again at every step
//! whose window holds them. Of a subquery that a function goes over, its points count, and not what they were computed from. A histogram
//! counts as the floats that would take as much memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::FloatHistogram;

use super::QueryState;
use super::column::{StepVector, is_absent};
use super::samples::Samples;
use crate::functions::range::Windows;
use crate::plan::{Extension, Grid};
use crate::value::SampleFigures;

/// What Prometheus takes for a histogram without buckets, in bytes; spans, buckets and bounds have 8 each, a float has 16.
const HISTOGRAM_BYTES: usize = 168;

/// Samples by step of the query.
#[derive(Debug)]
pub(crate) struct SampleCounts {
    steps: Vec<AtomicU64>,
}

impl SampleCounts {
    /// Nothing counted. Eight bytes per step, whose number the query's budget has been asked for.
    pub(crate) fn new(grid: Grid) -> Self {
        Self { steps: std::iter::repeat_with(AtomicU64::default).take(grid.count()).collect() }
    }

    /// The figures so far.
    pub(crate) fn figures(&self, grid: Grid) -> SampleFigures {
        let per_step: Vec<(i64, u64)> = grid.iter().zip(&self.steps).map(|(t, n)| (t, n.load(Ordering::Relaxed))).collect();
        SampleFigures { total: per_step.iter().map(|(_, n)| n).sum(), per_step }
    }

    fn add(&self, step: usize, n: u64) {
        if let Some(count) = self.steps.get(step) {
            count.fetch_add(n, Ordering::Relaxed);
        }
    }
}

/// The steps at which a part of a plan is accounted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Its own.
    Own,
    /// All: it is the same at every step.
    Every,
    /// The last: it is below a subquery that is the whole query.
    Last,
}

/// Counts for the operators of one part of a plan.
#[derive(Debug, Clone)]
pub(super) struct Meter {
    counts: Option<Arc<SampleCounts>>,
    place: Place,
    /// How often each sample counts.
    weight: u64,
    /// Steps of the grid that the part is evaluated on.
    steps: usize,
}

impl Meter {
    /// Of the whole plan; counts nothing unless the query was asked to.
    pub(super) fn of(state: &QueryState) -> Self {
        let counts = state.sample_counts.clone();
        let steps = counts.as_ref().map_or(1, |counts| counts.steps.len());
        Self { counts, place: Place::Own, weight: 1, steps }
    }

    /// Counts nothing.
    pub(super) fn off() -> Self {
        Self { counts: None, place: Place::Own, weight: 1, steps: 1 }
    }

    /// Whether nothing is counted.
    pub(super) fn is_off(&self) -> bool {
        self.counts.is_none()
    }

    /// Below what is evaluated once and repeated at every step.
    pub(super) fn repeated(&self) -> Self {
        let (place, weight) = match self.place {
            Place::Own | Place::Every => (Place::Every, self.weight),
            Place::Last => (Place::Last, self.weight.saturating_mul(self.steps as u64)),
        };
        Self { counts: self.counts.clone(), place, weight, steps: 1 }
    }

    /// Below a subquery with so many steps that is the whole query.
    pub(super) fn in_subquery(&self, steps: usize) -> Self {
        let place = if self.place == Place::Own { Place::Last } else { self.place };
        Self { counts: self.counts.clone(), place, weight: self.weight, steps }
    }

    /// Counts what a selector found.
    pub(super) fn column(&self, column: &StepVector) {
        let Some(counts) = &self.counts else { return };
        for (step, _) in column.values.iter().enumerate().filter(|(_, v)| !is_absent(**v)) {
            self.count(counts, step, 1);
        }
        for (step, histogram) in column.histograms() {
            self.count(counts, *step as usize, size(histogram));
        }
    }

    /// Counts what windows hold.
    pub(super) fn windows(&self, windows: &Windows, extended: Option<Extension>, samples: &Samples) {
        let Some(counts) = &self.counts else { return };
        let windows = extended.map_or(*windows, |extension| windows.widened(extension));
        windows.each(&samples.ts, |w| self.count(counts, w.step, (w.hi - w.lo) as u64));
        let times: Vec<i64> = samples.histograms.iter().map(|(t, _)| *t).collect();
        let sizes: Vec<u64> = samples.histograms.iter().map(|(_, h)| size(h)).collect();
        windows.each(&times, |w| self.count(counts, w.step, sizes[w.lo..w.hi].iter().sum()));
    }

    fn count(&self, counts: &SampleCounts, step: usize, n: u64) {
        let n = n.saturating_mul(self.weight);
        match self.place {
            Place::Own => counts.add(step, n),
            Place::Every => (0..counts.steps.len()).for_each(|step| counts.add(step, n)),
            Place::Last => counts.add(counts.steps.len().saturating_sub(1), n),
        }
    }
}

fn size(h: &FloatHistogram) -> u64 {
    let parts =
        h.positive_spans.len() + h.negative_spans.len() + h.positive_buckets.len() + h.negative_buckets.len() + h.custom_values.len();
    ((HISTOGRAM_BYTES + 8 * parts + 8) / 16) as u64
}

#[cfg(test)]
mod tests;
