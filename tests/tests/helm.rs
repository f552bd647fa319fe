//! The Helm chart: rendered by Helm itself, read strictly, held against rules that every production chart keeps, and run: processes with exactly
//! the arguments that pods would get form a working cluster.
#![allow(clippy::disallowed_methods, reason = "tests of real processes live in real time")]
#![allow(clippy::print_stdout, reason = "tests report what they compare")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use cluster::chart::manifest::{Object, PrometheusRuleSpec};
use cluster::chart::pods::{self, Outside, Pod};
use cluster::chart::release::Release;
use cluster::chart::{self, policy};
use cluster::client::Client;
use cluster::process::{eventually, installed, workspace_binary};
use s3server::S3Server;

/// What value sets name and a user makes.
const EXTERNAL: [&str; 7] = ["plimsoll-objects", "azure", "objects", "more", "settings", "registry", "ca"];

const SOON: Duration = Duration::from_secs(60);

#[test]
fn every_value_set_is_right() -> anyhow::Result<()> {
    let rendered = chart::check()?;
    println!("{} value sets, {}", rendered.sets.len(), rendered.versions);
    ensure!(rendered.sets.len() >= 12, "only {} value sets", rendered.sets.len());
    ensure!(rendered.broken.len() == 2, "the schemas take anything: {:?}", rendered.broken);
    for (expected, said) in &rendered.refused {
        ensure!(said.as_ref().is_some_and(|said| said.contains(expected)), "Helm should have said {expected:?}, and said {said:?}");
    }
    let mut kinds = BTreeSet::new();
    for (name, set) in &rendered.sets {
        let release = Release::read(set).with_context(|| format!("value set {name}"))?;
        let mut problems = set.problems.clone();
        problems.extend(policy::insecure(&release));
        problems.extend(policy::careless(&release));
        problems.extend(policy::dangling(&release, &EXTERNAL));
        problems.extend(policy::uncovered(&release, name != "bare"));
        ensure!(problems.is_empty(), "value set {name}:\n{}", problems.join("\n"));
        ensure!(set.notes.iter().all(|notes| notes.contains("/api/v1/push") && notes.contains("/prometheus")), "notes of {name}");
        kinds.extend(set.objects.iter().filter_map(|object| object["kind"].as_str().map(str::to_owned)));
    }
    // What no value set makes is not tested.
    let wanted = [
        "ConfigMap",
        "Deployment",
        "HorizontalPodAutoscaler",
        "Ingress",
        "NetworkPolicy",
        "Pod",
        "PodDisruptionBudget",
        "PrometheusRule",
        "Secret",
        "Service",
        "ServiceAccount",
        "ServiceMonitor",
        "StatefulSet",
    ];
    ensure!(kinds.iter().map(String::as_str).eq(wanted), "kinds: {kinds:?}");
    Ok(())
}

#[test]
fn policies_notice_what_they_are_for() -> anyhow::Result<()> {
    let mut set = chart::render("distributed")?;
    let ingester = set.objects.iter_mut().find(|o| o["kind"] == "StatefulSet" && o["metadata"]["name"] == "plimsoll-ingester-b");
    let template = &mut ingester.context("an ingester")?["spec"]["template"];
    let container = &mut template["spec"]["containers"][0];
    container["securityContext"]["readOnlyRootFilesystem"] = false.into();
    container["image"] = "plimsoll:latest".into();
    container["livenessProbe"] = container["readinessProbe"].clone();
    template["metadata"]["labels"]["app.kubernetes.io/component"] = "other".into();
    set.objects.retain(|object| object["metadata"]["name"] != "plimsoll-config");
    let release = Release::read(&set)?;
    let found =
        [policy::insecure(&release), policy::careless(&release), policy::dangling(&release, &EXTERNAL), policy::uncovered(&release, true)];
    let found = found.concat().join("\n");
    for expected in [
        "plimsoll-ingester-b: container plimsoll: lacks a read-only root",
        "plimsoll-ingester-b: container plimsoll: lacks an image of a fixed version",
        "plimsoll-ingester-b: does not select its own pods",
        "plimsoll-ingester-b: lacks one PodDisruptionBudget",
        "plimsoll-ingester-b: lacks a NetworkPolicy",
        "plimsoll-querier: nobody makes plimsoll-config",
    ] {
        ensure!(found.contains(expected), "{expected:?} is not among\n{found}");
    }
    Ok(())
}

#[test]
fn the_binary_takes_the_arguments_of_every_pod() -> anyhow::Result<()> {
    let rendered: chart::Rendered = serde_json::from_slice(&chart::helm(&["render"])?)?;
    let mut checked = 0;
    for (name, set) in &rendered.sets {
        let dir = tempfile::tempdir()?;
        let release = Release::read(set)?;
        for pod in pods::pods(&release, &Outside::default(), dir.path(), 100)? {
            let args = pod.args.get(1..).context("arguments after `run`")?;
            ensure!(pod.args.first().is_some_and(|first| first == "run"), "{name}: {:?}", pod.args);
            let output =
                Command::new(workspace_binary("plimsoll")?).args(["config", "check"]).args(args).envs(pod.env.iter().cloned()).output()?;
            ensure!(output.status.success(), "{name}, {}: {}", pod.name, String::from_utf8_lossy(&output.stderr));
            let settings: serde_json::Value = serde_yaml_ng::from_slice(&output.stdout)?;
            let timeout = settings["shutdown_timeout_seconds"].as_u64().context("shutdown_timeout_seconds")?;
            ensure!(pod.grace > Duration::from_secs(timeout), "{name}, {}: killed before it has drained", pod.name);
            ensure!(settings["instance_id"] == pod.name.as_str() && settings["target"] == pod.component.as_str(), "{name}, {}", pod.name);
            checked += 1;
        }
    }
    println!("arguments of {checked} pods taken");
    let wrong = Command::new(workspace_binary("plimsoll")?).args(["config", "check", "--target=store-gateway"]).output()?;
    ensure!(wrong.status.code() == Some(1) && String::from_utf8_lossy(&wrong.stderr).contains("store-gateway"));
    Ok(())
}

#[test]
fn alerts_are_rules() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    for set in ["distributed-full", "single-full"] {
        let release = Release::read(&chart::render(set)?)?;
        let rules = alerts(&release)?;
        let file = dir.path().join(format!("{set}.yaml"));
        std::fs::write(&file, serde_yaml_ng::to_string(rules)?)?;
        let promtool: &[&str] = &["check", "rules", "--lint=all", "--lint-fatal"];
        for (program, args) in
            [(workspace_binary("plimsoll")?, &["rules", "check", "--lint-fatal"][..]), (installed("promtool")?, promtool)]
        {
            let output = Command::new(&program).args(args).arg(&file).output()?;
            let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            ensure!(output.status.success(), "{}: {said}", program.display());
        }
        let pages = rules.groups.iter().flat_map(|g| &g.rules).filter_map(|rule| rule.annotations.get("runbook_url"));
        for page in pages {
            let (page, part) =
                page.rsplit('/').next().context("a page")?.split_once('#').unwrap_or((page.rsplit('/').next().unwrap_or(""), ""));
            let text = std::fs::read_to_string(chart::workspace().join("docs/runbooks").join(page)).with_context(|| page.to_owned())?;
            let headings = text.lines().filter_map(|line| line.strip_prefix("## "));
            ensure!(part.is_empty() || headings.map(|h| h.to_lowercase().replace(' ', "-")).any(|h| h == part), "{page} has no {part}");
        }
    }
    Ok(())
}

#[test]
fn the_readme_lists_the_values() -> anyhow::Result<()> {
    chart::helm(&["docs", "--check"]).map(drop)
}

/// A release that runs.
struct Running {
    release: Release,
    pods: Vec<Pod>,
    _store: S3Server,
    _dir: tempfile::TempDir,
}

impl Running {
    async fn start(set: &str, net: u8) -> anyhow::Result<Self> {
        let store = S3Server::with_keys(&["plimsoll"], "an-access-key", "a-secret-key");
        let address = store.endpoint().trim_start_matches("http://").to_owned();
        let keys = [("AWS_ACCESS_KEY_ID", "an-access-key"), ("AWS_SECRET_ACCESS_KEY", "a-secret-key")];
        let outside = Outside {
            hosts: vec![("objects.storage.svc:9000".to_owned(), address)],
            secrets: BTreeMap::from([("plimsoll-objects".to_owned(), keys.map(|(k, v)| (k.to_owned(), v.to_owned())).into())]),
        };
        let dir = tempfile::tempdir()?;
        let release = Release::read(&chart::render(set)?)?;
        let mut pods = pods::pods(&release, &outside, dir.path(), net)?;
        for pod in &mut pods {
            println!("{}: plimsoll {}", pod.name, pod.args.join(" "));
            pod.start()?;
        }
        for pod in &pods {
            pod.ready().await?;
        }
        println!("{set}: {} pods ready", pods.len());
        Ok(Self { release, pods, _store: store, _dir: dir })
    }

    /// What `helm test` runs, against the Services that it is given.
    fn smoke(&self) -> anyhow::Result<()> {
        let (_, pod) = self.release.hooks().next().context("a test pod")?;
        let container = pod.containers.first().context("a container")?;
        let script = self.release.files("plimsoll-smoke").and_then(|files| files.get("smoke.py")).context("smoke.py")?;
        let mut urls = Vec::new();
        for url in container.args.iter().flatten() {
            let host = url.trim_start_matches("http://").split(':').next().context("a host")?;
            let service = host.strip_suffix(&format!(".{}.svc.cluster.local", chart::NAMESPACE)).context("a Service's name")?;
            urls.push(pods::url_of(&self.release, &self.pods, service, "http")?);
        }
        let output = Command::new(installed("python3")?).args(["-c", script]).args(&urls).output()?;
        println!("smoke {urls:?}: {}", String::from_utf8_lossy(&output.stdout).trim());
        ensure!(output.status.success(), "smoke: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// A client of a component's Service; with all roles in one pod there is one Service.
    fn client(&self, service: &str) -> anyhow::Result<Client> {
        Ok(Client::new(&pods::url_of(&self.release, &self.pods, service, "http")?))
    }

    fn pod(&mut self, name: &str) -> anyhow::Result<&mut Pod> {
        self.pods.iter_mut().find(|p| p.name == name).with_context(|| name.to_owned())
    }

    /// SIGTERM and a new start, one after the other, as a rollout does it; a write and a query go through after each.
    async fn roll(&mut self, pods: &[&str]) -> anyhow::Result<()> {
        for name in pods {
            let pod = self.pod(name)?;
            pod.end()?;
            pod.start()?;
            pod.ready().await?;
            self.smoke()?;
        }
        Ok(())
    }
}

/// The rules of the release's `PrometheusRule`.
fn alerts(release: &Release) -> anyhow::Result<&PrometheusRuleSpec> {
    let found = release.objects.iter().find_map(|o| if let Object::PrometheusRule(rule) = o { Some(&rule.spec) } else { None });
    found.context("a PrometheusRule")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_pods_of_everything_work() -> anyhow::Result<()> {
    let mut running = Running::start("single", 101).await?;
    running.smoke()?;
    // Any one pod may go, also the coordinator's leader: two voters and two replicas stay.
    for name in ["plimsoll-0", "plimsoll-1", "plimsoll-2"] {
        running.pod(name)?.kill()?;
        running.smoke()?;
        running.pod(name)?.start()?;
        running.pod(name)?.ready().await?;
        println!("without {name} a write and a query went through");
    }
    running.roll(&["plimsoll-2", "plimsoll-1", "plimsoll-0"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_role_apart_works() -> anyhow::Result<()> {
    let mut running = Running::start("distributed", 102).await?;
    running.smoke()?;
    let querier = running.client("plimsoll-querier")?;
    eventually("the rule of the ConfigMap is evaluated", SOON, || async {
        querier.query("smoke:samples", &now()).await.is_ok_and(|data| data["result"].as_array().is_some_and(|series| !series.is_empty()))
    })
    .await?;
    paths_lead_where_they_are_served(&running).await?;
    alerts_name_metrics_that_exist(&running).await?;
    running.pod("plimsoll-coordinator-0")?.kill()?;
    running.smoke()?;
    running.pod("plimsoll-coordinator-0")?.start()?;
    running.pod("plimsoll-coordinator-0")?.ready().await?;
    let zones = ["plimsoll-ingester-a-0", "plimsoll-ingester-b-0", "plimsoll-ingester-c-0"];
    running.roll(&zones).await?;
    running.roll(&["plimsoll-coordinator-2", "plimsoll-coordinator-1", "plimsoll-coordinator-0"]).await
}

fn now() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{:.3}", now.as_secs_f64())
}

/// Every path of the Ingress is answered by the Service that it names, and not with "not found".
async fn paths_lead_where_they_are_served(running: &Running) -> anyhow::Result<()> {
    let ingress = running.release.objects.iter().find_map(|o| if let Object::Ingress(i) = o { i.spec.as_ref() } else { None });
    let rules = ingress.context("an Ingress")?.rules.iter().flatten();
    let mut asked = BTreeSet::new();
    for path in rules.flat_map(|rule| rule.http.iter().flat_map(|http| &http.paths)) {
        let (Some(at), Some(backend)) = (path.path.as_deref(), &path.backend.service) else { continue };
        let at = if path.path_type == "Prefix" { format!("{at}/labels") } else { at.to_owned() };
        // The API of rule files is not there yet.
        if at.contains("/config/") {
            continue;
        }
        let client = running.client(&backend.name)?;
        let status = client.get(&at).await?.0;
        // 405: a path for POST.
        ensure!(matches!(status, 200 | 405), "{at} at {}: {status}", backend.name);
        asked.insert(at);
    }
    println!("paths of the Ingress: {asked:?}");
    Ok(())
}

/// An alert on a metric that nobody exposes never fires.
async fn alerts_name_metrics_that_exist(running: &Running) -> anyhow::Result<()> {
    let mut exposed = String::new();
    for pod in &running.pods {
        exposed += &Client::new(&format!("http://{}:9009", pod.address)).get("/metrics").await?.1;
    }
    let exposed: BTreeSet<&str> =
        exposed.lines().filter_map(|l| l.strip_prefix("# TYPE ")?.split(' ').next()).map(|name| name.trim_end_matches("_total")).collect();
    let expressions = alerts(&running.release)?.groups.iter().flat_map(|g| &g.rules).map(|rule| rule.expr.as_str());
    let mut named = BTreeSet::new();
    for expression in expressions {
        let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        named.extend(words.filter(|w| w.starts_with("plimsoll_")).map(|w| w.trim_end_matches("_total")));
    }
    let missing: Vec<_> = named.difference(&exposed).collect();
    ensure!(missing.is_empty() && named.len() > 15, "alerts name metrics that nobody exposes: {missing:?}");
    println!("{} metrics of alerts are exposed", named.len());
    Ok(())
}

/// The image's recipe starts the program that the chart's arguments are for, as the user that the chart names.
#[test]
fn the_image_runs_as_the_charts_user() -> anyhow::Result<()> {
    let recipe = std::fs::read_to_string(chart::workspace().join(Path::new("helm/Dockerfile")))?;
    ensure!(recipe.contains("USER 10001:10001") && recipe.contains("ENTRYPOINT [\"/usr/local/bin/plimsoll\"]"), "{recipe}");
    Ok(())
}
