//! The cluster's state and how commands change it. Pure and deterministic: every member applies the same commands in the same order and
//! arrives at the same state; whatever depends on time or chance is in the command.

use std::collections::BTreeMap;

use ring::{ClusterSnapshot, Instance, InstanceId, InstanceState, Role};
use serde::{Deserialize, Serialize};

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
        /// Its failure domain.
        zone: String,
        /// Its first state.
        state: InstanceState,
        /// The leader's wall time; for people.
        now_ms: i64,
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
    /// A lease ran out. An ingester keeps its place and its data and is UNHEALTHY; other roles hold nothing and are forgotten.
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
}

/// An instance, and what it was before it became UNHEALTHY.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The instance.
    pub instance: Instance,
    /// Set only while the instance is UNHEALTHY.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<InstanceState>,
}

/// What all members agree on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Rows", into = "Rows")]
pub struct State {
    header: Header,
    members: BTreeMap<MemberKey, Record>,
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
}

/// What a command did.
#[derive(Debug, PartialEq, Eq)]
pub struct Applied {
    /// The answer.
    pub reply: Reply,
    /// Whose record changed or went. The header changes whenever the version does.
    pub member: Option<MemberKey>,
}

impl State {
    /// Puts a state together from its parts.
    #[must_use]
    pub fn of(header: Header, records: impl IntoIterator<Item = Record>) -> Self {
        let members = records.into_iter().map(|record| ((record.instance.role, record.instance.id.clone()), record)).collect();
        Self { header, members }
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
            Command::Register { id, role, address, zone, state, now_ms } => {
                let instance = Instance { id, role, address, zone, state, epoch: 0, registered_at_ms: now_ms };
                self.register(instance)
            }
            Command::SetState { member, epoch, state } => self.change(member, epoch, |record| {
                record.before = None;
                record.instance.state = state;
            }),
            Command::Deregister { member, epoch } => self.remove(member, epoch),
            Command::Expire { member, epoch } if member.0 != Role::Ingester => self.remove(member, epoch),
            Command::Expire { member, epoch } => self.change(member, epoch, |record| {
                if record.instance.state != InstanceState::Unhealthy {
                    record.before = Some(record.instance.state);
                    record.instance.state = InstanceState::Unhealthy;
                }
            }),
            Command::Revive { member, epoch } => self.change(member, epoch, |record| {
                if let Some(before) = record.before.take() {
                    record.instance.state = before;
                }
            }),
        }
    }

    fn bootstrap(&mut self, cluster_id: String) -> Applied {
        if self.header.cluster_id.is_empty() {
            self.header.cluster_id = cluster_id;
            self.header.version += 1;
        }
        Applied { reply: Reply::Done, member: None }
    }

    fn register(&mut self, mut instance: Instance) -> Applied {
        let member = (instance.role, instance.id.clone());
        if self.members.len() >= MAX_INSTANCES && !self.members.contains_key(&member) {
            return Applied { reply: Reply::Full, member: None };
        }
        self.header.last_epoch += 1;
        self.header.version += 1;
        let epoch = self.header.last_epoch;
        instance.epoch = epoch;
        self.members.insert(member.clone(), Record { instance, before: None });
        Applied { reply: Reply::Registered { epoch }, member: Some(member) }
    }

    fn change(&mut self, member: MemberKey, epoch: u64, change: impl FnOnce(&mut Record)) -> Applied {
        let current = self.members.get_mut(&member);
        let known = current.as_ref().map(|record| record.instance.epoch);
        let Some(record) = current.filter(|record| record.instance.epoch == epoch) else {
            return Applied { reply: Reply::Fenced { current: known }, member: None };
        };
        let before = record.clone();
        change(record);
        if *record == before {
            return Applied { reply: Reply::Done, member: None };
        }
        self.header.version += 1;
        Applied { reply: Reply::Done, member: Some(member) }
    }

    fn remove(&mut self, member: MemberKey, epoch: u64) -> Applied {
        match self.members.get(&member).map(|record| record.instance.epoch) {
            // Asked for twice, because the first answer was lost.
            None => Applied { reply: Reply::Done, member: None },
            Some(current) if current != epoch => Applied { reply: Reply::Fenced { current: Some(current) }, member: None },
            Some(_) => {
                self.members.remove(&member);
                self.header.version += 1;
                Applied { reply: Reply::Done, member: Some(member) }
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
}

impl From<Rows> for State {
    fn from(rows: Rows) -> Self {
        Self::of(rows.header, rows.members)
    }
}

impl From<State> for Rows {
    fn from(state: State) -> Self {
        Self { header: state.header, members: state.members.into_values().collect() }
    }
}

#[cfg(test)]
mod tests;
