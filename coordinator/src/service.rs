//! Starts and stops a member.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use openraft::BasicNode;
use openraft::error::{InitializeError, RaftError};
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use rpc::{Channels, ClusterIdentity};
use runtime::clock::SharedClock;
use runtime::{Shutdown, Tasks};

use crate::config::{Config, raft_config};
use crate::error::Error;
use crate::grpc;
use crate::handle::{Handle, Inner};
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

/// How long the store may be in use after raft has stopped.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// What a member is given.
pub struct Deps {
    /// The process's data directory.
    pub data_dir: PathBuf,
    /// `host:port` of this process's gRPC listener as the other members write it.
    pub address: String,
    /// `host:port` of all members, this one among them, the same list in each of them; empty for a group of one. Matters when the group is
    /// formed; afterwards it is what the log says.
    pub members: Vec<String>,
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
        let id = db.node_id(if alone { ONLY_NODE } else { node_id(&deps.address) }).map_err(|e| failed(e.to_string()))?;
        let machine = StateMachine::open(db.clone()).map_err(|e| failed(e.to_string()))?;
        let shared = machine.shared();
        let store = db.watch_close();
        let raft = start_raft(id, &deps, db, machine).await?;
        let handle = Handle {
            inner: Arc::new(Inner {
                raft,
                id,
                address: deps.address.clone(),
                shared: shared.clone(),
                leases: Mutex::new(Leases::new(config.lease_ttl())),
                clock: Arc::clone(&deps.clock),
                channels: deps.channels.clone(),
                cluster: deps.cluster.clone(),
                metrics: Metrics::new(registry),
                shutdown: deps.shutdown.clone(),
            }),
        };
        form_group(&handle, id, &deps).await?;
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
    pub fn grpc(&self) -> (grpc::CoordinatorServer, grpc::RaftServer) {
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

/// Proposes the list of members. Every member may do so, with the same list; the first one that gets votes wins and for the others it is done.
async fn form_group(handle: &Handle, id: u64, deps: &Deps) -> Result<(), Error> {
    let raft = &handle.inner.raft;
    if raft.is_initialized().await.map_err(|e| Error::Raft(e.to_string()))? {
        return Ok(());
    }
    let alone = [(id, BasicNode::new(&deps.address))];
    let members: BTreeMap<u64, BasicNode> = match deps.members.is_empty() {
        true => alone.into(),
        false => deps.members.iter().map(|address| (node_id(address), BasicNode::new(address))).collect(),
    };
    if !members.contains_key(&id) {
        let list = deps.members.join(",");
        return Err(Error::Config(format!("this coordinator is {}, which is not among the coordinators {list}", deps.address)));
    }
    match raft.initialize(members).await {
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
