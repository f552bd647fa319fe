//! Aggregations.

use super::grid::Grid;
use super::planner::{Context, unwrap_parens};
use super::{AggregatePlan, MatrixPlan, VectorOp, VectorPlan};
use crate::error::QueryError;
use crate::parser::ast::{Aggregate, AggregateOp, Expr};
use crate::storage::SelectHints;

impl Context<'_> {
    pub(super) fn aggregate(&self, aggregate: &Aggregate, grid: Grid) -> Result<VectorPlan, QueryError> {
        let mut grouping = aggregate.grouping.clone();
        grouping.sort_unstable();
        grouping.dedup();
        let mut plan = AggregatePlan {
            op: aggregate.op,
            param: None,
            value_label: String::new(),
            grouping,
            without: aggregate.without,
            ordered: false,
            input: self.vector(&aggregate.expr, grid)?,
        };
        if let Some(param) = &aggregate.param {
            if aggregate.op == AggregateOp::CountValues {
                plan.value_label = self.text(param)?;
                if let Expr::String(label) = unwrap_parens(param)
                    && (label.value.is_empty() || label.undecodable.is_some())
                {
                    return Err(QueryError::Execution(format!("invalid label name {}", label.quoted())));
                }
            } else {
                plan.param = Some((self.scalar(param, grid)?, unwrap_parens(param).span()));
            }
        }
        if let Some(hints) = direct_hints(&mut plan.input) {
            hints.grouping = Some((plan.grouping.clone(), !plan.without));
        }
        Ok(VectorPlan { grid, span: aggregate.span, op: VectorOp::Aggregate(plan) })
    }
}

/// The hints of the selector directly below an aggregation, a range function at most in between.
fn direct_hints(input: &mut VectorPlan) -> Option<&mut SelectHints> {
    match &mut input.op {
        VectorOp::Selector { selector, .. } => Some(&mut selector.hints),
        VectorOp::Range(call) => match &mut call.source {
            MatrixPlan::Selector(selector) => Some(&mut selector.hints),
            MatrixPlan::Subquery(_) => None,
        },
        _ => None,
    }
}
