//! `match[]`, `start`, `end`.

use std::sync::Arc;

use model::Matcher;
use promql::parser::ast::VectorSelector;
use promql::parser::{self, Expr, ParseOptions};
use rpc::SeriesRequest;

use super::params::Params;
use super::time::{MAX_TIME, MIN_TIME, parse_time};
use super::{ApiError, Call};

/// The request of `series`, `labels` and `label/…/values`.
pub(super) fn series_request(call: &Call, limit: usize) -> Result<SeriesRequest, ApiError> {
    let (min_t, max_t) = time_range(&call.params, MIN_TIME, MAX_TIME)?;
    let selectors = call.params.all("match[]").map(selector).collect::<Result<Vec<_>, _>>()?;
    Ok(SeriesRequest { selectors, min_t, max_t, limit })
}

/// `start` and `end`, or the defaults.
pub(super) fn time_range(params: &Params, start: i64, end: i64) -> Result<(i64, i64), ApiError> {
    let read = |name: &str, default: i64| match params.get(name) {
        Some(text) => parse_time(text).map_err(|e| ApiError::parameter(name, &e)),
        None => Ok(default),
    };
    Ok((read("start", start)?, read("end", end)?))
}

/// One `match[]`: a bare selector with at least one matcher that does not match the empty string.
fn selector(text: &str) -> Result<Arc<[Matcher]>, ApiError> {
    let wrong = |problem: &str| ApiError::parameter("match[]", problem);
    match parser::parse(text, &ParseOptions::default()).map_err(|e| wrong(&e.to_string()))? {
        Expr::Vector(VectorSelector { matchers, offset: None, at: None, extended: None, .. }) => Ok(matchers.into()),
        _ => Err(wrong("1:1: parse error: a bare series selector is expected, without functions, operators, offset or @")),
    }
}
