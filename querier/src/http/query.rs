//! `query` and `query_range`.

use axum::extract::{Extension, Request, State};
use axum::response::Response;
use promql::{QueryResult, QueryValue};
use rpc::CallContext;

use super::time::{parse_duration, parse_time};
use super::{ApiError, Call, Querying, Tenant, handle, json, selectors, slow};
use crate::runner::{RunOptions, When};

/// Points per series of a range query, Prometheus's own limit.
const MAX_POINTS: i64 = 11_000;

pub(super) async fn instant(State(querier): Querying, Extension(tenant): Tenant, request: Request) -> Response {
    handle(querier, tenant, request, "instant", run_instant).await
}

pub(super) async fn range(State(querier): Querying, Extension(tenant): Tenant, request: Request) -> Response {
    handle(querier, tenant, request, "range", run_range).await
}

async fn run_instant(call: &Call) -> Result<Vec<u8>, ApiError> {
    let limit = call.params.limit("limit")?;
    let t = selectors::time(&call.params, "time", call.querier.clock.now_ms())?;
    let ctx = call.context()?;
    let result = run(call, &ctx, When::At(t)).await?;
    Ok(respond(call, result, limit))
}

async fn run_range(call: &Call) -> Result<Vec<u8>, ApiError> {
    let limit = call.params.limit("limit")?;
    let time = |name: &str| parse_time(call.params.get(name).unwrap_or_default()).map_err(|e| ApiError::parameter(name, &e));
    let start = time("start")?;
    let end = time("end")?;
    if end < start {
        return Err(ApiError::parameter("end", "end timestamp must not be before start time"));
    }
    let step = parse_duration(call.params.get("step").unwrap_or_default()).map_err(|e| ApiError::parameter("step", &e))?;
    if step <= 0 {
        return Err(ApiError::parameter("step", "zero or negative query resolution step widths are not accepted. Try a positive integer"));
    }
    // Also bounds the memory of a step vector before anything is planned.
    if (end - start) / step > MAX_POINTS {
        return Err(ApiError::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ));
    }
    let ctx = call.context()?;
    let result = run(call, &ctx, When::Range { start, end, step }).await?;
    Ok(respond(call, result, limit))
}

async fn run(call: &Call, ctx: &CallContext, when: When) -> Result<QueryResult, ApiError> {
    let (clock, options) = (&call.querier.clock, options(call)?);
    let started = clock.monotonic();
    let result = call.querier.runner.run(ctx, query(call), when, options).await.map_err(ApiError::from);
    slow::log(call, query(call), when, clock.monotonic().saturating_sub(started), &result);
    result
}

fn query(call: &Call) -> &str {
    call.params.get("query").unwrap_or_default()
}

fn options(call: &Call) -> Result<RunOptions, ApiError> {
    let explain = call.params.get("explain") == Some("true");
    Ok(RunOptions { lookback_ms: lookback(call)?, explain, count_samples: call.params.get("stats").is_some() })
}

fn lookback(call: &Call) -> Result<Option<i64>, ApiError> {
    let Some(text) = call.params.get("lookback_delta") else { return Ok(None) };
    let ms = parse_duration(text).map_err(|e| ApiError::bad_data(format!("error parsing lookback delta duration: {e}")))?;
    // As in Prometheus, what is not positive stands for the default.
    Ok((ms > 0).then_some(ms))
}

fn respond(call: &Call, mut result: QueryResult, limit: usize) -> Vec<u8> {
    let truncated = match &mut result.value {
        QueryValue::Vector(series) => cut(series, limit),
        QueryValue::Matrix(series) => cut(series, limit),
        QueryValue::Scalar { .. } | QueryValue::String { .. } => false,
    };
    if truncated {
        result.warnings.push("results truncated due to limit".to_owned());
    }
    json::query_response(&result, call.params.get("stats"))
}

/// Cuts a list to the limit, if there is one; whether it did.
pub(super) fn cut<T>(items: &mut Vec<T>, limit: usize) -> bool {
    let too_many = limit > 0 && items.len() > limit;
    if too_many {
        items.truncate(limit);
    }
    too_many
}
