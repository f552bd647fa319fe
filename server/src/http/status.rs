//! `status/…` of the process, in Prometheus's shapes.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use promql::functions::date::rfc3339;
use serde_json::{Map, Value, json};

use super::admin::Admin;
use super::{api_error, page_not_found, process_metrics};
use crate::config::{BuildinfoFace, flat};

/// The settings in force as YAML; what [`super::admin::config`] shows.
pub(super) async fn config(State(admin): State<Arc<Admin>>) -> Response {
    match serde_yaml_ng::to_string(&admin.config) {
        Ok(yaml) => success(&json!({ "yaml": yaml })),
        Err(error) => api_error(StatusCode::INTERNAL_SERVER_ERROR, "internal", &error.to_string()),
    }
}

/// The settings in force, one by one. Only in Prometheus's face: some clients take any answer here for that of Thanos, unless the rest is Prometheus's.
pub(super) async fn flags(State(admin): State<Arc<Admin>>) -> Response {
    if admin.config.compat.buildinfo != BuildinfoFace::Prometheus {
        return page_not_found();
    }
    let flags: Map<String, Value> = flat(&admin.config).into_iter().map(|(key, value)| (key, value.into())).collect();
    success(&flags.into())
}

pub(super) async fn runtimeinfo(State(admin): State<Arc<Admin>>) -> Response {
    let started = rfc3339(admin.started_ms.div_euclid(1_000));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    success(&json!({
        "startTime": started,
        "CWD": std::env::current_dir().map(|dir| dir.display().to_string()).unwrap_or_default(),
        "hostname": rustix::system::uname().nodename().to_string_lossy(),
        "serverTime": rfc3339(admin.clock.now_ms().div_euclid(1_000)),
        "reloadConfigSuccess": true,
        "lastConfigTime": started,
        "corruptionCount": 0,
        // Threads: there are no goroutines.
        "goroutineCount": process_metrics::threads().unwrap_or(0.0) as u64,
        "GOMAXPROCS": cores,
        "GOMEMLIMIT": 0,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": format!("{}s", admin.config.ingester.block_retention_seconds),
    }))
}

fn success(data: &Value) -> Response {
    Json(json!({"status": "success", "data": data})).into_response()
}
