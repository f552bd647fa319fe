//! A coordinator: what `coordinator::{handle, leader}` do, on this Raft.

use std::sync::Arc;
use std::time::Duration;

use coordinator::config::{PROPOSE_TIMEOUT, raft_config};
use coordinator::forget::Dead;
use coordinator::handle::QUORUM_SILENCE;
use coordinator::lease::Leases;
use coordinator::machine::{Command, MemberKey, Reply, State};
use openraft::SnapshotPolicy;
use openraft::error::{ClientWriteError, RaftError};
use parking_lot::Mutex;
use ring::InstanceState;
use tokio::time::Instant;

use crate::disk::{Disk, LogStore, Writer};
use crate::history::History;
use crate::machine::StateMachine;
use crate::net::{Net, Network};
use crate::types::Raft;

pub(crate) const LEASE: Duration = Duration::from_secs(10);
const AUTO_FORGET: Duration = Duration::from_secs(40);
pub(crate) const COPIES: usize = 3;
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Few enough for snapshots to be taken, and members to be behind them, many times in a minute.
const ENTRIES_PER_SNAPSHOT: u64 = 25;
/// So that a snapshot is sent in several pieces.
const SNAPSHOT_CHUNK_BYTES: u64 = 700;

/// A clock: how far it is from the others', and how fast it runs, in thousandths.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    pub(crate) offset_ms: u64,
    pub(crate) rate: u64,
}

/// Why a member does not do what it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    NotLeader(Option<u64>),
    NoQuorum,
    Fenced,
    /// It stops, or the state machine says no.
    Other,
}

/// A running member.
pub(crate) struct Running {
    pub(crate) id: u64,
    pub(crate) raft: Raft,
    disk: Writer,
    history: Arc<History>,
    leases: Mutex<Leases>,
    dead: Mutex<Dead>,
    clock: Clock,
    began: Instant,
}

impl Running {
    /// Starts on a disk; a task of its own looks after leases until the process ends.
    pub(crate) async fn start(id: u64, disk: &Disk, clock: Clock, net: &Arc<Net>, history: &Arc<History>) -> anyhow::Result<Arc<Self>> {
        let writer = disk.boot();
        let config = openraft::Config {
            snapshot_policy: SnapshotPolicy::LogsSinceLast(ENTRIES_PER_SNAPSHOT),
            max_in_snapshot_log_to_keep: ENTRIES_PER_SNAPSHOT / 2,
            replication_lag_threshold: 2 * ENTRIES_PER_SNAPSHOT,
            purge_batch_size: 4,
            snapshot_max_chunk_size: SNAPSHOT_CHUNK_BYTES,
            ..raft_config()
        };
        let network = Network { member: id, net: Arc::clone(net) };
        let log = LogStore { disk: writer.clone(), history: Arc::clone(history) };
        let machine = StateMachine { member: id, disk: writer.clone(), history: Arc::clone(history) };
        let raft = Raft::new(id, Arc::new(config.validate()?), network, log, machine).await?;
        let (leases, dead) = (Mutex::new(Leases::new(LEASE)), Mutex::new(Dead::default()));
        let running = Self { id, raft, disk: writer, history: Arc::clone(history), leases, dead, clock, began: Instant::now() };
        let running = Arc::new(running);
        net.listen(Arc::clone(&running));
        tokio::spawn(watch_leadership(Arc::clone(&running)));
        let (own, net) = (Arc::clone(&running), Arc::clone(net));
        tokio::spawn(async move {
            while net.process(id).is_some_and(|current| Arc::ptr_eq(&current, &own)) {
                own.look().await;
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        Ok(running)
    }

    /// The state that is applied here.
    pub(crate) fn state<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        self.disk.read(|content| read(&content.applied.state))
    }

    /// The last entry that is applied here.
    pub(crate) fn applied_index(&self) -> u64 {
        self.disk.read(|content| content.applied.at.map_or(0, |at| at.index))
    }

    fn now(&self) -> Duration {
        let since = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.clock.offset_ms + since * self.clock.rate / 1_000)
    }

    pub(crate) fn is_leader(&self) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        metrics.state.is_leader() && metrics.current_leader == Some(self.id)
    }

    pub(crate) fn leader(&self) -> Option<u64> {
        self.raft.metrics().borrow().current_leader
    }

    fn check_leading(&self) -> Result<(), Refused> {
        if !self.is_leader() {
            return Err(Refused::NotLeader(self.leader()));
        }
        let silence = self.raft.metrics().borrow().millis_since_quorum_ack.map_or(Duration::MAX, Duration::from_millis);
        if silence < QUORUM_SILENCE { Ok(()) } else { Err(Refused::NoQuorum) }
    }

    /// Has a command committed and applied.
    pub(crate) async fn propose(&self, command: Command) -> Result<Reply, Refused> {
        let write = tokio::time::timeout(PROPOSE_TIMEOUT, self.raft.client_write(command)).await;
        match write.map_err(|_| Refused::NoQuorum)? {
            Ok(response) => {
                self.history.acked(response.log_id);
                Ok(response.data)
            }
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward))) => Err(Refused::NotLeader(forward.leader_id)),
            Err(_) => Err(Refused::Other),
        }
    }

    /// Registers an instance; its epoch.
    pub(crate) async fn register(&self, command: Command, key: &MemberKey) -> Result<u64, Refused> {
        match self.propose(command).await? {
            Reply::Registered { epoch } => {
                self.leases.lock().renew(key, epoch, self.now());
                Ok(epoch)
            }
            _ => Err(Refused::Other),
        }
    }

    /// Renews a lease.
    pub(crate) async fn renew(&self, key: &MemberKey, epoch: u64) -> Result<(), Refused> {
        self.check_leading()?;
        let known = self.state(|state| state.get(key).map(|record| (record.instance.epoch, record.instance.state)));
        match known {
            Some((current, _)) if current != epoch => return Err(Refused::Fenced),
            None => return Err(Refused::Fenced),
            Some((_, InstanceState::Unhealthy)) => {
                let revived = self.propose(Command::Revive { member: key.clone(), epoch }).await?;
                if revived != Reply::Done {
                    return Err(Refused::Fenced);
                }
            }
            Some(_) => {}
        }
        self.leases.lock().renew(key, epoch, self.now());
        Ok(())
    }

    /// What the leader does every second.
    async fn look(&self) {
        if !self.is_leader() {
            self.leases.lock().clear();
            self.dead.lock().clear();
            return;
        }
        if self.state(|state| state.header().cluster_id.is_empty()) {
            drop(self.propose(Command::Bootstrap { cluster_id: format!("sim-{}", self.id) }).await);
        }
        let now = self.now();
        let (expired, forgettable) = self.state(|state| {
            let healthy = state.records().filter(|(_, record)| record.instance.state != InstanceState::Unhealthy);
            let mut leases = self.leases.lock();
            leases.reconcile(healthy.map(|(key, record)| (key, record.instance.epoch)), now);
            (leases.expired(now), self.dead.lock().due(state, COPIES, AUTO_FORGET, now))
        });
        for (member, epoch) in forgettable {
            drop(self.propose(Command::Forget { member, epoch, replication_factor: COPIES, force: false }).await);
        }
        for (member, epoch) in expired {
            drop(self.propose(Command::Expire { member, epoch }).await);
        }
    }
}

/// Tells the history of every time that this member leads.
async fn watch_leadership(running: Arc<Running>) {
    let mut metrics = running.raft.metrics();
    loop {
        let (leads, term) = {
            let metrics = metrics.borrow_and_update();
            (metrics.state.is_leader(), metrics.current_term)
        };
        if leads {
            running.history.leads(term, running.id);
        }
        if metrics.changed().await.is_err() {
            return;
        }
    }
}
