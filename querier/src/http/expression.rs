//! `parse_query` and `format_query`: what an expression is, without running it.

use axum::extract::{Extension, Request, State};
use axum::response::Response;
use serde_json::Value;

use super::{ApiError, Call, Querying, Tenant, handle, json};

pub(super) async fn parse_query(State(querier): Querying, Extension(tenant): Tenant, request: Request) -> Response {
    handle(querier, tenant, request, "parse", async |call: &Call| Ok(json::success(&call.expression()?.to_json(), &[]))).await
}

pub(super) async fn format_query(State(querier): Querying, Extension(tenant): Tenant, request: Request) -> Response {
    handle(querier, tenant, request, "format", run_format).await
}

async fn run_format(call: &Call) -> Result<Vec<u8>, ApiError> {
    Ok(json::success(&Value::from(call.expression()?.pretty()), &[]))
}
