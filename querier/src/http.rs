//! The Prometheus HTTP API. Decodes, calls, encodes; nothing else.
//!
//! Paths here are relative: the server mounts the router under `/prometheus/api/v1` and `/api/v1`, and puts the tenant into the request's
//! extensions. Shapes, error types and status codes are Prometheus 3's (`web/api/v1`).

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use futures::StreamExt;
use model::TenantId;
use promql::{ParseOptions, QueryError};
use rpc::{CallContext, RpcError};
use runtime::Deadline;

use crate::metrics::QueryLabels;
use crate::queryable::to_query_error;
use crate::service::Querier;

mod absent;
mod cardinality;
mod expression;
mod features;
mod format;
mod histogram;
mod json;
mod metadata;
mod params;
mod query;
mod read;
mod selectors;
mod slow;
mod time;

use params::Params;

/// Form bodies are cut off here, as in Go's `ParseForm`.
const MAX_FORM_BYTES: usize = 10 << 20;

/// The routes of the query API.
pub fn router(querier: Querier) -> Router {
    Router::new()
        .route("/query", get(query::instant).post(query::instant))
        .route("/query_range", get(query::range).post(query::range))
        .route("/query_exemplars", get(metadata::exemplars).post(metadata::exemplars))
        .route("/parse_query", get(expression::parse_query).post(expression::parse_query))
        .route("/format_query", get(expression::format_query).post(expression::format_query))
        .route("/features", get(features::features))
        .route("/series", get(metadata::series).post(metadata::series))
        .route("/labels", get(metadata::labels).post(metadata::labels))
        .route("/label/{name}/values", get(metadata::label_values))
        .route("/metadata", get(metadata::metadata))
        .route("/read", post(read::read))
        .route("/status/tsdb", get(cardinality::tsdb))
        .route("/cardinality/label_names", get(cardinality::label_names).post(cardinality::label_names))
        .route("/cardinality/label_values", get(cardinality::label_values).post(cardinality::label_values))
        .route("/cardinality/active_series", get(cardinality::active_series).post(cardinality::active_series))
        .merge(absent::router())
        .with_state(querier)
}

/// Of a form that is too long so much is read and thrown away, so that who still sends it hears why.
const MAX_DISCARDED_BYTES: usize = 64 << 20;

async fn read_form(body: Body) -> Result<Bytes, ApiError> {
    let mut chunks = body.into_data_stream();
    let (mut form, mut len) = (Vec::new(), 0_usize);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|e| ApiError::bad_data(format!("form body could not be read: {e}")))?;
        len = len.saturating_add(chunk.len());
        if len <= MAX_FORM_BYTES {
            form.extend_from_slice(&chunk);
        } else if len > MAX_DISCARDED_BYTES {
            break;
        } else {
            form = Vec::new();
        }
    }
    if len > MAX_FORM_BYTES {
        return Err(ApiError::bad_data(format!("form body could not be read within {MAX_FORM_BYTES} bytes")));
    }
    Ok(form.into())
}

/// What every handler takes: the querier, the tenant, and the parameters of query string and form.
pub(crate) struct Call {
    querier: Querier,
    tenant: TenantId,
    params: Params,
    origin: slow::Origin,
}

impl Call {
    async fn read(querier: Querier, tenant: TenantId, request: Request) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let is_form = parts
            .headers
            .get(header::CONTENT_TYPE)
            .and_then(|v| v.to_str().ok())
            .is_some_and(|v| v.trim_start().to_ascii_lowercase().starts_with("application/x-www-form-urlencoded"));
        let form: Bytes = if is_form && parts.method == Method::POST { read_form(body).await? } else { Bytes::new() };
        // What the parser takes at most, whatever the limit says.
        let longest = querier.runner.parse_options(&tenant).max_length.min(ParseOptions::LONGEST);
        let params = Params::read(&form, parts.uri.query().unwrap_or_default(), longest)?;
        Ok(Self { querier, tenant, params, origin: slow::Origin::of(&parts.headers) })
    }

    /// The context of calls to others: the request's `timeout`, at most the configured one.
    fn context(&self) -> Result<CallContext, ApiError> {
        let max = self.querier.config.timeout();
        let timeout = match self.params.get("timeout") {
            Some(text) => std::time::Duration::from_millis(
                u64::try_from(time::parse_duration(text).map_err(|e| ApiError::parameter("timeout", &e))?).unwrap_or(0),
            )
            .min(max),
            None => max,
        };
        Ok(CallContext { tenant: self.tenant.clone(), deadline: Deadline::after(self.querier.clock.as_ref(), timeout) })
    }

    /// The parameter `query`, read as an expression.
    fn expression(&self) -> Result<promql::Expr, ApiError> {
        Ok(self.querier.runner.parse(&self.tenant, self.params.get("query").unwrap_or_default())?)
    }

    fn count(&self, kind: &'static str, result: &'static str) {
        self.querier.metrics.queries.get_or_create(&QueryLabels { kind, result }).inc();
    }
}

/// An error as the API shows it.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

impl ApiError {
    fn bad_data(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: "bad_data", message: message.into() }
    }

    fn parameter(name: &str, problem: &str) -> Self {
        Self::bad_data(format!("invalid parameter \"{name}\": {problem}"))
    }

    fn response(&self) -> Response {
        let body = serde_json::json!({"status": "error", "errorType": self.kind, "error": self.message});
        let mut response = respond(self.status, body.to_string().into_bytes());
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let (status, kind) = match &error {
            QueryError::BadData(_) => (StatusCode::BAD_REQUEST, "bad_data"),
            QueryError::Execution(_) => (StatusCode::UNPROCESSABLE_ENTITY, "execution"),
            QueryError::TooManyRequests(_) => (StatusCode::TOO_MANY_REQUESTS, "too_many_requests"),
            QueryError::Timeout(_) => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
            QueryError::Canceled(_) => (StatusCode::from_u16(499).unwrap_or(StatusCode::SERVICE_UNAVAILABLE), "canceled"),
            QueryError::Storage(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        Self { status, kind, message: error.to_string() }
    }
}

impl From<RpcError> for ApiError {
    fn from(error: RpcError) -> Self {
        to_query_error(error).into()
    }
}

/// What all handlers do: read the call, run it, count it, and turn the result into a response.
async fn handle(
    querier: Querier,
    tenant: TenantId,
    request: Request,
    kind: &'static str,
    run: impl AsyncFnOnce(&Call) -> Result<Vec<u8>, ApiError>,
) -> Response {
    let call = match Call::read(querier, tenant, request).await {
        Ok(call) => call,
        Err(error) => {
            // The body may not have been read to its end: the connection is of no further use then, and the caller is told.
            let mut response = error.response();
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            return response;
        }
    };
    match run(&call).await {
        Ok(body) => {
            call.count(kind, "success");
            respond(StatusCode::OK, body)
        }
        Err(error) => {
            call.count(kind, error.kind);
            error.response()
        }
    }
}

fn respond(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *response.headers_mut() = headers;
    response
}

/// Shorthand for the extractors of all handlers.
type Querying = State<Querier>;
type Tenant = Extension<TenantId>;
type Name = Path<String>;
