//! When a read has asked enough ingesters.

use crate::instance::InstanceState;
use crate::quorum::{Verdict, tolerated_failures};
use crate::ring::{InstanceIndex, Ring};

/// Follows a read that asks every instance of the ring, or everyone who may have a tenant's series ([`Ring::readers_of`]).
///
/// All of those are asked, not only today's replicas of a series: who held it before the last join or leave still has its samples. The read is
/// complete when the instances that did not answer can be at most [`tolerated_failures`] replicas of any series: that many
/// instances, or, if there are at least as many zones as replicas (so that a series has one replica per zone), any number of
/// instances in that many zones.
#[derive(Debug, Clone)]
pub struct ReadQuorum {
    /// Zone of each instance, as a number; each instance is a zone of its own when zones are too few.
    domain_of: Vec<u32>,
    tolerated: usize,
    heard: Vec<Option<bool>>,
    /// Failures in each domain.
    failed_in: Vec<usize>,
    failed_domains: usize,
    missing: usize,
}

impl ReadQuorum {
    /// Nobody was asked yet; everyone holds series.
    #[must_use]
    pub fn new(ring: &Ring) -> Self {
        Self::among(ring, ring.members())
    }

    /// Nobody was asked yet; these hold series. What others answer does not count.
    #[must_use]
    pub fn among(ring: &Ring, members: &[InstanceIndex]) -> Self {
        let mut zones: Vec<&str> = ring.instances().iter().map(|i| i.zone.as_str()).collect();
        zones.sort_unstable();
        zones.dedup();
        let zone_aware = ring.replication_factor() > 1 && zones.len() >= ring.replication_factor();
        let domain = |(index, zone): (u32, &str)| if zone_aware { zones.partition_point(|z| *z < zone) as u32 } else { index };
        let domain_of: Vec<u32> = (0..).zip(ring.instances().iter().map(|i| i.zone.as_str())).map(domain).collect();
        let instances = domain_of.len();
        let mut heard = vec![Some(true); instances];
        for member in members {
            if let Some(heard) = heard.get_mut(*member as usize) {
                *heard = None;
            }
        }
        Self {
            domain_of,
            tolerated: tolerated_failures(ring.replication_factor()),
            missing: heard.iter().filter(|heard| heard.is_none()).count(),
            heard,
            failed_in: vec![0; instances.max(zones.len())],
            failed_domains: 0,
        }
    }

    /// Those of the members that are worth asking first: all but the UNHEALTHY, which may be gone, and the JOINING, which answer only when they have
    /// replayed their logs, and those that `spare` names for what the caller has learned of them. If the answer cannot be complete without those, everyone is asked: an instance that has only lost its
    /// coordinator still has its data, and one that is starting answers a little later.
    #[must_use]
    pub fn first_choice(ring: &Ring, members: &[InstanceIndex], mut spare: impl FnMut(InstanceIndex) -> bool) -> Vec<InstanceIndex> {
        let mut doubtful = |index: &InstanceIndex| {
            let state = ring.instances().get(*index as usize).map(|instance| instance.state);
            matches!(state, None | Some(InstanceState::Unhealthy | InstanceState::Joining)) || spare(*index)
        };
        let (second, first): (Vec<InstanceIndex>, Vec<InstanceIndex>) = members.iter().partition(|index| doubtful(index));
        let mut without = Self::among(ring, members);
        for index in second {
            without.failed(index);
        }
        if without.verdict() == Verdict::Impossible { members.to_vec() } else { first }
    }

    /// The verdict so far. `Reached`: those who have not answered are not needed (a read may still prefer to wait for them).
    /// `Impossible` on an empty ring: that nobody is known does not mean that nobody has samples.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.domain_of.is_empty() || self.failed_domains > self.tolerated {
            Verdict::Impossible
        } else if self.missing == 0 || self.unanswered_domains() <= self.tolerated {
            Verdict::Reached
        } else {
            Verdict::Pending
        }
    }

    /// The instance has sent all it has.
    pub fn succeeded(&mut self, instance: u32) -> Verdict {
        self.outcome(instance, true)
    }

    /// The instance failed, or is not asked.
    pub fn failed(&mut self, instance: u32) -> Verdict {
        self.outcome(instance, false)
    }

    fn outcome(&mut self, instance: u32, success: bool) -> Verdict {
        let instance = instance as usize;
        if let Some(heard @ None) = self.heard.get_mut(instance) {
            *heard = Some(success);
            self.missing -= 1;
            if !success {
                let failed = &mut self.failed_in[self.domain_of[instance] as usize];
                *failed += 1;
                self.failed_domains += usize::from(*failed == 1);
            }
        }
        self.verdict()
    }

    /// Domains with an instance that failed or has not answered.
    fn unanswered_domains(&self) -> usize {
        let mut open: Vec<u32> =
            self.domain_of.iter().zip(&self.heard).filter(|(_, heard)| **heard != Some(true)).map(|(domain, _)| *domain).collect();
        open.sort_unstable();
        open.dedup();
        open.len()
    }
}

#[cfg(test)]
mod tests;
