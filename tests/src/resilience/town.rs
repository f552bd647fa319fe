//! Three coordinators, two ingesters in each of three zones, two distributors, two queriers, a compactor; replication factor 3.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;

use super::disk::Disk;
use super::zones::Zones;
use crate::client::Client;
use crate::deployment::Node;
use crate::process::eventually;

/// How long processes may take to find each other, on a busy machine.
const SOON: Duration = Duration::from_secs(120);

/// Ports are given out from here: below those that the kernel picks for connections.
const FIRST_PORT: u16 = 20_000;
/// The ingester whose disk can be filled, by its number.
pub const SMALL_DISK: usize = 1;
/// The one that answers when samples are on its disk, by its number; others when they are written.
pub const SYNCS_ALWAYS: usize = 3;

/// The processes.
pub struct Town {
    /// Three, one per zone.
    pub coordinators: Vec<Node>,
    /// Two per zone, in the order of zones.
    pub ingesters: Vec<Node>,
    /// Two, in the zones `a` and `b`.
    pub distributors: Vec<Node>,
    /// Two, in the zones `a` and `b`.
    pub queriers: Vec<Node>,
    /// Keeps the bucket index. In zone `a`.
    pub compactor: Node,
    /// The zones `a`, `b` and `c`.
    pub zones: Zones,
    /// The disk of the ingester [`SMALL_DISK`].
    pub disk: Disk,
    plan: Plan,
    _dir: TempDir,
}

/// What new processes are told.
struct Plan {
    dir: PathBuf,
    group: String,
    store: String,
    next_port: u16,
}

impl Town {
    /// Starts all of them.
    pub async fn start() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let store = format!("file://{}", dir.path().join("bucket").display());
        let names = ["a", "b", "c"];
        let zones = Zones::make(&names)?;
        let mut plan = Plan { dir: dir.path().to_owned(), group: String::new(), store, next_port: FIRST_PORT };
        let addresses: Vec<String> =
            names.iter().map(|zone| Ok(format!("{}:{}", zones.address(zone)?, plan.port()))).collect::<anyhow::Result<_>>()?;
        plan.group = addresses.join(",");
        let mut coordinators = Vec::new();
        for ((n, zone), address) in names.iter().enumerate().zip(&addresses) {
            let args = ["--target=coordinator", "--coordinators", &plan.group.clone()];
            coordinators.push(plan.node(&zones, &format!("coordinator-{n}"), zone, &args)?.at(address, &[]));
        }
        let mut ingesters = Vec::new();
        for (n, zone) in ["a", "a", "b", "b", "c", "c"].iter().enumerate() {
            let node = plan.member(&zones, &format!("ingester-{zone}-{}", n % 2), "ingester", zone)?;
            ingesters.push(if n == SYNCS_ALWAYS { node.with_env("PLIMSOLL_INGESTER_WAL_SYNC", "always") } else { node });
        }
        let disk = Disk::mount(&ingesters.get(SMALL_DISK).context("an ingester")?.data_dir())?;
        let mut town = Self {
            coordinators,
            ingesters,
            distributors: vec![
                plan.member(&zones, "distributor-0", "distributor", "a")?,
                plan.member(&zones, "distributor-1", "distributor", "b")?,
            ],
            queriers: vec![plan.member(&zones, "querier-0", "querier", "a")?, plan.member(&zones, "querier-1", "querier", "b")?],
            compactor: plan.member(&zones, "compactor", "compactor", "a")?,
            zones,
            disk,
            plan,
            _dir: dir,
        };
        for node in town.nodes() {
            node.launch()?;
        }
        town.well().await?;
        Ok(town)
    }

    /// An ingester that is not started yet.
    pub fn ingester(&mut self, name: &str, zone: &str) -> anyhow::Result<Node> {
        self.plan.member(&self.zones, name, "ingester", zone)
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

impl Plan {
    fn port(&mut self) -> u16 {
        self.next_port += 1;
        self.next_port
    }

    fn node(&mut self, zones: &Zones, name: &str, zone: &str, args: &[&str]) -> anyhow::Result<Node> {
        let address = zones.address(zone)?;
        let (http, grpc) = (format!("{address}:{}", self.port()), format!("{address}:{}", self.port()));
        Ok(Node::listening(name, &self.dir, &http, &grpc, args).under(zones.prefix(zone)))
    }

    fn member(&mut self, zones: &Zones, name: &str, target: &str, zone: &str) -> anyhow::Result<Node> {
        let (group, store) = (self.group.clone(), self.store.clone());
        let args = ["--target", target, "--coordinators", &group, "--zone", zone, "--object-store", &store, "--replication-factor=3"];
        let node = self.node(zones, name, zone, &args)?;
        // Safe to remove soon, and blocks seen soon.
        let env = [("PLIMSOLL_INGESTER_SHUTDOWN_SETTLE_SECONDS", "4"), ("PLIMSOLL_QUERIER_BUCKET_INDEX_REFRESH_SECONDS", "1")];
        Ok(env.iter().fold(node, |node, (name, value)| node.with_env(name, value)))
    }
}
