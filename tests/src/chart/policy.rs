//! What every object of the chart has to have; each function gives what is missing, in words.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, PodSpec, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::manifest::Object;
use super::release::{Release, Workload, name, port_of, selects};

/// What is wrong with the security of pods, hooks too.
#[must_use]
pub fn insecure(release: &Release) -> Vec<String> {
    let pods = release.workloads().map(|w| (w.name, w.pod)).chain(release.hooks());
    pods.flat_map(|(name, pod)| insecure_pod(pod).into_iter().map(move |problem| format!("{name}: {problem}"))).collect()
}

fn insecure_pod(pod: &PodSpec) -> Vec<String> {
    let context = pod.security_context.as_ref();
    let mut problems = missing(&[
        ("runAsNonRoot", context.and_then(|c| c.run_as_non_root) == Some(true)),
        ("runAsUser", context.and_then(|c| c.run_as_user).is_some_and(|user| user > 0)),
        ("seccomp RuntimeDefault", context.and_then(|c| c.seccomp_profile.as_ref()).is_some_and(|p| p.type_ == "RuntimeDefault")),
        ("no token of the API", pod.automount_service_account_token == Some(false)),
        ("no namespace of the host", [pod.host_ipc, pod.host_network, pod.host_pid].iter().all(|h| !h.unwrap_or(false))),
    ]);
    for container in pod.containers.iter().chain(pod.init_containers.iter().flatten()) {
        problems.extend(insecure_container(container).into_iter().map(|problem| format!("container {}: {problem}", container.name)));
    }
    problems
}

fn insecure_container(container: &Container) -> Vec<String> {
    let context = container.security_context.as_ref();
    let dropped = context.and_then(|c| c.capabilities.as_ref()).and_then(|c| c.drop.as_ref());
    let resources = container.resources.as_ref();
    let limits = resources.and_then(|r| r.limits.as_ref());
    let requests = resources.and_then(|r| r.requests.as_ref());
    missing(&[
        ("a read-only root", context.and_then(|c| c.read_only_root_filesystem) == Some(true)),
        ("no privilege escalation", context.and_then(|c| c.allow_privilege_escalation) == Some(false)),
        ("capabilities dropped", dropped.is_some_and(|d| d == &["ALL"])),
        ("a memory limit", limits.is_some_and(|l| l.contains_key("memory"))),
        ("requests", requests.is_some_and(|r| r.contains_key("memory") && r.contains_key("cpu"))),
        ("an image of a fixed version", container.image.as_deref().is_some_and(fixed)),
    ])
}

/// Whether an image has a digest, or a tag that is not `latest`.
fn fixed(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or(image);
    image.contains("@sha256:") || last.split_once(':').is_some_and(|(_, tag)| !tag.is_empty() && tag != "latest")
}

/// What is wrong with how pods are watched and ended.
#[must_use]
pub fn careless(release: &Release) -> Vec<String> {
    release.workloads().flat_map(|w| careless_workload(&w).into_iter().map(move |problem| format!("{}: {problem}", w.name))).collect()
}

fn careless_workload(workload: &Workload<'_>) -> Vec<String> {
    let Ok(container) = workload.container() else { return vec!["no container plimsoll".to_owned()] };
    let asks = |probe: &Option<Probe>, path: &str| {
        let http = probe.as_ref().and_then(|p| p.http_get.as_ref());
        http.is_some_and(|http| http.path.as_deref() == Some(path) && port_of(container, &http.port).is_some())
    };
    let alive = match workload.has_ingester() {
        // A replay may take as long as it takes.
        true => container.liveness_probe.is_none() && container.startup_probe.is_none(),
        false => asks(&container.liveness_probe, "/healthz") && asks(&container.startup_probe, "/healthz"),
    };
    let names: BTreeSet<_> = workload.labels.values().chain([&workload.name.to_owned()]).map(String::len).collect();
    missing(&[
        ("readiness by /ready", asks(&container.readiness_probe, "/ready")),
        ("liveness as its roles can bear", alive),
        ("labels and a name that Kubernetes takes", names.last().is_some_and(|longest| *longest <= 63) && workload.name.len() <= 52),
        ("no variables of Services", workload.pod.enable_service_links == Some(false)),
        ("data in a claim if it has an ingester", !workload.has_ingester() || workload.claims == 1),
    ])
}

/// What is wrong with references between objects. What is not in the release has to be in `external`.
#[must_use]
pub fn dangling(release: &Release, external: &[&str]) -> Vec<String> {
    let mut problems = Vec::new();
    for workload in release.workloads() {
        let mut say = |what: String| problems.push(format!("{}: {what}", workload.name));
        if !selects(workload.selector, workload.labels) {
            say("does not select its own pods".to_owned());
        }
        if release.workloads().filter(|other| selects(other.selector, workload.labels)).count() != 1 {
            say("its pods are selected by another one as well".to_owned());
        }
        if let Some(service) = workload.service {
            match release.service(service) {
                Err(error) => say(error.to_string()),
                Ok(service) => {
                    let headless = service
                        .spec
                        .as_ref()
                        .is_some_and(|s| s.cluster_ip.as_deref() == Some("None") && s.publish_not_ready_addresses == Some(true));
                    if !headless || !release.behind(service).iter().any(|w| w.name == workload.name) {
                        say("its Service does not name its pods from the first moment on".to_owned());
                    }
                }
            }
        }
    }
    let pods = release.workloads().map(|w| (w.name, w.pod, w.claims)).chain(release.hooks().map(|(name, pod)| (name, pod, 0)));
    for (pod_name, pod, claims) in pods {
        for missing in dangling_pod(release, pod, claims, external) {
            problems.push(format!("{pod_name}: {missing}"));
        }
    }
    problems.extend(dangling_services(release));
    problems
}

fn dangling_pod(release: &Release, pod: &PodSpec, claims: usize, external: &[&str]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut wanted = |wanted: Option<&str>| {
        if let Some(wanted) = wanted
            && release.files(wanted).is_none()
            && !external.contains(&wanted)
        {
            problems.push(format!("nobody makes {wanted}"));
        }
    };
    let volumes = pod.volumes.as_deref().unwrap_or_default();
    for volume in volumes {
        wanted(volume.config_map.as_ref().map(|source| source.name.as_str()));
        wanted(volume.secret.as_ref().and_then(|source| source.secret_name.as_deref()));
    }
    for source in pod.containers.iter().flat_map(|c| c.env_from.iter().flatten()) {
        wanted(source.secret_ref.as_ref().map(|source| source.name.as_str()));
        wanted(source.config_map_ref.as_ref().map(|source| source.name.as_str()));
    }
    pod.image_pull_secrets.iter().flatten().for_each(|secret| wanted(Some(&secret.name)));
    if let Some(account) = &pod.service_account_name
        && !release.has_account(account)
    {
        problems.push(format!("no ServiceAccount {account}"));
    }
    for mount in pod.containers.iter().flat_map(|c| c.volume_mounts.iter().flatten()) {
        if !(volumes.iter().any(|v| v.name == mount.name) || claims > 0 && mount.name == "data") {
            problems.push(format!("no volume {}", mount.name));
        }
    }
    problems
}

fn dangling_services(release: &Release) -> Vec<String> {
    let mut problems = Vec::new();
    for service in release.services() {
        let behind = release.behind(service);
        let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
        let unserved = ports.flat_map(|port| {
            let target = port.target_port.clone().unwrap_or(IntOrString::Int(port.port));
            behind.iter().filter(move |w| w.container().map_or(true, |c| port_of(c, &target).is_none())).map(|w| w.name)
        });
        problems.extend(unserved.map(|workload| format!("Service {}: {workload} does not serve its ports", name(&service.metadata))));
        if behind.is_empty() {
            problems.push(format!("Service {} selects nothing", name(&service.metadata)));
        }
    }
    for object in &release.objects {
        match object {
            Object::Ingress(ingress) => {
                let rules = ingress.spec.iter().flat_map(|spec| spec.rules.iter().flatten());
                for path in rules.flat_map(|rule| rule.http.iter().flat_map(|http| &http.paths)) {
                    let backend = path.backend.service.as_ref();
                    let port = backend.and_then(|b| b.port.as_ref()).and_then(|p| p.name.as_deref());
                    let service = backend.and_then(|b| release.service(&b.name).ok());
                    let served =
                        service.and_then(|s| s.spec.as_ref()).is_some_and(|s| s.ports.iter().flatten().any(|p| p.name.as_deref() == port));
                    if !served {
                        problems.push(format!("Ingress: nobody serves {:?}", path.path));
                    }
                }
            }
            Object::HorizontalPodAutoscaler(scaler) => {
                let target = scaler.spec.as_ref().map_or("", |spec| spec.scale_target_ref.name.as_str());
                if !release.workloads().any(|w| w.name == target) {
                    problems.push(format!("nobody to scale: {target}"));
                }
            }
            _ => {}
        }
    }
    problems
}

/// Workloads that are not in exactly one budget, in at least one NetworkPolicy, or not scraped exactly once, if there is any ServiceMonitor.
#[must_use]
pub fn uncovered(release: &Release, policies: bool) -> Vec<String> {
    let mut problems = Vec::new();
    let monitored = release.objects.iter().find_map(|o| if let Object::ServiceMonitor(m) = o { Some(&m.spec) } else { None });
    for workload in release.workloads() {
        let budgets = release.objects.iter().filter(|o| {
            matches!(o, Object::PodDisruptionBudget(b) if b.spec.as_ref().and_then(|s| s.selector.as_ref()).is_some_and(|s| selects(s, workload.labels)))
        });
        let isolated = release.objects.iter().filter(|o| {
            matches!(o, Object::NetworkPolicy(p) if p.spec.as_ref().and_then(|s| s.pod_selector.as_ref()).is_some_and(|s| selects(s, workload.labels)))
        });
        let scraped = monitored.map(|monitor| {
            let services =
                release.services().filter(|s| s.metadata.labels.as_ref().is_some_and(|labels| selects(&monitor.selector, labels)));
            services.filter(|s| release.behind(s).iter().any(|w| w.name == workload.name)).count()
        });
        let found = missing(&[
            ("one PodDisruptionBudget", budgets.count() == 1),
            ("a NetworkPolicy", isolated.count() == usize::from(policies)),
            ("one scrape", scraped.is_none_or(|count| count == 1)),
        ]);
        problems.extend(found.into_iter().map(|problem| format!("{}: {problem}", workload.name)));
    }
    problems
}

fn missing(wanted: &[(&str, bool)]) -> Vec<String> {
    wanted.iter().filter(|(_, there)| !there).map(|(what, _)| format!("lacks {what}")).collect()
}
