//! The HTTP listener: routes of all roles, the tenant of a request, admin pages.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Uri, Version, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate, SizeAbove};

pub mod admin;
mod buildinfo;
mod exposition;
mod flush;
mod instrument;
mod limits_page;
mod listener;
mod prepare_shutdown;
mod process_metrics;
pub mod readiness;
mod ring_page;
mod same_origin;
mod status;
mod tenant;

pub use instrument::HttpMetrics;
pub use listener::serve;

use admin::Admin;

/// The routers of the roles that run here.
#[derive(Default)]
pub struct Routes {
    /// Push endpoints, full paths.
    pub write: Option<Router>,
    /// The query API, relative to its prefixes.
    pub query: Option<Router>,
    /// Rules and alerts, beside the query API.
    pub rules: Option<Router>,
    /// Stored rule groups, full paths.
    pub rules_config: Option<Router>,
    /// Pages of the distributor, full paths.
    pub distributor: Option<Router>,
    /// Pages of the compactor, full paths.
    pub compactor: Option<Router>,
}

/// Everything that this process serves over HTTP.
pub fn router(routes: Routes, admin: Admin, metrics: HttpMetrics, multitenancy: bool) -> Router {
    let mut tenanted = Router::new();
    if let Some(write) = routes.write {
        tenanted = tenanted.merge(write);
    }
    if let Some(rules) = routes.rules_config {
        tenanted = tenanted.merge(rules.layer(middleware::from_fn(same_origin::require)));
    }
    let api = routes.query.into_iter().chain(routes.rules).reduce(Router::merge);
    if let Some(api) = api {
        tenanted = tenanted.nest("/api/v1", api.clone()).nest("/prometheus/api/v1", api);
    }
    for prefix in ["", "/prometheus"] {
        let path = format!("{prefix}/api/v1/user_limits");
        tenanted = tenanted.merge(Router::new().route(&path, get(limits_page::user_limits)).with_state(admin.limits.clone()));
    }
    let tenanted = tenanted.layer(middleware::from_fn_with_state(multitenancy, tenant::require));
    let operating = Router::new()
        .route("/", get(admin::index))
        .route("/ready", get(admin::ready))
        .route("/-/ready", get(admin::ready))
        .route("/healthz", get(admin::healthz))
        .route("/-/healthy", get(admin::healthz))
        .route("/metrics", get(admin::metrics))
        .route("/config", get(admin::config))
        .route("/runtime_config", get(limits_page::runtime_config))
        .route("/ring", get(ring_page::show).post(ring_page::act))
        .route("/ingester/flush", post(flush::flush))
        .route("/ingester/prepare-shutdown", get(prepare_shutdown::status).post(prepare_shutdown::prepare).delete(prepare_shutdown::cancel))
        .nest("/api/v1/status", status())
        .nest("/prometheus/api/v1/status", status())
        .route("/alertmanager/api/v1/status/buildinfo", get(buildinfo::buildinfo))
        .with_state(Arc::new(admin));
    let operating = operating.merge(routes.distributor.unwrap_or_default()).merge(routes.compactor.unwrap_or_default());
    let operating = operating.layer(middleware::from_fn(same_origin::require));
    // Small answers cost more to compress than to send.
    let compression = CompressionLayer::new().gzip(true).compress_when(SizeAbove::new(1_024).and(not_yet_encoded));
    tenanted
        .merge(operating)
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::map_response(close_if_unread))
        .layer(compression)
        .layer(middleware::from_fn_with_state(metrics, instrument::record))
        .layer(CatchPanicLayer::custom(panicked))
}

/// A body that was refused for its length was not read to its end, so the connection is of no further use; who is told does not send the next request on it.
async fn close_if_unread(mut response: Response) -> Response {
    if response.status() == StatusCode::PAYLOAD_TOO_LARGE {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// What a process says about itself beside the query API.
fn status() -> Router<Arc<Admin>> {
    Router::new()
        .route("/buildinfo", get(buildinfo::buildinfo))
        .route("/config", get(status::config))
        .route("/flags", get(status::flags))
        .route("/runtimeinfo", get(status::runtimeinfo))
}

fn not_yet_encoded(_status: StatusCode, _version: Version, headers: &HeaderMap, _extensions: &Extensions) -> bool {
    !headers.contains_key(header::CONTENT_ENCODING)
}

/// An error in the shape of Prometheus's API, which is what clients of this server read.
pub(crate) fn api_error(status: StatusCode, kind: &str, message: &str) -> Response {
    let body = serde_json::json!({"status": "error", "errorType": kind, "error": message}).to_string();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

async fn not_found(uri: Uri) -> Response {
    let path = uri.path();
    if is_api(path) {
        return page_not_found();
    }
    (StatusCode::NOT_FOUND, "404 page not found\n").into_response()
}

/// Whether clients of the API ask here, which read JSON.
fn is_api(path: &str) -> bool {
    ["/api/", "/prometheus/", "/alertmanager/"].iter().any(|prefix| path.starts_with(prefix))
}

/// "page not found" is what Grafana looks for to tell a product without an API from one whose call failed.
fn page_not_found() -> Response {
    api_error(StatusCode::NOT_FOUND, "not_found", "404 page not found")
}

/// Prometheus answers OPTIONS with nothing, everywhere.
async fn method_not_allowed(method: Method, uri: Uri) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    if is_api(uri.path()) {
        return api_error(StatusCode::METHOD_NOT_ALLOWED, "bad_data", &format!("{method} is not allowed here"));
    }
    (StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n").into_response()
}

/// A handler panicked: a defect. The panic hook has logged it; the caller learns that it was not their fault, and others go on.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    api_error(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server failed on this request; its log says why")
}
