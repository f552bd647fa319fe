//! The running member, as the rest of the process sees it: [`CoordinatorClient`] without a network.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use openraft::error::{ClientWriteError, Fatal, RaftError};
use parking_lot::Mutex;
use proto::convert::coordinator as convert;
use ring::{ClusterSnapshot, InstanceId, InstanceState, Role};
use rpc::{
    Channels, ClusterIdentity, CoordinatorClient, GrpcCoordinatorClient, Lease, Registration, RpcError, RpcErrorKind, SnapshotStream,
};
use runtime::Shutdown;
use runtime::clock::SharedClock;
use tokio_stream::wrappers::WatchStream;

use crate::config::PROPOSE_TIMEOUT;
use crate::error::Error;
use crate::forget::Dead;
use crate::lease::Leases;
use crate::machine::{Command, MAX_INSTANCES, MemberKey, Reply};
use crate::metrics::{Metrics, Operation, Outcome};
use crate::raft::Raft;
use crate::store::state_machine::SharedState;

mod keys;
mod members;
mod operator;

/// A leader of several that no quorum has answered for this long does not renew leases any more: another one may have been elected and let
/// them run out.
pub const QUORUM_SILENCE: Duration = Duration::from_secs(3);

/// How far a member with an empty store has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It is being found out whether there is a group.
    Open,
    /// It takes part.
    Yes,
    /// It cannot, before it is started again.
    Never(String),
}

/// A member of the group. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) raft: Raft,
    pub(crate) id: u64,
    /// Our own gRPC address: it may have changed since the group was formed.
    pub(crate) address: String,
    pub(crate) shared: SharedState,
    pub(crate) leases: Mutex<Leases>,
    pub(crate) dead: Mutex<Dead>,
    pub(crate) auto_forget: Duration,
    pub(crate) replication_factor: usize,
    /// Whether leadership is being handed over: nothing is proposed meanwhile.
    pub(crate) transferring: AtomicBool,
    /// Whether it is settled which group this member belongs to; messages of the group are taken from then on.
    pub(crate) settled: tokio::sync::watch::Sender<Settled>,
    pub(crate) clock: SharedClock,
    pub(crate) channels: Channels,
    pub(crate) cluster: ClusterIdentity,
    pub(crate) metrics: Metrics,
    /// Ends watches, which would otherwise keep a server from stopping.
    pub(crate) shutdown: Shutdown,
}

impl Handle {
    /// Registers an instance. Leader only.
    pub async fn register(&self, registration: Registration) -> Result<Lease, Error> {
        self.register_version(registration, runtime::build_info::VERSION.to_owned()).await
    }

    /// Registers an instance whose program has this version. Leader only.
    pub async fn register_version(&self, registration: Registration, version: String) -> Result<Lease, Error> {
        let result = self.try_register(registration, version).await;
        self.count(Operation::Register, &result);
        result
    }

    async fn try_register(&self, registration: Registration, version: String) -> Result<Lease, Error> {
        let Registration { id, role, address, zone, state, empty } = registration;
        let invalid = |e: proto::convert::InvalidMessage| Error::Invalid(e.0);
        let address = convert::address_from_wire(address).map_err(invalid)?;
        let zone = convert::zone_from_wire(zone).map_err(invalid)?;
        let member = (role, id.clone());
        let command = Command::Register { id, role, address, zone, state, empty, now_ms: self.inner.clock.now_ms(), version };
        match self.propose(command).await? {
            Reply::Registered { epoch } => {
                let mut leases = self.inner.leases.lock();
                leases.renew(&member, epoch, self.inner.clock.monotonic());
                Ok(Lease { epoch, ttl: leases.ttl() })
            }
            other => Err(refusal(&member, 0, &other)),
        }
    }

    /// Renews a lease; an UNHEALTHY instance is what it was before again. Leader only.
    pub async fn renew(&self, role: Role, id: &InstanceId, epoch: u64) -> Result<(), Error> {
        let result = self.try_renew((role, id.clone()), epoch).await;
        self.count(Operation::Renew, &result);
        result
    }

    async fn try_renew(&self, member: MemberKey, epoch: u64) -> Result<(), Error> {
        self.check_leading()?;
        let known = self.inner.shared.state.read().get(&member).map(|record| (record.instance.epoch, record.instance.state));
        match known {
            Some((current, _)) if current != epoch => return Err(refusal(&member, epoch, &Reply::Fenced { current: Some(current) })),
            None => return Err(refusal(&member, epoch, &Reply::Fenced { current: None })),
            Some((_, InstanceState::Unhealthy)) => self.done(Command::Revive { member: member.clone(), epoch }, &member, epoch).await?,
            Some(_) => {}
        }
        self.inner.leases.lock().renew(&member, epoch, self.inner.clock.monotonic());
        Ok(())
    }

    /// Changes an instance's state. Leader only.
    pub async fn set_state(&self, role: Role, id: &InstanceId, epoch: u64, state: InstanceState) -> Result<(), Error> {
        let member = (role, id.clone());
        let result = self.done(Command::SetState { member: member.clone(), epoch, state }, &member, epoch).await;
        self.count(Operation::SetState, &result);
        result
    }

    /// Forgets an instance. Leader only.
    pub async fn deregister(&self, role: Role, id: &InstanceId, epoch: u64) -> Result<(), Error> {
        let member = (role, id.clone());
        let result = self.done(Command::Deregister { member: member.clone(), epoch }, &member, epoch).await;
        self.count(Operation::Deregister, &result);
        result
    }

    /// Follows the cluster from this member's point of view: first the current snapshot, as soon as the cluster has a name, then each newer
    /// one. Ends with the shutdown.
    pub fn watch(&self) -> impl futures::Stream<Item = Arc<ClusterSnapshot>> + Send + 'static + use<> {
        let mut shutdown = self.inner.shutdown.clone();
        let running = Running::start(&self.inner.metrics);
        WatchStream::new(self.inner.shared.subscribe())
            .filter(move |snapshot| {
                let _counted_while_it_runs = &running;
                futures::future::ready(!snapshot.cluster_id.is_empty())
            })
            .take_until(async move { shutdown.requested().await })
    }

    /// The cluster as this member sees it now.
    #[must_use]
    pub fn snapshot(&self) -> ClusterSnapshot {
        self.inner.shared.state.read().snapshot()
    }

    /// The leader's address, if this member knows one.
    #[must_use]
    pub fn leader(&self) -> Option<String> {
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow();
        let leader = metrics.current_leader?;
        if leader == self.inner.id {
            return Some(self.inner.address.clone());
        }
        metrics.membership_config.membership().get_node(&leader).map(|node| node.addr.clone())
    }

    /// Whether this member leads, as far as it knows.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow();
        metrics.state.is_leader() && metrics.current_leader == Some(self.inner.id)
    }

    /// Whether this member knows the cluster's name: from then on it takes registrations and serves watches.
    #[must_use]
    pub fn is_formed(&self) -> bool {
        !self.inner.shared.state.read().header().cluster_id.is_empty()
    }

    /// Returns why, when this member cannot take part before it is started again.
    pub async fn failed(&self) -> Error {
        tokio::select! {
            error = self.never_settled() => error,
            error = self.raft_ended() => error,
        }
    }

    async fn never_settled(&self) -> Error {
        let mut settled = self.inner.settled.subscribe();
        match settled.wait_for(|settled| *settled != Settled::Open).await.map(|settled| settled.clone()) {
            Ok(Settled::Never(problem)) => Error::Raft(problem),
            _ => std::future::pending().await,
        }
    }

    /// Raft ends for good at the first error of the store. Whoever watches this member would see the cluster as it was then, for ever.
    async fn raft_ended(&self) -> Error {
        let mut metrics = self.inner.raft.metrics();
        let ended = metrics.wait_for(|metrics| metrics.running_state.is_err()).await;
        match ended.ok().and_then(|metrics| metrics.running_state.clone().err()) {
            Some(fatal) if fatal != Fatal::Stopped => Error::Raft(fatal.to_string()),
            _ => std::future::pending().await,
        }
    }

    fn check_leading(&self) -> Result<(), Error> {
        if !self.is_leader() {
            return Err(Error::NotLeader { leader: self.leader() });
        }
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow();
        let alone = metrics.membership_config.membership().voter_ids().count() <= 1;
        let silence = metrics.millis_since_quorum_ack.map_or(Duration::MAX, Duration::from_millis);
        if alone || silence < QUORUM_SILENCE { Ok(()) } else { Err(Error::NoQuorum(QUORUM_SILENCE)) }
    }

    /// Has a command committed and applied.
    pub(crate) async fn propose(&self, command: Command) -> Result<Reply, Error> {
        if self.inner.transferring.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(Error::NotLeader { leader: None });
        }
        let write = tokio::time::timeout(PROPOSE_TIMEOUT, self.inner.raft.client_write(command)).await;
        match write.map_err(|_| Error::NoQuorum(PROPOSE_TIMEOUT))? {
            Ok(response) => Ok(response.data),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward))) => {
                Err(Error::NotLeader { leader: forward.leader_node.map(|node| node.addr) })
            }
            Err(error) => Err(Error::Raft(error.to_string())),
        }
    }

    async fn done(&self, command: Command, member: &MemberKey, epoch: u64) -> Result<(), Error> {
        match self.propose(command).await? {
            Reply::Done => Ok(()),
            other => Err(refusal(member, epoch, &other)),
        }
    }

    fn count<T>(&self, operation: Operation, result: &Result<T, Error>) {
        let outcome = match result {
            Ok(_) => Outcome::Ok,
            Err(Error::Fenced(_)) => Outcome::Fenced,
            Err(Error::NotLeader { .. }) => Outcome::NotLeader,
            Err(_) => Outcome::Error,
        };
        self.inner.metrics.request(operation, outcome);
    }

    /// A client for a call that this member may not answer itself.
    fn towards(&self, leader: String) -> GrpcCoordinatorClient {
        let Inner { channels, clock, cluster, .. } = &*self.inner;
        GrpcCoordinatorClient::new(vec![leader], channels.clone(), Arc::clone(clock), cluster.clone())
    }
}

/// What the leader's loop needs.
impl Handle {
    pub(crate) fn lease_ttl(&self) -> Duration {
        self.inner.leases.lock().ttl()
    }

    pub(crate) fn leases(&self) -> &Mutex<Leases> {
        &self.inner.leases
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// Gives a lease to everyone who should have one; those whose lease is over.
    pub(crate) fn expired_leases(&self) -> Vec<(MemberKey, u64)> {
        let now = self.inner.clock.monotonic();
        // Lock order: state before leases.
        let state = self.inner.shared.state.read();
        let healthy = state.records().filter(|(_, record)| record.instance.state != InstanceState::Unhealthy);
        let mut leases = self.inner.leases.lock();
        leases.reconcile(healthy.map(|(member, record)| (member, record.instance.epoch)), now);
        leases.expired(now)
    }

    /// The dead that may be forgotten now.
    pub(crate) fn forgettable(&self) -> Vec<(MemberKey, u64)> {
        let now = self.inner.clock.monotonic();
        let state = self.inner.shared.state.read();
        self.inner.dead.lock().due(&state, self.inner.replication_factor, self.inner.auto_forget, now)
    }

    /// Members of the group that have answered this leader, and itself, if the state does not know them as met.
    pub(crate) fn newly_met(&self) -> Vec<u64> {
        let metrics = self.inner.raft.metrics().borrow().clone();
        let answered = metrics.replication.into_iter().flatten().filter(|(_, log)| log.is_some()).map(|(node, _)| node);
        let answered: BTreeSet<u64> = answered.chain([self.inner.id]).collect();
        answered.difference(&self.inner.shared.state.read().header().met).copied().collect()
    }

    /// Returns when another member leads, or nobody does any more.
    pub(crate) async fn leadership_changed(&self) {
        let mut metrics = self.inner.raft.metrics();
        let before = metrics.borrow().current_leader;
        // An error means that raft has stopped, and then the shutdown is near.
        if metrics.wait_for(|metrics| metrics.current_leader != before).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    pub(crate) fn update_metrics(&self) {
        let raft = self.inner.raft.metrics();
        let raft = raft.borrow();
        let metrics = &self.inner.metrics;
        let gauge = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        metrics.leader.set(i64::from(raft.state.is_leader()));
        metrics.term.set(gauge(raft.current_term));
        metrics.applied_index.set(gauge(raft.last_applied.map_or(0, |id| id.index)));
        metrics.cluster_version.set(gauge(self.inner.shared.state.read().header().version));
        metrics.keys.set(gauge(self.inner.shared.state.read().keys().rows().count() as u64));
        metrics.leases.set(gauge(self.inner.leases.lock().len() as u64));
    }
}

fn refusal((role, id): &MemberKey, epoch: u64, reply: &Reply) -> Error {
    match reply {
        Reply::Fenced { current: Some(current) } => Error::Fenced(format!("{role} {id} has epoch {current}, not {epoch}")),
        Reply::Fenced { current: None } => Error::Fenced(format!("{role} {id} is not registered")),
        Reply::Full => Error::Refused(format!("the cluster has {MAX_INSTANCES} instances, which is the most")),
        Reply::Done | Reply::Registered { .. } | Reply::NotSafe { .. } | Reply::Swapped { .. } => {
            Error::Raft(format!("an unexpected answer of the state machine: {reply:?}"))
        }
    }
}

/// Counts a watch while it lives.
struct Running(Metrics);

impl Running {
    fn start(metrics: &Metrics) -> Self {
        metrics.watches.inc();
        Self(metrics.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.watches.dec();
    }
}

/// Answers by itself if this member leads, and asks the leader if it does not.
#[async_trait]
impl CoordinatorClient for Handle {
    async fn register(&self, registration: Registration) -> Result<Lease, RpcError> {
        match Self::register(self, registration.clone()).await {
            Err(Error::NotLeader { leader: Some(leader) }) => self.towards(leader).register(registration).await,
            result => Ok(result?),
        }
    }

    async fn renew(&self, role: Role, id: &InstanceId, epoch: u64) -> Result<(), RpcError> {
        match Self::renew(self, role, id, epoch).await {
            Err(Error::NotLeader { leader: Some(leader) }) => self.towards(leader).renew(role, id, epoch).await,
            result => Ok(result?),
        }
    }

    async fn set_state(&self, role: Role, id: &InstanceId, epoch: u64, state: InstanceState) -> Result<(), RpcError> {
        match Self::set_state(self, role, id, epoch, state).await {
            Err(Error::NotLeader { leader: Some(leader) }) => self.towards(leader).set_state(role, id, epoch, state).await,
            result => Ok(result?),
        }
    }

    async fn deregister(&self, role: Role, id: &InstanceId, epoch: u64) -> Result<(), RpcError> {
        match Self::deregister(self, role, id, epoch).await {
            Err(Error::NotLeader { leader: Some(leader) }) => self.towards(leader).deregister(role, id, epoch).await,
            result => Ok(result?),
        }
    }

    async fn watch(&self) -> Result<SnapshotStream, RpcError> {
        if self.inner.shutdown.is_requested() {
            return Err(RpcError::new(RpcErrorKind::Unavailable, "the coordinator is stopping"));
        }
        Ok(Self::watch(self).map(|snapshot| Ok((*snapshot).clone())).boxed())
    }
}
