//! The columns of one group.

use super::histograms::HistogramTotals;
use crate::eval::column::{ABSENT, ScalarColumn, StepVector, is_absent};
use crate::functions::kahan::{KahanMean, KahanSum};
use crate::functions::quantile::quantile;
use crate::parser::ast::AggregateOp;

/// What a group has seen so far, per step.
pub(super) enum Accumulator {
    /// Compensated sums; the sum is absent until the first value.
    Sum { sums: Vec<f64>, compensations: Vec<f64>, histograms: HistogramTotals },
    /// Compensated means.
    Avg { means: Vec<Option<KahanMean>>, histograms: HistogramTotals },
    /// Numbers of values, histograms included; absent until the first.
    Count(Vec<f64>),
    /// 1 where there is a value.
    Group(Vec<f64>),
    /// The largest or smallest value.
    Extreme { max: bool, values: Vec<f64> },
    /// Welford's recurrence.
    Spread { root: bool, steps: Vec<Spread> },
    /// All values, series after series.
    Quantile { steps: usize, values: Vec<f64> },
}

/// What an aggregation has to say about histograms.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each stands for one annotation")]
pub(super) struct GroupNotes {
    /// They were left out.
    pub(super) ignored: bool,
    /// There were floats in the same group.
    pub(super) mixed_samples: bool,
    /// There were exponential and custom buckets in the same group.
    pub(super) mixed_buckets: bool,
    /// Custom bounds differed.
    pub(super) reconciled: bool,
    /// They said both that there was a counter reset and that there was none.
    pub(super) collision: bool,
}

/// Welford's recurrence at one step.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spread {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Accumulator {
    /// An empty group.
    pub(super) fn new(op: AggregateOp, steps: usize) -> Self {
        let absent = || vec![ABSENT; steps];
        match op {
            AggregateOp::Avg => Self::Avg { means: vec![None; steps], histograms: HistogramTotals::new(true) },
            AggregateOp::Count => Self::Count(absent()),
            AggregateOp::Group => Self::Group(absent()),
            AggregateOp::Min => Self::Extreme { max: false, values: absent() },
            AggregateOp::Max => Self::Extreme { max: true, values: absent() },
            AggregateOp::Stddev => Self::Spread { root: true, steps: vec![Spread::default(); steps] },
            AggregateOp::Stdvar => Self::Spread { root: false, steps: vec![Spread::default(); steps] },
            AggregateOp::Quantile => Self::Quantile { steps, values: Vec::new() },
            _ => Self::Sum { sums: absent(), compensations: vec![0.0; steps], histograms: HistogramTotals::new(false) },
        }
    }

    /// Bytes of an empty group, the result included.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Sum { sums, .. } => 16 * sums.len(),
            Self::Avg { means, .. } => (size_of::<Option<KahanMean>>() + 8) * means.len(),
            Self::Count(all) | Self::Group(all) | Self::Extreme { values: all, .. } => 8 * all.len(),
            Self::Spread { steps, .. } => (size_of::<Spread>() + 8) * steps.len(),
            Self::Quantile { steps, .. } => 8 * steps,
        }
    }

    /// Bytes that adding a column takes for good.
    pub(super) fn growth(&self, column: &StepVector) -> usize {
        // Twice, for the slack of a growing vector.
        if matches!(self, Self::Quantile { .. }) { 16 * column.values.len() } else { 0 }
    }

    /// Adds a series. Returns by how many bytes histograms made the group grow.
    pub(super) fn add(&mut self, column: StepVector, notes: &mut GroupNotes) -> usize {
        let mut grown = 0;
        if !column.histograms().is_empty() {
            grown = self.add_histograms(&column, notes);
        }
        match self {
            Self::Sum { sums, compensations, .. } => add_sums(sums, compensations, &column.values),
            Self::Avg { means, .. } => {
                for (mean, v) in means.iter_mut().zip(&column.values).filter(|(_, v)| !is_absent(**v)) {
                    match mean {
                        Some(mean) => mean.add(*v),
                        None => *mean = Some(KahanMean::of(*v)),
                    }
                }
            }
            Self::Count(all) => {
                for (count, _) in all.iter_mut().zip(&column.values).filter(|(_, v)| !is_absent(**v)) {
                    *count = if is_absent(*count) { 1.0 } else { *count + 1.0 };
                }
            }
            Self::Group(all) => {
                all.iter_mut().zip(&column.values).filter(|(_, v)| !is_absent(**v)).for_each(|(slot, _)| *slot = 1.0);
            }
            Self::Extreme { max, values } => add_extremes(*max, values, &column.values),
            Self::Spread { steps, .. } => {
                steps.iter_mut().zip(&column.values).filter(|(_, v)| !is_absent(**v)).for_each(|(s, v)| s.add(*v));
            }
            Self::Quantile { values, .. } => values.extend_from_slice(&column.values),
        }
        grown
    }

    fn add_histograms(&mut self, column: &StepVector, notes: &mut GroupNotes) -> usize {
        match self {
            Self::Sum { sums, histograms, .. } => {
                return histograms.add(column, |step| sums.get(step).is_some_and(|v| !is_absent(*v)), notes);
            }
            Self::Avg { means, histograms } => {
                return histograms.add(column, |step| means.get(step).is_some_and(Option::is_some), notes);
            }
            Self::Count(all) => {
                for (step, _) in column.histograms() {
                    if let Some(count) = all.get_mut(*step as usize) {
                        *count = if is_absent(*count) { 1.0 } else { *count + 1.0 };
                    }
                }
            }
            Self::Group(all) => column.histograms().iter().for_each(|(step, _)| all[*step as usize] = 1.0),
            Self::Extreme { .. } | Self::Spread { .. } | Self::Quantile { .. } => notes.ignored = true,
        }
        0
    }

    /// The group's result. `param` is the quantile.
    pub(super) fn finish(self, param: &ScalarColumn, notes: &mut GroupNotes) -> StepVector {
        StepVector::of(match self {
            Self::Sum { mut sums, compensations, histograms } => {
                sums.iter_mut().zip(&compensations).filter(|(sum, _)| !is_absent(**sum)).for_each(|(sum, c)| *sum += c);
                return with_histograms(sums, histograms, notes);
            }
            Self::Avg { means, histograms } => {
                let means = means.iter().map(|mean| mean.map_or(ABSENT, |m| m.value())).collect();
                return with_histograms(means, histograms, notes);
            }
            Self::Count(all) | Self::Group(all) | Self::Extreme { values: all, .. } => all,
            Self::Spread { root, steps } => steps.iter().map(|s| s.variance(root)).collect(),
            Self::Quantile { steps, values } => quantiles(steps, &values, param),
        })
    }
}

fn with_histograms(floats: Vec<f64>, histograms: HistogramTotals, notes: &mut GroupNotes) -> StepVector {
    let mut column = StepVector::of(floats);
    histograms.finish(&mut column, notes);
    column
}

#[inline]
fn add_sums(sums: &mut [f64], compensations: &mut [f64], values: &[f64]) {
    for ((sum, compensation), v) in sums.iter_mut().zip(compensations).zip(values) {
        if is_absent(*v) {
            continue;
        }
        if is_absent(*sum) {
            *sum = *v;
            continue;
        }
        let mut state = KahanSum { sum: *sum, compensation: *compensation };
        state.add(*v);
        (*sum, *compensation) = (state.sum, state.compensation);
    }
}

fn add_extremes(max: bool, extremes: &mut [f64], values: &[f64]) {
    for (extreme, v) in extremes.iter_mut().zip(values).filter(|(_, v)| !is_absent(**v)) {
        // Absence is a NaN, too: any value replaces it.
        if extreme.is_nan() || (if max { *extreme < *v } else { *extreme > *v }) {
            *extreme = *v;
        }
    }
}

impl Spread {
    fn add(&mut self, v: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            self.mean = v;
            self.squares = if v.is_finite() { 0.0 } else { f64::NAN };
            return;
        }
        let delta = v - self.mean;
        self.mean += delta / self.count;
        self.squares += delta * (v - self.mean);
    }

    fn variance(&self, root: bool) -> f64 {
        if self.count == 0.0 {
            return ABSENT;
        }
        let variance = self.squares / self.count;
        if root { variance.sqrt() } else { variance }
    }
}

fn quantiles(steps: usize, values: &[f64], param: &ScalarColumn) -> Vec<f64> {
    let mut at_step = Vec::new();
    (0..steps)
        .map(|step| {
            at_step.clear();
            at_step.extend(values.iter().skip(step).step_by(steps).copied().filter(|v| !is_absent(*v)));
            if at_step.is_empty() { ABSENT } else { quantile(param.at(step), &mut at_step) }
        })
        .collect()
}
