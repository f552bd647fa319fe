//! `histogram_quantile`, `histogram_quantiles`, `histogram_fraction` on classic buckets.

use std::sync::Arc;

use model::{Labels, LabelsBuilder};

use super::QueryState;
use super::column::{ScalarColumn, StepVector, is_absent};
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

/// One histogram: its labels without `le`, and its buckets.
struct Histogram {
    labels: Labels,
    buckets: Vec<(f64, StepVector)>,
}

impl Buckets {
    pub(super) fn new(input: BoxStream, input_span: TextSpan, function: BucketFunction, grid: Grid, state: &Arc<QueryState>) -> Self {
        let charge = Charge::none(&state.budget);
        Self { input, input_span, function: Some(function), grid, charge, ready: None, state: Arc::clone(state) }
    }

    fn run(&mut self, function: BucketFunction) -> Result<Vec<Series>, QueryError> {
        let steps = self.grid.count();
        let mut guard = DuplicateGuard::new(&self.state);
        let mut out = Vec::new();
        match function {
            BucketFunction::Quantile(q, span) => {
                let q = q.evaluate(steps)?;
                self.check_quantile(&q, span);
                for histogram in self.collect()? {
                    let column = self.quantiles(&histogram, &q)?;
                    self.push(&mut out, &mut guard, histogram.labels, column)?;
                }
            }
            BucketFunction::Quantiles(label, qs) => {
                let qs: Vec<ScalarColumn> = self.evaluate_all(qs)?;
                for histogram in self.collect()? {
                    for q in &qs {
                        self.labelled(&mut out, &mut guard, &histogram, &label, q)?;
                    }
                }
            }
            BucketFunction::Fraction(lower, upper) => {
                let (lower, upper) = (lower.evaluate(steps)?, upper.evaluate(steps)?);
                for histogram in self.collect()? {
                    let column = histogram.at_each_step(steps, |step, b| buckets::fraction(lower.at(step), upper.at(step), b));
                    self.push(&mut out, &mut guard, histogram.labels, column)?;
                }
            }
        }
        Ok(out)
    }

    fn evaluate_all(&self, qs: Vec<(ScalarSource, TextSpan)>) -> Result<Vec<ScalarColumn>, QueryError> {
        qs.into_iter()
            .map(|(q, span)| {
                let q = q.evaluate(self.grid.count())?;
                self.check_quantile(&q, span);
                Ok(q)
            })
            .collect()
    }

    fn check_quantile(&self, q: &ScalarColumn, span: TextSpan) {
        for q in q.over(self.grid.count()).filter(|q| !(0.0..=1.0).contains(q)) {
            self.state.annotations.invalid_quantile(q, span);
        }
    }

    fn collect(&mut self) -> Result<Vec<Histogram>, QueryError> {
        let mut by_labels = LabelSubset::all_but_exactly(&[BUCKET_LABEL.to_owned()]);
        let mut index: SeriesMap<usize> = SeriesMap::default();
        let mut histograms: Vec<Histogram> = Vec::new();
        while let Some(batch) = self.input.next_batch()? {
            self.state.check()?;
            for series in batch {
                if !series.column.histograms().is_empty() {
                    let text = "quantiles and fractions of native histograms are arithmetic that this version does not have";
                    return Err(QueryError::Execution(text.into()));
                }
                let Some(upper) = self.upper_bound(&series.labels) else { continue };
                self.charge.grow(series.column.heap_bytes() + 64)?;
                let hash = by_labels.hash(&series.labels);
                let at = *index.entry(hash).or_insert_with(|| {
                    histograms.push(Histogram { labels: by_labels.of(&series.labels), buckets: Vec::new() });
                    histograms.len() - 1
                });
                histograms[at].buckets.push((upper, series.column));
            }
        }
        Ok(histograms)
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

    /// The annotation about monotonicity names the metric only if its name has not been dropped as a matter of course.
    fn metric_name<'a>(&self, labels: &'a Labels) -> &'a str {
        if self.state.delayed_name_removal { labels.get("__name__").unwrap_or_default() } else { "" }
    }

    fn quantiles(&self, histogram: &Histogram, q: &ScalarColumn) -> Result<StepVector, QueryError> {
        self.state.check()?;
        Ok(histogram.at_each_step(self.grid.count(), |step, b| {
            let (value, correction) = buckets::quantile(q.at(step), b);
            if let Some(correction) = correction {
                let metric = self.metric_name(&histogram.labels);
                self.state.annotations.forced_monotonicity(metric, correction, self.grid.at(step), self.input_span);
            }
            value
        }))
    }

    /// Quantiles told apart by a label, whose value may differ from step to step.
    fn labelled(
        &self,
        out: &mut Vec<Series>,
        guard: &mut DuplicateGuard,
        histogram: &Histogram,
        label: &str,
        q: &ScalarColumn,
    ) -> Result<(), QueryError> {
        let column = self.quantiles(histogram, q)?;
        let mut distinct: Vec<u64> = q.over(self.grid.count()).map(f64::to_bits).collect();
        distinct.sort_unstable();
        distinct.dedup();
        for bits in distinct {
            let mut part = column.clone();
            for (step, v) in part.values.iter_mut().enumerate() {
                if q.at(step).to_bits() != bits {
                    *v = super::ABSENT;
                }
            }
            let mut labels = LabelsBuilder::from_labels(&histogram.labels);
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
        let series = Series { labels, drop_name: true, column };
        if !delayed {
            guard.check(&series)?;
        }
        out.push(series);
        Ok(())
    }
}

impl Histogram {
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
