//! `/ring` for programs and for people, and what a person may do there.

mod actions;
mod html;
mod view;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{Html, IntoResponse, Response};
use serde::Deserialize;

use super::admin::Admin;

pub(super) use actions::act;
pub(super) use html::STYLE;

/// How long the page waits for what only the leader knows.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Default, Deserialize)]
pub(super) struct Format {
    format: Option<String>,
}

/// `GET /ring`: JSON, or a page for who accepts HTML.
pub(super) async fn show(State(admin): State<Arc<Admin>>, headers: HeaderMap, Query(format): Query<Format>) -> Response {
    let view = look(&admin).await;
    let accepts_html = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).is_some_and(|v| v.contains("text/html"));
    match format.format.as_deref() {
        None if accepts_html => Html(html::page(&view, admin.clock.now_ms())).into_response(),
        Some("html") => Html(html::page(&view, admin.clock.now_ms())).into_response(),
        _ => axum::Json(view).into_response(),
    }
}

async fn look(admin: &Admin) -> view::RingView {
    let known = tokio::time::timeout(PATIENCE, admin.operator.instances()).await;
    let known = match known {
        Ok(Ok(instances)) => Ok(instances),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {PATIENCE:?}")),
    };
    view::view(&admin.watch.current(), admin.watch.age(), known, admin.config.replicas())
}
