//! `/ingester/prepare-shutdown`: leaving for good without loss.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use serde::Deserialize;

use super::admin::Admin;
use super::same_origin;

type Shared = State<Arc<Admin>>;

#[derive(Debug, Default, Deserialize)]
pub(super) struct Parameters {
    /// Also the last ingester of its zone: the whole cluster, or the whole zone, is to go.
    #[serde(default)]
    force: bool,
}

/// `GET`: how far it has come.
pub(super) async fn status(State(admin): Shared) -> Response {
    match &admin.ingester {
        Some(ingester) => Json(ingester.departure()).into_response(),
        None => no_ingester(),
    }
}

/// `POST`: begins, or goes on. Refused to the last ingester of a zone, unless it is forced.
pub(super) async fn prepare(State(admin): Shared, headers: HeaderMap, Query(parameters): Query<Parameters>) -> Response {
    // Before anything else: another site's page learns nothing of the cluster either.
    if let Some(refusal) = same_origin::refusal(&headers) {
        return refusal;
    }
    let begun = admin.ingester.as_ref().is_some_and(|ingester| ingester.departure().requested);
    let cluster = admin.watch.current();
    match cluster.zone_emptied_without(admin.instance.as_str(), admin.config.replicas()) {
        Some(zone) if !parameters.force && !begun => {
            let text = format!(
                "it is the last ingester of zone {zone}, and without that zone there are fewer zones than copies ({}): copies would not be spread as before. ?force=true does it all the same\n",
                admin.config.replicas()
            );
            (StatusCode::CONFLICT, text).into_response()
        }
        _ => set(&admin, true).await,
    }
}

/// `DELETE`: takes it back.
pub(super) async fn cancel(State(admin): Shared, headers: HeaderMap) -> Response {
    match same_origin::refusal(&headers) {
        Some(refusal) => refusal,
        None => set(&admin, false).await,
    }
}

async fn set(admin: &Admin, leave: bool) -> Response {
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
