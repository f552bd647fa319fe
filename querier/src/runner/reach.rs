//! How long and how far back a query may evaluate. Pure.

use limits::Limits;
use promql::parser::{Expr, ValueType};
use promql::{QueryError, QueryResult, QueryStats, QueryValue};

use super::When;

/// The steps of a query that are within its tenant's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// All of them.
    All,
    /// These; what is earlier is left out.
    From(When),
    /// None.
    Nothing,
}

/// Refuses a range that is too long.
pub(super) fn check_length(limits: &Limits, when: When) -> Result<(), QueryError> {
    if let (max @ 1.., When::Range { start, end, .. }) = (limits.max_query_length_ms, when)
        && end.saturating_sub(start) > max
    {
        let limit = limits::named("max_query_length_ms", max, "ms");
        return Err(QueryError::Execution(format!("the query's range of {} ms is too long ({limit})", end.saturating_sub(start))));
    }
    Ok(())
}

/// Which steps are evaluated at `now`. An expression that reads nothing may be asked for any time.
pub(super) fn within_lookback(limits: &Limits, when: When, now: i64, expr: &Expr) -> Reach {
    let floor = match limits.max_query_lookback_ms {
        max @ 1.. => now.saturating_sub(max),
        _ => return Reach::All,
    };
    let first = match when {
        When::At(t) => t,
        When::Range { start, .. } => start,
    };
    if first >= floor || !reads(expr) {
        return Reach::All;
    }
    match when {
        When::Range { start, end, step } if step > 0 => {
            // Whole steps are left out, so that those that stay are the ones that were asked for.
            let behind = floor.saturating_sub(start);
            let steps = behind / step + i64::from(behind % step > 0);
            match start.checked_add(steps.saturating_mul(step)) {
                Some(start) if start <= end => Reach::From(When::Range { start, end, step }),
                _ => Reach::Nothing,
            }
        }
        _ => Reach::Nothing,
    }
}

/// Said with an answer of which steps were left out.
pub(super) fn warning(limits: &Limits) -> String {
    format!(
        "what is further back than the tenant's queries may go was left out ({})",
        limits::named("max_query_lookback_ms", limits.max_query_lookback_ms, "ms")
    )
}

/// The answer of which all steps were left out.
pub(super) fn nothing(when: When, expr: &Expr) -> QueryResult {
    let value = match (when, expr.value_type()) {
        (When::Range { .. }, _) | (When::At(_), ValueType::Matrix) => QueryValue::Matrix(Vec::new()),
        (When::At(t), ValueType::Scalar) => QueryValue::Scalar { t, v: f64::NAN },
        (When::At(_), ValueType::Vector | ValueType::String) => QueryValue::Vector(Vec::new()),
    };
    QueryResult { value, warnings: Vec::new(), infos: Vec::new(), stats: QueryStats::default(), explain: None, samples: None }
}

/// Whether an expression looks at any series. The depth of the tree is bounded by the parser.
fn reads(expr: &Expr) -> bool {
    match expr {
        Expr::Vector(_) | Expr::Matrix(_) => true,
        Expr::Subquery(s) => reads(&s.expr),
        Expr::Call(c) => c.args.iter().any(reads),
        Expr::Aggregate(a) => reads(&a.expr) || a.param.as_deref().is_some_and(reads),
        Expr::Binary(b) => reads(&b.lhs) || reads(&b.rhs),
        Expr::Unary(u) => reads(&u.expr),
        Expr::Paren(p) => reads(&p.expr),
        Expr::Number(_) | Expr::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use limits::Limits;
    use promql::{ParseOptions, QueryValue, parse};

    use super::{Reach, check_length, nothing, within_lookback};
    use crate::runner::When;

    fn reach(text: &str, when: When) -> Reach {
        let limits = Limits { max_query_lookback_ms: 1_000, ..Limits::default() };
        within_lookback(&limits, when, 10_000, &parse(text, &ParseOptions::default()).unwrap())
    }

    #[test]
    fn whole_steps_are_left_out() {
        let range = |start, end, step| When::Range { start, end, step };
        assert_eq!(reach("up", range(9_000, 10_000, 10)), Reach::All);
        assert_eq!(reach("up", range(0, 10_000, 400)), Reach::From(range(9_200, 10_000, 400)));
        assert_eq!(reach("up", range(0, 10_000, 1_000)), Reach::From(range(9_000, 10_000, 1_000)));
        assert_eq!(reach("up", range(8_999, 10_000, 1_000)), Reach::From(range(9_999, 10_000, 1_000)));
        for far in [range(0, 8_999, 10), range(i64::MIN / 4, 0, 1), range(0, 10_000, i64::MAX)] {
            assert_eq!(reach("up", far), Reach::Nothing);
        }
        assert_eq!((reach("up", When::At(9_000)), reach("up", When::At(8_999))), (Reach::All, Reach::Nothing));
        let limits = Limits { max_query_lookback_ms: 0, ..Limits::default() };
        assert_eq!(within_lookback(&limits, When::At(0), 10_000, &parse("up", &ParseOptions::default()).unwrap()), Reach::All);
    }

    /// Grafana asks for `1+1` at the fourth second of 1970 to see whether a server is there.
    #[test]
    fn what_reads_nothing_may_be_asked_for_any_time() {
        for text in ["1+1", "vector(1)", "time() - (2 * -3)", "\"a\""] {
            assert_eq!(reach(text, When::At(4_000)), Reach::All, "{text}");
        }
        for text in ["scalar(up)", "-up", "sum(up)", "topk(scalar(up), vector(1))", "1 + up", "rate(up[5m])", "max_over_time(up[5m:1m])"] {
            assert_eq!(reach(text, When::At(4_000)), Reach::Nothing, "{text}");
        }
        let value = |text: &str| nothing(When::At(7), &parse(text, &ParseOptions::default()).unwrap()).value;
        assert_eq!((value("up"), value("up[5m]")), (QueryValue::Vector(Vec::new()), QueryValue::Matrix(Vec::new())));
        assert!(matches!(value("scalar(up)"), QueryValue::Scalar { t: 7, v } if v.is_nan()));
    }

    #[test]
    fn long_ranges_are_refused_by_name() {
        let limits = Limits { max_query_length_ms: 100, ..Limits::default() };
        assert!(check_length(&limits, When::Range { start: 0, end: 100, step: 1 }).is_ok());
        let error = check_length(&limits, When::Range { start: 0, end: 101, step: 1 }).unwrap_err().to_string();
        assert!(error.contains("101 ms") && error.contains("limit: max_query_length_ms = 100 ms"), "{error}");
    }
}
