//! When an ingester that is gone may be forgotten. Pure.
//!
//! Its place on the ring tells readers that somebody is missing who may have samples that nobody else has. It may be given away when that cannot be:
//!
//! - its data is in the object store (it was GONE); or
//! - every sample that it acknowledged together with others is held by others who are all there: replicas lie in different zones, a write is
//!   acknowledged by most of them, so with three replicas at least one other zone has each sample. All ingesters of all other zones must be
//!   registered and well, and there must be as many zones as replicas. One that came from another zone may have shared series with those of its present zone: then these must be well, too.
//!
//! Where that leaves fewer zones than replicas the last ingester of a zone stays: a read may do without as many zones as ever, and of what it held with one other there is one
//! copy left, in one of the others.
//!
//! An ingester without a zone is one of its own here ([`ring::Domain`]).
//!
//! With fewer than three replicas a dead ingester's samples may be nowhere else, and it is never forgotten without being told to.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use ring::{Instance, InstanceState, Role};

use crate::machine::{MemberKey, State};

/// Why an instance may not be forgotten.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSafe {
    /// It may be well.
    #[error("it is {}, and only an instance whose lease has run out is forgotten", .0.as_str())]
    Alive(InstanceState),
    /// There may be no other copy.
    #[error("with {0} copies of each series its samples may be nowhere else")]
    FewReplicas(usize),
    /// Replicas may lie in its zone.
    #[error("there are {other_zones} other zones, and {needed} are needed to hold all other copies")]
    FewZones {
        /// Zones of ingesters beside its own.
        other_zones: usize,
        /// One less than replicas.
        needed: usize,
    },
    /// Its zone would be gone.
    #[error("without {0} there would be fewer zones than copies")]
    LastOf(String),
    /// Another copy may be missing as well.
    #[error("ingester {id} of zone {zone} is {state}, and may have what is missing", state = .state.as_str())]
    OtherMissing {
        /// Who.
        id: String,
        /// Where.
        zone: String,
        /// How it is.
        state: InstanceState,
    },
}

/// Whether an instance may be forgotten without loss. One that is not there may.
pub fn check(state: &State, member: &MemberKey, replication_factor: usize) -> Result<(), NotSafe> {
    let Some(record) = state.get(member) else { return Ok(()) };
    if member.0 != Role::Ingester || record.own_state() == InstanceState::Gone {
        return Ok(());
    }
    if record.instance.state != InstanceState::Unhealthy {
        return Err(NotSafe::Alive(record.instance.state));
    }
    if replication_factor < 3 {
        return Err(NotSafe::FewReplicas(replication_factor));
    }
    let ingesters = state.records().map(|(_, record)| &record.instance).filter(|i| i.role == Role::Ingester && i.id != record.instance.id);
    let others: Vec<&Instance> = ingesters.filter(|i| i.state != InstanceState::Gone).collect();
    let domain = record.instance.domain();
    let other_zones = others.iter().map(|i| i.domain()).filter(|other| *other != domain).collect::<BTreeSet<_>>().len();
    if other_zones + 1 < replication_factor {
        return Err(NotSafe::FewZones { other_zones, needed: replication_factor - 1 });
    }
    if other_zones < replication_factor && others.iter().all(|i| i.domain() != domain) {
        return Err(NotSafe::LastOf(domain.to_string()));
    }
    let holds_all = |state| matches!(state, InstanceState::Active | InstanceState::ReadOnly);
    // Those that have always been in its zone have nothing that it acknowledged.
    let may_share = |i: &Instance| i.domain() != domain || i.moved_at_ms > 0 || record.instance.moved_at_ms > 0;
    match others.iter().find(|i| may_share(i) && !holds_all(i.state)) {
        Some(other) => Err(NotSafe::OtherMissing { id: other.id.to_string(), zone: other.zone.clone(), state: other.state }),
        None => Ok(()),
    }
}

/// Since when the dead may be forgotten, as the leader saw it. A new leader begins to count anew, so nobody is forgotten too early.
///
/// What was acknowledged by the dead one and one other has a single copy left until that one has shipped it. Hence it does not count how long somebody is dead, but how long
/// everybody else has been well meanwhile: by then they have shipped it.
#[derive(Debug, Default)]
pub struct Dead {
    since: HashMap<(MemberKey, u64), Duration>,
}

impl Dead {
    /// The ingesters that have been dead, with everybody else well, for `after`, with their epochs, in order of their names; none if `after` is zero. `now` is monotonic.
    pub fn due(&mut self, state: &State, replication_factor: usize, after: Duration, now: Duration) -> Vec<(MemberKey, u64)> {
        let dead = state.records().filter(|(member, record)| {
            record.instance.state == InstanceState::Unhealthy && check(state, member, replication_factor).is_ok()
        });
        let dead: BTreeSet<(MemberKey, u64)> = dead.map(|(member, record)| (member.clone(), record.instance.epoch)).collect();
        self.since.retain(|who, _| dead.contains(who));
        for who in &dead {
            self.since.entry(who.clone()).or_insert(now);
        }
        if after.is_zero() {
            return Vec::new();
        }
        let long = |who: &(MemberKey, u64)| self.since.get(who).is_some_and(|since| now.saturating_sub(*since) >= after);
        dead.into_iter().filter(long).collect()
    }

    /// Leadership was lost.
    pub fn clear(&mut self) {
        self.since.clear();
    }
}

#[cfg(test)]
mod tests;
