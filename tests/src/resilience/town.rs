//! Three coordinators, two ingesters in each of three zones, two distributors, two queriers, a compactor; replication factor 3.

use std::time::Duration;

use tempfile::TempDir;

use crate::client::Client;
use crate::deployment::Node;
use crate::process::{eventually, free_port};

/// How long processes may take to find each other, on a busy machine.
const SOON: Duration = Duration::from_secs(120);

/// The processes.
pub struct Town {
    /// Three.
    pub coordinators: Vec<Node>,
    /// Two per zone, in the order of zones.
    pub ingesters: Vec<Node>,
    /// Two.
    pub distributors: Vec<Node>,
    /// Two.
    pub queriers: Vec<Node>,
    /// Keeps the bucket index.
    pub compactor: Node,
    group: String,
    store: String,
    dir: TempDir,
}

impl Town {
    /// Starts all of them.
    pub async fn start() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let store = format!("file://{}", dir.path().join("bucket").display());
        let ports = [free_port()?, free_port()?, free_port()?];
        let group = ports.map(|port| format!("127.0.0.1:{port}")).join(",");
        let member = |name: &str, target: &str, zone: &str| member(&dir, &group, &store, name, target, zone);
        let zones = ["a", "a", "b", "b", "c", "c"];
        let ingesters = (0..).zip(zones).map(|(n, zone)| member(&format!("ingester-{zone}-{}", n % 2), "ingester", zone));
        let mut town = Self {
            coordinators: (0..3)
                .zip(ports)
                .map(|(n, port)| {
                    let args = ["--target=coordinator", "--coordinators", &group];
                    Ok(Node::new(&format!("coordinator-{n}"), dir.path(), &args)?.at(&format!("127.0.0.1:{port}"), &[]))
                })
                .collect::<anyhow::Result<_>>()?,
            ingesters: ingesters.collect::<anyhow::Result<_>>()?,
            distributors: vec![member("distributor-0", "distributor", "a")?, member("distributor-1", "distributor", "b")?],
            queriers: vec![member("querier-0", "querier", "a")?, member("querier-1", "querier", "b")?],
            compactor: member("compactor", "compactor", "a")?,
            group: group.clone(),
            store: store.clone(),
            dir,
        };
        for node in town.nodes() {
            node.launch()?;
        }
        town.well().await?;
        Ok(town)
    }

    /// An ingester that is not started yet.
    pub fn ingester(&self, name: &str, zone: &str) -> anyhow::Result<Node> {
        member(&self.dir, &self.group, &self.store, name, "ingester", zone)
    }

    /// All processes.
    pub fn nodes(&mut self) -> impl Iterator<Item = &mut Node> {
        let members = self.ingesters.iter_mut().chain(&mut self.distributors).chain(&mut self.queriers);
        self.coordinators.iter_mut().chain(members).chain([&mut self.compactor])
    }

    /// Waits until everyone is ready and every ingester active.
    pub async fn well(&mut self) -> anyhow::Result<()> {
        for node in self.nodes() {
            node.ready().await?;
        }
        self.wait_active(self.ingesters.len()).await
    }

    /// Waits until distributors and queriers see this many active ingesters.
    pub async fn wait_active(&self, count: usize) -> anyhow::Result<()> {
        for node in self.distributors.iter().chain(&self.queriers) {
            let client = node.client();
            let what = format!("{count} active ingesters are seen");
            eventually(&what, SOON, || async { client.active_ingesters().await.is_ok_and(|n| n == count) }).await?;
        }
        Ok(())
    }

    /// Which coordinator leads, if one says so.
    pub async fn leader(&self) -> Option<usize> {
        for (n, node) in self.coordinators.iter().enumerate() {
            let leads =
                node.client().get("/metrics").await.is_ok_and(|(_, text)| text.lines().any(|line| line == "plimsoll_coordinator_leader 1"));
            if leads {
                return Some(n);
            }
        }
        None
    }

    /// Clients of the ways in.
    #[must_use]
    pub fn ways_in(&self) -> Vec<Client> {
        self.distributors.iter().map(Node::client).collect()
    }

    /// Clients of the ways out.
    #[must_use]
    pub fn ways_out(&self) -> Vec<Client> {
        self.queriers.iter().map(Node::client).collect()
    }
}

fn member(dir: &TempDir, group: &str, store: &str, name: &str, target: &str, zone: &str) -> anyhow::Result<Node> {
    let args = ["--target", target, "--coordinators", group, "--zone", zone, "--object-store", store, "--replication-factor=3"];
    let node = Node::new(name, dir.path(), &args)?;
    // Safe to remove soon, and blocks seen soon.
    let env = [("PLIMSOLL_INGESTER_SHUTDOWN_SETTLE_SECONDS", "4"), ("PLIMSOLL_QUERIER_BUCKET_INDEX_REFRESH_SECONDS", "1")];
    Ok(env.iter().fold(node, |node, (name, value)| node.with_env(name, value)))
}
