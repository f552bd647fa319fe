//! Matchers across `and` and `unless`.
//!
//! Where one side has only series with a certain value of a label by which the sides match, series of the other side with another value find
//! no partner. In `a{x="1"} and on (x) b` the store need not give any other `b`, and for `and` the same holds in the other direction. It is done
//! where nothing but such series can be missed: the narrowed side is a plain selector, which says nothing about its samples and cannot fail on them.
//!
//! Arithmetic is left alone: there, two series of the "one" side with the same matching labels are an error even if no series of the other side
//! matches them. `or` yields series of both sides.

use std::sync::Arc;

use model::labels::METRIC_NAME;
use model::{MatchOp, Matcher};

use crate::parser::ast::{BinaryOp, VectorMatching};
use crate::plan::{MatrixPlan, Plan, SampleRead, SelectorPlan, VectorOp, VectorPlan};

/// Narrows the selectors of a plan.
pub(super) fn narrow(plan: &mut Plan) {
    plan.visit_vectors(&mut |vector| {
        if let VectorOp::Set { op: op @ (BinaryOp::And | BinaryOp::Unless), lhs, rhs, matching } = &mut vector.op {
            push(&fixed(lhs), matching, rhs);
            if *op == BinaryOp::And {
                push(&fixed(rhs), matching, lhs);
            }
        }
    });
}

/// Adds the matchers of labels that the sides match by to a plain selector.
fn push(fixed: &[Matcher], matching: &VectorMatching, to: &mut VectorPlan) {
    let VectorOp::Selector { selector, read: SampleRead::Value } = &mut to.op else { return };
    if selector.extended.is_some() {
        return;
    }
    let matched = |name: &str| matching.labels.iter().any(|label| label == name) == matching.on && (matching.on || name != METRIC_NAME);
    let is_new = |m: &&Matcher| !selector.matchers.contains(m);
    let more: Vec<Matcher> = fixed.iter().filter(|m| matched(&m.name)).filter(is_new).cloned().collect();
    if !more.is_empty() {
        selector.matchers = selector.matchers.iter().cloned().chain(more).collect::<Arc<[Matcher]>>();
    }
}

/// Matchers by equality that every series of a vector satisfies. Recursion is bounded by the parser's depth limit.
fn fixed(vector: &VectorPlan) -> Vec<Matcher> {
    match &vector.op {
        VectorOp::Selector { selector, read: SampleRead::Value } => equalities(selector),
        VectorOp::Range(call) => match &call.source {
            MatrixPlan::Selector(selector) => without_metadata(equalities(selector)),
            MatrixPlan::Subquery(subquery) => without_metadata(fixed(&subquery.inner)),
        },
        VectorOp::Element { input, .. } | VectorOp::Negate(input) => without_metadata(fixed(input)),
        VectorOp::VectorScalar(binary) => without_metadata(fixed(&binary.vector)),
        VectorOp::Repeat(input) | VectorOp::Sort { input, .. } => fixed(input),
        VectorOp::Set { op: BinaryOp::And | BinaryOp::Unless, lhs, .. } => fixed(lhs),
        _ => Vec::new(),
    }
}

fn equalities(selector: &SelectorPlan) -> Vec<Matcher> {
    selector.matchers.iter().filter(|m| m.op == MatchOp::Equal).cloned().collect()
}

/// Labels that functions drop are not fixed behind them.
fn without_metadata(mut matchers: Vec<Matcher>) -> Vec<Matcher> {
    matchers.retain(|m| !matches!(&*m.name, METRIC_NAME | "__type__" | "__unit__"));
    matchers
}
