//! Syntax tree to plan.

use super::grid::{Grid, QueryTime};
use super::invariant::Invariant;
use super::{MatrixPlan, Plan, SampleRead, ScalarPlan, VectorOp, VectorPlan, statistics};
use crate::error::QueryError;
use crate::limits::Budget;
use crate::parser::ast::{Expr, TextSpan, Unary, ValueType};

/// What the engine's settings say about planning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanOptions {
    /// How old a sample may be, exclusive, in milliseconds.
    pub lookback_ms: i64,
    /// The step of subqueries that name none, in milliseconds.
    pub default_subquery_step_ms: i64,
    /// Whether functions of counters look at start times.
    pub start_timestamps: bool,
}

/// Plans one query.
#[derive(Debug)]
pub struct Planner<'a> {
    pub(super) options: PlanOptions,
    pub(super) time: QueryTime,
    pub(super) budget: &'a Budget,
}

/// One expression on its way to a plan.
pub(super) struct Context<'a> {
    pub(super) options: PlanOptions,
    pub(super) time: QueryTime,
    pub(super) budget: &'a Budget,
    invariant: Invariant,
}

impl<'a> Planner<'a> {
    /// A planner for a query at `time`, within the steps that `budget` allows.
    #[must_use]
    pub fn new(options: PlanOptions, time: QueryTime, budget: &'a Budget) -> Self {
        Self { options, time, budget }
    }

    /// Plans an expression that the parser has checked.
    pub fn plan(self, expr: &Expr) -> Result<Plan, QueryError> {
        let value_type = expr.value_type();
        if self.time.is_range() && !matches!(value_type, ValueType::Scalar | ValueType::Vector) {
            let found = value_type.describe();
            return Err(QueryError::BadData(format!(
                "invalid expression type {found:?} for range query, must be Scalar or instant Vector"
            )));
        }
        let grid = self.time.grid(self.budget)?;
        let invariant = Invariant::of(expr);
        let mut plan = Context { options: self.options, time: self.time, budget: self.budget, invariant }.expr(expr, grid)?;
        // Prometheus does it, and it can be seen in warnings: it is not left to the optimiser.
        statistics::set(&mut plan);
        Ok(plan)
    }
}

impl Context<'_> {
    /// Plans an expression on a grid. Recursion is bounded by the parser's depth limit.
    pub(super) fn expr(&self, expr: &Expr, grid: Grid) -> Result<Plan, QueryError> {
        let expr = unwrap_parens(expr);
        if grid.count() > 1 && self.invariant.contains(expr) && expr.value_type() != ValueType::Matrix {
            return Ok(repeat(self.expr(expr, grid.first())?, grid, expr.span()));
        }
        match expr {
            Expr::Number(n) => Ok(Plan::Scalar(ScalarPlan::Constant(n.value))),
            Expr::String(s) => Ok(Plan::Text(s.value.clone())),
            Expr::Vector(selector) => self.instant_selector(selector, grid, SampleRead::Value).map(Plan::Vector),
            Expr::Matrix(selector) => self.range_selector(selector, grid).map(Plan::Matrix),
            Expr::Subquery(subquery) => self.subquery(subquery, grid).map(Plan::Matrix),
            Expr::Call(call) => self.call(call, grid),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate, grid).map(Plan::Vector),
            Expr::Binary(binary) => self.binary(binary, grid),
            Expr::Unary(unary) => self.unary(unary, grid),
            Expr::Paren(paren) => self.expr(&paren.expr, grid),
        }
    }

    fn unary(&self, unary: &Unary, grid: Grid) -> Result<Plan, QueryError> {
        let inner = self.expr(&unary.expr, grid)?;
        if !unary.negate {
            return Ok(inner);
        }
        match inner {
            Plan::Scalar(ScalarPlan::Constant(v)) => Ok(Plan::Scalar(ScalarPlan::Constant(-v))),
            Plan::Scalar(scalar) => Ok(Plan::Scalar(ScalarPlan::Negate(Box::new(scalar)))),
            Plan::Vector(vector) => Ok(Plan::Vector(VectorPlan { grid, span: unary.span, op: VectorOp::Negate(Box::new(vector)) })),
            other => Err(unexpected(ValueType::Vector, &other)),
        }
    }

    /// Plans an expression that must be a vector.
    pub(super) fn vector(&self, expr: &Expr, grid: Grid) -> Result<Box<VectorPlan>, QueryError> {
        match self.expr(expr, grid)? {
            Plan::Vector(vector) => Ok(Box::new(vector)),
            other => Err(unexpected(ValueType::Vector, &other)),
        }
    }

    /// Plans an expression that must be a scalar.
    pub(super) fn scalar(&self, expr: &Expr, grid: Grid) -> Result<ScalarPlan, QueryError> {
        match self.expr(expr, grid)? {
            Plan::Scalar(scalar) => Ok(scalar),
            other => Err(unexpected(ValueType::Scalar, &other)),
        }
    }

    /// Plans an expression that must be a range vector.
    pub(super) fn matrix(&self, expr: &Expr, grid: Grid) -> Result<MatrixPlan, QueryError> {
        match self.expr(expr, grid)? {
            Plan::Matrix(matrix) => Ok(matrix),
            other => Err(unexpected(ValueType::Matrix, &other)),
        }
    }

    /// An expression that must be a text.
    pub(super) fn text(&self, expr: &Expr) -> Result<String, QueryError> {
        match unwrap_parens(expr) {
            Expr::String(s) => Ok(s.value.clone()),
            other => Err(QueryError::BadData(format!("expected type string, got {}", other.value_type().describe()))),
        }
    }
}

/// Evaluates once, repeats at every step.
fn repeat(once: Plan, grid: Grid, span: TextSpan) -> Plan {
    match once {
        Plan::Scalar(ScalarPlan::Constant(v)) => Plan::Scalar(ScalarPlan::Constant(v)),
        Plan::Scalar(scalar) => Plan::Scalar(ScalarPlan::Repeat(Box::new(scalar))),
        Plan::Vector(vector) => Plan::Vector(VectorPlan { grid, span, op: VectorOp::Repeat(Box::new(vector)) }),
        other => other,
    }
}

/// What is inside of parentheses; they mean nothing to a plan.
pub(super) fn unwrap_parens(mut expr: &Expr) -> &Expr {
    while let Expr::Paren(paren) = expr {
        expr = &paren.expr;
    }
    expr
}

/// A tree that the parser would not have let pass.
fn unexpected(wanted: ValueType, found: &Plan) -> QueryError {
    QueryError::BadData(format!("expected type {}, got {}", wanted.describe(), found.value_type().describe()))
}
