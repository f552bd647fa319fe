//! Selectors of whose histograms only count and sum matter: those below `histogram_count`, `histogram_sum` or `histogram_avg`, unless something
//! between or above needs the buckets. As in Prometheus, counter resets are then found while buckets are still there, and told by hints; so such
//! a query can have a warning about contradicting hints that it would not have otherwise.

use super::walk::Part;
use super::{AggregatePlan, HistogramUse, MatrixPlan, Plan, SelectorPlan, VectorOp, VectorPlan};
use crate::parser::ast::{AggregateOp, BinaryOp};

/// What lies above a part.
#[derive(Debug, Clone, Copy, Default)]
struct Above {
    /// A function of count and sum.
    statistics: bool,
    /// Something that needs buckets.
    buckets: bool,
    /// Something that puts histograms together, which compares their hints.
    combines: bool,
}

/// Marks the selectors.
pub(crate) fn set(plan: &mut Plan) {
    match plan {
        Plan::Scalar(scalar) => descend(Part::Scalar(scalar), Above::default()),
        Plan::Vector(vector) => descend(Part::Vector(vector), Above::default()),
        Plan::Matrix(_) | Plan::Text(_) => {}
    }
}

/// Recursion is bounded by the parser's depth limit.
fn descend(part: Part<'_>, above: Above) {
    match part {
        Part::Scalar(scalar) => scalar.each_part(&mut |part| descend(part, above)),
        Part::Vector(vector) => {
            let above = above.with(vector);
            match &mut vector.op {
                VectorOp::Selector { selector, .. } => above.mark(selector),
                VectorOp::Range(call) => {
                    if let MatrixPlan::Selector(selector) = &mut call.source {
                        above.mark(selector);
                    }
                }
                _ => {}
            }
            vector.each_part(&mut |part| descend(part, above));
        }
    }
}

impl Above {
    fn with(mut self, vector: &VectorPlan) -> Self {
        match &vector.op {
            VectorOp::HistogramOnly { function, .. } => match *function {
                "histogram_count" | "histogram_sum" | "histogram_avg" => self.statistics = true,
                _ => self.buckets = true,
            },
            VectorOp::Buckets { .. } => self.buckets = true,
            VectorOp::Range(call) => self.buckets |= matches!(call.source, MatrixPlan::Subquery(_)),
            VectorOp::AbsentOverTime { source, .. } => self.buckets |= matches!(source, MatrixPlan::Subquery(_)),
            VectorOp::VectorScalar(binary) => self.buckets |= is_trim(binary.op),
            VectorOp::Join(join) => {
                self.buckets |= is_trim(join.op);
                self.combines |= matches!(join.op, BinaryOp::Add | BinaryOp::Sub);
            }
            VectorOp::Aggregate(aggregate) => self.combines |= combines(aggregate),
            _ => {}
        }
        self
    }

    fn mark(self, selector: &mut SelectorPlan) {
        if self.statistics && !self.buckets {
            selector.histograms = if self.combines { HistogramUse::StatisticsAndResets } else { HistogramUse::Statistics };
        }
    }
}

fn combines(aggregate: &AggregatePlan) -> bool {
    matches!(aggregate.op, AggregateOp::Sum | AggregateOp::Avg)
}

fn is_trim(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower)
}
