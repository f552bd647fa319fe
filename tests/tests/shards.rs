//! A tenant with a shard: its series are in few ingesters, and what was written stays readable while the shard's size changes, an ingester joins, and one dies.
#![allow(clippy::disallowed_methods, reason = "tests of real processes live in real time")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use cluster::checker::Checker;
use cluster::client::{Client, PushSample};
use cluster::deployment::Node;
use cluster::ledger::now_ms;
use cluster::process::eventually;
use model::Labels;

const SOON: Duration = Duration::from_secs(60);

struct Cluster {
    dir: tempfile::TempDir,
    group: String,
    store: String,
    ingesters: Vec<Node>,
    distributor: Node,
    querier: Node,
    checker: Checker,
    _coordinator: Node,
}

impl Cluster {
    /// Two ingesters in each of three zones; the tenant has all of them.
    async fn start() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        std::fs::write(overrides(dir.path()), "overrides: {anonymous: {ingestion_shard_size: 6}}")?;
        let mut coordinator = Node::new("coordinator", dir.path(), &["--target=coordinator"])?;
        coordinator.start().await?;
        let (group, store) = (coordinator.grpc.clone(), format!("file://{}", dir.path().join("bucket").display()));
        let node = |name: &str, target: &str, zone: &str| member(dir.path(), &group, &store, name, target, zone);
        let mut ingesters = Vec::new();
        for number in 0..2 {
            for zone in ["a", "b", "c"] {
                ingesters.push(node(&format!("ingester-{zone}-{number}"), "ingester", zone)?);
            }
        }
        let (distributor, querier) = (node("distributor", "distributor", "a")?, node("querier", "querier", "a")?);
        let mut cluster = Self { group, store, ingesters, distributor, querier, checker: Checker::new(), _coordinator: coordinator, dir };
        for node in cluster.ingesters.iter_mut().chain([&mut cluster.distributor, &mut cluster.querier]) {
            node.launch()?;
        }
        for node in cluster.ingesters.iter().chain([&cluster.distributor, &cluster.querier]) {
            node.ready().await?;
        }
        cluster.see(6).await?;
        Ok(cluster)
    }

    async fn see(&self, count: usize) -> anyhow::Result<()> {
        for client in [self.distributor.client(), self.querier.client()] {
            eventually("the ingesters are seen", SOON, || async { client.active_ingesters().await.is_ok_and(|n| n == count) }).await?;
        }
        Ok(())
    }

    /// Has the distributor follow another size.
    async fn resize(&self, size: usize) -> anyhow::Result<()> {
        std::fs::write(overrides(self.dir.path()), format!("overrides: {{anonymous: {{ingestion_shard_size: {size}}}}}"))?;
        for client in [self.distributor.client(), self.querier.client()] {
            let want = format!("ingestion_shard_size: {size}");
            eventually("the size is in force", SOON, || async {
                client.get("/runtime_config?mode=diff").await.is_ok_and(|(_, text)| text.contains(&want))
            })
            .await?;
        }
        Ok(())
    }

    /// Writes 300 series of this name and says which ingesters had more series afterwards.
    async fn write(&self, name: &str, t: i64) -> anyhow::Result<Vec<usize>> {
        let before = self.series().await?;
        let batch: Vec<PushSample> =
            (0..300).map(|i| PushSample { labels: Labels::from_pairs([("__name__", name), ("i", &i.to_string())]), t, v: 1.0 }).collect();
        self.checker.write(&self.distributor.client(), &batch).await?;
        // The slower replicas follow.
        let total: u64 = before.iter().sum::<u64>() + 900;
        eventually("all replicas have it", SOON, || async { self.series().await.is_ok_and(|now| now.iter().sum::<u64>() == total) })
            .await?;
        let after = self.series().await?;
        Ok((0..after.len()).filter(|i| after[*i] > before[*i]).collect())
    }

    async fn series(&self) -> anyhow::Result<Vec<u64>> {
        let mut all = Vec::new();
        for ingester in &self.ingesters {
            all.push(memory_series(&ingester.client()).await?);
        }
        Ok(all)
    }

    /// All 300 series of so many names are there.
    async fn is_complete(&self, names: usize) -> anyhow::Result<()> {
        let found = self.checker.verify(&self.querier.client()).await?;
        ensure!(found == 300 * names, "{found} samples of {names} names");
        Ok(())
    }
}

fn overrides(dir: &Path) -> PathBuf {
    dir.join("overrides.yaml")
}

fn member(dir: &Path, group: &str, store: &str, name: &str, target: &str, zone: &str) -> anyhow::Result<Node> {
    let args = ["--target", target, "--coordinators", group, "--zone", zone, "--object-store", store, "--replication-factor=3"];
    let file = overrides(dir).display().to_string();
    let node = Node::new(name, dir, &args)?;
    Ok(node.with_env("PLIMSOLL_LIMITS_OVERRIDES_FILE", &file).with_env("PLIMSOLL_LIMITS_RELOAD_INTERVAL_SECONDS", "1"))
}

async fn memory_series(client: &Client) -> anyhow::Result<u64> {
    let (_, text) = client.get("/metrics").await?;
    let line = text.lines().find(|line| line.starts_with("plimsoll_ingester_memory_series")).context("the metric")?;
    Ok(line.rsplit(' ').next().context("a value")?.parse::<f64>()? as u64)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_stays_readable_while_the_shard_changes() -> anyhow::Result<()> {
    let mut cluster = Cluster::start().await?;
    let t = now_ms() - 10_000;
    ensure!(cluster.write("large", t).await?.len() == 6);
    cluster.resize(3).await?;
    let three = cluster.write("small", t).await?;
    ensure!(three.len() == 3 && (0..3).all(|zone| three.iter().any(|i| i % 3 == zone)), "one of each zone: {three:?}");
    cluster.is_complete(2).await?;

    // Four more in one zone: it is likely that one of them takes the place of the one that the tenant had there.
    for number in 2..6 {
        let mut node = member(cluster.dir.path(), &cluster.group, &cluster.store, &format!("ingester-a-{number}"), "ingester", "a")?;
        node.start().await?;
        cluster.ingesters.push(node);
    }
    cluster.see(10).await?;
    let joined = cluster.write("joined", t).await?;
    ensure!(joined.len() == 3, "{joined:?}");
    cluster.is_complete(3).await?;

    // One of those that hold the last series dies without a word.
    cluster.ingesters[joined[0]].kill()?;
    cluster.is_complete(3).await?;
    Ok(())
}
