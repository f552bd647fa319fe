//! `histogram_quantile`, `histogram_quantiles`, `histogram_fraction`, of classic buckets and of native histograms.
//!
//! A native histogram is measured as it comes and dropped; classic buckets are collected by the labels of their histogram. Where one histogram
//! has both at one step, neither has a value.

use std::sync::Arc;

use model::{Labels, LabelsBuilder};

use super::QueryState;
use super::column::{ABSENT, ScalarColumn, StepVector, is_absent};
use super::identity::{LabelSubset, SeriesMap, is_metadata_label};
use super::scalar::ScalarSource;
use super::series::{BoxStream, DuplicateGuard, Ready, Series, Stream};
use crate::annotations::with_metric;
use crate::error::QueryError;
use crate::functions::buckets::{self, Bucket};
use crate::functions::number;
use crate::limits::Charge;
use crate::parser::ast::TextSpan;
use crate::plan::Grid;

mod native;

pub(super) use native::HistogramOnly;
use native::NativeResult;

/// The label that holds a bucket's upper bound.
const BUCKET_LABEL: &str = "le";

/// What is computed.
pub(super) enum BucketFunction {
    /// The φ-quantile.
    Quantile(ScalarSource, TextSpan),
    /// Several, told apart by a label.
    Quantiles(String, Vec<(ScalarSource, TextSpan)>),
    /// The share between two bounds.
    Fraction(ScalarSource, ScalarSource),
}

/// [`BucketFunction`] with its arguments.
enum Measure {
    Quantiles { label: Option<String>, qs: Vec<ScalarColumn> },
    Fraction(ScalarColumn, ScalarColumn),
}

/// Collects the buckets of each histogram and computes.
pub(super) struct Buckets {
    input: BoxStream,
    input_span: TextSpan,
    function: Option<BucketFunction>,
    grid: Grid,
    charge: Charge,
    ready: Option<Ready>,
    state: Arc<QueryState>,
}

/// One classic histogram: its labels without `le`, and its buckets.
struct Histogram {
    labels: Labels,
    buckets: Vec<(f64, StepVector)>,
}

/// All histograms of the input.
#[derive(Default)]
struct Collected {
    by_labels: SeriesMap<usize>,
    classic: Vec<Histogram>,
    native: Vec<NativeResult>,
}

impl Buckets {
    pub(super) fn new(input: BoxStream, input_span: TextSpan, function: BucketFunction, grid: Grid, state: &Arc<QueryState>) -> Self {
        let charge = Charge::none(&state.budget);
        Self { input, input_span, function: Some(function), grid, charge, ready: None, state: Arc::clone(state) }
    }

    fn run(&mut self, function: BucketFunction) -> Result<Vec<Series>, QueryError> {
        let measure = self.evaluate(function)?;
        let mut all = self.collect(&measure)?;
        self.separate(&mut all);
        let mut guard = DuplicateGuard::new(&self.state);
        let mut out = Vec::new();
        for NativeResult { labels, columns, .. } in all.native {
            self.state.check()?;
            for (i, column) in columns.into_iter().enumerate() {
                self.emit(&mut out, &mut guard, &measure, i, &labels, column)?;
            }
        }
        for histogram in all.classic {
            self.state.check()?;
            for i in 0..measure.results() {
                let column = self.classic(&histogram, &measure, i);
                self.emit(&mut out, &mut guard, &measure, i, &histogram.labels, column)?;
            }
        }
        Ok(out)
    }

    fn evaluate(&self, function: BucketFunction) -> Result<Measure, QueryError> {
        let steps = self.grid.count();
        let quantile = |(q, span): (ScalarSource, TextSpan)| {
            let q = q.evaluate(steps)?;
            self.check_quantile(&q, span);
            Ok(q)
        };
        Ok(match function {
            BucketFunction::Quantile(q, span) => Measure::Quantiles { label: None, qs: vec![quantile((q, span))?] },
            BucketFunction::Quantiles(label, qs) => {
                let qs = qs.into_iter().map(quantile).collect::<Result<_, QueryError>>()?;
                Measure::Quantiles { label: Some(label), qs }
            }
            BucketFunction::Fraction(lower, upper) => Measure::Fraction(lower.evaluate(steps)?, upper.evaluate(steps)?),
        })
    }

    fn check_quantile(&self, q: &ScalarColumn, span: TextSpan) {
        for q in q.over(self.grid.count()).filter(|q| !(0.0..=1.0).contains(q)) {
            self.state.annotations.invalid_quantile(q, span);
        }
    }

    fn collect(&mut self, measure: &Measure) -> Result<Collected, QueryError> {
        let mut without_bound = LabelSubset::all_but_exactly(&[BUCKET_LABEL.to_owned()]);
        let mut all = Collected::default();
        while let Some(batch) = self.input.next_batch()? {
            self.state.check()?;
            for series in batch {
                if !series.column.histograms().is_empty() {
                    let native = measure.native(&series, self.grid.count());
                    self.charge.grow(native.heap_bytes())?;
                    all.native.push(native);
                    if series.column.values.iter().all(|v| is_absent(*v)) {
                        continue;
                    }
                }
                let Some(upper) = self.upper_bound(&series.labels) else { continue };
                let mut counts = series.column;
                counts.drop_histograms();
                self.charge.grow(counts.heap_bytes() + 64)?;
                let at = *all.by_labels.entry(without_bound.hash(&series.labels)).or_insert_with(|| {
                    all.classic.push(Histogram { labels: without_bound.of(&series.labels), buckets: Vec::new() });
                    all.classic.len() - 1
                });
                all.classic[at].buckets.push((upper, counts));
            }
        }
        Ok(all)
    }

    fn upper_bound(&self, labels: &Labels) -> Option<f64> {
        let le = labels.get(BUCKET_LABEL).unwrap_or_default();
        let parsed = le.parse().ok();
        if parsed.is_none() {
            let text = format!("bucket label {BUCKET_LABEL:?} is missing or has a malformed value of {le:?}");
            self.state.annotations.warn(&with_metric(&text, labels.get("__name__").unwrap_or_default()), self.input_span);
        }
        parsed
    }

    /// Takes away the steps at which a native histogram and classic buckets have the same labels, and annotates what native histograms have to say
    /// at the others.
    fn separate(&self, all: &mut Collected) {
        for native in &mut all.native {
            let metric = self.metric_name(&native.labels);
            let classic = all.by_labels.get(&native.labels.hash()).and_then(|at| all.classic.get_mut(*at));
            if let Some(classic) = classic {
                let native_at = |columns: &[StepVector], step: usize| columns.iter().any(|c| c.is_present(step));
                let is_mixed = |step: &usize| native_at(&native.columns, *step) && classic.is_present(*step);
                let mixed: Vec<usize> = (0..self.grid.count()).filter(is_mixed).collect();
                for step in &mixed {
                    self.state.annotations.mixed_classic_and_native(metric, self.input_span);
                    native.columns.iter_mut().for_each(|c| c.values[*step] = ABSENT);
                    classic.buckets.iter_mut().for_each(|(_, c)| c.values[*step] = ABSENT);
                }
                native.notes.retain(|(step, _)| mixed.binary_search(step).is_err());
            }
            for (_, note) in &native.notes {
                self.state.annotations.nan_observations(*note, metric, self.input_span);
            }
        }
    }

    /// Annotations name the metric only if its name has not been dropped as a matter of course.
    fn metric_name<'a>(&self, labels: &'a Labels) -> &'a str {
        if self.state.delayed_name_removal { labels.get("__name__").unwrap_or_default() } else { "" }
    }

    /// Result `i` of a classic histogram.
    fn classic(&self, histogram: &Histogram, measure: &Measure, i: usize) -> StepVector {
        histogram.at_each_step(self.grid.count(), |step, b| match measure {
            Measure::Fraction(lower, upper) => buckets::fraction(lower.at(step), upper.at(step), b),
            Measure::Quantiles { qs, .. } => {
                let (value, correction) = buckets::quantile(qs.get(i).map_or(f64::NAN, |q| q.at(step)), b);
                if let Some(correction) = correction {
                    let metric = self.metric_name(&histogram.labels);
                    self.state.annotations.forced_monotonicity(metric, correction, self.grid.at(step), self.input_span);
                }
                value
            }
        })
    }

    /// Puts result `i` of a histogram out: quantiles that are told apart by a label under that label, whose value may differ from step to step.
    fn emit(
        &self,
        out: &mut Vec<Series>,
        guard: &mut DuplicateGuard,
        measure: &Measure,
        i: usize,
        labels: &Labels,
        column: StepVector,
    ) -> Result<(), QueryError> {
        let Measure::Quantiles { label: Some(label), qs } = measure else { return self.push(out, guard, labels.clone(), column) };
        let Some(q) = qs.get(i) else { return Ok(()) };
        let mut distinct: Vec<u64> = q.over(self.grid.count()).map(f64::to_bits).collect();
        distinct.sort_unstable();
        distinct.dedup();
        for bits in distinct {
            let mut part = column.clone();
            for (step, v) in part.values.iter_mut().enumerate() {
                if q.at(step).to_bits() != bits {
                    *v = ABSENT;
                }
            }
            let mut labels = LabelsBuilder::from_labels(labels);
            labels.set(label, &number::open_metrics(f64::from_bits(bits)));
            self.push(out, guard, labels.build(), part)?;
        }
        Ok(())
    }

    fn push(&self, out: &mut Vec<Series>, guard: &mut DuplicateGuard, labels: Labels, column: StepVector) -> Result<(), QueryError> {
        if column.is_empty() {
            return Ok(());
        }
        let delayed = self.state.delayed_name_removal;
        let labels = if delayed { labels } else { labels.without(is_metadata_label) };
        let series = Series { labels, drop_name: true, first: None, column };
        if !delayed {
            guard.check(&series)?;
        }
        out.push(series);
        Ok(())
    }
}

impl Measure {
    /// The number of results of a histogram.
    fn results(&self) -> usize {
        match self {
            Self::Quantiles { qs, .. } => qs.len(),
            Self::Fraction(..) => 1,
        }
    }

    fn native(&self, series: &Series, steps: usize) -> NativeResult {
        let labels = series.labels.clone();
        match self {
            Self::Quantiles { qs, .. } => NativeResult::quantiles(labels, &series.column, steps, qs),
            Self::Fraction(lower, upper) => NativeResult::fraction(labels, &series.column, steps, lower, upper),
        }
    }
}

impl Histogram {
    /// Whether any bucket has a count at a step.
    fn is_present(&self, step: usize) -> bool {
        self.buckets.iter().any(|(_, counts)| counts.is_present(step))
    }

    /// Calls `f` with the buckets present at each step.
    fn at_each_step(&self, steps: usize, mut f: impl FnMut(usize, &mut Vec<Bucket>) -> f64) -> StepVector {
        let mut present = Vec::with_capacity(self.buckets.len());
        let mut column = StepVector::absent(steps);
        for (step, out) in column.values.iter_mut().enumerate() {
            present.clear();
            let counts = self.buckets.iter().map(|(upper, counts)| Bucket { upper: *upper, count: counts.values[step] });
            present.extend(counts.filter(|bucket| !is_absent(bucket.count)));
            if !present.is_empty() {
                *out = f(step, &mut present);
            }
        }
        column
    }
}

impl Stream for Buckets {
    fn next_batch(&mut self) -> Result<Option<Vec<Series>>, QueryError> {
        if let Some(function) = self.function.take() {
            let series = self.run(function)?;
            let mut charge = std::mem::replace(&mut self.charge, Charge::none(&self.state.budget));
            charge.set(series.iter().map(Series::heap_bytes).sum())?;
            self.ready = Some(Ready::new(series, charge));
        }
        Ok(self.ready.as_mut().and_then(Ready::next_batch))
    }

    fn whole(&self) -> bool {
        self.grid.count() <= 1
    }
}
