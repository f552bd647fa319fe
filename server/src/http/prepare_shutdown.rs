//! `/ingester/prepare-shutdown`: leaving for good without loss.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::admin::Admin;

type Shared = State<Arc<Admin>>;

#[derive(Debug, Default, Deserialize)]
pub(super) struct Parameters {
    /// Also where there would be fewer zones than copies: the whole cluster, or the whole zone, is to go.
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

/// `POST`: begins, or goes on. Refused where there would be fewer zones than copies, unless it is forced.
pub(super) async fn prepare(State(admin): Shared, Query(parameters): Query<Parameters>) -> Response {
    let begun = admin.ingester.as_ref().is_some_and(|ingester| ingester.departure().requested);
    let cluster = admin.watch.current();
    match cluster.domain_emptied_without(admin.instance.as_str(), admin.config.replicas()) {
        Some(domain) if !parameters.force && !begun => {
            let text = format!(
                "without {domain} there are fewer failure domains than copies ({}), and series would have a copy less. ?force=true does it all the same\n",
                admin.config.replicas()
            );
            (StatusCode::CONFLICT, text).into_response()
        }
        _ => set(&admin, true).await,
    }
}

/// `DELETE`: takes it back.
pub(super) async fn cancel(State(admin): Shared) -> Response {
    set(&admin, false).await
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
