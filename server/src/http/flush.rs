//! `POST /ingester/flush`: blocks on demand, on the disk and in the object store.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ingester::Error;
use model::TenantId;
use serde::Deserialize;

use super::admin::Admin;

#[derive(Debug, Deserialize)]
pub(super) struct Parameters {
    /// Of one tenant; all if it is missing.
    tenant: Option<String>,
    /// Answer when it is done, with what was done.
    #[serde(default)]
    wait: bool,
}

/// Puts everything that the heads hold now into blocks, and these into the object store.
pub(super) async fn flush(State(admin): State<Arc<Admin>>, Query(parameters): Query<Parameters>) -> Response {
    let Some(ingester) = admin.ingester.clone() else {
        return (StatusCode::NOT_FOUND, "no ingester runs in this process\n").into_response();
    };
    let tenant = match parameters.tenant.as_deref().map(TenantId::new).transpose() {
        Ok(tenant) => tenant,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("tenant: {error}\n")).into_response(),
    };
    if parameters.wait {
        return match ingester.flush(tenant).await {
            Ok(flushed) => Json(flushed).into_response(),
            Err(error) => (status(&error), format!("{error}\n")).into_response(),
        };
    }
    admin.tasks.spawn("flush", async move {
        match ingester.flush(tenant).await {
            Ok(flushed) => tracing::info!(?flushed, "flushed"),
            Err(error) => tracing::error!(%error, "the flush failed"),
        }
    });
    (StatusCode::ACCEPTED, "flushing; wait=true answers when it is done\n").into_response()
}

fn status(error: &Error) -> StatusCode {
    match error {
        Error::FlushInProgress => StatusCode::CONFLICT,
        Error::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}
