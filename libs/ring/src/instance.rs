//! One process in one role.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Takes writes and shards them.
    Distributor,
    /// Holds recent samples.
    Ingester,
    /// Answers queries.
    Querier,
    /// Merges blocks.
    Compactor,
    /// Evaluates rules.
    Ruler,
    /// Votes in the Raft group.
    Coordinator,
}

impl Role {
    /// The name in flags, metrics and `/ring`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Distributor => "distributor",
            Self::Ingester => "ingester",
            Self::Querier => "querier",
            Self::Compactor => "compactor",
            Self::Ruler => "ruler",
            Self::Coordinator => "coordinator",
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Distributor, Self::Ingester, Self::Querier, Self::Compactor, Self::Ruler, Self::Coordinator]
            .into_iter()
            .find(|role| role.as_str() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of an instance, unique per role; stable over restarts (a pod's name), so that its place on the ring is, too.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstanceId(Arc<str>);

impl InstanceId {
    /// The longest name, in bytes: a DNS name.
    pub const MAX_BYTES: usize = 253;

    /// Checks a name: 1 to 253 bytes of `0-9 a-z A-Z - _ .`.
    pub fn new(name: &str) -> Result<Self, InvalidInstanceId> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if name.is_empty() || name.len() > Self::MAX_BYTES || !name.bytes().all(allowed) {
            return Err(InvalidInstanceId);
        }
        Ok(Self(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name that no instance may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an instance id is 1 to 253 characters of 0-9 a-z A-Z - _ .")]
pub struct InvalidInstanceId;

/// Where an instance is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum InstanceState {
    /// Starting: it takes writes, and answers reads when it has replayed what it had before.
    Joining,
    /// Full member.
    Active,
    /// Being stopped: holds its data, gets no more writes.
    Leaving,
    /// Holds its data and answers reads; its keys are written to the next instance of its zone instead.
    #[serde(rename = "READ_ONLY")]
    ReadOnly,
    /// Everything it held is in the object store and every querier knows: it is no part of the ring any more, and may be stopped.
    Gone,
    /// Its lease ran out: it keeps its place on the ring and its data, and is expected back; nobody waits for it.
    Unhealthy,
}

impl InstanceState {
    /// Every state.
    pub const ALL: [Self; 6] = [Self::Joining, Self::Active, Self::Leaving, Self::ReadOnly, Self::Gone, Self::Unhealthy];

    /// The name in `/ring` and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Joining => "JOINING",
            Self::Active => "ACTIVE",
            Self::Leaving => "LEAVING",
            Self::ReadOnly => "READ_ONLY",
            Self::Gone => "GONE",
            Self::Unhealthy => "UNHEALTHY",
        }
    }

    /// The state of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// One process in one role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its name.
    pub id: InstanceId,
    /// What it does.
    pub role: Role,
    /// `host:port` of its gRPC listener, as others reach it.
    pub address: String,
    /// Its zone; [`crate::UNZONED`] if it was given none.
    pub zone: String,
    /// Its state.
    pub state: InstanceState,
    /// Drawn from one counter of the cluster at every registration: no two registrations ever share it, and of one id and role a later one has
    /// a larger one. What carries an older epoch is fenced.
    pub epoch: u64,
    /// Wall time of its registration, milliseconds since the epoch. Who reads a tenant's shard asks those in addition that registered within the look-back ([`crate::Ring::readers_of`]), which is
    /// hours: clocks may differ by minutes.
    pub registered_at_ms: i64,
    /// Wall time of the registration by which it came from another zone, milliseconds since the epoch; 0 if it never did. What it held before may have its only other copy in
    /// the zone where it is now, so a read that could still need that counts it as a domain of its own ([`crate::ReadQuorum`]).
    #[serde(default)]
    pub moved_at_ms: i64,
    /// Wall time of the registration by which it came back without what it held, as with a new disk, milliseconds since the epoch; 0 if it never did. While that could still be needed,
    /// reads ask everyone, because its zone is no replacement for another that has missed something.
    #[serde(default)]
    pub emptied_at_ms: i64,
}
