//! `GET /distributor/ha_tracker`.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use super::Ha;

#[derive(Debug, Serialize)]
struct Page {
    elections: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    tenant: String,
    cluster: String,
    replica: String,
    /// Of the coordinator's value; 0 while it could not be asked.
    version: u64,
    elected_at_ms: i64,
    heard_seconds_ago: f64,
}

pub(crate) fn router(ha: Ha) -> Router {
    Router::new().route("/distributor/ha_tracker", get(show)).with_state(ha)
}

async fn show(State(ha): State<Ha>) -> Json<Page> {
    let all = ha.inner.tracker.lock().elections(ha.inner.clock.monotonic());
    let row = |(group, replica, version, heard_seconds_ago, elected_at_ms): (super::tracker::Group, String, u64, f64, i64)| Row {
        tenant: group.tenant.as_str().to_owned(),
        cluster: group.cluster.to_string(),
        replica,
        version,
        elected_at_ms,
        heard_seconds_ago,
    };
    Json(Page { elections: all.into_iter().map(row).collect() })
}
