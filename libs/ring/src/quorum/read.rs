//! When a read has asked enough ingesters.

use std::collections::BTreeSet;

use crate::domain::Domain;
use crate::instance::{Instance, InstanceState};
use crate::quorum::{Verdict, tolerated_failures};
use crate::ring::{InstanceIndex, Ring};

/// How many a read asks at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach<'a> {
    /// Everyone who is well.
    Everyone,
    /// No more domains than make the answer complete.
    Enough {
        /// Where the reader is: this domain is asked, if the answer can be complete with it.
        home: Option<Domain<'a>>,
        /// Which of the others are left out goes round with this number.
        turn: usize,
    },
}

/// Follows a read that asks every instance of the ring, or everyone who may have a tenant's series ([`Ring::readers_of`]).
///
/// All of those are asked, not only today's replicas of a series: who held it before the last join or leave still has its samples. The read is
/// complete when the instances that did not answer can be at most [`tolerated_failures`] replicas of any series: any number of
/// instances in that many failure domains, because a series has one replica in each at most. That holds also for what was written when there were other domains: an instance that came from
/// another zone counts as a domain of its own until what it held then is in the object store.
#[derive(Debug, Clone)]
pub struct ReadQuorum {
    /// Failure domain of each instance, as a number.
    domain_of: Vec<u32>,
    tolerated: usize,
    heard: Vec<Option<bool>>,
    /// Failures in each domain.
    failed_in: Vec<usize>,
    failed_domains: usize,
    /// Members of each domain that failed or have not answered, and the domains that have any.
    open_in: Vec<usize>,
    open_domains: usize,
    /// None of those asked has lost what may be needed.
    whole: bool,
}

impl ReadQuorum {
    /// Nobody was asked yet; everyone holds series, and who ever came from another zone may have some from there.
    #[must_use]
    pub fn new(ring: &Ring) -> Self {
        Self::among(ring, ring.members(), 0)
    }

    /// Nobody was asked yet; these hold series. What others answer does not count. What was written before `since_ms`, a wall time, is in the object store.
    #[must_use]
    pub fn among(ring: &Ring, members: &[InstanceIndex], since_ms: i64) -> Self {
        let domains = ring.domains();
        let own = (domains.len() as u32)..;
        let domain_of = own.zip(ring.instances()).map(|(own, instance)| {
            let moved = instance.moved_at_ms > 0 && instance.moved_at_ms >= since_ms;
            if moved { own } else { domains.partition_point(|domain| *domain < instance.domain()) as u32 }
        });
        let domain_of: Vec<u32> = domain_of.collect();
        let instances = domain_of.len();
        let mut heard = vec![Some(true); instances];
        let mut open_in = vec![0; instances + domains.len()];
        for member in members {
            if let Some(heard @ Some(_)) = heard.get_mut(*member as usize) {
                *heard = None;
                open_in[domain_of[*member as usize] as usize] += 1;
            }
        }
        Self {
            domain_of,
            tolerated: tolerated_failures(ring.replication_factor()),
            heard,
            failed_in: vec![0; instances + domains.len()],
            failed_domains: 0,
            open_domains: open_in.iter().filter(|open| **open > 0).count(),
            open_in,
            whole: !members
                .iter()
                .filter_map(|index| ring.instances().get(*index as usize))
                .any(|i| i.emptied_at_ms > 0 && i.emptied_at_ms >= since_ms),
        }
    }

    /// Those of the members, nobody of whom was asked yet, that are worth asking first.
    ///
    /// Left out are the UNHEALTHY, which may be gone, the JOINING, which answer only when they have replayed their logs, and those that `spare` names for what the caller has learned of
    /// them. If the answer cannot be complete without those, everyone is asked: an instance that has only lost its coordinator still has its data, and one that is starting answers a little
    /// later. If `reach` is [`Reach::Enough`], others are left out as well: as many domains as the answer can do without. Not so while an instance has lost its disk: what it acknowledged with one
    /// other, and a third has missed, is found where that other is asked.
    #[must_use]
    pub fn first_choice(
        &self,
        ring: &Ring,
        members: &[InstanceIndex],
        reach: Reach<'_>,
        mut spare: impl FnMut(InstanceIndex) -> bool,
    ) -> Vec<InstanceIndex> {
        let mut doubtful = |index: &InstanceIndex| {
            let state = ring.instances().get(*index as usize).map(|instance| instance.state);
            matches!(state, None | Some(InstanceState::Unhealthy | InstanceState::Joining)) || spare(*index)
        };
        let (second, mut first): (Vec<InstanceIndex>, Vec<InstanceIndex>) = members.iter().partition(|index| doubtful(index));
        let mut without = self.clone();
        for index in second {
            without.failed(index);
        }
        if without.verdict() == Verdict::Impossible {
            return members.to_vec();
        }
        if let Reach::Enough { home, turn } = reach
            && self.whole
        {
            let asked = without.worth_asking(ring, &first, home, turn);
            first.retain(|index| asked.contains(&self.domain(*index)));
        }
        first
    }

    /// The domains of `members` that make the answer complete: those of which nobody is missing, but as many as it can do without. That of `home` is not among these.
    fn worth_asking(&self, ring: &Ring, members: &[InstanceIndex], home: Option<Domain<'_>>, turn: usize) -> BTreeSet<u32> {
        let whole = |index: &&InstanceIndex| self.failed_in.get(self.domain(**index) as usize) == Some(&0);
        let is_home = |index: &&InstanceIndex| home.is_some() && ring.instances().get(**index as usize).map(Instance::domain) == home;
        let mut asked: BTreeSet<u32> = members.iter().filter(whole).map(|index| self.domain(*index)).collect();
        let at_home: BTreeSet<u32> = members.iter().filter(is_home).map(|index| self.domain(*index)).collect();
        let others: Vec<u32> = asked.difference(&at_home).copied().collect();
        // Somebody is asked, also where there are too few domains for anything to have been acknowledged.
        let needless = self.tolerated.saturating_sub(self.failed_domains).min(asked.len().saturating_sub(1));
        for domain in others.iter().cycle().skip(turn % others.len().max(1)).take(needless.min(others.len())) {
            asked.remove(domain);
        }
        asked
    }

    fn domain(&self, instance: InstanceIndex) -> u32 {
        self.domain_of.get(instance as usize).copied().unwrap_or(u32::MAX)
    }

    /// The verdict so far. `Reached`: those who have not answered are not needed (a read may still prefer to wait for them).
    /// `Impossible` on an empty ring: that nobody is known does not mean that nobody has samples.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.domain_of.is_empty() || self.failed_domains > self.tolerated {
            Verdict::Impossible
        } else if self.open_domains <= self.tolerated {
            Verdict::Reached
        } else {
            Verdict::Pending
        }
    }

    /// Whether the answer could still be complete if these failed as well.
    #[must_use]
    pub fn can_do_without<'a>(&self, instances: impl IntoIterator<Item = &'a InstanceIndex>) -> bool {
        let mut more: Vec<u32> = Vec::new();
        for index in instances {
            let domain = self.domain(*index);
            let is_new = self.heard.get(*index as usize) == Some(&None) && self.failed_in.get(domain as usize) == Some(&0);
            if is_new && !more.contains(&domain) {
                more.push(domain);
                if self.failed_domains + more.len() > self.tolerated {
                    return false;
                }
            }
        }
        self.verdict() != Verdict::Impossible
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
            let domain = self.domain_of[instance] as usize;
            if success {
                self.open_in[domain] -= 1;
                self.open_domains -= usize::from(self.open_in[domain] == 0);
            } else {
                self.failed_in[domain] += 1;
                self.failed_domains += usize::from(self.failed_in[domain] == 1);
            }
        }
        self.verdict()
    }
}

#[cfg(test)]
mod tests;
