//! Range functions over windows that know what lies beyond their edges.
//!
//! An `anchored` window begins with the last sample before it, if that is not older than the lookback; a `smoothed` one has values at both
//! edges, interpolated between the samples around each. So neighbouring windows share their edge, nothing is extrapolated, and the increases
//! of windows side by side add up to that of the whole.

use super::over_time::{count_changes, count_resets};
use super::range::{RangeCall, RangeFunction, RangeNotes, RangeScratch, Window, Windows};
use crate::error::QueryError;
use crate::eval::{Samples, StepVector};
use crate::parser::ast::ExtendedRange;
use crate::plan::Extension;

mod histograms;

pub(crate) use histograms::interpolate as interpolate_histograms;

/// A window's edges, and the samples in it and in the lookback around it.
#[derive(Debug, Clone, Copy)]
struct Extended {
    step: usize,
    /// Exclusive.
    start: i64,
    /// Inclusive.
    end: i64,
    lo: usize,
    /// One past the last; > `lo`.
    hi: usize,
    smoothed: bool,
}

/// Calls `f` for every window that has a sample in it or in the lookback around it.
fn each(windows: &Windows, extension: Extension, ts: &[i64], mut f: impl FnMut(Extended)) {
    let smoothed = extension.kind == ExtendedRange::Smoothed;
    windows.widened(extension).each(ts, |Window { step, lo, hi, .. }| {
        let end = windows.reference.at(windows.grid.at(step));
        let start = end.saturating_sub(windows.range_ms);
        f(Extended { step, start, end, lo, hi, smoothed });
    });
}

/// Evaluates a function for one series at all steps.
pub fn evaluate(
    call: &RangeCall,
    extension: Extension,
    s: &Samples,
    scratch: &mut RangeScratch,
    out: &mut StepVector,
    notes: &mut RangeNotes,
) -> Result<(), QueryError> {
    floats(call, extension, s, scratch, out);
    if s.histograms.is_empty() { Ok(()) } else { histograms::account(call, extension, s, scratch, out, notes) }
}

fn floats(call: &RangeCall, extension: Extension, s: &Samples, scratch: &mut RangeScratch, out: &mut StepVector) {
    match call.function {
        RangeFunction::Changes => count_changes(&s.vs, &mut scratch.counts),
        RangeFunction::Resets => count_resets(s, &mut scratch.counts),
        function => {
            rates(call, extension, function, s, &mut scratch.resets, out);
            return;
        }
    }
    let counts = &scratch.counts;
    each(&call.windows, extension, &s.ts, |w| {
        if let Some(first) = w.anchor(&s.ts) {
            out.values[w.step] = f64::from(counts[w.hi - 1] - counts[first]);
        }
    });
}

/// `rate`, `increase`, `delta`.
fn rates(call: &RangeCall, extension: Extension, function: RangeFunction, s: &Samples, resets: &mut Vec<usize>, out: &mut StepVector) {
    let is_counter = function != RangeFunction::Delta;
    let per = if function == RangeFunction::Rate { call.windows.range_ms as f64 / 1000.0 } else { 1.0 };
    resets.clear();
    resets.extend((1..s.vs.len()).filter(|i| is_counter && s.vs[*i] < s.vs[*i - 1]));
    each(&call.windows, extension, &s.ts, |w| {
        if let Some(edges) = w.edges(s, is_counter) {
            let correction = if is_counter { edges.correction(&s.vs, resets) } else { 0.0 };
            out.values[w.step] = (edges.right - edges.left + correction) / per;
        }
    });
}

/// Values at both edges of a window, and the samples between them.
struct Edges {
    left: f64,
    right: f64,
    first: usize,
    /// One past the last.
    end: usize,
}

impl Extended {
    /// The sample to compare the first one of the window with: the last one before it, else that one itself. `None` without a sample in the window.
    fn anchor(&self, ts: &[i64]) -> Option<usize> {
        let after = self.lo + ts[self.lo..self.hi].partition_point(|t| *t <= self.start);
        (after < self.hi).then(|| after.saturating_sub(1).max(self.lo))
    }

    /// The samples that stand for the edges.
    fn outer(&self, ts: &[i64]) -> (usize, usize) {
        let newest = self.hi - 1;
        let known = &ts[self.lo..newest];
        let first = (self.lo + known.partition_point(|t| *t <= self.start)).saturating_sub(1).max(self.lo);
        let last = if self.smoothed { self.lo + known.partition_point(|t| *t < self.end) } else { newest };
        (first, last)
    }

    fn edges(&self, s: &Samples, is_counter: bool) -> Option<Edges> {
        let (first, last) = self.outer(&s.ts);
        if s.ts[last] <= self.start || (self.smoothed && s.ts[first] > self.end) {
            return None;
        }
        Some(self.between(s, first, last, is_counter))
    }

    fn between(&self, s: &Samples, first: usize, last: usize, is_counter: bool) -> Edges {
        let (ts, vs) = (&s.ts, &s.vs);
        let left = if self.smoothed && ts[first] < self.start && first + 1 < self.hi {
            interpolate((ts[first], vs[first]), (ts[first + 1], vs[first + 1]), self.start, is_counter)
        } else {
            vs[first]
        };
        let right = if self.smoothed && last > self.lo && ts[last] > self.end {
            interpolate((ts[last - 1], vs[last - 1]), (ts[last], vs[last]), self.end, is_counter)
        } else {
            vs[last]
        };
        let first = if ts[first] <= self.start { first + 1 } else { first };
        let end = if ts[last] >= self.end { last } else { last + 1 };
        Edges { left, right, first, end: end.max(first) }
    }
}

impl Edges {
    /// What the counter had reached at each reset between the edges.
    fn correction(&self, vs: &[f64], resets: &[usize]) -> f64 {
        let (mut correction, mut last) = (0.0, self.left);
        if let [inner_first, .., inner_last] | [inner_first @ inner_last] = &vs[self.first..self.end] {
            if *inner_first < self.left {
                correction += self.left;
            }
            let from = resets.partition_point(|r| *r <= self.first);
            correction += resets[from..].iter().take_while(|r| **r < self.end).map(|r| vs[r - 1]).sum::<f64>();
            last = *inner_last;
        }
        if self.right < last { correction + last } else { correction }
    }
}

/// The value at `t` on the line between two samples. A counter that was reset between them started from zero.
pub(crate) fn interpolate((t1, v1): (i64, f64), (t2, v2): (i64, f64), t: i64, is_counter: bool) -> f64 {
    let v1 = if is_counter && v2 < v1 { 0.0 } else { v1 };
    v1 + (v2 - v1) * t.wrapping_sub(t1) as f64 / t2.wrapping_sub(t1) as f64
}

/// The points of an extended range vector itself: a value at each edge, as of a gauge, and the samples between.
pub(crate) fn points(windows: &Windows, extension: Extension, s: &Samples) -> Result<Vec<(i64, f64)>, QueryError> {
    if !s.histograms.is_empty() {
        let name = if extension.kind == ExtendedRange::Smoothed { "smoothed" } else { "anchored" };
        return Err(QueryError::Execution(format!("{name} modifier is not supported with histograms")));
    }
    let mut points = Vec::new();
    each(windows, extension, &s.ts, |w| {
        let (first, last) = w.outer(&s.ts);
        if s.ts[last] > w.start {
            let Edges { left, right, first, end } = w.between(s, first, last, false);
            points.push((w.start, left));
            points.extend(s.ts[first..end].iter().copied().zip(s.vs[first..end].iter().copied()));
            points.push((w.end, right));
        }
    });
    Ok(points)
}
