//! Plans in a few words.

use std::fmt::Write;

use crate::parser::ast::{BinaryOp, VectorMatching};
use crate::plan::{AggregatePlan, MatrixPlan, SampleRead, SelectorPlan, VectorOp, VectorPlan};

/// The longest detail, in bytes: expressions may be long.
const MAX_DETAIL_BYTES: usize = 500;

/// What an operator is, and what exactly.
pub(super) fn operator(plan: &VectorPlan) -> (&'static str, String) {
    let (name, mut detail) = describe(plan);
    if detail.len() > MAX_DETAIL_BYTES {
        let end = (0..=MAX_DETAIL_BYTES).rev().find(|at| detail.is_char_boundary(*at)).unwrap_or_default();
        detail.truncate(end);
        detail.push('…');
    }
    (name, detail)
}

fn describe(plan: &VectorPlan) -> (&'static str, String) {
    match &plan.op {
        VectorOp::Selector { selector: s, read } => {
            let detail = match read {
                SampleRead::Value => selector(s),
                SampleRead::Timestamp => format!("timestamp of {}", selector(s)),
                SampleRead::StartTimestamp => format!("start timestamp of {}", selector(s)),
            };
            ("selector", detail)
        }
        VectorOp::Range(call) => ("range function", format!("{:?} of {}", call.function, windows(&call.source))),
        VectorOp::AbsentOverTime { source, .. } => ("absent_over_time", windows(source)),
        VectorOp::Element { function, .. } => ("function", format!("{function:?}")),
        VectorOp::Negate(_) => ("negate", String::new()),
        VectorOp::FromScalar(_) => ("vector", String::new()),
        VectorOp::Absent { .. } => ("absent", String::new()),
        VectorOp::Relabel { .. } => ("relabel", String::new()),
        VectorOp::Sort { order, .. } => ("sort", format!("{order:?}")),
        VectorOp::Buckets { .. } => ("histogram quantile or fraction", String::new()),
        VectorOp::Nothing(_) => ("nothing", String::new()),
        VectorOp::Info(info) => ("info", selector(&info.selector)),
        VectorOp::HistogramOnly { function, .. } => ("histogram function", (*function).to_owned()),
        VectorOp::Aggregate(a) => ("aggregate", aggregate(a)),
        VectorOp::VectorScalar(binary) => ("vector and scalar", binary.op.symbol().to_owned()),
        VectorOp::Join(join) => ("join", matching(join.op, &join.matching)),
        VectorOp::Set { op, matching: m, .. } => ("set", matching(*op, m)),
        VectorOp::Repeat(_) => ("repeat", "the same at every step".to_owned()),
        VectorOp::Shared(shared) => ("shared", format!("number {}", shared.number)),
    }
}

fn selector(plan: &SelectorPlan) -> String {
    let mut out = String::from("{");
    for (i, matcher) in plan.matchers.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(out, "{}{matcher}", if i > 0 { ", " } else { "" });
    }
    out.push('}');
    let projection = &plan.hints.projection;
    if projection.newest_only {
        out.push_str(", newest sample only");
    }
    if let Some(labels) = &projection.labels {
        let _ = write!(out, ", labels [{}] only", labels.join(", "));
    }
    out
}

fn windows(plan: &MatrixPlan) -> String {
    match plan {
        MatrixPlan::Selector(s) => format!("{} over {} ms", selector(s), s.window_ms),
        MatrixPlan::Subquery(s) => format!("a subquery over {} ms, {} steps", s.range_ms, s.inner_grid.count()),
    }
}

fn aggregate(plan: &AggregatePlan) -> String {
    let modifier = if plan.without { "without" } else { "by" };
    format!("{} {modifier} ({})", plan.op.name(), plan.grouping.join(", "))
}

fn matching(op: BinaryOp, matching: &VectorMatching) -> String {
    let modifier = if matching.on { "on" } else { "ignoring" };
    format!("{} {modifier} ({}), {:?}", op.symbol(), matching.labels.join(", "), matching.card)
}
