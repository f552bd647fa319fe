//! What the store may leave out of the series of each selector: see [`model::Projection`].

use std::sync::Arc;

use model::labels::METRIC_NAME;
use model::{MatchOp, Matcher};

use crate::functions::RangeFunction;
use crate::parser::ast::AggregateOp;
use crate::plan::walk::visit;
use crate::plan::{AggregatePlan, HistogramUse, MatrixPlan, Plan, SampleRead, SelectorPlan, VectorOp, VectorPlan};

/// Sets the projections of all selectors.
pub(super) fn set(plan: &mut Plan) {
    plan.visit_vectors(&mut |vector| {
        if vector.picks() {
            vector.each_part(&mut |part| visit(part, &mut |below| mark(below)));
        }
    });
    plan.visit_vectors(&mut |vector| {
        newest(vector);
        if let VectorOp::Aggregate(aggregate) = &mut vector.op {
            labels(aggregate);
        }
    });
}

fn mark(vector: &mut VectorPlan) {
    if let VectorOp::Aggregate(aggregate) = &mut vector.op {
        aggregate.ordered = true;
    }
}

/// At one step, some operators look at the newest sample of the window only.
fn newest(vector: &mut VectorPlan) {
    if vector.grid.count() != 1 {
        return;
    }
    let selector = match &mut vector.op {
        VectorOp::Selector { selector, .. } => Some(selector),
        VectorOp::Range(call) => match (call.function, &mut call.source) {
            (
                RangeFunction::LastOverTime | RangeFunction::TsOfLastOverTime | RangeFunction::PresentOverTime,
                MatrixPlan::Selector(selector),
            ) => Some(selector),
            _ => None,
        },
        VectorOp::AbsentOverTime { source: MatrixPlan::Selector(selector), .. } => Some(selector),
        _ => None,
    };
    // With `smoothed`, samples on both sides of the step matter; and the newest alone does not tell whether there was a reset before it.
    if let Some(selector) = selector.filter(|s| s.extended.is_none() && s.histograms != HistogramUse::StatisticsAndResets) {
        selector.hints.projection.newest_only = true;
    }
}

/// An aggregation `by` some labels looks at these only, if it does not pass series on.
fn labels(aggregate: &mut AggregatePlan) {
    let passes_on = matches!(aggregate.op, AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk | AggregateOp::LimitRatio);
    if aggregate.without || aggregate.ordered || passes_on {
        return;
    }
    let mut wanted = aggregate.grouping.clone();
    match &mut aggregate.input.op {
        VectorOp::Selector { selector, read: SampleRead::Value } => {
            if selector.extended.is_some() || matches!(aggregate.op, AggregateOp::Sum | AggregateOp::Avg) {
                // Annotations name the metric.
                wanted.push(METRIC_NAME.to_owned());
            }
            want(selector, wanted);
        }
        VectorOp::Range(call) => {
            if let MatrixPlan::Selector(selector) = &mut call.source
                && (!call.function.drops_name() || has_one_name(&selector.matchers))
            {
                // Annotations name the metric.
                wanted.push(METRIC_NAME.to_owned());
                want(selector, wanted);
            }
        }
        _ => {}
    }
}

fn want(selector: &mut SelectorPlan, mut labels: Vec<String>) {
    labels.sort_unstable();
    labels.dedup();
    selector.hints.projection.labels = Some(Arc::from(labels));
}

/// Whether all series have the same name, so that dropping it makes no two of them alike.
fn has_one_name(matchers: &[Matcher]) -> bool {
    matchers.iter().any(|m| m.op == MatchOp::Equal && &*m.name == METRIC_NAME)
}
