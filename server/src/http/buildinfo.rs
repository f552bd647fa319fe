//! `status/buildinfo`, by which Grafana finds out what it talks to.

use axum::Json;
use runtime::build_info::VERSION;
use serde_json::{Value, json};

/// The commit that this binary was built from, or `unknown` outside a checkout.
pub(super) const REVISION: &str = env!("PLIMSOLL_REVISION");

/// The Prometheus whose API and language this is. Grafana turns features on by this number, so our own version would mislead it.
const PROMETHEUS_API: &str = "3.5.0";

pub(super) async fn buildinfo() -> Json<Value> {
    Json(json!({"status": "success", "data": {
        "application": "Plimsoll",
        "version": PROMETHEUS_API,
        "plimsollVersion": VERSION,
        "revision": REVISION,
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
        // Strings, as Grafana decodes them. None: a Prometheus without a rule editor.
        "features": {},
    }}))
}
