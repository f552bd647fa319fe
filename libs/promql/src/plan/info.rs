//! `info`: which info series, as of which times.

use std::sync::Arc;

use model::labels::METRIC_NAME;
use model::{MatchOp, Matcher};

use super::call::argument;
use super::grid::{Grid, Reference};
use super::planner::Context;
use super::{HistogramUse, InfoPlan, SelectorPlan};
use crate::error::QueryError;
use crate::parser::ast::{AtModifier, Call, DurationValue, Expr, VectorSelector};
use crate::storage::SelectHints;

/// The info metric where none is named: what OpenTelemetry says of a target.
const TARGET_INFO: &str = "target_info";

/// What info metrics are called where only names that they do not have are given.
const ANY_INFO: &str = ".+_info";

impl Context<'_> {
    pub(super) fn info(&self, call: &Call, grid: Grid) -> Result<InfoPlan, QueryError> {
        let base = argument(call, 0)?;
        let written = match call.args.get(1) {
            Some(Expr::Vector(selector)) => selector.matchers.as_slice(),
            _ => &[],
        };
        let (names, data): (Vec<Matcher>, Vec<Matcher>) = written.iter().cloned().partition(|m| &*m.name == METRIC_NAME);
        let selector = SelectorPlan {
            span: call.span,
            matchers: Arc::from([]),
            grid,
            reference: self.info_reference(base)?,
            window_ms: self.options.lookback_ms,
            extended: None,
            histograms: HistogramUse::Buckets,
            hints: SelectHints { function: "info", ..SelectHints::default() },
        };
        Ok(InfoPlan { input: self.vector(base, grid)?, names: info_names(names)?, data, selector })
    }

    /// Info series are looked at when the first selector of the input looks at its own: its `@`, or the one of the subquery closest around
    /// it, and all offsets up to there.
    fn info_reference(&self, base: &Expr) -> Result<Reference, QueryError> {
        let mut outer = Vec::new();
        let Some(selector) = first_selector(base, &mut outer) else { return Ok(Reference::Offset(0)) };
        let mut reference = self.reference(selector.at, selector.offset.as_ref())?;
        for (at, offset) in outer.into_iter().rev() {
            let Reference::Offset(inner) = reference else { break };
            reference = match self.reference(at, offset)? {
                Reference::Offset(offset) => Reference::Offset(offset.saturating_add(inner)),
                Reference::Fixed(t) => Reference::Fixed(t.saturating_sub(inner)),
            };
        }
        Ok(reference)
    }
}

/// The modifiers of a subquery.
type Modifiers<'a> = (Option<AtModifier>, Option<&'a DurationValue>);

/// The first selector in the order of the text; `outer` are the subqueries around it, outermost first. Recursion is bounded by the
/// parser's depth limit.
fn first_selector<'a>(expr: &'a Expr, outer: &mut Vec<Modifiers<'a>>) -> Option<&'a VectorSelector> {
    match expr {
        Expr::Number(_) | Expr::String(_) => None,
        Expr::Vector(selector) => Some(selector),
        Expr::Matrix(matrix) => Some(&matrix.selector),
        Expr::Subquery(subquery) => {
            outer.push((subquery.at, subquery.offset.as_ref()));
            let found = first_selector(&subquery.expr, outer);
            if found.is_none() {
                outer.pop();
            }
            found
        }
        Expr::Call(call) => call.args.iter().find_map(|arg| first_selector(arg, outer)),
        Expr::Aggregate(a) => first_selector(&a.expr, outer).or_else(|| first_selector(a.param.as_deref()?, outer)),
        Expr::Binary(b) => first_selector(&b.lhs, outer).or_else(|| first_selector(&b.rhs, outer)),
        Expr::Unary(u) => first_selector(&u.expr, outer),
        Expr::Paren(p) => first_selector(&p.expr, outer),
    }
}

/// Names that are only refused leave all that look like an info metric's.
fn info_names(mut written: Vec<Matcher>) -> Result<Vec<Matcher>, QueryError> {
    if written.is_empty() {
        return Ok(vec![Matcher::equal(METRIC_NAME, TARGET_INFO)]);
    }
    if written.iter().all(|m| matches!(m.op, MatchOp::NotEqual | MatchOp::NotRegex)) {
        let any = Matcher::new(MatchOp::Regex, METRIC_NAME, ANY_INFO).map_err(|e| QueryError::Execution(e.to_string()))?;
        written.insert(0, any);
    }
    Ok(written)
}
