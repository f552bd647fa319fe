//! Rules and alerts in the shapes of Prometheus's HTTP API, and the API by which tenants store rule groups. Decodes, calls, encodes; nothing else.
//!
//! The server mounts the routers and puts the tenant into the request's extensions.

mod config;
mod rules;
mod shape;
#[cfg(test)]
mod tests;
mod yaml;

use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{DefaultBodyLimit, Extension, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use axum::{Json, Router};
use model::TenantId;
use rpc::{RpcError, RpcErrorKind, RulesPart, RulesRequest};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::service::Handle;
use crate::store::MAX_GROUP_BYTES;
pub(crate) use rules::select;

/// Parameters of the query string, in order.
type Params = Vec<(String, String)>;

/// The routes beside the query API.
pub(crate) fn router(handle: Handle) -> Router {
    Router::new()
        .route("/rules", get(all_rules))
        .route("/alerts", get(alerts))
        .route("/alertmanagers", get(alertmanagers))
        // Cortex has its rules API here as well. Its list of everything has no place: that path is Prometheus's.
        .route("/rules/{namespace}", of_namespace())
        .route("/rules/{namespace}/{group}", of_group())
        .layer(DefaultBodyLimit::max(MAX_GROUP_BYTES))
        .with_state(handle)
}

/// The rules API of Mimir, and under its shorter path that of Cortex as Grafana asks for it.
pub(crate) fn config_router(handle: Handle) -> Router {
    let mut router = Router::new();
    for base in ["/prometheus/config/v1/rules", "/prometheus/rules"] {
        router = router
            .route(base, get(config::all))
            .route(&format!("{base}/{{namespace}}"), of_namespace())
            .route(&format!("{base}/{{namespace}}/{{group}}"), of_group());
    }
    router.layer(DefaultBodyLimit::max(MAX_GROUP_BYTES)).with_state(handle)
}

fn of_namespace() -> MethodRouter<Handle> {
    get(config::namespace).post(config::store).delete(config::delete_namespace)
}

fn of_group() -> MethodRouter<Handle> {
    get(config::group).delete(config::delete_group)
}

async fn all_rules(State(handle): State<Handle>, Extension(tenant): Extension<TenantId>, Query(params): Query<Params>) -> Response {
    let wanted = match rules::Wanted::read(&params) {
        Ok(wanted) => wanted,
        Err(problem) => return bad_data(&problem),
    };
    let request = RulesRequest { part: RulesPart::Rules, parameters: params.clone() };
    match handle.ask_all(&tenant, request).await {
        Ok(groups) => match rules::page(&groups, &wanted) {
            Ok(data) => success(&data),
            Err(problem) => bad_data(&problem),
        },
        Err(error) => failed(&error),
    }
}

async fn alerts(State(handle): State<Handle>, Extension(tenant): Extension<TenantId>) -> Response {
    #[derive(Serialize)]
    struct Alerts<'a> {
        alerts: Vec<&'a RawValue>,
    }
    let request = RulesRequest { part: RulesPart::Alerts, parameters: Vec::new() };
    let groups = match handle.ask_all(&tenant, request).await {
        Ok(groups) => groups,
        Err(error) => return failed(&error),
    };
    let mut alerts = Vec::new();
    for group in &groups {
        match serde_json::from_slice::<Vec<&RawValue>>(&group.json) {
            Ok(more) => alerts.extend(more),
            Err(error) => return failed(&RpcError::internal(format!("a ruler's answer is not JSON: {error}"))),
        }
    }
    success(&Alerts { alerts })
}

async fn alertmanagers(State(handle): State<Handle>) -> Response {
    let active: Vec<Value> = handle.alertmanagers.iter().map(|url| json!({ "url": url })).collect();
    success(&json!({"activeAlertmanagers": active, "droppedAlertmanagers": []}))
}

fn success(data: &impl Serialize) -> Response {
    #[derive(Serialize)]
    struct Success<'a, T> {
        status: &'static str,
        data: &'a T,
    }
    Json(Success { status: "success", data }).into_response()
}

/// An error in Prometheus's shape. `message` says the same once more: there Grafana looks for it in answers of the rules API.
fn error(status: StatusCode, kind: &str, problem: &str) -> Response {
    let body = json!({"status": "error", "errorType": kind, "error": problem, "message": problem}).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn bad_data(problem: &str) -> Response {
    error(StatusCode::BAD_REQUEST, "bad_data", problem)
}

/// A ruler that is missing or failed: its groups are missing, and a shorter answer would look complete.
fn failed(problem: &RpcError) -> Response {
    tracing::warn!(error = %problem, "the rules of all rulers could not be collected");
    match problem.kind {
        RpcErrorKind::InvalidRequest => bad_data(&problem.message),
        RpcErrorKind::Internal | RpcErrorKind::LimitExceeded => error(StatusCode::INTERNAL_SERVER_ERROR, "internal", &problem.message),
        RpcErrorKind::Unavailable | RpcErrorKind::DeadlineExceeded | RpcErrorKind::Fenced => {
            error(StatusCode::SERVICE_UNAVAILABLE, "unavailable", &problem.message)
        }
    }
}

fn bad_path(rejection: &PathRejection) -> Response {
    bad_data(&format!("the namespace or group in the path cannot be read: {rejection}"))
}

fn bad_body(rejection: &BytesRejection) -> Response {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            error(StatusCode::PAYLOAD_TOO_LARGE, "bad_data", &format!("a rule group has at most {MAX_GROUP_BYTES} bytes"))
        }
        _ => bad_data(&format!("the body could not be read: {rejection}")),
    }
}
