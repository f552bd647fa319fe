//! `user_limits` and `/runtime_config`: which limits are in force.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Query, State};
use axum::response::Response;
use limits::{Limits, LimitsProvider};
use model::TenantId;
use serde::Deserialize;

use super::admin::{Admin, yaml};

#[derive(Debug, Deserialize)]
pub(super) struct Parameters {
    /// `diff`: only what is not as in the defaults.
    mode: Option<String>,
}

/// The limits of the tenant that asks.
pub(super) async fn user_limits(State(limits): State<LimitsProvider>, Extension(tenant): Extension<TenantId>) -> Json<Limits> {
    Json((*limits.of(&tenant)).clone())
}

/// The overrides in force, in the shape of their file.
pub(super) async fn runtime_config(State(admin): State<Arc<Admin>>, Query(parameters): Query<Parameters>) -> Response {
    let base = (parameters.mode.as_deref() == Some("diff")).then(|| admin.limits.defaults());
    yaml(&admin.limits.overrides().to_value(base.map(|defaults| &**defaults)))
}
