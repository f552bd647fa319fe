//! What a Prometheus that scrapes would tell. Nothing is scraped here: the lists are empty, so that tools that ask for them go on.

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};

use super::{json as write, respond};
use crate::service::Querier;

pub(super) fn router() -> Router<Querier> {
    let targets = || json!({"activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {}});
    Router::new()
        .route("/targets", get(async move || answer(&targets())))
        .route("/targets/metadata", get(async || answer(&json!([]))))
        .route("/scrape_pools", get(async || answer(&json!({"scrapePools": []}))))
}

fn answer(data: &Value) -> Response {
    respond(StatusCode::OK, write::success(data, &[]))
}
