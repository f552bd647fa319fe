//! The same query with its time written into it: with `@ t` at every selector the result must not depend on when it is run.

use crate::parser::ast::{AtModifier, Expr, VectorSelector};

/// Functions whose result follows the evaluation time even when their arguments do not.
const FOLLOW_TIME: [&str; 15] = [
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "end",
    "hour",
    "minute",
    "month",
    "year",
    "predict_linear",
    "range",
    "start",
    "step",
    "time",
    "timestamp",
];

/// A query to run in place of another, with the same result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pinned {
    /// The rewritten expression.
    pub(super) text: String,
    /// When to evaluate it, in milliseconds.
    pub(super) times: Vec<i64>,
}

/// `expr`, which was evaluated at `t`, pinned to `t`; `None` if the result would still follow the evaluation time.
pub(super) fn pin(mut expr: Expr, t: i64) -> Option<Pinned> {
    if follows_time(&mut expr, t) {
        return None;
    }
    let times = match t {
        0 => vec![-1000, 0, 1000],
        t => vec![t.saturating_mul(-10), 0, t / 5, t, t.saturating_mul(10)],
    };
    Some(Pinned { text: expr.to_string(), times })
}

/// Pins the selectors of a tree; whether a function in it follows the evaluation time. The tree's depth is bounded by the parser.
fn follows_time(expr: &mut Expr, t: i64) -> bool {
    match expr {
        Expr::Number(_) | Expr::String(_) => false,
        Expr::Vector(v) => pin_selector(v, t),
        Expr::Matrix(m) => pin_selector(&mut m.selector, t),
        // What is below a subquery runs at the subquery's times.
        Expr::Subquery(s) => {
            s.at = pinned(s.at, t);
            false
        }
        Expr::Call(c) => {
            // Every argument is visited, so no short circuit.
            c.args.iter_mut().fold(FOLLOW_TIME.contains(&c.function.name), |found, arg| follows_time(arg, t) | found)
        }
        Expr::Aggregate(a) => {
            let in_param = a.param.as_mut().is_some_and(|p| follows_time(p, t));
            follows_time(&mut a.expr, t) | in_param
        }
        Expr::Binary(b) => follows_time(&mut b.lhs, t) | follows_time(&mut b.rhs, t),
        Expr::Unary(u) => follows_time(&mut u.expr, t),
        Expr::Paren(p) => follows_time(&mut p.expr, t),
    }
}

fn pin_selector(selector: &mut VectorSelector, t: i64) -> bool {
    selector.at = pinned(selector.at, t);
    false
}

/// Start and end of an instant query are its time, so they are pinned too.
fn pinned(at: Option<AtModifier>, t: i64) -> Option<AtModifier> {
    match at {
        Some(AtModifier::Timestamp(_)) => at,
        _ => Some(AtModifier::Timestamp(t)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Pinned, pin};
    use crate::parser::{ParseOptions, parse};

    fn pinned(text: &str, t: i64) -> Option<Pinned> {
        pin(parse(text, &ParseOptions::all()).expect(text), t)
    }

    #[test]
    fn pins_every_selector() {
        for (text, expected) in [
            ("up", "up @ 50.000"),
            ("sum(rate(a[5m])) / b offset 1m", "sum(rate(a[5m] @ 50.000)) / b @ 50.000 offset 1m"),
            ("a @ 10 + b @ end()", "a @ 10.000 + b @ 50.000"),
            ("max_over_time(rate(a[1m])[5m:1m])", "max_over_time(rate(a[1m])[5m:1m] @ 50.000)"),
            ("topk(scalar(a), b)", "topk(scalar(a @ 50.000), b @ 50.000)"),
            ("1 + 2", "1 + 2"),
        ] {
            assert_eq!(pinned(text, 50_000).map(|p| p.text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(pinned("up", 50_000).map(|p| p.times), Some(vec![-500_000, 0, 10_000, 50_000, 500_000]));
        assert_eq!(pinned("up", 0).map(|p| p.times), Some(vec![-1000, 0, 1000]));
    }

    #[test]
    fn leaves_alone_what_follows_time() {
        assert_eq!(pinned("time() - a", 1), None);
        assert_eq!(pinned("sum(timestamp(a))", 1), None);
        assert_eq!(pinned("topk(scalar(vector(time())), a)", 1), None);
        assert!(pinned("sum_over_time(timestamp(a)[5m:1m])", 1).is_some());
    }
}
