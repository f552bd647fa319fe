//! Zones as those who run a cluster see them: it is formed zone by zone, ingesters move, disks are lost, and every querier reads everything from the zones it asks.
#![allow(clippy::disallowed_methods, reason = "tests of real processes live in real time")]

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use cluster::checker::Checker;
use cluster::client::{Client, PushSample};
use cluster::deployment::Node;
use cluster::ledger::now_ms;
use cluster::process::eventually;
use model::Labels;
use rustix::process::Signal;

const SOON: Duration = Duration::from_secs(60);

/// A coordinator, a distributor, two ingesters in each of the zones a, b and c, and a querier in each.
struct Cluster {
    dir: tempfile::TempDir,
    group: String,
    ingesters: Vec<Node>,
    distributor: Node,
    queriers: Vec<Node>,
    checker: Checker,
    _coordinator: Node,
}

impl Cluster {
    /// Without ingesters.
    async fn start() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut coordinator = Node::new("coordinator", dir.path(), &["--target=coordinator"])?;
        coordinator.start().await?;
        let group = coordinator.grpc.clone();
        let mut distributor = member(dir.path(), &group, "distributor", "distributor", "a")?;
        let mut queriers = Vec::new();
        for zone in ["a", "b", "c"] {
            queriers.push(member(dir.path(), &group, &format!("querier-{zone}"), "querier", zone)?);
        }
        queriers.iter_mut().chain([&mut distributor]).try_for_each(Node::launch)?;
        Ok(Self { dir, group, ingesters: Vec::new(), distributor, queriers, checker: Checker::new(), _coordinator: coordinator })
    }

    /// Two ingesters more, in this zone, which everybody sees.
    async fn add_zone(&mut self, zone: &str) -> anyhow::Result<()> {
        for number in 0..2 {
            let mut node = member(self.dir.path(), &self.group, &format!("ingester-{zone}-{number}"), "ingester", zone)?;
            node.start().await?;
            self.ingesters.push(node);
        }
        self.see(self.ingesters.len()).await
    }

    async fn see(&self, count: usize) -> anyhow::Result<()> {
        for node in self.queriers.iter().chain([&self.distributor]) {
            let client = node.client();
            eventually("everybody is seen", SOON, || async { client.active_ingesters().await.is_ok_and(|n| n == count) }).await?;
        }
        Ok(())
    }

    async fn write(&self, name: &str) -> anyhow::Result<()> {
        let labels = |i: i32| Labels::from_pairs([("__name__", name), ("i", &i.to_string())]);
        let batch: Vec<PushSample> = (0..200).map(|i| PushSample { labels: labels(i), t: now_ms() - 1_000, v: f64::from(i) }).collect();
        self.checker.write(&self.distributor.client(), &batch).await
    }

    /// Every querier finds everything, whichever zones it asks.
    async fn is_complete(&self, names: usize) -> anyhow::Result<()> {
        for node in &self.queriers {
            for _ in 0..4 {
                let found = self.checker.verify(&node.client()).await.with_context(|| node.name().to_owned())?;
                ensure!(found == 200 * names, "{}: {found} samples of {names} names", node.name());
            }
        }
        Ok(())
    }
}

fn member(dir: &Path, group: &str, name: &str, target: &str, zone: &str) -> anyhow::Result<Node> {
    let args = ["--target", target, "--coordinators", group, "--replication-factor=3"];
    Ok(Node::new(name, dir, &args)?.with_env("PLIMSOLL_ZONE", zone))
}

/// Requests to ingesters of the querier's own zone, of others, and those that were made because others were late.
async fn asked(querier: &Client) -> anyhow::Result<[f64; 3]> {
    let (_, text) = querier.get("/metrics").await?;
    let value = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("plimsoll_querier_ingesters_{name}")));
        line.and_then(|line| line.rsplit(' ').next()).and_then(|value| value.parse().ok()).unwrap_or(0.0)
    };
    Ok([value("asked_total{zone=\"own\"}"), value("asked_total{zone=\"other\"}"), value("asked_late_total")])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_formed_zone_by_zone_and_changes_and_every_zone_reads_everything() -> anyhow::Result<()> {
    let mut cluster = Cluster::start().await?;
    cluster.add_zone("a").await?;
    let lone = PushSample { labels: Labels::from_pairs([("__name__", "lone")]), t: now_ms(), v: 1.0 };
    let (status, text) = cluster.distributor.client().push(&[lone]).await?;
    ensure!(status == 503 && text.contains("2 zones") && text.contains("only zone a"), "one zone is no quorum: {status} {text}");
    cluster.add_zone("b").await?;
    cluster.write("of_two_zones").await?;
    cluster.add_zone("c").await?;
    cluster.write("of_three_zones").await?;
    cluster.is_complete(2).await?;
    let near = cluster.queriers[0].client();
    let before = asked(&near).await?;
    cluster.is_complete(2).await?;
    let [own, other, late] = asked(&near).await?;
    ensure!(own > before[0], "{own}");
    ensure!(
        other - late - (before[1] - before[2]) == own - before[0],
        "as many in one other zone as in the own: {before:?} {own} {other} {late}"
    );

    // Somebody gives an ingester another zone. What it and its neighbours acknowledged is where it was.
    cluster.ingesters[0].process().terminate(SOON)?;
    cluster.ingesters[0].set_env("PLIMSOLL_ZONE", Some("c"));
    cluster.ingesters[0].start().await?;
    cluster.see(6).await?;
    cluster.write("after_the_move").await?;
    cluster.is_complete(3).await?;

    // One hangs, and others stand in.
    cluster.ingesters[2].process().signal(Signal::STOP)?;
    let hung = cluster.is_complete(3).await;
    cluster.ingesters[2].process().signal(Signal::CONT)?;
    hung?;
    cluster.see(6).await?;

    // Another comes back without its disk: from then on reads ask everyone.
    cluster.ingesters[4].kill()?;
    std::fs::remove_dir_all(cluster.ingesters[4].data_dir())?;
    cluster.ingesters[4].start().await?;
    cluster.see(6).await?;
    cluster.is_complete(3).await?;
    let (near, checker) = (&near, &cluster.checker);
    // The one that hung may have to be tried first.
    eventually("everyone is asked", SOON, || async move {
        let Ok(before) = asked(near).await else { return false };
        let complete = checker.verify(near).await.is_ok_and(|found| found == 600);
        let after = asked(near).await.unwrap_or_default();
        complete && after[0] > before[0] && after[1] - before[1] == 5.0 * (after[0] - before[0])
    })
    .await
}
