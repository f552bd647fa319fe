//! Rules and alerts in the shapes of Prometheus's HTTP API. Decodes, calls, encodes; nothing else.
//!
//! Paths are relative: the server mounts the router beside the query API, and puts the tenant into the request's extensions.

mod rules;
mod shape;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::extract::{Extension, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use model::TenantId;
use serde_json::{Value, json};

use crate::service::Handle;
use crate::view::GroupView;

/// Parameters of the query string, in order.
type Params = Vec<(String, String)>;

/// The routes.
pub(crate) fn router(handle: Handle) -> Router {
    Router::new()
        .route("/rules", get(all_rules))
        .route("/alerts", get(alerts))
        .route("/alertmanagers", get(alertmanagers))
        .with_state(handle)
}

/// The groups that a tenant sees.
fn groups_of(handle: &Handle, tenant: &TenantId) -> Vec<Arc<GroupView>> {
    if *tenant == handle.tenant { handle.views.all() } else { Vec::new() }
}

async fn all_rules(State(handle): State<Handle>, Extension(tenant): Extension<TenantId>, Query(params): Query<Params>) -> Response {
    match rules::answer(&groups_of(&handle, &tenant), &params) {
        Ok(data) => success(data),
        Err(problem) => bad_data(&problem),
    }
}

async fn alerts(State(handle): State<Handle>, Extension(tenant): Extension<TenantId>) -> Response {
    let groups = groups_of(&handle, &tenant);
    let alerts: Vec<Value> = groups.iter().flat_map(|g| &g.rules).flat_map(|r| &r.alerts).map(shape::alert).collect();
    success(json!({ "alerts": alerts }))
}

async fn alertmanagers(State(handle): State<Handle>) -> Response {
    let active: Vec<Value> = handle.alertmanagers.iter().map(|url| json!({ "url": url })).collect();
    success(json!({"activeAlertmanagers": active, "droppedAlertmanagers": []}))
}

fn success(data: Value) -> Response {
    Json(json!({"status": "success", "data": data})).into_response()
}

fn bad_data(problem: &str) -> Response {
    let body = json!({"status": "error", "errorType": "bad_data", "error": problem}).to_string();
    (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
