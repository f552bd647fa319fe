//! One evaluation, in all the ways in which it must give the same result.

use std::sync::{Arc, LazyLock};

use regex::Regex;

use super::command::{EvalCommand, EvalTime};
use super::compare::{check_instant, check_matrix, check_slice, slice_at};
use super::expect::{AnnotationRule, Expectation, ExpectedResult, TimeRange};
use super::pinned::pin;
use crate::engine::{Engine, EngineOptions, Features, QueryContext};
use crate::error::QueryError;
use crate::limits::QueryLimits;
use crate::memory::MemoryStorage;
use crate::parser::ast::Expr;
use crate::parser::{ParseOptions, parse};
use crate::value::{QueryResult, QueryValue};

/// How far before and after its time an instant query is also run as a range query, and the step of that, in milliseconds.
const AROUND_MS: i64 = 60_000;

/// What a range query around the time of an instant query evaluates differently by definition.
static DEPENDS_ON_RANGE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(start|end|range|step)\(\)").expect("the pattern is a constant that the tests compile"));

/// What one evaluation may use. Scripts come from people, not from tenants, but a slip of the pen must not take the machine.
/// Upstream runs its scripts with at most 10,000 samples held at a time; our limit counts all samples that a query reads, and
/// is set where only mistakes reach it.
const LIMITS: QueryLimits = QueryLimits { max_samples: 50_000_000, max_series: 1_000_000, max_memory_bytes: 1 << 30, max_steps: 1_000_000 };

/// The engine that scripts are written for: everything on, names removed at the end.
pub(super) fn script_engine() -> Engine {
    let features = Features { delayed_name_removal: true, start_timestamps: true, type_and_unit_labels: false };
    Engine::new(EngineOptions { features, limits: LIMITS, ..EngineOptions::default() })
}

/// Runs `eval` on `storage`; the error says what is not as expected.
pub(super) fn run_eval(engine: &Engine, storage: &Arc<MemoryStorage>, eval: &EvalCommand) -> Result<(), String> {
    let run = Run { engine, storage, expectation: &eval.expectation };
    let expr = parse_expression(&eval.expression)?;
    match eval.time {
        EvalTime::Range(range) => run.range(&eval.expression, &expr, range),
        EvalTime::Instant(t) => {
            run.instant(&eval.expression, &expr, t)?;
            let Some(pinned) = pin(expr, t) else { return Ok(()) };
            let expr = parse_expression(&pinned.text).map_err(|e| format!("printed as {}: {e}", pinned.text))?;
            pinned
                .times
                .iter()
                .try_for_each(|t| run.instant(&pinned.text, &expr, *t).map_err(|e| format!("as {} at {t} ms: {e}", pinned.text)))
        }
    }
}

fn parse_expression(text: &str) -> Result<Expr, String> {
    parse(text, &ParseOptions::all()).map_err(|e| e.to_string())
}

struct Run<'a> {
    engine: &'a Engine,
    storage: &'a Arc<MemoryStorage>,
    expectation: &'a Expectation,
}

impl Run<'_> {
    fn context(&self, text: &str) -> QueryContext {
        QueryContext { text: Some(text.into()), ..QueryContext::new(Arc::clone(self.storage) as _) }
    }

    fn range(&self, text: &str, expr: &Expr, range: TimeRange) -> Result<(), String> {
        let result = self.engine.range(expr, range.start, range.end, range.step, &self.context(text));
        match self.check_outcome(result)? {
            Some(value) => check_matrix(&self.expectation.result, range, &value),
            None => Ok(()),
        }
    }

    fn instant(&self, text: &str, expr: &Expr, t: i64) -> Result<(), String> {
        let Some(value) = self.check_outcome(self.engine.instant(expr, t, &self.context(text)))? else { return Ok(()) };
        let Expectation { result, ordered, range_vector, .. } = self.expectation;
        if let Some(range) = range_vector {
            return check_matrix(result, *range, &value);
        }
        check_instant(result, *ordered, t, &value)?;
        if matches!(result, ExpectedResult::Text(_)) || DEPENDS_ON_RANGE.is_match(text) {
            return Ok(());
        }
        self.around(text, expr, t).map_err(|e| format!("as a range query around {t} ms: {e}"))
    }

    /// The instant query as the middle step of a range query.
    fn around(&self, text: &str, expr: &Expr, t: i64) -> Result<(), String> {
        let (start, end) = (t.saturating_sub(AROUND_MS), t.saturating_add(AROUND_MS));
        let result = self.engine.range(expr, start, end, AROUND_MS, &self.context(text)).map_err(|e| e.to_string())?;
        let slice = slice_at(&result.value, t)?;
        // A range query orders its series by their labels, whatever the expression says.
        if self.expectation.ordered { Ok(()) } else { check_slice(&self.expectation.result, t, &slice) }
    }

    /// Failure and annotations; the value if it is to be compared.
    fn check_outcome(&self, result: Result<QueryResult, QueryError>) -> Result<Option<QueryValue>, String> {
        let result = match (result, &self.expectation.fail) {
            (Err(e), None) => return Err(format!("the query failed: {e}")),
            (Err(e), Some(message)) if message.matches(&e.to_string()) => return Ok(None),
            (Err(e), Some(_)) => return Err(format!("the query failed with another message: {e}")),
            (Ok(_), Some(_)) => return Err("expected the query to fail, it did not".to_owned()),
            (Ok(result), None) => result,
        };
        check_annotations("warning", &self.expectation.warnings, &result.warnings)?;
        check_annotations("info", &self.expectation.infos, &result.infos)?;
        Ok(Some(result.value))
    }
}

fn check_annotations(kind: &str, rule: &AnnotationRule, got: &[String]) -> Result<(), String> {
    if let (true, Some(first)) = (rule.none, got.first()) {
        return Err(format!("expected no {kind}, got {first:?}"));
    }
    if rule.wanted.is_empty() {
        return Ok(());
    }
    if let Some(missing) = rule.wanted.iter().find(|want| !got.iter().any(|message| want.matches(message))) {
        return Err(format!("expected {kind} {missing:?}, got {got:?}"));
    }
    match got.iter().find(|message| !rule.wanted.iter().any(|want| want.matches(message))) {
        Some(unexpected) => Err(format!("unexpected {kind} {unexpected:?}")),
        None => Ok(()),
    }
}
