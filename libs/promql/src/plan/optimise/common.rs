//! Common subexpressions: an aggregation that stands in several places, as in `a / (a + b)`, is evaluated once.
//!
//! Only aggregations are shared. They hold their groups in any case, while sharing a selector or `rate` would mean to hold all its series that
//! otherwise pass by one at a time. Two are the same if their plans are, spans relative to their own beginnings included, so that what they have to
//! say can be told of either place.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::parser::ast::AggregateOp;
use crate::plan::walk::Part;
use crate::plan::{MatrixPlan, Plan, SharedPlan, VectorOp, VectorPlan};

/// Plans are compared by what they print; beyond so many bytes no more are. Expressions of a few kilobytes stay far below.
const MAX_PRINTED: usize = 1 << 20;

/// What is cheap to tell of an aggregation: operator, length in the expression, first time, steps.
type Look = (AggregateOp, u32, i64, usize);

/// Shares what is common.
pub(super) fn share(plan: &mut Plan) {
    let mut looks: HashMap<Look, usize> = HashMap::new();
    plan.visit_vectors(&mut |vector| {
        if let Some(look) = look(vector) {
            *looks.entry(look).or_default() += 1;
        }
    });
    looks.retain(|_, count| *count > 1);
    if looks.is_empty() {
        return;
    }
    let mut finder = Finder { looks, printed: 0, counts: HashMap::new(), known: HashMap::new() };
    plan.visit_vectors(&mut |vector| {
        if let Some(text) = finder.print(vector) {
            *finder.counts.entry(text).or_default() += 1;
        }
    });
    finder.counts.retain(|_, count| *count > 1);
    if finder.counts.is_empty() {
        return;
    }
    // The same plans are printed again, and are as long as before.
    finder.printed = 0;
    match plan {
        Plan::Scalar(scalar) => finder.replace(Part::Scalar(scalar)),
        Plan::Vector(vector) => finder.replace(Part::Vector(vector)),
        Plan::Matrix(MatrixPlan::Subquery(subquery)) => finder.replace(Part::Vector(&mut subquery.inner)),
        Plan::Matrix(MatrixPlan::Selector(_)) | Plan::Text(_) => {}
    }
}

struct Finder {
    /// Those that more than one aggregation has.
    looks: HashMap<Look, usize>,
    /// Bytes printed so far.
    printed: usize,
    /// How often each plan stands in the whole.
    counts: HashMap<String, usize>,
    /// What is shared already: its plan, and where its first place begins.
    known: HashMap<String, (SharedPlan, u32)>,
}

/// The look of an aggregation whose result is small.
fn look(vector: &VectorPlan) -> Option<Look> {
    match &vector.op {
        // It passes on any number of series.
        VectorOp::Aggregate(a) if a.op == AggregateOp::LimitRatio => None,
        VectorOp::Aggregate(a) => Some((a.op, vector.span.end.saturating_sub(vector.span.start), vector.grid.start(), vector.grid.count())),
        _ => None,
    }
}

impl Finder {
    /// The text of an aggregation that may have a twin, spans relative to its own.
    fn print(&mut self, vector: &mut VectorPlan) -> Option<String> {
        if self.printed >= MAX_PRINTED || !self.looks.contains_key(&look(vector)?) {
            return None;
        }
        let start = vector.span.start;
        vector.each_span(&mut |span| {
            span.start = span.start.wrapping_sub(start);
            span.end = span.end.wrapping_sub(start);
        });
        let text = format!("{vector:?}");
        vector.each_span(&mut |span| {
            span.start = span.start.wrapping_add(start);
            span.end = span.end.wrapping_add(start);
        });
        self.printed += text.len();
        Some(text)
    }

    /// Replaces the outermost aggregations that are common. Recursion is bounded by the parser's depth limit.
    fn replace(&mut self, part: Part<'_>) {
        let vector = match part {
            Part::Scalar(scalar) => return scalar.each_part(&mut |part| self.replace(part)),
            Part::Vector(vector) => vector,
        };
        match self.print(vector).filter(|text| self.counts.contains_key(text)) {
            Some(text) => self.share(text, vector),
            None => vector.each_part(&mut |part| self.replace(part)),
        }
    }

    fn share(&mut self, text: String, vector: &mut VectorPlan) {
        let number = self.known.len();
        let (shared, first) = self.known.entry(text).or_insert_with(|| {
            let plan = SharedPlan { number, plan: Arc::new(vector.clone()), shift: 0 };
            (plan, vector.span.start)
        });
        let shift = i64::from(vector.span.start) - i64::from(*first);
        vector.op = VectorOp::Shared(SharedPlan { shift, ..shared.clone() });
    }
}
