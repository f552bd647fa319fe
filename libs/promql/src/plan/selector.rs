//! Selectors and subqueries: which times they look at.

use std::sync::Arc;

use super::duration;
use super::grid::{Grid, Reference};
use super::planner::Context;
use super::{Extension, HistogramUse, MatrixPlan, SampleRead, SelectorPlan, SubqueryPlan, VectorOp, VectorPlan};
use crate::error::QueryError;
use crate::parser::ast::{AtModifier, DurationValue, ExtendedRange, MatrixSelector, Subquery, VectorSelector};
use crate::storage::SelectHints;

impl Context<'_> {
    /// `x`, `timestamp(x)`, or `start_timestamp(x)`.
    pub(super) fn instant_selector(&self, selector: &VectorSelector, grid: Grid, read: SampleRead) -> Result<VectorPlan, QueryError> {
        let mut plan = self.selector(selector, grid, self.options.lookback_ms)?;
        plan.hints.function = match read {
            SampleRead::Value => "",
            SampleRead::Timestamp => "timestamp",
            SampleRead::StartTimestamp => "start_timestamp",
        };
        plan.hints.start_times = read == SampleRead::StartTimestamp;
        if selector.extended == Some(ExtendedRange::Smoothed) {
            plan.extended = Some(Extension { kind: ExtendedRange::Smoothed, before_ms: 0, after_ms: self.options.lookback_ms });
        }
        Ok(VectorPlan { grid, span: selector.span, op: VectorOp::Selector { selector: plan, read } })
    }

    /// `x[5m]`.
    pub(super) fn range_selector(&self, matrix: &MatrixSelector, grid: Grid) -> Result<MatrixPlan, QueryError> {
        let range_ms = duration::positive(&matrix.range, self.time)?;
        let mut plan = self.selector(&matrix.selector, grid, range_ms)?;
        plan.span = matrix.span;
        plan.hints.range_ms = range_ms;
        plan.extended = matrix.selector.extended.map(|kind| {
            let after_ms = if kind == ExtendedRange::Smoothed { self.options.lookback_ms } else { 0 };
            Extension { kind, before_ms: self.options.lookback_ms, after_ms }
        });
        Ok(MatrixPlan::Selector(plan))
    }

    fn selector(&self, selector: &VectorSelector, grid: Grid, window_ms: i64) -> Result<SelectorPlan, QueryError> {
        let step_ms = if grid.count() > 1 { grid.step() } else { 0 };
        Ok(SelectorPlan {
            span: selector.span,
            matchers: Arc::from(selector.matchers.as_slice()),
            grid,
            reference: self.reference(selector.at, selector.offset.as_ref())?,
            window_ms,
            extended: None,
            histograms: HistogramUse::Buckets,
            hints: SelectHints { step_ms, ..SelectHints::default() },
        })
    }

    pub(super) fn reference(&self, at: Option<AtModifier>, offset: Option<&DurationValue>) -> Result<Reference, QueryError> {
        let offset = offset.map_or(Ok(0), |offset| duration::signed(offset, self.time))?;
        Ok(match at {
            None => Reference::Offset(offset),
            Some(AtModifier::Timestamp(t)) => Reference::Fixed(t.saturating_sub(offset)),
            Some(AtModifier::Start) => Reference::Fixed(self.time.start.saturating_sub(offset)),
            Some(AtModifier::End) => Reference::Fixed(self.time.end.saturating_sub(offset)),
        })
    }

    /// `expr[1h:1m]`. The inner steps are multiples of the subquery's step, the first one after the start of the first window
    /// (which is open), the last one not after the end of the last window.
    pub(super) fn subquery(&self, subquery: &Subquery, grid: Grid) -> Result<MatrixPlan, QueryError> {
        let range_ms = duration::positive(&subquery.range, self.time)?;
        let step = match &subquery.step {
            Some(step) => duration::positive(step, self.time)?,
            None => self.options.default_subquery_step_ms,
        };
        let reference = self.reference(subquery.at, subquery.offset.as_ref())?;
        let open_start = reference.at(grid.start()).saturating_sub(range_ms);
        let start = open_start.div_euclid(step.max(1)).saturating_add(1).saturating_mul(step);
        let inner_grid = Grid::new(start, reference.at(grid.last()), step, self.budget)?;
        let inner = self.vector(&subquery.expr, inner_grid)?;
        Ok(MatrixPlan::Subquery(SubqueryPlan { span: subquery.span, grid, reference, range_ms, inner_grid, inner }))
    }
}
