//! `status/buildinfo`, by which Grafana and others find out what they talk to.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use runtime::build_info::VERSION;
use serde_json::{Value, json};

use super::admin::Admin;
use super::page_not_found;
use crate::config::BuildinfoFace;

/// The commit that this binary was built from, or `unknown` outside a checkout.
pub(super) const REVISION: &str = env!("PLIMSOLL_REVISION");

/// The Prometheus whose API and language this is. Clients turn features on by this number, so our own version would mislead them.
const PROMETHEUS_API: &str = "3.5.0";

/// The Mimir whose API this is, likewise.
const MIMIR_API: &str = "3.0.0";

/// Whether `config/v1/rules` is served, by which Grafana lets people edit rules: by the ruler, which may be another process behind the same gateway.
const RULER_CONFIG_API: bool = true;

pub(super) async fn buildinfo(State(admin): State<Arc<Admin>>) -> Response {
    match shown(admin.config.compat.buildinfo) {
        Some(data) => Json(json!({"status": "success", "data": data})).into_response(),
        None => page_not_found(),
    }
}

/// What is shown of this binary. Whatever the face, `plimsollVersion` says the truth.
fn shown(face: BuildinfoFace) -> Option<Value> {
    let (application, version) = match face {
        BuildinfoFace::Mimir => ("Grafana Mimir", MIMIR_API),
        BuildinfoFace::Prometheus => ("Plimsoll", PROMETHEUS_API),
        BuildinfoFace::None => return None,
    };
    let mut data = json!({
        "application": application,
        "version": version,
        "plimsollVersion": VERSION,
        "revision": REVISION,
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    });
    if face == BuildinfoFace::Mimir {
        // Strings: Grafana decodes nothing else.
        data["features"] = json!({
            "ruler_config_api": RULER_CONFIG_API.to_string(),
            "alertmanager_config_api": "false",
            "query_sharding": "false",
            "federated_rules": "false",
        });
    }
    Some(data)
}

#[cfg(test)]
mod tests {
    use super::{BuildinfoFace, shown};

    #[test]
    fn each_face_is_taken_for_what_it_shows() {
        let mimir = shown(BuildinfoFace::Mimir).unwrap();
        assert_eq!(mimir["application"], "Grafana Mimir");
        assert!(mimir["features"].as_object().unwrap().values().all(serde_json::Value::is_string));
        let prometheus = shown(BuildinfoFace::Prometheus).unwrap();
        assert_eq!((prometheus.get("features"), &prometheus["version"]), (None, &"3.5.0".into()));
        assert!(mimir["plimsollVersion"].is_string() && prometheus["plimsollVersion"].is_string());
        assert_eq!(shown(BuildinfoFace::None), None);
    }
}
