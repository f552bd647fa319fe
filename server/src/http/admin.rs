//! Pages for those who run the server.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use limits::LimitsProvider;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use ring::InstanceId;
use rpc::{ClusterWatch, CoordinatorOperator};
use runtime::Tasks;
use runtime::build_info::VERSION;
use runtime::clock::SharedClock;
use serde::Serialize;

use super::buildinfo::REVISION;
use super::exposition;
use super::readiness::Readiness;
use super::ring_page;
use crate::config::Config;

/// What the admin pages show.
pub struct Admin {
    /// The settings in force.
    pub config: Config,
    /// The name of this process in the cluster.
    pub instance: InstanceId,
    /// All metrics of the process. Encoding locks it; registration is over by then.
    pub registry: Arc<Mutex<Registry>>,
    /// Whether the roles are ready.
    pub readiness: Readiness,
    /// The cluster.
    pub watch: ClusterWatch,
    /// The coordinator group, as operators use it.
    pub operator: Arc<dyn CoordinatorOperator>,
    /// The ingester, if one runs here.
    pub ingester: Option<ingester::Ingester>,
    /// Limits of tenants.
    pub limits: LimitsProvider,
    /// Time.
    pub clock: SharedClock,
    /// When the process started, in milliseconds since the epoch.
    pub started_ms: i64,
    /// Tasks that outlive the request that asked for them.
    pub tasks: Tasks,
}

type Shared = State<Arc<Admin>>;

pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

pub(super) async fn ready(State(admin): Shared) -> Response {
    let problems = admin.readiness.problems();
    if problems.is_empty() {
        return "ready\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("not ready\n{}\n", problems.join("\n"))).into_response()
}

pub(super) async fn metrics(State(admin): Shared, headers: HeaderMap) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    match exposition::encode(&admin.registry.lock(), accepts) {
        Ok((content_type, text)) => ([(header::CONTENT_TYPE, content_type)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("metrics could not be encoded: {error}\n")).into_response(),
    }
}

pub(super) async fn config(State(admin): Shared) -> Response {
    yaml(&admin.config)
}

pub(super) fn yaml<T: Serialize>(value: &T) -> Response {
    match serde_yaml_ng::to_string(value) {
        Ok(yaml) => ([(header::CONTENT_TYPE, "application/yaml; charset=utf-8")], yaml).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("settings could not be written as YAML: {error}\n")).into_response(),
    }
}

pub(super) async fn index(State(admin): Shared) -> Html<String> {
    let links = [
        ("/ready", "whether every role here can work"),
        ("/metrics", "this process's own metrics"),
        ("/ring", "the cluster: instances, states, ownership"),
        ("/config", "the settings in force"),
        ("/runtime_config?mode=diff", "limits of single tenants"),
        ("/prometheus/api/v1/status/buildinfo", "what this binary is"),
    ];
    let items: String = links.iter().map(|(path, what)| format!("<li><a href=\"{path}\">{path}</a> {what}</li>")).collect();
    Html(format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Plimsoll</title>{style}</head><body>\
         <h1>Plimsoll {VERSION}</h1><p>revision {REVISION}, roles: {target}</p><ul>{items}</ul>\
         <p>Write to <code>POST /api/v1/push</code>, query under <code>/prometheus/api/v1</code>.</p></body></html>",
        style = ring_page::STYLE,
        target = admin.config.target,
    ))
}
