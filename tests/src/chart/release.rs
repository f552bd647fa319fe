//! The objects of one value set, and how they refer to each other.

use std::collections::BTreeMap;

use anyhow::Context;
use k8s_openapi::api::core::v1::{Container, PodSpec, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::ValueSet;
use super::manifest::Object;

/// Labels.
pub type Labels = BTreeMap<String, String>;

/// All objects of a value set.
#[derive(Debug)]
pub struct Release {
    /// In the order of Helm's files.
    pub objects: Vec<Object>,
}

/// What makes pods that stay: a Deployment or a StatefulSet.
#[derive(Debug, Clone, Copy)]
pub struct Workload<'a> {
    /// Its name.
    pub name: &'a str,
    /// Pods; one where an autoscaler decides.
    pub replicas: i32,
    /// The Service that gives pods names of their own: a StatefulSet's.
    pub service: Option<&'a str>,
    /// What selects its pods.
    pub selector: &'a LabelSelector,
    /// Labels of its pods.
    pub labels: &'a Labels,
    /// Its pods.
    pub pod: &'a PodSpec,
    /// Names of claims that its pods have as volumes.
    pub claims: usize,
}

impl Workload<'_> {
    /// The component, by label.
    #[must_use]
    pub fn component(&self) -> &str {
        self.labels.get("app.kubernetes.io/component").map_or("", String::as_str)
    }

    /// Plimsoll's own container.
    pub fn container(&self) -> anyhow::Result<&Container> {
        self.pod.containers.iter().find(|c| c.name == "plimsoll").with_context(|| format!("{} has no container plimsoll", self.name))
    }

    /// Whether one of its pods runs an ingester.
    #[must_use]
    pub fn has_ingester(&self) -> bool {
        matches!(self.component(), "all" | "ingester")
    }
}

impl Release {
    /// Reads the objects of a value set, strictly.
    pub fn read(set: &ValueSet) -> anyhow::Result<Self> {
        Ok(Self { objects: set.objects.iter().map(Object::read).collect::<anyhow::Result<_>>()? })
    }

    /// Deployments and StatefulSets.
    pub fn workloads(&self) -> impl Iterator<Item = Workload<'_>> {
        self.objects.iter().filter_map(|object| match object {
            Object::Deployment(deployment) => {
                let spec = deployment.spec.as_ref()?;
                let template = (spec.template.metadata.as_ref()?.labels.as_ref()?, spec.template.spec.as_ref()?);
                Some(Workload {
                    name: deployment.metadata.name.as_deref()?,
                    replicas: spec.replicas.unwrap_or(1),
                    service: None,
                    selector: &spec.selector,
                    labels: template.0,
                    pod: template.1,
                    claims: 0,
                })
            }
            Object::StatefulSet(set) => {
                let spec = set.spec.as_ref()?;
                let template = (spec.template.metadata.as_ref()?.labels.as_ref()?, spec.template.spec.as_ref()?);
                Some(Workload {
                    name: set.metadata.name.as_deref()?,
                    replicas: spec.replicas.unwrap_or(1),
                    service: spec.service_name.as_deref(),
                    selector: &spec.selector,
                    labels: template.0,
                    pod: template.1,
                    claims: spec.volume_claim_templates.as_ref().map_or(0, Vec::len),
                })
            }
            _ => None,
        })
    }

    /// Pods of `helm test`.
    pub fn hooks(&self) -> impl Iterator<Item = (&str, &PodSpec)> {
        self.objects.iter().filter_map(|object| match object {
            Object::Pod(pod) => Some((pod.metadata.name.as_deref()?, pod.spec.as_ref()?)),
            _ => None,
        })
    }

    /// Services.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.objects.iter().filter_map(|object| match object {
            Object::Service(service) => Some(service),
            _ => None,
        })
    }

    /// A Service by name.
    pub fn service(&self, wanted: &str) -> anyhow::Result<&Service> {
        self.services().find(|s| name(&s.metadata) == wanted).with_context(|| format!("no Service {wanted}"))
    }

    /// The files of a ConfigMap, or of a Secret.
    #[must_use]
    pub fn files(&self, wanted: &str) -> Option<&BTreeMap<String, String>> {
        self.objects.iter().find_map(|object| match object {
            Object::ConfigMap(map) if name(&map.metadata) == wanted => map.data.as_ref(),
            Object::Secret(secret) if name(&secret.metadata) == wanted => secret.string_data.as_ref(),
            _ => None,
        })
    }

    /// Whether there is a ServiceAccount of this name; `default` is always there.
    #[must_use]
    pub fn has_account(&self, wanted: &str) -> bool {
        wanted == "default"
            || self.objects.iter().any(|o| matches!(o, Object::ServiceAccount(account) if name(&account.metadata) == wanted))
    }

    /// The workloads whose pods a Service sends to.
    pub fn behind(&self, service: &Service) -> Vec<Workload<'_>> {
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        self.workloads().filter(|w| selector.is_some_and(|selector| contains(w.labels, selector))).collect()
    }
}

/// An object's name; empty if it has none.
#[must_use]
pub fn name(metadata: &ObjectMeta) -> &str {
    metadata.name.as_deref().unwrap_or_default()
}

/// Whether labels have all that is selected. No selector of the chart uses expressions.
#[must_use]
pub fn selects(selector: &LabelSelector, labels: &Labels) -> bool {
    selector.match_expressions.is_none()
        && selector.match_labels.as_ref().is_some_and(|wanted| !wanted.is_empty() && contains(labels, wanted))
}

fn contains(labels: &Labels, wanted: &Labels) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// The number of a port that a pod gives by name or number; `None` if the container does not serve it.
#[must_use]
pub fn port_of(container: &Container, port: &IntOrString) -> Option<i32> {
    let ports = container.ports.as_deref().unwrap_or_default();
    let wanted = ports.iter().find(|p| match port {
        IntOrString::Int(number) => p.container_port == *number,
        IntOrString::String(name) => p.name.as_ref() == Some(name),
    });
    wanted.map(|p| p.container_port)
}
