//! Limits of tenants: told with name, value and setting, changed while the process runs, and nobody else's matter.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "tests take time as it comes, and report what they see")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use cluster::checker::{Checker, fate};
use cluster::client::{Client, PushSample};
use cluster::deployment::Node;
use cluster::ledger::now_ms;
use cluster::process::{eventually, workspace_binary};
use model::Labels;
use reqwest::Response;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(30);

/// One process with an overrides file that is looked at every second.
struct Limited {
    node: Node,
    file: PathBuf,
    dir: TempDir,
}

impl Limited {
    async fn start(interval_seconds: u64, env: &[(&str, &str)]) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("overrides.yaml");
        std::fs::write(&file, "overrides: {}\n")?;
        let mut node =
            env.iter().fold(Node::new("plimsoll", dir.path(), &["--multitenancy"])?, |node, (name, value)| node.with_env(name, value));
        node = node
            .with_env("PLIMSOLL_LIMITS_OVERRIDES_FILE", file.to_str().context("a path that is text")?)
            .with_env("PLIMSOLL_LIMITS_RELOAD_INTERVAL_SECONDS", &interval_seconds.to_string());
        node.start().await?;
        Ok(Self { node, file, dir })
    }

    fn write(&self, overrides: &str) -> anyhow::Result<()> {
        // As Kubernetes does it: the new file takes the place of the old one.
        let new = self.dir.path().join("new.yaml");
        std::fs::write(&new, overrides)?;
        Ok(std::fs::rename(&new, &self.file)?)
    }

    /// Writes the file and waits until a limit of a tenant is this.
    async fn set(&self, overrides: &str, tenant: &str, limit: &str, value: u64) -> anyhow::Result<()> {
        self.write(overrides)?;
        let client = self.node.client();
        let what = format!("{limit} of {tenant} is {value}");
        eventually(&what, SOON, || async { user_limits(&client, tenant).await.is_ok_and(|limits| limits[limit] == value) }).await
    }
}

async fn user_limits(client: &Client, tenant: &str) -> anyhow::Result<Value> {
    Ok(get(client, tenant, "user_limits", &[]).await?.json().await?)
}

async fn get(client: &Client, tenant: &str, path: &str, params: &[(&str, &str)]) -> anyhow::Result<Response> {
    let request = client.http().get(format!("{}/prometheus/api/v1/{path}", client.base())).query(params);
    Ok(request.header("X-Scope-OrgID", tenant).send().await?)
}

/// A number that is another one for every tenant and series.
fn value(tenant: &str, series: usize) -> f64 {
    tenant.bytes().fold(0.0, |sum, byte| sum * 256.0 + f64::from(byte)) + series as f64 / 8_192.0
}

/// Pushes one sample to each of these series of a metric.
async fn push(checker: &Checker, client: &Client, tenant: &str, metric: &str, series: std::ops::Range<usize>) -> anyhow::Result<Response> {
    let t = now_ms();
    let labels = |i: usize| Labels::from_pairs([("__name__", metric), ("n", &i.to_string())]);
    let samples: Vec<PushSample> = series.map(|i| PushSample { labels: labels(i), t, v: value(tenant, i) }).collect();
    let sent = checker.send(tenant, &samples);
    let response = client.of_tenant(tenant).push_response(&samples).await?;
    checker.settle(fate(response.status().as_u16()), &sent);
    Ok(response)
}

async fn told(response: Response) -> anyhow::Result<(u16, Option<u64>, String)> {
    let retry_after = response.headers().get("Retry-After").and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    Ok((response.status().as_u16(), retry_after, response.text().await?))
}

async fn count(client: &Client, tenant: &str, metric: &str) -> anyhow::Result<String> {
    let now = format!("{}", now_ms() as f64 / 1_000.0);
    let answer: Value = get(client, tenant, "query", &[("query", &format!("count({metric})")), ("time", &now)]).await?.json().await?;
    Ok(answer["data"]["result"][0]["value"][1].as_str().unwrap_or("none").to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_file_is_live_without_a_restart() -> anyhow::Result<()> {
    let mut limited = Limited::start(1, &[]).await?;
    let (client, checker) = (limited.node.client(), Checker::new());
    for tenant in ["a", "b"] {
        let (status, _, text) = told(push(&checker, &client, tenant, "up", 0..100).await?).await?;
        ensure!(status == 204, "{tenant}: {status} {text}");
    }

    limited.set("overrides: {a: {ingestion_rate: 1, ingestion_burst_size: 200}}", "a", "ingestion_rate", 1).await?;
    // What the bucket has is at most a second's worth short of its burst.
    let (status, _, text) = told(push(&checker, &client, "a", "up", 0..150).await?).await?;
    ensure!(status == 204, "{status} {text}");
    let (status, retry_after, text) = told(push(&checker, &client, "a", "refused", 0..150).await?).await?;
    println!("over the rate: {status}, Retry-After {retry_after:?}: {text}");
    ensure!(status == 429 && retry_after.is_some_and(|s| (30..=150).contains(&s)), "{status} {retry_after:?} {text}");
    ensure!(text.contains("limit: ingestion_rate = 1 samples/s; change limits.ingestion_rate or the tenant's override"), "{text}");
    ensure!(count(&client, "a", "refused").await? == "none", "a part of the request was written");
    let (status, _, text) = told(push(&checker, &client, "b", "up", 0..150).await?).await?;
    ensure!(status == 204, "another tenant: {status} {text}");

    limited.set("overrides: {a: {max_series: 160}}", "a", "max_series", 160).await?;
    let (status, _, text) = told(push(&checker, &client, "a", "up", 0..170).await?).await?;
    println!("over the series: {status}: {}", text.lines().nth(1).unwrap_or_default());
    ensure!(
        status == 400 && text.contains("rejected 10 of 170 samples") && text.contains("limit: max_series = 160 series per ingester"),
        "{status} {text}"
    );
    limited.set("overrides: {a: {max_series_per_metric: 165}}", "a", "max_series_per_metric", 165).await?;
    let (status, _, text) = told(push(&checker, &client, "a", "up", 0..170).await?).await?;
    ensure!(
        status == 400 && text.contains("rejected 5 of 170 samples") && text.contains("limit: max_series_per_metric = 165"),
        "{status} {text}"
    );

    limited.set("overrides: {a: {max_query_series: 100}}", "a", "max_query_series", 100).await?;
    let now = format!("{}", now_ms() as f64 / 1_000.0);
    let (status, _, text) = told(get(&client, "a", "query", &[("query", "up"), ("time", &now)]).await?).await?;
    println!("over the query's series: {status}: {text}");
    ensure!(status == 422 && text.contains("limit: max_query_series = 100 series; change limits.max_query_series"), "{status} {text}");
    ensure!(count(&client, "b", "up").await? == "150", "another tenant's query");

    bad_files_change_nothing(&mut limited).await?;

    limited.set("", "a", "max_query_series", 1_000_000).await?;
    ensure!(count(&client, "a", "up").await? == "165");
    checker.verify(&client).await.context("what was refused is not there, and each has what is its own")?;
    ensure!(client.get("/metrics").await?.1.contains("plimsoll_limits_reload_failed 0\n"));
    Ok(())
}

async fn bad_files_change_nothing(limited: &mut Limited) -> anyhow::Result<()> {
    let client = limited.node.client();
    let (_, metrics) = client.get("/metrics").await?;
    ensure!(
        metrics.contains("plimsoll_limits_reload_failed 0\n") && metrics.contains("plimsoll_limits_overridden_tenants 1\n"),
        "{metrics}"
    );
    limited.write("overrides:\n  a:\n    max_query_serie: 5\n")?;
    let failed = || async { client.get("/metrics").await.is_ok_and(|(_, text)| text.contains("plimsoll_limits_reload_failed 1\n")) };
    eventually("the bad file is noticed", SOON, failed).await?;
    ensure!(user_limits(&client, "a").await?["max_query_series"] == 100, "the last good limits stay");
    let log = limited.node.process().log();
    let line = log.lines().find(|line| line.contains("max_query_serie`")).context("a line of the log")?;
    println!("a bad file: {line}");
    ensure!(line.contains("overrides.a") && line.contains("line 3") && line.contains("overrides.yaml"), "{line}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_shown_and_read_at_sighup() -> anyhow::Result<()> {
    let mut limited = Limited::start(3_600, &[("PLIMSOLL_LIMITS_MAX_EXEMPLARS", "7")]).await?;
    let client = limited.node.client();
    limited.write("overrides: {a: {max_series: 5}, b: {}}")?;
    limited.node.process().signal(Signal::HUP)?;
    let live = || async { user_limits(&client, "a").await.is_ok_and(|limits| limits["max_series"] == 5) };
    eventually("SIGHUP is heeded", SOON, live).await?;
    let limits = user_limits(&client, "a").await?;
    ensure!(limits["max_exemplars"] == 7 && limits["promql"]["duration_expressions"] == true, "{limits}");
    ensure!(user_limits(&client, "b").await?["max_series"] == 5_000_000);
    let (status, diff) = client.get("/runtime_config?mode=diff").await?;
    ensure!(status == 200 && diff == "overrides:\n  a:\n    max_series: 5\n  b: {}\n", "{status} {diff}");
    let (_, all) = client.get("/runtime_config").await?;
    ensure!(all.matches("max_exemplars: 7\n").count() == 2, "{all}");
    ensure!(told(client.http().get(format!("{}/api/v1/user_limits", client.base())).send().await?).await?.0 == 401, "a tenant must ask");
    Ok(())
}

/// A file that cannot be used ends the start; the command says why without one.
#[test]
fn a_bad_file_is_told_before_it_is_used() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("overrides.yaml");
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new(workspace_binary("plimsoll")?);
        command.args(args).env("PLIMSOLL_LIMITS_OVERRIDES_FILE", &file).env("PLIMSOLL_DATA_DIR", dir.path().join("data"));
        let output = command.output()?;
        anyhow::Ok((output.status.code(), String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?))
    };
    let check = |file: &Path| run(&["limits", "check", file.to_str().context("a path that is text")?]);
    std::fs::write(&file, "overrides:\n  team-a:\n    max_series: lots\n")?;
    for (code, text) in [check(&file)?, run(&["run", "--http-listen=127.0.0.1:0", "--grpc-listen=127.0.0.1:0"])?] {
        println!("{}", text.lines().last().unwrap_or_default());
        ensure!(
            code == Some(1) && ["overrides.team-a.max_series", "line 3", "overrides.yaml"].iter().all(|part| text.contains(part)),
            "{code:?} {text}"
        );
    }
    std::fs::write(&file, "overrides: {team-a: {max_series: 5}}")?;
    let (code, text) = check(&file)?;
    ensure!(code == Some(0) && text.contains("limits of 1 tenants are good"), "{code:?} {text}");
    Ok(())
}

/// The rate is that of all distributors together: what a sender is told to wait for doubles with a second one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distributors_share_the_rate() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut store = Node::new("store", dir.path(), &["--target=coordinator,ingester", "--replication-factor=1"])?;
    store.start().await?;
    let group = format!("--coordinators={}", store.grpc);
    let distributor = |name: &str| {
        let node = Node::new(name, dir.path(), &["--target=distributor", &group, "--replication-factor=1"])?;
        anyhow::Ok(node.with_env("PLIMSOLL_LIMITS_INGESTION_RATE", "10").with_env("PLIMSOLL_LIMITS_INGESTION_BURST_SIZE", "1000"))
    };
    let mut first = distributor("distributor-0")?;
    first.start().await?;
    let (client, checker) = (first.client(), Checker::new());
    let seen = |n: usize| {
        let client = client.clone();
        move || {
            let client = client.clone();
            async move { client.get("/ring").await.is_ok_and(|(_, ring)| ring.matches("\"distributor\"").count() == n) }
        }
    };
    eventually("the distributor has registered", SOON, seen(1)).await?;
    ensure!(told(push(&checker, &client, "anonymous", "up", 0..900).await?).await?.0 == 204);
    let alone = told(push(&checker, &client, "anonymous", "up", 0..1_000).await?).await?;
    ensure!(alone.0 == 429 && alone.1.is_some_and(|s| (60..=90).contains(&s)), "{alone:?}");
    let mut second = distributor("distributor-1")?;
    second.start().await?;
    eventually("both see each other", SOON, seen(2)).await?;
    let shared = told(push(&checker, &client, "anonymous", "up", 0..1_000).await?).await?;
    println!("alone: Retry-After {:?}, with a second distributor: {:?}", alone.1, shared.1);
    ensure!(shared.0 == 429 && shared.1.is_some_and(|s| (100..=180).contains(&s)), "{shared:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_noisy_tenant_is_refused_and_others_are_served() -> anyhow::Result<()> {
    let env = [("PLIMSOLL_QUERIER_MAX_CONCURRENT", "2"), ("PLIMSOLL_QUERIER_MAX_QUEUED", "8")];
    let limited = Limited::start(1, &env).await?;
    let (client, checker) = (limited.node.client(), Checker::new());
    ensure!(told(push(&checker, &client, "noisy", "heavy", 0..2_000).await?).await?.0 == 204);
    ensure!(told(push(&checker, &client, "quiet", "up", 0..10).await?).await?.0 == 204);
    let file = "overrides: {noisy: {ingestion_rate: 100, ingestion_burst_size: 2000, max_series: 2500}}";
    limited.set(file, "noisy", "max_series", 2_500).await?;
    let alone = quiet_rounds(&checker, &client).await?;

    let (stop, refused, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut noise = tokio::task::JoinSet::new();
    for worker in 0..24 {
        let (client, stop, refused, served) = (client.clone(), Arc::clone(&stop), Arc::clone(&refused), Arc::clone(&served));
        // Of what is refused as noise, nobody asks what became.
        let checker = Checker::new();
        noise.spawn(async move {
            let mut round = 0;
            while !stop.load(Ordering::Relaxed) {
                round += 1;
                let answer = if worker < 4 {
                    push(&checker, &client, "noisy", &format!("flood_{worker}_{round}"), 0..1_000).await
                } else {
                    let now = format!("{}", now_ms() as f64 / 1_000.0);
                    let query = "sum(quantile_over_time(0.9, heavy[1h:1s])) + sum(quantile_over_time(0.5, heavy[1h:1s]))";
                    get(&client, "noisy", "query", &[("query", query), ("time", &now), ("timeout", "5s")]).await
                };
                match answer.map(|response| response.status().as_u16()) {
                    Ok(429) => refused.fetch_add(1, Ordering::Relaxed),
                    _ => served.fetch_add(1, Ordering::Relaxed),
                };
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let beside = quiet_rounds(&checker, &client).await?;
    stop.store(true, Ordering::Relaxed);
    noise.join_all().await;
    let (refused, served) = (refused.load(Ordering::Relaxed), served.load(Ordering::Relaxed));
    println!("the noisy tenant: {refused} requests refused with 429, {served} answered otherwise");
    for (what, [alone, beside]) in [("push", [alone.0, beside.0]), ("query", [alone.1, beside.1])] {
        println!("the quiet tenant's {what}, slowest of 40: {alone:?} alone, {beside:?} beside the noise");
    }
    ensure!(refused > 100, "the noise was not refused: {refused}, {served}");
    checker.verify(&client).await?;
    Ok(())
}

/// Forty pushes and queries of a tenant that keeps its limits, none of which may fail; how long the slowest took.
async fn quiet_rounds(checker: &Checker, client: &Client) -> anyhow::Result<(Duration, Duration)> {
    let mut slowest = (Duration::ZERO, Duration::ZERO);
    for round in 0..40 {
        let started = Instant::now();
        let (status, _, text) = told(push(checker, client, "quiet", "up", 0..10).await?).await?;
        ensure!(status == 204, "round {round}: {status} {text}");
        slowest.0 = slowest.0.max(started.elapsed());
        let started = Instant::now();
        let counted = count(client, "quiet", "up").await?;
        ensure!(counted == "10", "round {round}: {counted}");
        slowest.1 = slowest.1.max(started.elapsed());
    }
    Ok(slowest)
}
