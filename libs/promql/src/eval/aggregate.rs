//! Aggregations.
//!
//! [`Fold`] streams: each series is folded into its group's columns and dropped. [`pick`] keeps the best few series per group and step,
//! [`count_values`] counts per value, [`ratio`] passes series through.

use std::sync::Arc;

use hashbrown::hash_map::Entry;

use model::Labels;
use model::labels::METRIC_NAME;

use super::QueryState;
use super::column::ScalarColumn;
use super::identity::{LabelSubset, SeriesMap};
use super::scalar::ScalarSource;
use super::series::{BoxStream, Ready, Series, Stream};
use crate::annotations::HistogramOperation;
use crate::error::QueryError;
use crate::limits::Charge;
use crate::parser::ast::{AggregateOp, TextSpan};

mod accumulator;
mod count_values;
mod histograms;
mod pick;
mod ratio;

use accumulator::{Accumulator, GroupNotes};
pub(super) use count_values::CountValues;
pub(super) use pick::Pick;
pub(super) use ratio::Ratio;

/// What all aggregations share.
pub(super) struct Aggregation {
    pub(super) op: AggregateOp,
    pub(super) input: BoxStream,
    pub(super) input_span: TextSpan,
    pub(super) span: TextSpan,
    pub(super) grouping: LabelSubset,
    pub(super) steps: usize,
    pub(super) param: Option<(ScalarSource, TextSpan)>,
    pub(super) state: Arc<QueryState>,
}

impl Aggregation {
    /// Evaluates the numeric parameter; NaN if there is none.
    fn take_param(&mut self) -> Result<(ScalarColumn, TextSpan), QueryError> {
        match self.param.take() {
            Some((param, span)) => Ok((param.evaluate(self.steps)?, span)),
            None => Ok((ScalarColumn::Constant(f64::NAN), TextSpan::default())),
        }
    }

    /// What folding a series found: the one annotation that names its metric.
    fn annotate_series(&self, series: &Labels, notes: &mut GroupNotes) {
        if std::mem::take(&mut notes.mixed_buckets) {
            self.state.annotations.mixed_buckets(series.get(METRIC_NAME).unwrap_or_default(), self.input_span);
        }
    }

    /// What folding all series found.
    fn annotate(&self, notes: GroupNotes) {
        let annotations = &self.state.annotations;
        if notes.ignored {
            self.ignored_histograms();
        }
        if notes.mixed_samples {
            annotations.mixed_samples_in_aggregation(self.input_span);
        }
        if notes.reconciled {
            annotations.reconciled_bounds(HistogramOperation::Aggregation, self.input_span);
        }
        if notes.collision {
            annotations.reset_collision(HistogramOperation::Aggregation, self.input_span);
        }
    }

    /// The info that an aggregation leaves histograms out.
    fn ignored_histograms(&self) {
        let text = format!("ignored histogram in {} aggregation", name(self.op));
        // Prometheus points at the operand for most aggregations, and at the whole for topk and bottomk.
        let span = if matches!(self.op, AggregateOp::Topk | AggregateOp::Bottomk) { self.span } else { self.input_span };
        self.state.annotations.info(&text, span);
    }
}

/// The aggregations that fold: sum, avg, count, min, max, group, stddev, stdvar, quantile.
pub(super) struct Fold {
    aggregation: Aggregation,
    charge: Charge,
    ready: Option<Ready>,
}

struct Group {
    series: Series,
    accumulator: Accumulator,
}

impl Group {
    /// Prometheus meets groups in the order of the first of their series. Returns by how many bytes the group grew.
    fn come_first(&mut self, order: &Labels) -> usize {
        match &self.series.first {
            Some(first) if first <= order => 0,
            known => {
                let before = known.as_ref().map_or(0, |labels| labels.as_bytes().len());
                self.series.first = Some(order.clone());
                order.as_bytes().len().saturating_sub(before)
            }
        }
    }
}

impl Fold {
    pub(super) fn new(aggregation: Aggregation) -> Self {
        let charge = Charge::none(&aggregation.state.budget);
        Self { aggregation, charge, ready: None }
    }

    fn run(&mut self) -> Result<Vec<Series>, QueryError> {
        let (param, param_span) = self.aggregation.take_param()?;
        if self.aggregation.op == AggregateOp::Quantile {
            self.warn_about_quantiles(&param, param_span);
        }
        let mut notes = GroupNotes::default();
        let groups = self.fold(&mut notes)?;
        let mut out = Vec::with_capacity(groups.len());
        for Group { mut series, accumulator } in groups {
            self.aggregation.state.check()?;
            series.column = accumulator.finish(&param, &mut notes);
            if !series.column.is_empty() {
                out.push(series);
            }
        }
        self.aggregation.annotate(notes);
        Ok(out)
    }

    fn fold(&mut self, notes: &mut GroupNotes) -> Result<Vec<Group>, QueryError> {
        let a = &mut self.aggregation;
        let mut index: SeriesMap<usize> = SeriesMap::default();
        let mut groups: Vec<Group> = Vec::new();
        while let Some(batch) = a.input.next_batch()? {
            a.state.check()?;
            for series in batch {
                let at = match index.entry(a.grouping.hash(&series.labels)) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(new) => {
                        let accumulator = Accumulator::new(a.op, a.steps);
                        let labels = a.grouping.of(&series.labels);
                        self.charge.grow(accumulator.heap_bytes() + size_of::<Group>() + labels.as_bytes().len() + 32)?;
                        new.insert(groups.len());
                        let series = Series { labels, drop_name: false, first: None, column: Default::default() };
                        groups.push(Group { series, accumulator });
                        groups.len() - 1
                    }
                };
                let Some(group) = groups.get_mut(at) else { continue };
                group.series.drop_name |= series.drop_name;
                if a.state.ordered {
                    self.charge.grow(group.come_first(series.order()))?;
                }
                self.charge.grow(group.accumulator.growth(&series.column))?;
                self.charge.grow(group.accumulator.add(series.column, notes))?;
                a.annotate_series(&series.labels, notes);
            }
        }
        Ok(groups)
    }

    fn warn_about_quantiles(&self, param: &ScalarColumn, span: TextSpan) {
        let annotations = &self.aggregation.state.annotations;
        let over = || param.over(self.aggregation.steps);
        if over().any(f64::is_nan) {
            annotations.invalid_quantile(f64::NAN, span);
        }
        let (min, max) = over().fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), v| (min.min(v), max.max(v)));
        if max > 1.0 {
            annotations.invalid_quantile(max, span);
        }
        if min < 0.0 {
            annotations.invalid_quantile(min, span);
        }
    }
}

impl Stream for Fold {
    fn next_batch(&mut self) -> Result<Option<Vec<Series>>, QueryError> {
        if self.ready.is_none() {
            let series = self.run()?;
            let charge = std::mem::replace(&mut self.charge, Charge::none(&self.aggregation.state.budget));
            self.ready = Some(Ready::new(series, charge));
        }
        Ok(self.ready.as_mut().and_then(Ready::next_batch))
    }

    fn whole(&self) -> bool {
        true
    }
}

/// The name of an aggregation.
fn name(op: AggregateOp) -> &'static str {
    match op {
        AggregateOp::Sum => "sum",
        AggregateOp::Avg => "avg",
        AggregateOp::Count => "count",
        AggregateOp::Min => "min",
        AggregateOp::Max => "max",
        AggregateOp::Group => "group",
        AggregateOp::Stddev => "stddev",
        AggregateOp::Stdvar => "stdvar",
        AggregateOp::Topk => "topk",
        AggregateOp::Bottomk => "bottomk",
        AggregateOp::CountValues => "count_values",
        AggregateOp::Quantile => "quantile",
        AggregateOp::Limitk => "limitk",
        AggregateOp::LimitRatio => "limit_ratio",
    }
}
