//! Which expressions have the same value at every step of a query.

use std::ptr;

use hashbrown::HashSet;

use super::planner::unwrap_parens;
use crate::parser::ast::{Expr, MatrixSelector, VectorSelector};

/// Functions whose value depends on the step's time even if their arguments do not.
const TIME_DEPENDENT: [&str; 10] =
    ["days_in_month", "day_of_month", "day_of_week", "day_of_year", "hour", "minute", "month", "year", "predict_linear", "time"];

/// The nodes of one tree that are the same at every step; found in one walk, so that asking is cheap at every level.
#[derive(Debug)]
pub(super) struct Invariant {
    nodes: HashSet<*const Expr>,
}

impl Invariant {
    /// Walks `expr`. Recursion is bounded by the parser's depth limit.
    pub(super) fn of(expr: &Expr) -> Self {
        let mut found = Self { nodes: HashSet::new() };
        found.visit(expr);
        found
    }

    /// Whether a node of the walked tree is the same at every step.
    pub(super) fn contains(&self, expr: &Expr) -> bool {
        self.nodes.contains(&ptr::from_ref(expr))
    }

    fn visit(&mut self, expr: &Expr) -> bool {
        let invariant = match expr {
            Expr::Number(_) | Expr::String(_) => true,
            Expr::Vector(VectorSelector { at, .. }) | Expr::Matrix(MatrixSelector { selector: VectorSelector { at, .. }, .. }) => {
                at.is_some()
            }
            Expr::Subquery(s) => {
                self.visit(&s.expr);
                s.at.is_some()
            }
            Expr::Call(c) => {
                // All of them are visited, whatever the first ones are.
                let args = c.args.iter().filter(|arg| !self.visit(arg)).count() == 0;
                args && !TIME_DEPENDENT.contains(&c.function.name) && (c.function.name != "timestamp" || of_selector(&c.args))
            }
            Expr::Aggregate(a) => {
                let param = a.param.as_ref().is_none_or(|p| self.visit(p));
                self.visit(&a.expr) && param
            }
            Expr::Binary(b) => {
                let lhs = self.visit(&b.lhs);
                self.visit(&b.rhs) && lhs
            }
            Expr::Unary(u) => self.visit(&u.expr),
            Expr::Paren(p) => self.visit(&p.expr),
        };
        if invariant {
            self.nodes.insert(ptr::from_ref(expr));
        }
        invariant
    }
}

/// `timestamp` of a selector is the time of its sample; of anything else, the time of the step.
fn of_selector(args: &[Expr]) -> bool {
    args.first().is_some_and(|arg| matches!(unwrap_parens(arg), Expr::Vector(_)))
}
