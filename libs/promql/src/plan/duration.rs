//! Durations, some of which depend on the query's step and range.

use super::grid::QueryTime;
use crate::error::QueryError;
use crate::functions::{go_max, go_min};
use crate::parser::ast::{BinaryOp, DurationExpr, DurationValue, NumberLiteral, TextSpan};

/// Prometheus keeps durations in nanoseconds of an `i64`; no duration is longer than this many seconds.
const MAX_SECONDS: f64 = (1_u64 << 63) as f64 / 1e9;

/// A range or a step in milliseconds: positive.
pub(super) fn positive(value: &DurationValue, time: QueryTime) -> Result<i64, QueryError> {
    resolve(value, time, false)
}

/// An offset in milliseconds.
pub(super) fn signed(value: &DurationValue, time: QueryTime) -> Result<i64, QueryError> {
    resolve(value, time, true)
}

fn resolve(value: &DurationValue, time: QueryTime, allow_negative: bool) -> Result<i64, QueryError> {
    let expr = match value {
        DurationValue::Millis(ms) => return Ok(*ms),
        DurationValue::Expr(expr) => expr,
    };
    let seconds = seconds(expr, time)?;
    let wrong = |what: &str| Err(at(expr.span(), what));
    if !seconds.is_finite() {
        return wrong("duration is NaN or infinite");
    }
    if seconds <= 0.0 && !allow_negative {
        return wrong("duration must be greater than 0");
    }
    if seconds.abs() > MAX_SECONDS {
        return wrong("duration is out of range");
    }
    let ms = (seconds * 1000.0) as i64;
    if ms == 0 && !allow_negative {
        return wrong("duration must be greater than 0");
    }
    Ok(ms)
}

/// Evaluates a duration expression to seconds. Recursion is bounded by the parser's depth limit.
fn seconds(expr: &DurationExpr, time: QueryTime) -> Result<f64, QueryError> {
    Ok(match expr {
        DurationExpr::Number(NumberLiteral { value, .. }) => *value,
        DurationExpr::Step(_) => time.step as f64 / 1000.0,
        DurationExpr::Range(_) => time.end.saturating_sub(time.start) as f64 / 1000.0,
        DurationExpr::Extreme { max, lhs, rhs, .. } => {
            let (lhs, rhs) = (seconds(lhs, time)?, seconds(rhs, time)?);
            if *max { go_max(lhs, rhs) } else { go_min(lhs, rhs) }
        }
        DurationExpr::Binary { span, op, lhs, rhs } => arithmetic(*span, *op, seconds(lhs, time)?, seconds(rhs, time)?)?,
        DurationExpr::Unary { negate, expr, .. } => {
            let value = seconds(expr, time)?;
            if *negate { -value } else { value }
        }
        DurationExpr::Paren { expr, .. } => seconds(expr, time)?,
    })
}

fn arithmetic(span: TextSpan, op: BinaryOp, lhs: f64, rhs: f64) -> Result<f64, QueryError> {
    Ok(match op {
        BinaryOp::Add => lhs + rhs,
        BinaryOp::Sub => lhs - rhs,
        BinaryOp::Mul => lhs * rhs,
        BinaryOp::Div if rhs == 0.0 => return Err(at(span, "division by zero")),
        BinaryOp::Div => lhs / rhs,
        BinaryOp::Mod if rhs == 0.0 => return Err(at(span, "modulo by zero")),
        BinaryOp::Mod => lhs % rhs,
        BinaryOp::Pow => lhs.powf(rhs),
        _ => return Err(at(span, "unexpected duration expression operator")),
    })
}

/// Prometheus prefixes the byte range here, where it puts line and column elsewhere.
fn at(span: TextSpan, what: &str) -> QueryError {
    QueryError::BadData(format!("{}:{}: {what}", span.start, span.end))
}
