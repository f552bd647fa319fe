//! The direct parts of plans.

use super::{AggregatePlan, BucketPlan, MatrixPlan, Plan, ScalarPlan, SortOrder, VectorOp, VectorPlan};
use crate::parser::ast::{AggregateOp, TextSpan};

/// A part of a plan.
pub(super) enum Part<'a> {
    /// A vector.
    Vector(&'a mut VectorPlan),
    /// A scalar.
    Scalar(&'a mut ScalarPlan),
}

impl Plan {
    /// Calls `f` with every vector of the plan, outer ones first. Recursion is bounded by the parser's depth limit.
    pub(super) fn visit_vectors(&mut self, f: &mut dyn FnMut(&mut VectorPlan)) {
        match self {
            Self::Scalar(scalar) => visit(Part::Scalar(scalar), f),
            Self::Vector(vector) => visit(Part::Vector(vector), f),
            Self::Matrix(MatrixPlan::Subquery(subquery)) => visit(Part::Vector(&mut subquery.inner), f),
            Self::Matrix(MatrixPlan::Selector(_)) | Self::Text(_) => {}
        }
    }
}

impl VectorPlan {
    /// Whether the result depends on the order in which the series of the input come: of equal ones the first are picked.
    pub(super) fn picks(&self) -> bool {
        match &self.op {
            VectorOp::Aggregate(a) => matches!(a.op, AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk),
            VectorOp::Sort { order: SortOrder::Value { .. }, .. } => self.grid.count() == 1,
            _ => false,
        }
    }
}

impl Plan {
    /// Whether the order of series matters anywhere. To be asked before the plan is optimised.
    pub(crate) fn orders(&mut self) -> bool {
        let mut orders = false;
        self.visit_vectors(&mut |vector| orders |= vector.picks());
        orders
    }
}

/// Calls `f` with every vector of a part, outer ones first.
pub(super) fn visit(part: Part<'_>, f: &mut dyn FnMut(&mut VectorPlan)) {
    match part {
        Part::Scalar(scalar) => scalar.each_part(&mut |part| visit(part, f)),
        Part::Vector(vector) => {
            f(vector);
            vector.each_part(&mut |part| visit(part, f));
        }
    }
}

impl ScalarPlan {
    /// Calls `f` with the parts directly below.
    pub(super) fn each_part(&mut self, f: &mut dyn FnMut(Part<'_>)) {
        match self {
            Self::Constant(_) | Self::Time(_) => {}
            Self::Negate(inner) | Self::Repeat(inner) => f(Part::Scalar(inner)),
            Self::Binary { lhs, rhs, .. } | Self::Extreme { lhs, rhs, .. } => {
                f(Part::Scalar(lhs));
                f(Part::Scalar(rhs));
            }
            Self::FromVector(vector) => f(Part::Vector(vector)),
        }
    }
}

impl VectorPlan {
    /// Calls `f` with the parts directly below.
    pub(super) fn each_part(&mut self, f: &mut dyn FnMut(Part<'_>)) {
        match &mut self.op {
            VectorOp::Selector { .. } | VectorOp::Shared(_) => {}
            VectorOp::Range(call) => {
                source(&mut call.source, f);
                call.params.iter_mut().for_each(|param| f(Part::Scalar(param)));
            }
            VectorOp::AbsentOverTime { source: windows, .. } => source(windows, f),
            VectorOp::Element { params, input, .. } => {
                params.iter_mut().for_each(|param| f(Part::Scalar(param)));
                f(Part::Vector(input));
            }
            VectorOp::Info(info) => f(Part::Vector(&mut info.input)),
            VectorOp::Negate(input)
            | VectorOp::Nothing(input)
            | VectorOp::Repeat(input)
            | VectorOp::Absent { input, .. }
            | VectorOp::Relabel { input, .. }
            | VectorOp::Sort { input, .. }
            | VectorOp::HistogramOnly { input, .. } => f(Part::Vector(input)),
            VectorOp::FromScalar(scalar) => f(Part::Scalar(scalar)),
            VectorOp::Buckets { function, input } => {
                function.each_scalar(&mut |scalar| f(Part::Scalar(scalar)));
                f(Part::Vector(input));
            }
            VectorOp::Aggregate(aggregate) => {
                if let Some((param, _)) = &mut aggregate.param {
                    f(Part::Scalar(param));
                }
                f(Part::Vector(&mut aggregate.input));
            }
            VectorOp::VectorScalar(binary) => {
                f(Part::Vector(&mut binary.vector));
                f(Part::Scalar(&mut binary.scalar));
            }
            VectorOp::Join(join) => {
                f(Part::Vector(&mut join.lhs));
                f(Part::Vector(&mut join.rhs));
            }
            VectorOp::Set { lhs, rhs, .. } => {
                f(Part::Vector(lhs));
                f(Part::Vector(rhs));
            }
        }
    }
}

impl VectorPlan {
    /// Calls `f` with every span of the plan and of its parts. Recursion is bounded by the parser's depth limit.
    pub(super) fn each_span(&mut self, f: &mut dyn FnMut(&mut TextSpan)) {
        f(&mut self.span);
        match &mut self.op {
            VectorOp::Selector { selector, .. } => f(&mut selector.span),
            VectorOp::Range(call) => {
                f(&mut call.first_arg);
                source_span(&mut call.source, f);
            }
            VectorOp::AbsentOverTime { source, .. } => source_span(source, f),
            VectorOp::Info(info) => f(&mut info.selector.span),
            VectorOp::Buckets { function: BucketPlan::Quantile { q_span, .. }, .. } => f(q_span),
            VectorOp::Buckets { function: BucketPlan::Quantiles { qs, .. }, .. } => qs.iter_mut().for_each(|(_, span)| f(span)),
            VectorOp::Aggregate(AggregatePlan { param: Some((_, span)), .. }) => f(span),
            _ => {}
        }
        self.each_part(&mut |part| spans_of(part, f));
    }
}

fn spans_of(part: Part<'_>, f: &mut dyn FnMut(&mut TextSpan)) {
    match part {
        Part::Vector(vector) => vector.each_span(f),
        Part::Scalar(scalar) => scalar.each_part(&mut |part| spans_of(part, f)),
    }
}

fn source_span(windows: &mut MatrixPlan, f: &mut dyn FnMut(&mut TextSpan)) {
    match windows {
        MatrixPlan::Selector(selector) => f(&mut selector.span),
        MatrixPlan::Subquery(subquery) => f(&mut subquery.span),
    }
}

impl BucketPlan {
    fn each_scalar(&mut self, f: &mut dyn FnMut(&mut ScalarPlan)) {
        match self {
            Self::Quantile { q, .. } => f(q),
            Self::Quantiles { qs, .. } => qs.iter_mut().for_each(|(q, _)| f(q)),
            Self::Fraction { lower, upper } => {
                f(lower);
                f(upper);
            }
        }
    }
}

fn source(windows: &mut MatrixPlan, f: &mut dyn FnMut(Part<'_>)) {
    if let MatrixPlan::Subquery(subquery) = windows {
        f(Part::Vector(&mut subquery.inner));
    }
}
