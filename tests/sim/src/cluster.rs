//! All of it: members on their disks, ingesters, distributors, a reader.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context, ensure};
use coordinator::machine::Command;
use openraft::error::{InitializeError, RaftError};
use openraft::{BasicNode, ChangeMembers};
use parking_lot::Mutex;
use ring::{InstanceState, Ring};
use tokio::task::JoinHandle;
use tokio::time::{Duration, Instant};

use crate::chance;
use crate::data_path;
use crate::disk::Disk;
use crate::history::History;
use crate::ingester::{self, Ingester, Mode};
use crate::member::{Clock, Running};
use crate::net::Net;
use crate::samples::{Samples, Watcher};
use crate::sender;
use crate::{Premise, Summary};

/// In three zones.
pub(crate) const INGESTERS: usize = 6;
pub(crate) const DISTRIBUTORS: usize = 2;
/// Its number after those of the distributors.
pub(crate) const READER: usize = DISTRIBUTORS;

/// A member that runs or will run again.
struct Member {
    disk: Disk,
    clock: Clock,
}

/// What is not of the group.
pub(crate) struct Town {
    pub(crate) ingesters: Vec<Ingester>,
    /// Of the distributors and the reader.
    pub(crate) watchers: Vec<Watcher>,
    pub(crate) rings: BTreeMap<u64, Ring>,
    pub(crate) samples: Samples,
}

/// Everything that there is.
pub(crate) struct Cluster {
    pub(crate) net: Arc<Net>,
    pub(crate) history: Arc<History>,
    members: Mutex<BTreeMap<u64, Member>>,
    /// Lock order: before the history, and a write or a read before it.
    pub(crate) town: Mutex<Town>,
    processes: Mutex<BTreeMap<usize, JoinHandle<()>>>,
    began: Instant,
    pub(crate) premise: Premise,
    /// The number of the next member.
    next: Mutex<u64>,
    /// One is being replaced.
    replacing: Mutex<bool>,
}

/// Where an ingester is on the network.
pub(crate) fn ingester_place(ingester: usize) -> u64 {
    1_000 + ingester as u64
}

/// Where a distributor is, or the reader.
pub(crate) fn distributor_place(distributor: usize) -> u64 {
    2_000 + distributor as u64
}

/// Where the operator is, whom nothing cuts off.
const OPERATOR: u64 = 3_000;

impl Cluster {
    /// Three members, or sometimes five, form a group, and everybody else comes.
    pub(crate) async fn start(premise: Premise) -> anyhow::Result<Arc<Self>> {
        let town = Town {
            ingesters: (0..INGESTERS).map(|i| Ingester::new(["a", "b", "c"][i % 3])).collect(),
            watchers: (0..=READER).map(|_| Watcher::new()).collect(),
            rings: BTreeMap::new(),
            samples: Samples::default(),
        };
        let cluster = Arc::new(Self {
            net: Arc::default(),
            history: Arc::default(),
            members: Mutex::default(),
            town: Mutex::new(town),
            processes: Mutex::default(),
            began: Instant::now(),
            premise,
            next: Mutex::new(1),
            replacing: Mutex::new(false),
        });
        let size = if chance::one_in(4) { 5 } else { 3 };
        let ids: Vec<u64> = (0..size).map(|_| cluster.new_member()).collect();
        for id in &ids {
            cluster.boot(*id).await?;
        }
        let nodes: BTreeMap<u64, BasicNode> = ids.iter().map(|id| (*id, BasicNode::new(format!("c-{id}")))).collect();
        for id in ids {
            let (process, nodes) = (cluster.net.process(id).context("it was started")?, nodes.clone());
            // Every one of them may do so, with the same list.
            tokio::spawn(async move {
                tokio::time::sleep(chance::ms(0, 300)).await;
                match process.raft.initialize(nodes).await {
                    Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_)) | RaftError::Fatal(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            });
        }
        for i in 0..INGESTERS {
            cluster.start_ingester(i);
            tokio::spawn(ingester::ship(Arc::clone(&cluster), i));
        }
        tokio::spawn(throw_away(Arc::clone(&cluster)));
        sender::start(&cluster);
        data_path::start(&cluster);
        Ok(cluster)
    }

    /// Milliseconds since everything began.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn new_member(&self) -> u64 {
        let id = {
            let mut next = self.next.lock();
            *next += 1;
            *next - 1
        };
        let clock = Clock { offset_ms: chance::below(1_000_000), rate: 990 + chance::below(21) };
        self.members.lock().insert(id, Member { disk: Disk::default(), clock });
        id
    }

    /// The numbers of all members that are not lost.
    pub(crate) fn members(&self) -> Vec<u64> {
        self.members.lock().keys().copied().collect()
    }

    /// Starts a member on its disk.
    pub(crate) async fn boot(&self, id: u64) -> anyhow::Result<()> {
        let found = self.members.lock().get(&id).map(|member| (member.disk.clone(), member.clock));
        let (disk, clock) = found.context("a member that is not lost")?;
        Running::start(id, &disk, clock, &self.net, &self.history).await?;
        Ok(())
    }

    /// A member dies at once, and perhaps what it had not synced is lost.
    pub(crate) fn crash(&self, id: u64, power: bool) -> bool {
        let Some(process) = self.net.close(id) else { return false };
        if let Some(member) = self.members.lock().get(&id) {
            member.disk.crash(power);
            if power && self.premise == Premise::LyingDisks {
                member.disk.forget();
            }
        }
        // It cannot write or speak any more; this only ends its tasks.
        tokio::spawn(async move { drop(process.raft.shutdown().await) });
        true
    }

    pub(crate) fn start_ingester(self: &Arc<Self>, i: usize) {
        let task = tokio::spawn(ingester::run(Arc::clone(self), i));
        if let Some(before) = self.processes.lock().insert(i, task) {
            before.abort();
        }
    }

    /// An ingester dies at once; what it acknowledged is on its disk. Its epoch, if it was there and had one.
    pub(crate) fn crash_ingester(&self, i: usize) -> Option<Option<u64>> {
        self.processes.lock().remove(&i)?.abort();
        let mut town = self.town.lock();
        town.ingesters[i].up = false;
        Some(town.ingesters[i].epoch.take())
    }

    /// An operator orders, or takes an order back; nothing happens if nobody leads.
    pub(crate) async fn order(&self, i: usize, read_only: bool) {
        let leader = self.members().into_iter().find_map(|id| self.net.process(id).filter(|process| process.is_leader()));
        let Some(leader) = leader else { return };
        let member = ingester::key(i);
        if let Some(epoch) = leader.state(|state| state.get(&member).map(|record| record.instance.epoch)) {
            drop(leader.propose(Command::Order { member, epoch, read_only }).await);
        }
    }

    /// A member loses its disk: its operator takes it out of the group and adds a new one. One at a time.
    pub(crate) async fn replace(self: Arc<Self>, id: u64) {
        if std::mem::replace(&mut *self.replacing.lock(), true) {
            return;
        }
        self.crash(id, true);
        self.members.lock().remove(&id);
        let new = self.new_member();
        if self.boot(new).await.is_ok() {
            let gone = ChangeMembers::RemoveVoters(BTreeSet::from([id]));
            let learner = ChangeMembers::AddNodes(BTreeMap::from([(new, BasicNode::new(format!("c-{new}")))]));
            let voter = ChangeMembers::AddVoterIds(BTreeSet::from([new]));
            for change in [gone, learner, voter] {
                self.change(change).await;
            }
            self.history.replaced();
        }
        *self.replacing.lock() = false;
    }

    /// Tries until it is done.
    async fn change(&self, change: ChangeMembers<u64, BasicNode>) {
        loop {
            for id in self.members() {
                let Some(process) = self.net.process(id).filter(|process| process.is_leader()) else { continue };
                if self.net.travel_or_give_up(OPERATOR, id, Duration::from_secs(1)).await.is_none() {
                    continue;
                }
                let changed = tokio::time::timeout(Duration::from_secs(10), process.raft.change_membership(change.clone(), false)).await;
                if let Ok(Ok(_)) = changed {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Everything has come to rest: what must hold now.
    pub(crate) fn end(&self) -> anyhow::Result<Summary> {
        ensure!(!*self.replacing.lock(), "a member is still being replaced");
        let running: Vec<Arc<Running>> = self.members().iter().filter_map(|id| self.net.process(*id)).collect();
        ensure!(running.len() == self.members().len(), "every member runs again");
        let leaders: BTreeSet<Option<u64>> = running.iter().map(|member| member.leader()).collect();
        ensure!(leaders.len() == 1 && !leaders.contains(&None), "after the rest, members know these leaders: {leaders:?}");
        let leader = running.iter().find(|member| member.is_leader()).context("somebody leads after the rest")?;
        ensure!(leader.applied_index() >= self.history.acked_index(), "the leader lacks what was acknowledged");
        let behind = running.iter().find(|member| member.applied_index() + 20 < leader.applied_index());
        ensure!(behind.is_none(), "a member is far behind after the rest");
        let town = self.town.lock();
        for (i, own) in town.ingesters.iter().enumerate() {
            let shown = leader.state(|state| state.get(&ingester::key(i)).map(|record| record.instance.state));
            // One that came back a moment ago is still at it.
            let settled = own.up && own.mode == Mode::Normal && own.complete_at + 30_000 < self.now_ms();
            ensure!(!settled || shown == Some(InstanceState::Active), "i-{i} lives and is {shown:?} after the rest");
        }
        let (samples, complete_reads) = (town.samples.count as u64, town.samples.complete_reads);
        let summary = Summary { samples, complete_reads, ..self.history.summary() };
        ensure!(summary.acked > 0 && summary.elections > 0 && samples > 0 && complete_reads > 0, "nothing was done: {summary:?}");
        Ok(summary)
    }
}

/// Throws away the disks of ingesters that were forgotten. One that came back a moment ago, or behind a divided network, registers anew with what it has.
async fn throw_away(cluster: Arc<Cluster>) {
    loop {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let forgotten = cluster.history.take_forgotten();
        let mut town = cluster.town.lock();
        for (i, ingester) in town.ingesters.iter_mut().enumerate() {
            if !ingester.up && forgotten.contains(&ingester::key(i)) {
                ingester.data.clear();
            }
        }
    }
}
