//! Starts and stops a member.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use openraft::BasicNode;
use openraft::error::{InitializeError, RaftError};
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use rpc::operator_grpc::group_status;
use rpc::{Channels, ClusterIdentity, GroupStatus};
use runtime::clock::SharedClock;
use runtime::{Shutdown, Tasks};

use crate::config::{Config, raft_config};
use crate::error::Error;
use crate::forget::Dead;
use crate::formation::{Decision, decide};
use crate::grpc;
use crate::handle::{Handle, Inner, Settled};
use crate::leader;
use crate::lease::Leases;
use crate::metrics::Metrics;
use crate::network::Network;
use crate::raft::{ONLY_NODE, Raft, node_id};
use crate::store::log::LogStore;
use crate::store::state_machine::{SharedState, StateMachine};
use crate::store::{Db, StoreCloses};

/// The directory of the Raft store below the data directory.
const STORE_DIRECTORY: &str = "coordinator";

/// How long the only member of a group takes at most to elect itself.
const SELF_ELECTION_TIMEOUT: Duration = Duration::from_secs(15);

/// How long another member may take to say whether there is a group, and how often it is asked.
const ASK_TIMEOUT: Duration = Duration::from_millis(500);
const ASK_EVERY: Duration = Duration::from_millis(200);

/// How long the store may be in use after raft has stopped.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// What a member is given.
pub struct Deps {
    /// The process's data directory.
    pub data_dir: PathBuf,
    /// `host:port` of this process's gRPC listener as the other members write it.
    pub address: String,
    /// `host:port` of all members, the same list in each of them; empty for a group of one. Matters when the group is
    /// formed; afterwards it is what the log says. One that is not among them never forms a group, but joins that of the others.
    pub members: Vec<String>,
    /// Copies of each series, by which is judged whether a dead ingester may be forgotten.
    pub replication_factor: usize,
    /// Randomness for the name of the cluster, should this member be the one to give it.
    pub entropy: u128,
    /// Time.
    pub clock: SharedClock,
    /// Owner of the tasks.
    pub tasks: Tasks,
    /// Connections to the other members.
    pub channels: Channels,
    /// Learns the cluster's name.
    pub cluster: ClusterIdentity,
    /// Ends watches and the leader's work.
    pub shutdown: Shutdown,
}

/// A running member.
pub struct Coordinator {
    handle: Handle,
    store: StoreCloses,
}

impl Coordinator {
    /// Opens the store and joins, or forms, the group. A group of one has a leader when this returns; a group of several gets one as soon
    /// as most members serve [`Coordinator::grpc`]. Safe to be called in all members in any order, each time they start.
    pub async fn start(config: &Config, deps: Deps, registry: &mut Registry) -> Result<Self, Error> {
        config.validate()?;
        let path = deps.data_dir.join(STORE_DIRECTORY);
        let failed = |problem: String| Error::Store { path: path.clone(), problem };
        let db = Db::open(&path, deps.tasks.clone())?;
        let alone = deps.members.is_empty();
        let id = match db.stored_node_id().map_err(|e| failed(e.to_string()))? {
            Some(id) => id,
            None => db.node_id(first_number(&deps).await).map_err(|e| failed(e.to_string()))?,
        };
        let machine = StateMachine::open(db.clone()).map_err(|e| failed(e.to_string()))?;
        let shared = machine.shared();
        let store = db.watch_close();
        let raft = start_raft(id, &deps, db.clone(), machine).await?;
        let handle = Handle {
            inner: Arc::new(Inner {
                raft,
                id,
                address: deps.address.clone(),
                shared: shared.clone(),
                leases: Mutex::new(Leases::new(config.lease_ttl())),
                dead: Mutex::new(Dead::default()),
                auto_forget: config.auto_forget(),
                replication_factor: deps.replication_factor,
                transferring: AtomicBool::new(false),
                settled: tokio::sync::watch::Sender::new(Settled::Open),
                clock: Arc::clone(&deps.clock),
                channels: deps.channels.clone(),
                cluster: deps.cluster.clone(),
                metrics: Metrics::new(registry),
                shutdown: deps.shutdown.clone(),
            }),
        };
        settle(&handle, db, &deps).await?;
        deps.tasks.spawn("coordinator identity", learn_identity(shared, deps.cluster.clone(), deps.shutdown.clone()));
        let cluster_id = format!("{:032x}", deps.entropy);
        deps.tasks.spawn("coordinator leader", leader::run(handle.clone(), cluster_id, deps.shutdown.clone()));
        let coordinator = Self { handle, store };
        if alone {
            coordinator.wait_until_formed(SELF_ELECTION_TIMEOUT).await?;
        }
        Ok(coordinator)
    }

    /// The member, as a client of the group and for `/ring`.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// The gRPC services of this member.
    #[must_use]
    pub fn grpc(&self) -> (grpc::CoordinatorServer, grpc::RaftServer, grpc::OperatorServer) {
        grpc::services(&self.handle)
    }

    /// Waits until there is a leader and the cluster has its name.
    pub async fn wait_until_formed(&self, timeout: Duration) -> Result<(), Error> {
        let formed = async {
            let mut snapshots = self.handle.inner.shared.subscribe();
            let mut raft = self.handle.inner.raft.metrics();
            snapshots.wait_for(|snapshot| !snapshot.cluster_id.is_empty()).await.ok()?;
            raft.wait_for(|metrics| metrics.current_leader.is_some()).await.ok().map(|_| ())
        };
        match tokio::time::timeout(timeout, formed).await {
            Ok(Some(())) => Ok(()),
            Ok(None) => Err(Error::Raft("stopped while the group was being formed".to_owned())),
            Err(_) => Err(Error::NoQuorum(timeout)),
        }
    }

    /// Stops taking part and waits until the store is closed, so that it can be opened again. To be called after the shutdown was fired.
    pub async fn stop(self) -> Result<(), Error> {
        self.handle.inner.raft.shutdown().await.map_err(|e| Error::Raft(e.to_string()))?;
        if !self.store.wait(CLOSE_TIMEOUT).await {
            return Err(Error::Raft(format!("the store was still in use {CLOSE_TIMEOUT:?} after the end")));
        }
        Ok(())
    }
}

async fn start_raft(id: u64, deps: &Deps, db: Db, machine: StateMachine) -> Result<Raft, Error> {
    let config = Arc::new(raft_config().validate().map_err(|e| Error::Config(e.to_string()))?);
    let network = Network { channels: deps.channels.clone(), cluster: deps.cluster.clone() };
    Raft::new(id, config, network, LogStore::new(db), machine).await.map_err(|e| Error::Raft(e.to_string()))
}

/// Forms the group or joins it, if the store is empty: alone at once, otherwise in the background, because the others have to answer first.
async fn settle(handle: &Handle, db: Db, deps: &Deps) -> Result<(), Error> {
    let raft = &handle.inner.raft;
    if raft.is_initialized().await.map_err(|e| Error::Raft(e.to_string()))? {
        handle.inner.settled.send_replace(Settled::Yes);
        return Ok(());
    }
    if deps.members.is_empty() {
        handle.inner.settled.send_replace(Settled::Yes);
        return initialize(handle, BTreeMap::from([(handle.inner.id, BasicNode::new(&deps.address))])).await;
    }
    let (handle, members, entropy, mut shutdown) = (handle.clone(), deps.members.clone(), deps.entropy, deps.shutdown.clone());
    deps.tasks.spawn("coordinator formation", async move {
        tokio::select! {
            settled = find_group(&handle, &db, &members, entropy) => {
                let settled = settled.unwrap_or_else(|error| Settled::Never(error.to_string()));
                handle.inner.settled.send_replace(settled);
            }
            () = shutdown.requested() => {}
        }
    });
    Ok(())
}

async fn find_group(handle: &Handle, db: &Db, members: &[String], entropy: u128) -> Result<Settled, Error> {
    let inner = &handle.inner;
    let listed = members.contains(&inner.address);
    loop {
        let answers = ask(members, &inner.address, &inner.channels, &inner.cluster).await;
        match decide(inner.id, listed, members.len(), &answers) {
            Decision::Form => {
                // Every member may do so, with the same list; the first one that gets votes wins and for the others it is done.
                initialize(handle, members.iter().map(|address| (node_id(address), BasicNode::new(address))).collect()).await?;
                return Ok(Settled::Yes);
            }
            Decision::Join => {
                tracing::info!("the store is empty and there is a group: this coordinator waits for its leader, or to be added to it");
                return Ok(Settled::Yes);
            }
            Decision::Forgotten => {
                db.set_node_id(new_number(entropy)).map_err(|e| Error::Raft(e.to_string()))?;
                return Ok(Settled::Never(
                    "the group knows this coordinator, but its store is empty: started again it is a new one; remove the old one and add it \
                     (docs/runbooks/coordinators.md)"
                        .to_owned(),
                ));
            }
            Decision::Wait => tokio::time::sleep(ASK_EVERY).await,
        }
    }
}

/// How the other members stand; those that do not say are left out.
async fn ask(members: &[String], own: &str, channels: &Channels, cluster: &ClusterIdentity) -> Vec<GroupStatus> {
    let others = members.iter().filter(|address| *address != own);
    let asked = others.map(|address| group_status(address, channels, cluster, ASK_TIMEOUT));
    futures::future::join_all(asked).await.into_iter().flatten().collect()
}

/// The number of a member whose store is empty: that of its address, unless a group has met that one, whose promises are lost.
async fn first_number(deps: &Deps) -> u64 {
    if deps.members.is_empty() {
        return ONLY_NODE;
    }
    let number = node_id(&deps.address);
    let answers = ask(&deps.members, &deps.address, &deps.channels, &deps.cluster).await;
    match answers.iter().any(|answer| answer.met.contains(&number)) {
        true => {
            tracing::warn!("the group knows this coordinator, but its store is empty: it is a new one; remove the old one and add it");
            new_number(deps.entropy)
        }
        false => number,
    }
}

fn new_number(entropy: u128) -> u64 {
    (entropy as u64).max(ONLY_NODE + 1)
}

async fn initialize(handle: &Handle, members: BTreeMap<u64, BasicNode>) -> Result<(), Error> {
    match handle.inner.raft.initialize(members).await {
        // Another member was faster and this one has heard of it.
        Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
        Err(error) => Err(Error::Raft(error.to_string())),
    }
}

/// Tells the rest of the process which cluster it is in.
async fn learn_identity(shared: SharedState, cluster: ClusterIdentity, mut shutdown: Shutdown) {
    let mut snapshots = shared.subscribe();
    let formed = tokio::select! {
        formed = snapshots.wait_for(|snapshot| !snapshot.cluster_id.is_empty()) => formed,
        () = shutdown.requested() => return,
    };
    if let Ok(snapshot) = formed
        && !cluster.learn(&snapshot.cluster_id)
    {
        tracing::error!(theirs = snapshot.cluster_id, ours = cluster.get(), "this process belongs to another cluster than its raft store");
    }
}

#[cfg(test)]
mod tests;
