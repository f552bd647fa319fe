//! What people and tools ask of the compactor.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use crate::service::Compactor;

/// `POST /compactor/run`: a round now. Answers when it has ended: 200, or 500 with the first tenant's error.
pub fn router(compactor: Compactor) -> Router {
    Router::new().route("/compactor/run", post(run)).with_state(compactor)
}

async fn run(State(compactor): State<Compactor>) -> Response {
    match compactor.run_now().await {
        Ok(()) => "done\n".into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
