//! Every role in processes of its own: two distributors, three ingesters in three zones, a querier, a compactor, over one object store.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::client::Client;
use crate::deployment::Node;
use crate::process::eventually;

/// How long processes may take to find each other, on a busy machine.
const FOUND_WITHIN: Duration = Duration::from_secs(60);

/// The processes.
pub struct Fleet {
    /// The Raft group of one.
    pub coordinator: Node,
    /// Three, in the zones `a`, `b` and `c`.
    pub ingesters: Vec<Node>,
    /// Two.
    pub distributors: Vec<Node>,
    /// The way out.
    pub querier: Node,
    /// Looks after the bucket.
    pub compactor: Node,
    _dir: TempDir,
}

impl Fleet {
    /// Starts all of them; each gets these environment variables.
    pub async fn start(object_store: &str, env: &[(&str, &str)]) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let at = |name: &str, args: &[&str]| node(dir.path(), name, args, env);
        let mut coordinator = at("coordinator", &["--target=coordinator"])?;
        coordinator.start().await?;
        let group = coordinator.grpc.clone();
        let member = |name: &str, target: &str, zone: &str| {
            let args = ["--target", target, "--coordinators", &group, "--zone", zone, "--object-store", object_store];
            at(name, &[&args[..], &["--replication-factor=3"]].concat())
        };
        let ingesters = ["a", "b", "c"].map(|zone| member(&format!("ingester-{zone}"), "ingester", zone));
        let mut fleet = Self {
            ingesters: ingesters.into_iter().collect::<anyhow::Result<_>>()?,
            distributors: vec![member("distributor-0", "distributor", "a")?, member("distributor-1", "distributor", "b")?],
            querier: member("querier", "querier", "a")?,
            compactor: member("compactor", "compactor", "a")?,
            coordinator,
            _dir: dir,
        };
        for node in fleet.members() {
            node.launch()?;
        }
        for node in fleet.members() {
            node.ready().await?;
        }
        fleet.wait_active(3).await?;
        Ok(fleet)
    }

    /// All but the coordinator.
    pub fn members(&mut self) -> impl Iterator<Item = &mut Node> {
        self.ingesters.iter_mut().chain(&mut self.distributors).chain([&mut self.querier, &mut self.compactor])
    }

    /// Waits until distributors and querier see this many active ingesters.
    pub async fn wait_active(&self, count: usize) -> anyhow::Result<()> {
        for node in self.distributors.iter().chain([&self.querier]) {
            let client = node.client();
            let what = format!("{count} active ingesters are seen");
            eventually(&what, FOUND_WITHIN, || async { client.active_ingesters().await.is_ok_and(|n| n == count) }).await?;
        }
        Ok(())
    }

    /// Has every ingester put all it has into blocks and ship them.
    pub async fn flush(&self) -> anyhow::Result<()> {
        for ingester in &self.ingesters {
            post(&ingester.client(), "/ingester/flush?wait=true").await?;
        }
        Ok(())
    }

    /// Has the compactor make a round.
    pub async fn compact(&self) -> anyhow::Result<()> {
        post(&self.compactor.client(), "/compactor/run").await
    }

    /// Kills all ingesters and starts them with nothing on their disks.
    pub async fn wipe_ingesters(&mut self) -> anyhow::Result<()> {
        for ingester in &mut self.ingesters {
            ingester.kill()?;
            std::fs::remove_dir_all(ingester.data_dir())?;
            ingester.launch()?;
        }
        for ingester in &self.ingesters {
            ingester.ready().await?;
        }
        self.wait_active(3).await
    }
}

fn node(dir: &Path, name: &str, args: &[&str], env: &[(&str, &str)]) -> anyhow::Result<Node> {
    let node = Node::new(name, dir, args)?;
    Ok(env.iter().fold(node, |node, (name, value)| node.with_env(name, value)))
}

/// POST without a body that must succeed.
pub async fn post(client: &Client, path: &str) -> anyhow::Result<()> {
    let answer = client.http().post(format!("{}{path}", client.base())).timeout(Duration::from_secs(120)).send().await?;
    let (status, text) = (answer.status(), answer.text().await.context("the answer's text")?);
    ensure!(status.is_success(), "POST {path} answered {status}: {text}");
    Ok(())
}
