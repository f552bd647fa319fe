//! `/ingester/prepare-shutdown`: leaving for good without loss.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::admin::Admin;
use super::same_origin;

type Shared = State<Arc<Admin>>;

/// `GET`: how far it has come.
pub(super) async fn status(State(admin): Shared) -> Response {
    match &admin.ingester {
        Some(ingester) => Json(ingester.departure()).into_response(),
        None => no_ingester(),
    }
}

/// `POST`: begins, or goes on.
pub(super) async fn prepare(state: Shared, headers: HeaderMap) -> Response {
    set(state, &headers, true).await
}

/// `DELETE`: takes it back.
pub(super) async fn cancel(state: Shared, headers: HeaderMap) -> Response {
    set(state, &headers, false).await
}

async fn set(State(admin): Shared, headers: &HeaderMap, leave: bool) -> Response {
    if let Some(refusal) = same_origin::refusal(headers) {
        return refusal;
    }
    let Some(ingester) = &admin.ingester else { return no_ingester() };
    let done = match leave {
        true => ingester.prepare_shutdown().await,
        false => ingester.cancel_shutdown().await,
    };
    match done {
        Ok(()) => Json(ingester.departure()).into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    }
}

fn no_ingester() -> Response {
    (StatusCode::NOT_FOUND, "no ingester runs in this process\n").into_response()
}
