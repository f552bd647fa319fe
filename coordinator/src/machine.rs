//! The cluster's state and how commands change it. Pure and deterministic: every member applies the same commands in the same order and
//! arrives at the same state; whatever depends on time or chance is in the command.

use std::collections::{BTreeMap, BTreeSet};

use ring::{ClusterSnapshot, Instance, InstanceId, InstanceState, Role};
use rpc::{KeyEntry, Swap, Swapped};
use serde::{Deserialize, Serialize};

use crate::forget;
use crate::keys::{Counters, Keys};

/// More instances are refused: nobody may fill the log and the memory of every member by registering names.
pub const MAX_INSTANCES: usize = 10_000;

/// Who is meant.
pub type MemberKey = (Role, InstanceId);

/// A transition. Written to the log as JSON: variants and fields are never renamed; see `docs/formats/raft.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Names the cluster. Only the first one has an effect.
    Bootstrap {
        /// The name, drawn at random by the first leader.
        cluster_id: String,
    },
    /// An instance joins, or joins again; whoever was registered under this id before is fenced.
    Register {
        /// Its name.
        id: InstanceId,
        /// Its role.
        role: Role,
        /// Its gRPC address.
        address: String,
        /// Its zone.
        zone: String,
        /// Its first state.
        state: InstanceState,
        /// It has nothing of what it may have held before.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        empty: bool,
        /// The leader's wall time.
        now_ms: i64,
        /// Version of its program; for people.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        version: String,
    },
    /// An instance changes its state.
    SetState {
        /// Whose.
        member: MemberKey,
        /// Its epoch.
        epoch: u64,
        /// The new state.
        state: InstanceState,
    },
    /// An instance leaves for good.
    Deregister {
        /// Who.
        member: MemberKey,
        /// Its epoch.
        epoch: u64,
    },
    /// A lease ran out. An ingester keeps its place and its data and is UNHEALTHY; other roles, and one that is GONE, hold nothing and are forgotten.
    Expire {
        /// Whose.
        member: MemberKey,
        /// Its epoch.
        epoch: u64,
    },
    /// An UNHEALTHY instance renewed its lease: it is what it was before.
    Revive {
        /// Whose.
        member: MemberKey,
        /// Its epoch.
        epoch: u64,
    },
    /// A person, or the leader after a while, has an instance forgotten.
    Forget {
        /// Who.
        member: MemberKey,
        /// Its epoch.
        epoch: u64,
        /// Copies of each series, by which is judged whether that is safe.
        replication_factor: usize,
        /// Also if it is not.
        force: bool,
    },
    /// A person makes an instance READ_ONLY, or takes that back. Holds over restarts of the instance.
    Order {
        /// Whom.
        member: MemberKey,
        /// Its epoch.
        epoch: u64,
        /// Whether it takes no writes.
        read_only: bool,
    },
    /// The leader has heard from a member of the group: from now on it is known to have had a store.
    Met {
        /// Its number.
        node: u64,
    },
    /// Changes of small values, each on its own.
    Swap {
        /// The changes.
        swaps: Vec<Swap>,
    },
}

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Done, or was so before.
    Done,
    /// Registered under this epoch.
    Registered {
        /// The epoch.
        epoch: u64,
    },
    /// The epoch is not the instance's current one.
    Fenced {
        /// The current one, if the instance is known.
        current: Option<u64>,
    },
    /// There are [`MAX_INSTANCES`] already.
    Full,
    /// It would lose data.
    NotSafe {
        /// Why.
        problem: String,
    },
    /// What became of each change.
    Swapped {
        /// In their order.
        outcomes: Vec<Swapped>,
    },
}

/// An instance, and what only operators see of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The instance.
    pub instance: Instance,
    /// What it says of itself, where it is shown in another state: while it is UNHEALTHY, or READ_ONLY by order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<InstanceState>,
    /// A person wants it READ_ONLY.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// Version of its program.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
}

impl Record {
    /// What the instance says of itself.
    #[must_use]
    pub fn own_state(&self) -> InstanceState {
        self.before.unwrap_or(self.instance.state)
    }

    /// Shows what it says of itself, in the light of orders and of its lease.
    fn show(&mut self, own: InstanceState, expired: bool) {
        let shown = match own {
            _ if expired => InstanceState::Unhealthy,
            InstanceState::Joining | InstanceState::Active if self.read_only => InstanceState::ReadOnly,
            own => own,
        };
        self.instance.state = shown;
        self.before = (shown != own).then_some(own);
    }
}

/// What all members agree on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Rows", into = "Rows")]
pub struct State {
    header: Header,
    members: BTreeMap<MemberKey, Record>,
    keys: Keys,
}

/// The state without its instances.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Empty before [`Command::Bootstrap`].
    pub cluster_id: String,
    /// Grows by one with every command that changes anything.
    pub version: u64,
    /// The last epoch given out.
    pub last_epoch: u64,
    /// Of the small values.
    #[serde(default)]
    pub keys: Counters,
    /// Members of the group, former ones among them, that have been heard from.
    #[serde(default)]
    pub met: BTreeSet<u64>,
}

/// What a command did.
#[derive(Debug, PartialEq, Eq)]
pub struct Applied {
    /// The answer.
    pub reply: Reply,
    /// Whose record changed or went. The header changes whenever the version does.
    pub member: Option<MemberKey>,
    /// The small values that changed or went.
    pub keys: Vec<String>,
}

impl Applied {
    fn only(reply: Reply) -> Self {
        Self { reply, member: None, keys: Vec::new() }
    }

    fn changed(reply: Reply, member: MemberKey) -> Self {
        Self { reply, member: Some(member), keys: Vec::new() }
    }
}

impl State {
    /// Puts a state together from its parts.
    #[must_use]
    pub fn of(header: Header, records: impl IntoIterator<Item = Record>, keys: impl IntoIterator<Item = (String, KeyEntry)>) -> Self {
        let members = records.into_iter().map(|record| ((record.instance.role, record.instance.id.clone()), record)).collect();
        Self { header, members, keys: Keys::of(keys) }
    }

    /// The small values.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The state without its instances.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// One instance.
    #[must_use]
    pub fn get(&self, member: &MemberKey) -> Option<&Record> {
        self.members.get(member)
    }

    /// All instances, ordered by role and id.
    pub fn records(&self) -> impl Iterator<Item = (&MemberKey, &Record)> {
        self.members.iter()
    }

    /// What watchers see.
    #[must_use]
    pub fn snapshot(&self) -> ClusterSnapshot {
        ClusterSnapshot {
            cluster_id: self.header.cluster_id.clone(),
            version: self.header.version,
            instances: self.members.values().map(|record| record.instance.clone()).collect(),
        }
    }

    /// Applies a command.
    pub fn apply(&mut self, command: Command) -> Applied {
        match command {
            Command::Bootstrap { cluster_id } => self.bootstrap(cluster_id),
            Command::Register { id, role, address, zone, state, empty, now_ms, version } => {
                let instance =
                    Instance { id, role, address, zone, state, epoch: 0, registered_at_ms: now_ms, moved_at_ms: 0, emptied_at_ms: 0 };
                self.register(instance, version, empty)
            }
            Command::SetState { member, epoch, state } => self.change(member, epoch, |record| record.show(state, false)),
            Command::Deregister { member, epoch } => self.remove(member, epoch),
            Command::Expire { member, epoch } if self.holds_nothing(&member) => self.remove(member, epoch),
            Command::Expire { member, epoch } => self.change(member, epoch, |record| record.show(record.own_state(), true)),
            Command::Revive { member, epoch } => self.change(member, epoch, |record| record.show(record.own_state(), false)),
            Command::Forget { member, epoch, replication_factor, force } => match forget::check(self, &member, replication_factor) {
                Err(problem) if !force => Applied::only(Reply::NotSafe { problem: problem.to_string() }),
                _ => self.remove(member, epoch),
            },
            Command::Order { member, epoch, read_only } => self.change(member, epoch, |record| {
                record.read_only = read_only;
                record.show(record.own_state(), record.instance.state == InstanceState::Unhealthy);
            }),
            // Not seen by watchers: the version stays.
            Command::Met { node } => {
                self.header.met.insert(node);
                Applied::only(Reply::Done)
            }
            Command::Swap { swaps } => {
                let mut keys = Vec::new();
                let outcomes = swaps.into_iter().map(|swap| self.keys.swap(swap, &mut self.header.keys, &mut keys)).collect();
                Applied { reply: Reply::Swapped { outcomes }, member: None, keys }
            }
        }
    }

    fn holds_nothing(&self, member: &MemberKey) -> bool {
        member.0 != Role::Ingester || self.members.get(member).is_some_and(|record| record.own_state() == InstanceState::Gone)
    }

    fn bootstrap(&mut self, cluster_id: String) -> Applied {
        if self.header.cluster_id.is_empty() {
            self.header.cluster_id = cluster_id;
            self.header.version += 1;
        }
        Applied::only(Reply::Done)
    }

    fn register(&mut self, mut instance: Instance, version: String, empty: bool) -> Applied {
        let member = (instance.role, instance.id.clone());
        if self.members.len() >= MAX_INSTANCES && !self.members.contains_key(&member) {
            return Applied::only(Reply::Full);
        }
        self.header.last_epoch += 1;
        self.header.version += 1;
        let epoch = self.header.last_epoch;
        instance.epoch = epoch;
        let earlier = self.members.get(&member);
        let read_only = earlier.is_some_and(|record| record.read_only);
        // Who has left for good brings nothing, and nobody misses it.
        if let Some(earlier) = earlier.filter(|record| record.own_state() != InstanceState::Gone) {
            let (now, before) = (instance.registered_at_ms, &earlier.instance);
            instance.moved_at_ms = if before.zone == instance.zone { before.moved_at_ms } else { now };
            instance.emptied_at_ms = if empty { now } else { before.emptied_at_ms };
        }
        let own = instance.state;
        let mut record = Record { instance, before: None, read_only, version };
        record.show(own, false);
        self.members.insert(member.clone(), record);
        Applied::changed(Reply::Registered { epoch }, member)
    }

    fn change(&mut self, member: MemberKey, epoch: u64, change: impl FnOnce(&mut Record)) -> Applied {
        let current = self.members.get_mut(&member);
        let known = current.as_ref().map(|record| record.instance.epoch);
        let Some(record) = current.filter(|record| record.instance.epoch == epoch) else {
            return Applied::only(Reply::Fenced { current: known });
        };
        let before = record.clone();
        change(record);
        if *record == before {
            return Applied::only(Reply::Done);
        }
        self.header.version += 1;
        Applied::changed(Reply::Done, member)
    }

    fn remove(&mut self, member: MemberKey, epoch: u64) -> Applied {
        match self.members.get(&member).map(|record| record.instance.epoch) {
            // Asked for twice, because the first answer was lost.
            None => Applied::only(Reply::Done),
            Some(current) if current != epoch => Applied::only(Reply::Fenced { current: Some(current) }),
            Some(_) => {
                self.members.remove(&member);
                self.header.version += 1;
                Applied::changed(Reply::Done, member)
            }
        }
    }
}

/// The state as it is written: JSON has no maps with compound keys.
#[derive(Serialize, Deserialize)]
struct Rows {
    #[serde(flatten)]
    header: Header,
    members: Vec<Record>,
    #[serde(default)]
    values: Vec<(String, KeyEntry)>,
}

impl From<Rows> for State {
    fn from(rows: Rows) -> Self {
        Self::of(rows.header, rows.members, rows.values)
    }
}

impl From<State> for Rows {
    fn from(state: State) -> Self {
        let values = state.keys.rows().map(|(key, entry)| (key.clone(), entry.clone())).collect();
        Self { header: state.header, members: state.members.into_values().collect(), values }
    }
}

#[cfg(test)]
mod tests;
