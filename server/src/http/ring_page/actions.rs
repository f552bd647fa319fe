//! `POST /ring`: forgetting an instance, stopping and resuming its writes.

use std::sync::Arc;
use std::time::Duration;

use axum::Form;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use ring::{InstanceId, Role};
use rpc::{RpcError, RpcErrorKind};
use serde::Deserialize;

use super::super::admin::Admin;

/// How long the leader may take.
const PATIENCE: Duration = Duration::from_secs(6);

#[derive(Debug, Deserialize)]
pub(in super::super) struct Action {
    /// `forget`, `read-only` or `active`.
    action: String,
    role: String,
    id: String,
    /// Forget also what is not safe to forget.
    #[serde(default)]
    force: bool,
}

/// Does it, and leads a browser back to the page.
pub(in super::super) async fn act(State(admin): State<Arc<Admin>>, headers: HeaderMap, Form(action): Form<Action>) -> Response {
    let (Some(role), Ok(id)) = (Role::from_name(&action.role), InstanceId::new(&action.id)) else {
        return (StatusCode::BAD_REQUEST, "role and id must be those of an instance\n").into_response();
    };
    let operator = &admin.operator;
    let work = async {
        match action.action.as_str() {
            "forget" => operator.forget(role, &id, action.force).await,
            "read-only" => operator.order(role, &id, true).await,
            "active" => operator.order(role, &id, false).await,
            other => Err(RpcError::new(RpcErrorKind::InvalidRequest, format!("action {other:?} is none of forget, read-only, active"))),
        }
    };
    let done = tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(RpcError::unavailable("the coordinator did not answer")));
    tracing::info!(action = action.action, %role, %id, force = action.force, ok = done.is_ok(), "asked for on /ring");
    match done {
        Ok(()) if accepts_html(&headers) => Redirect::to("/ring").into_response(),
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => (status(&error), format!("{error}\n")).into_response(),
    }
}

fn accepts_html(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).is_some_and(|v| v.contains("text/html"))
}

fn status(error: &RpcError) -> StatusCode {
    match error.kind {
        RpcErrorKind::InvalidRequest => StatusCode::BAD_REQUEST,
        RpcErrorKind::LimitExceeded | RpcErrorKind::Fenced => StatusCode::CONFLICT,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}
