//! Binary operations.

use super::grid::Grid;
use super::planner::Context;
use super::{JoinPlan, Plan, ScalarPlan, VectorOp, VectorPlan, VectorScalarPlan};
use crate::error::QueryError;
use crate::eval::scalar_operation;
use crate::parser::ast::{Binary, BinaryOp, MatchCardinality, VectorMatching};

impl Context<'_> {
    pub(super) fn binary(&self, binary: &Binary, grid: Grid) -> Result<Plan, QueryError> {
        let (lhs, rhs) = (self.expr(&binary.lhs, grid)?, self.expr(&binary.rhs, grid)?);
        let (op, return_bool) = (binary.op, binary.return_bool);
        let op = match (lhs, rhs) {
            (Plan::Scalar(lhs), Plan::Scalar(rhs)) => return Ok(Plan::Scalar(scalars(op, lhs, rhs))),
            (Plan::Vector(vector), Plan::Scalar(scalar)) => {
                VectorOp::VectorScalar(VectorScalarPlan { op, vector: Box::new(vector), scalar, scalar_left: false, return_bool })
            }
            (Plan::Scalar(scalar), Plan::Vector(vector)) => {
                VectorOp::VectorScalar(VectorScalarPlan { op, vector: Box::new(vector), scalar, scalar_left: true, return_bool })
            }
            (Plan::Vector(lhs), Plan::Vector(rhs)) => vectors(binary, lhs, rhs),
            _ => return Err(QueryError::BadData("binary expression must contain only scalar and instant vector types".into())),
        };
        Ok(Plan::Vector(VectorPlan { grid, span: binary.span, op }))
    }
}

/// Two scalars, folded if both are constant.
fn scalars(op: BinaryOp, lhs: ScalarPlan, rhs: ScalarPlan) -> ScalarPlan {
    match (&lhs, &rhs) {
        (ScalarPlan::Constant(a), ScalarPlan::Constant(b)) => ScalarPlan::Constant(scalar_operation(op, *a, *b)),
        _ => ScalarPlan::Binary { op, lhs: Box::new(lhs), rhs: Box::new(rhs) },
    }
}

fn vectors(binary: &Binary, lhs: VectorPlan, rhs: VectorPlan) -> VectorOp {
    let is_set = matches!(binary.op, BinaryOp::And | BinaryOp::Or | BinaryOp::Unless);
    let default = VectorMatching {
        card: if is_set { MatchCardinality::ManyToMany } else { MatchCardinality::OneToOne },
        labels: Vec::new(),
        on: false,
        include: Vec::new(),
        fill_left: None,
        fill_right: None,
    };
    let matching = binary.matching.clone().unwrap_or(default);
    let (lhs, rhs, op) = (Box::new(lhs), Box::new(rhs), binary.op);
    if is_set {
        VectorOp::Set { op, lhs, rhs, matching }
    } else {
        VectorOp::Join(JoinPlan { op, lhs, rhs, matching, return_bool: binary.return_bool })
    }
}
