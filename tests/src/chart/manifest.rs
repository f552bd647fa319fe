//! Objects read into Kubernetes' own types; a field that these do not know is an error.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// An object of the chart.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a few dozen of them, in tests")]
#[allow(missing_docs, reason = "the kinds' own names")]
pub enum Object {
    ConfigMap(ConfigMap),
    Deployment(Deployment),
    HorizontalPodAutoscaler(HorizontalPodAutoscaler),
    Ingress(Ingress),
    NetworkPolicy(NetworkPolicy),
    Pod(Pod),
    PodDisruptionBudget(PodDisruptionBudget),
    PrometheusRule(PrometheusRule),
    Secret(Secret),
    Service(Service),
    ServiceAccount(ServiceAccount),
    ServiceMonitor(ServiceMonitor),
    StatefulSet(StatefulSet),
}

impl Object {
    /// Reads an object; an unknown kind or field is an error.
    pub fn read(value: &Value) -> anyhow::Result<Self> {
        let kind = value["kind"].as_str().context("an object without kind")?;
        let version = value["apiVersion"].as_str().context("an object without apiVersion")?;
        Ok(match (version, kind) {
            ("v1", "ConfigMap") => Self::ConfigMap(strict(value)?),
            ("apps/v1", "Deployment") => Self::Deployment(strict(value)?),
            ("autoscaling/v2", "HorizontalPodAutoscaler") => Self::HorizontalPodAutoscaler(strict(value)?),
            ("networking.k8s.io/v1", "Ingress") => Self::Ingress(strict(value)?),
            ("networking.k8s.io/v1", "NetworkPolicy") => Self::NetworkPolicy(strict(value)?),
            ("v1", "Pod") => Self::Pod(strict(value)?),
            ("policy/v1", "PodDisruptionBudget") => Self::PodDisruptionBudget(strict(value)?),
            ("monitoring.coreos.com/v1", "PrometheusRule") => Self::PrometheusRule(strict(value)?),
            ("v1", "Secret") => Self::Secret(strict(value)?),
            ("v1", "Service") => Self::Service(strict(value)?),
            ("v1", "ServiceAccount") => Self::ServiceAccount(strict(value)?),
            ("monitoring.coreos.com/v1", "ServiceMonitor") => Self::ServiceMonitor(strict(value)?),
            ("apps/v1", "StatefulSet") => Self::StatefulSet(strict(value)?),
            _ => bail!("{version} {kind} is none of the chart's kinds"),
        })
    }
}

/// Reads a value and refuses what the type does not know.
pub fn strict<T: DeserializeOwned>(value: &Value) -> anyhow::Result<T> {
    let mut unknown = Vec::new();
    let what = || format!("{} {}", value["kind"], value["metadata"]["name"]);
    let read = serde_ignored::deserialize(value, |path| unknown.push(path.to_string())).with_context(what)?;
    if !unknown.is_empty() {
        bail!("{} has fields that nobody knows: {}", what(), unknown.join(", "));
    }
    Ok(read)
}

/// `ServiceMonitor` of the Prometheus Operator, the part that the chart uses.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceMonitor {
    /// Always the operator's.
    pub api_version: String,
    /// The type's name.
    pub kind: String,
    /// Name and labels.
    pub metadata: ObjectMeta,
    /// What is scraped.
    pub spec: ServiceMonitorSpec,
}

/// What a `ServiceMonitor` scrapes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceMonitorSpec {
    /// Of which Services.
    pub selector: LabelSelector,
    /// In which namespaces.
    pub namespace_selector: NamespaceSelector,
    /// Which ports.
    pub endpoints: Vec<Endpoint>,
}

/// Namespaces by name.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NamespaceSelector {
    /// Their names.
    pub match_names: Vec<String>,
}

/// One port that is scraped.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Endpoint {
    /// The Service port's name.
    pub port: String,
    /// The path.
    pub path: String,
    /// How often.
    pub interval: String,
    /// How long it may take.
    pub scrape_timeout: String,
    /// What becomes of labels.
    pub relabelings: Vec<Relabeling>,
}

/// A relabeling.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Relabeling {
    /// From which labels.
    pub source_labels: Vec<String>,
    /// To which label.
    pub target_label: String,
}

/// `PrometheusRule` of the Prometheus Operator, the part that the chart uses.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrometheusRule {
    /// Always the operator's.
    pub api_version: String,
    /// The type's name.
    pub kind: String,
    /// Name and labels.
    pub metadata: ObjectMeta,
    /// The groups.
    pub spec: PrometheusRuleSpec,
}

/// The groups of a `PrometheusRule`: a rule file.
#[derive(Debug, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct PrometheusRuleSpec {
    /// Groups.
    pub groups: Vec<Group>,
}

/// A group.
#[derive(Debug, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its alerts.
    pub rules: Vec<Alert>,
}

/// An alerting rule.
#[derive(Debug, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// Its name.
    pub alert: String,
    /// When.
    pub expr: String,
    /// For how long.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Object;

    #[test]
    fn unknown_fields_are_refused() {
        let pod = |container: serde_json::Value| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [container]}});
        assert!(Object::read(&pod(json!({"name": "a", "resources": {}}))).is_ok());
        let error = Object::read(&pod(json!({"name": "a", "ressources": {}}))).unwrap_err().to_string();
        assert!(error.contains("spec.?.containers.?.0.ressources"), "{error}");
        let monitor =
            json!({"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "metadata": {}, "spec": {"selectors": {}}});
        assert!(Object::read(&monitor).is_err());
    }
}
