//! Failpoints of a cluster: members killed as they leave, a write that fails or dies before it is divided. Nothing that was acknowledged is missing meanwhile or afterwards.
#![allow(clippy::print_stdout, reason = "tests report what they saw")]
#![allow(clippy::disallowed_methods, reason = "tests of real processes live in real time")]

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use cluster::checker::values::value;
use cluster::checker::{Checker, Load, Writer};
use cluster::client::{Client, PushSample};
use cluster::deployment::{Node, Six};
use cluster::fleet::post;
use cluster::ledger::now_ms;
use cluster::process::eventually;
use loadtest::ledger::labels;
use rustix::process::Signal;
use serde_json::Value;

const SOON: Duration = Duration::from_secs(60);
/// A member that says no goodbye is missed after its lease.
const LEASE: Duration = Duration::from_secs(4);
/// Long enough for all that is said at the end, each with its own patience, on a busy machine.
const ENDS_WITHIN: Duration = Duration::from_secs(15);
const SERIES: usize = 50;

async fn json(client: &Client, path: &str) -> anyhow::Result<Value> {
    let (status, text) = client.get(path).await?;
    ensure!(status == 200, "GET {path}: {status} {text}");
    Ok(serde_json::from_str(&text)?)
}

/// State and epoch of an instance.
async fn place(client: &Client, role: &str, id: &str) -> anyhow::Result<Option<(String, u64)>> {
    let ring = json(client, "/ring").await?;
    let all = ring["instances"].as_array().context("instances")?;
    let found = all.iter().find(|i| i["role"] == role && i["id"] == id);
    Ok(found.map(|i| (i["state"].as_str().unwrap_or_default().to_owned(), i["epoch"].as_u64().unwrap_or_default())))
}

fn batch(run: &str, t: i64) -> Vec<PushSample> {
    (0..SERIES).map(|n| PushSample { labels: labels(run, n), t, v: value("", n, t) }).collect()
}

/// One copy of each series: what an ingester takes with it is missed at once.
struct Place {
    _coordinator: Node,
    a: Node,
    b: Node,
    distributor: Node,
    other_distributor: Node,
    querier: Node,
    compactor: Node,
    checker: Checker,
    _dir: tempfile::TempDir,
}

impl Place {
    async fn start() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let store = format!("file://{}", dir.path().join("bucket").display());
        let mut coordinator = node(dir.path(), "coordinator", &["--target=coordinator"])?;
        coordinator.start().await?;
        let group = coordinator.grpc.clone();
        let member = |name: &str, target: &str| {
            let args = ["--target", target, "--coordinators", &group, "--object-store", &store, "--replication-factor=1"];
            node(dir.path(), name, &args)
        };
        let mut place = Self {
            _coordinator: coordinator,
            a: member("a", "ingester")?,
            b: member("b", "ingester")?,
            distributor: member("distributor", "distributor")?,
            other_distributor: member("other", "distributor")?,
            querier: member("querier", "querier")?,
            compactor: member("compactor", "compactor")?,
            checker: Checker::new(),
            _dir: dir,
        };
        let Self { a, b, distributor, other_distributor, querier, compactor, .. } = &mut place;
        let members = [a, b, distributor, other_distributor, querier, compactor];
        for node in members {
            node.launch()?;
        }
        let Self { a, b, distributor, other_distributor, querier, compactor, .. } = &place;
        for node in [a, b, distributor, other_distributor, querier, compactor] {
            node.ready().await?;
        }
        for client in [place.distributor.client(), place.querier.client()] {
            eventually("both ingesters are seen", SOON, || async { client.active_ingesters().await.is_ok_and(|n| n == 2) }).await?;
        }
        Ok(place)
    }

    /// Writes what must be taken, and reads back everything that ever was.
    async fn write_and_verify(&self, run: &str) -> anyhow::Result<()> {
        self.checker.write(&self.distributor.client(), &batch(run, now_ms())).await.with_context(|| format!("writing {run}"))?;
        let found = self.checker.verify(&self.querier.client()).await.with_context(|| format!("reading {run}"))?;
        println!("{run}: {found} acknowledged samples are there");
        Ok(())
    }

    /// Has the ingester `a` prepare, until it only has to be stopped.
    async fn prepare_a(&self) -> anyhow::Result<()> {
        let (leaving, compacting) = (self.a.client(), self.compactor.client());
        post(&leaving, "/ingester/prepare-shutdown").await?;
        eventually("it is safe to remove", SOON, || async {
            // Fails while another round is under way.
            let _ = post(&compacting, "/compactor/run").await;
            json(&leaving, "/ingester/prepare-shutdown").await.is_ok_and(|status| status["safe_to_remove"] == true)
        })
        .await?;
        let out = self.querier.client();
        eventually("the cluster knows", SOON, || async {
            matches!(place(&out, "ingester", "a").await, Ok(Some((state, _))) if state == "GONE")
        })
        .await
    }

    /// Writes and reads until the cluster has forgotten `a`: all the while as if nothing were.
    async fn goes_on_without_a(&self, run: &str) -> anyhow::Result<()> {
        let (out, started) = (self.querier.client(), Instant::now());
        let mut round = 0;
        loop {
            let forgotten = place(&out, "ingester", "a").await?.is_none();
            self.write_and_verify(&format!("{run}_{round}")).await?;
            if forgotten {
                println!("{run}: forgotten after {:.1} s", started.elapsed().as_secs_f64());
                return Ok(());
            }
            ensure!(started.elapsed() < LEASE + SOON, "{run}: it is not forgotten");
            tokio::time::sleep(Duration::from_millis(200)).await;
            round += 1;
        }
    }

    /// Has the ingester `a` stay after all, and waits until it takes writes again.
    async fn take_a_back(&mut self) -> anyhow::Result<()> {
        self.a.restart(None).await?;
        let client = self.a.client();
        let answer = client.http().delete(format!("{}/ingester/prepare-shutdown", client.base())).send().await?;
        ensure!(answer.status().is_success(), "{}", answer.status());
        for node in [&self.distributor, &self.querier] {
            let client = node.client();
            eventually("it is a full member", SOON, || async { client.active_ingesters().await.is_ok_and(|n| n == 2) }).await?;
        }
        Ok(())
    }
}

fn node(dir: &Path, name: &str, args: &[&str]) -> anyhow::Result<Node> {
    let lease = LEASE.as_secs().to_string();
    let env = [
        ("PLIMSOLL_COORDINATOR_LEASE_TTL_SECONDS", lease.as_str()),
        ("PLIMSOLL_INGESTER_SHUTDOWN_SETTLE_SECONDS", "2"),
        ("PLIMSOLL_QUERIER_BUCKET_INDEX_REFRESH_SECONDS", "1"),
    ];
    Ok(env.iter().fold(Node::new(name, dir, args)?, |node, (name, value)| node.with_env(name, value)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ingester_that_cannot_say_goodbye_takes_nothing_with_it() -> anyhow::Result<()> {
    let started = Instant::now();
    let mut place = Place::start().await?;
    place.write_and_verify("before").await?;
    for action in ["abort", "error"] {
        place.a.restart(Some(&format!("ring.leave={action}"))).await?;
        let client = place.distributor.client();
        eventually("it is back", SOON, || async { client.active_ingesters().await.is_ok_and(|n| n == 2) }).await?;
        place.write_and_verify(&format!("{action}_with_a")).await?;
        place.prepare_a().await?;
        let stopped = Instant::now();
        place.a.process().signal(Signal::TERM)?;
        match action {
            "abort" => place.a.killed_itself(ENDS_WITHIN).await?,
            _ => {
                let status = place.a.ended(ENDS_WITHIN).await?;
                ensure!(status.success(), "it ended with {status}");
            }
        }
        ensure!(place.a.process().acted("ring.leave") > 0, "it said goodbye");
        println!("{action}: ended after {:.1} s", stopped.elapsed().as_secs_f64());
        place.goes_on_without_a(&format!("{action}_without_a")).await?;
        place.take_a_back().await?;
        place.write_and_verify(&format!("{action}_a_is_back")).await?;
    }
    println!("{:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// Distributor and querier are forgotten with their lease, and are members again when they are back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_cannot_say_goodbye_are_forgotten_with_their_lease() -> anyhow::Result<()> {
    let started = Instant::now();
    let mut cluster = Place::start().await?;
    let load = Load { run: "meanwhile".to_owned(), series: SERIES, pause: Duration::from_millis(50) };
    let writer = Writer::start(&cluster.checker, vec![cluster.distributor.client()], load);
    let out = cluster.distributor.client();
    for action in ["abort", "error", "1*error"] {
        let mut gone_after = Vec::new();
        for (role, node) in [("distributor", &mut cluster.other_distributor), ("querier", &mut cluster.querier)] {
            node.restart(Some(&format!("ring.leave={action}"))).await?;
            let id = node.name().to_owned();
            let active = || async { matches!(place(&out, role, &id).await, Ok(Some((state, _))) if state == "ACTIVE") };
            eventually(&format!("{id} is a member"), SOON, active).await?;
            node.process().signal(Signal::TERM)?;
            match action {
                "abort" => node.killed_itself(ENDS_WITHIN).await?,
                _ => {
                    let status = node.ended(ENDS_WITHIN).await?;
                    ensure!(status.success(), "{id}: {action}: it ended with {status}");
                }
            }
            let ended = Instant::now();
            let forgotten = || async { matches!(place(&out, role, &id).await, Ok(None)) };
            eventually(&format!("{id} is forgotten"), SOON, forgotten).await?;
            gone_after.push(ended.elapsed());
            node.restart(None).await?;
            eventually(&format!("{id} is a member again"), SOON, active).await?;
        }
        println!("{action}: forgotten {gone_after:?} after the end");
        let asks_again = action == "1*error";
        ensure!(
            !asks_again || gone_after.iter().all(|after| *after < LEASE / 4),
            "one failure, and it was not asked again: {gone_after:?}"
        );
    }
    writer.stop().await?;
    cluster.checker.nothing_failed()?;
    cluster.checker.verify(&cluster.querier.client()).await?;
    cluster.checker.write(&cluster.other_distributor.client(), &batch("other", now_ms())).await?;
    let found = cluster.checker.verify(&cluster.querier.client()).await?;
    println!("{found} acknowledged samples are there, {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_not_divided_is_retried_whole() -> anyhow::Result<()> {
    let started = Instant::now();
    let mut six = Six::start().await?;
    six.distributor.restart(Some("rw.shard=2*off->3*error->off")).await?;
    let distributor = six.distributor.client();
    six.wait_active(3).await?;
    let (way_in, out, checker) = (distributor, six.querier.client(), Checker::new());
    let t = now_ms();
    let mut statuses = Vec::new();
    for n in 0..8 {
        let run = format!("push_{n}");
        let push = batch(&run, t + n);
        loop {
            let (status, text) = checker.push(&way_in, &push).await?;
            statuses.push(status);
            match status {
                200..=299 => break,
                500..=599 => ensure!(text.contains("failpoint rw.shard"), "{text}"),
                _ => anyhow::bail!("a sender would give up: {status} {text}"),
            }
            let data = out.query(&format!("count(ledger_value{{run=\"{run}\"}})"), &(now_ms() / 1_000 + 1).to_string()).await?;
            ensure!(data["result"].as_array().is_some_and(Vec::is_empty), "a part of it is there: {data}");
            ensure!(statuses.len() < 20, "{statuses:?}");
        }
        let found = checker.verify(&out).await?;
        ensure!(found == SERIES * usize::try_from(n + 1)?, "{found} samples after {} pushes", n + 1);
    }
    ensure!(statuses.iter().filter(|status| **status >= 500).count() == 3, "{statuses:?}");
    println!("{statuses:?}, {:.1} s", started.elapsed().as_secs_f64());

    six.distributor.restart(Some("rw.shard=30*off->abort")).await?;
    let before = checker.acked();
    let load = Load { run: "dies".to_owned(), series: SERIES, pause: Duration::from_millis(10) };
    let writer = Writer::start(&checker, vec![six.distributor.client()], load);
    six.distributor.killed_itself(SOON).await?;
    writer.stop().await?;
    six.distributor.restart(None).await?;
    let found = checker.verify(&out).await?;
    ensure!(found > before, "nothing was acknowledged before the kill");
    checker.write(&six.distributor.client(), &batch("after", now_ms())).await?;
    checker.verify(&out).await?;
    println!("{found} acknowledged samples after the kill, {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}
