//! Pods as processes. What a pod is told is changed in four ways only, and by nothing else:
//!
//! 1. `$(NAME)` becomes the value of the container's variable of that name, as the kubelet does it.
//! 2. A pod has an address of its own in 127.0.0.0/8; the address of all interfaces becomes that one. Ports stay.
//! 3. A name that a Service gives becomes the address of the pod behind it, as the cluster's DNS does it.
//! 4. A mounted path becomes the same path below the pod's own directory, in which the mounted files lie.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::NAMESPACE;
use super::release::{Release, Workload, port_of};
use crate::client::Client;
use crate::process::{Process, eventually, workspace_binary};

/// How long all pods may take until they are ready, on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(90);

/// What stands outside the release: names (with port) and their addresses, and the keys of Secrets by name.
#[derive(Debug, Clone, Default)]
pub struct Outside {
    /// `host:port` in the release, and where that is.
    pub hosts: Vec<(String, String)>,
    /// Keys and values of Secrets that the release does not make.
    pub secrets: BTreeMap<String, BTreeMap<String, String>>,
}

/// A pod.
pub struct Pod {
    /// Its name.
    pub name: String,
    /// The component, by label.
    pub component: String,
    /// Its address.
    pub address: String,
    /// Arguments of `plimsoll`, after the four changes.
    pub args: Vec<String>,
    /// Its environment.
    pub env: Vec<(String, String)>,
    /// How long it may take to end.
    pub grace: Duration,
    ready: String,
    dir: PathBuf,
    process: Option<Process>,
}

impl Pod {
    /// Starts its process.
    pub fn start(&mut self) -> anyhow::Result<()> {
        self.process = Some(Process::start_with_env(&self.name, &workspace_binary("plimsoll")?, &self.args, &self.env, &self.dir)?);
        Ok(())
    }

    /// Waits until its readiness probe succeeds.
    pub async fn ready(&self) -> anyhow::Result<()> {
        let client = Client::new("");
        let probe = || async {
            let answer = client.http().get(&self.ready).timeout(Duration::from_secs(3)).send().await;
            answer.is_ok_and(|r| r.status().is_success())
        };
        eventually(&format!("{} is ready", self.name), READY_WITHIN, probe).await
    }

    /// SIGTERM, as at a rollout; an error if it has not ended well when its grace is over.
    pub fn end(&mut self) -> anyhow::Result<()> {
        let mut process = self.process.take().context("a pod that runs")?;
        let status = process.terminate(self.grace)?;
        ensure!(status.success(), "{} ended with {status}", self.name);
        Ok(())
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.take().context("a pod that runs")?.kill()
    }
}

/// All pods of a release. `net` is the second byte of their addresses: releases that run at a time have different ones.
pub fn pods(release: &Release, outside: &Outside, dir: &Path, net: u8) -> anyhow::Result<Vec<Pod>> {
    let mut addresses = Vec::new();
    for workload in release.workloads() {
        for ordinal in 0..workload.replicas {
            // By process, so that several checkouts can be tested on one machine.
            let third = std::process::id() % 250 + 1;
            addresses.push((format!("{}-{ordinal}", workload.name), format!("127.{net}.{third}.{}", addresses.len() + 1)));
        }
    }
    let names = names(release, outside, &addresses)?;
    let mut pods = Vec::new();
    let mut address = addresses.iter();
    for workload in release.workloads() {
        for _ in 0..workload.replicas {
            let (name, address) = address.next().context("an address for each pod")?;
            pods.push(pod(release, &workload, outside, &names, (name, address), dir)?);
        }
    }
    Ok(pods)
}

/// Every name that pods may use, longest first, and what it is.
fn names(release: &Release, outside: &Outside, addresses: &[(String, String)]) -> anyhow::Result<Vec<(String, String)>> {
    let mut names = outside.hosts.clone();
    for workload in release.workloads() {
        let pods: Vec<_> =
            addresses.iter().filter(|(pod, _)| pod.rsplit_once('-').is_some_and(|(owner, _)| owner == workload.name)).collect();
        if let Some(service) = workload.service {
            release.service(service)?;
            names.extend(pods.iter().map(|(pod, address)| (format!("{pod}.{service}.{NAMESPACE}.svc.cluster.local"), address.clone())));
        }
        for service in release.services() {
            if release.behind(service).iter().any(|w| w.name == workload.name)
                && let (Some(name), Some((_, address))) = (&service.metadata.name, pods.first())
            {
                names.push((format!("{name}.{NAMESPACE}.svc.cluster.local"), address.clone()));
            }
        }
    }
    names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    Ok(names)
}

fn pod(
    release: &Release,
    workload: &Workload<'_>,
    outside: &Outside,
    names: &[(String, String)],
    (name, address): (&str, &str),
    dir: &Path,
) -> anyhow::Result<Pod> {
    let dir = dir.join(name);
    let container = workload.container()?;
    let mounts: Vec<String> = container.volume_mounts.iter().flatten().map(|mount| mount.mount_path.clone()).collect();
    let change = |text: &str| -> String {
        let text = text.replace("0.0.0.0:", &format!("{address}:"));
        let text = names.iter().fold(text, |text, (name, address)| text.replace(name, address));
        // Longest first: /etc/plimsoll-rules is not /etc/plimsoll.
        let mut mounts = mounts.clone();
        mounts.sort_by_key(|mount| std::cmp::Reverse(mount.len()));
        mounts
            .iter()
            .find(|mount| text.contains(*mount))
            .map_or(text.clone(), |mount| text.replace(mount, &format!("{}{mount}", dir.display())))
    };
    let volumes = workload.pod.volumes.as_deref().unwrap_or_default();
    for mount in container.volume_mounts.iter().flatten() {
        let place = dir.join(mount.mount_path.trim_start_matches('/'));
        std::fs::create_dir_all(&place)?;
        let volume = volumes.iter().find(|v| v.name == mount.name);
        let source = volume.and_then(|v| {
            let secret = v.secret.as_ref().and_then(|s| s.secret_name.as_deref());
            v.config_map.as_ref().map(|c| c.name.as_str()).or(secret)
        });
        for (file, content) in source.and_then(|source| release.files(source)).into_iter().flatten() {
            let lines: Vec<String> = content.lines().map(change).collect();
            std::fs::write(place.join(file), lines.join("\n"))?;
        }
    }
    let env = environment(workload, outside, name, address)?;
    let expand = |text: &str| env.iter().fold(text.to_owned(), |text, (key, value)| text.replace(&format!("$({key})"), value));
    let args = container.args.iter().flatten().map(|arg| change(&expand(arg))).collect();
    let probe = container.readiness_probe.as_ref().and_then(|p| p.http_get.as_ref()).context("a readiness probe")?;
    let port = port_of(container, &probe.port).context("the port of the readiness probe")?;
    Ok(Pod {
        name: name.to_owned(),
        component: workload.component().to_owned(),
        address: address.to_owned(),
        args,
        env,
        grace: Duration::from_secs(workload.pod.termination_grace_period_seconds.context("a grace")?.unsigned_abs()),
        ready: format!("http://{address}:{port}{}", probe.path.as_deref().unwrap_or_default()),
        dir,
        process: None,
    })
}

fn environment(workload: &Workload<'_>, outside: &Outside, name: &str, address: &str) -> anyhow::Result<Vec<(String, String)>> {
    let mut env = Vec::new();
    let container = workload.container()?;
    for source in container.env_from.iter().flatten() {
        if let Some(secret) = &source.secret_ref {
            env.extend(outside.secrets.get(&secret.name).cloned().unwrap_or_default());
        }
    }
    for variable in container.env.iter().flatten() {
        let field = variable.value_from.as_ref().and_then(|from| from.field_ref.as_ref()).map(|field| field.field_path.as_str());
        let value = match field {
            Some("metadata.name") => name.to_owned(),
            Some("status.podIP") => address.to_owned(),
            Some("metadata.labels['topology.kubernetes.io/zone']") => "zone-of-the-node".to_owned(),
            Some(other) => anyhow::bail!("{other} is not known here"),
            None => variable.value.clone().with_context(|| format!("{} has no value", variable.name))?,
        };
        env.push((variable.name.clone(), value));
    }
    Ok(env)
}

/// Where a Service's port sends a request to: the first pod behind it.
pub fn url_of(release: &Release, pods: &[Pod], service: &str, port: &str) -> anyhow::Result<String> {
    let service = release.service(service)?;
    let behind = release.behind(service);
    let workload = behind.first().context("a workload behind the Service")?;
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let port = ports.filter(|p| p.name.as_deref() == Some(port)).find_map(|p| p.target_port.clone()).unwrap_or(IntOrString::Int(0));
    let number = port_of(workload.container()?, &port).context("the Service's port")?;
    let pod = pods.iter().find(|p| p.process.is_some() && p.component == workload.component()).context("a pod that runs")?;
    Ok(format!("http://{}:{number}", pod.address))
}
