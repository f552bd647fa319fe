//! Leases, in the leader's memory. Pure: time is passed in.

use std::collections::HashMap;
use std::time::Duration;

use crate::machine::MemberKey;

/// Who was heard of when. Empty on members that do not lead.
///
/// A new leader has heard of nobody: it grants everyone a whole lease before it lets anyone expire. So does a leader that was
/// itself stopped for a while, for it could not have heard anybody.
#[derive(Debug)]
pub struct Leases {
    ttl: Duration,
    ends: HashMap<MemberKey, Lease>,
    /// When [`Leases::expired`] was last asked.
    looked_at: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lease {
    epoch: u64,
    end: Duration,
}

impl Leases {
    /// No leases.
    #[must_use]
    pub fn new(ttl: Duration) -> Self {
        Self { ttl, ends: HashMap::new(), looked_at: None }
    }

    /// How long a lease lasts.
    #[must_use]
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// A member was heard of.
    pub fn renew(&mut self, member: &MemberKey, epoch: u64, now: Duration) {
        let lease = Lease { epoch, end: now.saturating_add(self.ttl) };
        match self.ends.get_mut(member) {
            // Answers of a fenced process may be late.
            Some(current) if current.epoch > epoch => {}
            Some(current) => *current = lease,
            None => {
                self.ends.insert(member.clone(), lease);
            }
        }
    }

    /// Brings the leases in line with those who should have one: unknown ones and those of an older epoch are granted, others forgotten.
    pub fn reconcile<'a>(&mut self, members: impl Iterator<Item = (&'a MemberKey, u64)>, now: Duration) {
        let mut known = HashMap::with_capacity(self.ends.len());
        for (member, epoch) in members {
            let granted = Lease { epoch, end: now.saturating_add(self.ttl) };
            let lease = self.ends.get(member).copied().filter(|lease| lease.epoch >= epoch).unwrap_or(granted);
            known.insert(member.clone(), lease);
        }
        self.ends = known;
    }

    /// Whose lease has run out, in order of their names. To be asked several times per ttl.
    pub fn expired(&mut self, now: Duration) -> Vec<(MemberKey, u64)> {
        let silence = self.looked_at.map_or(Duration::ZERO, |at| now.saturating_sub(at));
        self.looked_at = Some(now);
        if silence > self.ttl / 2 {
            for lease in self.ends.values_mut() {
                lease.end = now.saturating_add(self.ttl);
            }
        }
        let over = self.ends.iter().filter(|(_, lease)| lease.end <= now);
        let mut over: Vec<_> = over.map(|(member, lease)| (member.clone(), lease.epoch)).collect();
        over.sort_unstable();
        over
    }

    /// How long ago a member was heard of, or given its lease by a new leader; `None` if it has none.
    #[must_use]
    pub fn silence(&self, member: &MemberKey, epoch: u64, now: Duration) -> Option<Duration> {
        let lease = self.ends.get(member).filter(|lease| lease.epoch == epoch)?;
        Some(self.ttl.saturating_sub(lease.end.saturating_sub(now)))
    }

    /// Leadership was lost.
    pub fn clear(&mut self) {
        self.ends.clear();
        self.looked_at = None;
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ring::{InstanceId, Role};

    use super::Leases;
    use crate::machine::MemberKey;

    const TTL: Duration = Duration::from_secs(10);

    fn member(name: &str) -> MemberKey {
        (Role::Ingester, InstanceId::new(name).unwrap())
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn who_renews_stays_and_who_does_not_expires() {
        let (a, b) = (member("a"), member("b"));
        let mut leases = Leases::new(TTL);
        leases.reconcile([(&a, 1), (&b, 2)].into_iter(), at(0));
        for now in (0..60).step_by(3) {
            leases.renew(&a, 1, at(now));
            let expired = leases.expired(at(now));
            assert_eq!(expired, if now >= 10 { vec![(b.clone(), 2)] } else { vec![] }, "at {now}");
        }
        leases.reconcile([(&a, 1)].into_iter(), at(60));
        assert_eq!(leases.len(), 1, "whose expiry was applied has no lease any more");
    }

    #[test]
    fn a_new_leader_grants_everyone_a_whole_lease() {
        let a = member("a");
        let mut leases = Leases::new(TTL);
        leases.reconcile([(&a, 1)].into_iter(), at(0));
        leases.clear();
        assert!(leases.is_empty());
        leases.reconcile([(&a, 1)].into_iter(), at(1_000));
        for now in [1_000, 1_004, 1_008] {
            assert!(leases.expired(at(now)).is_empty());
        }
        leases.expired(at(1_009));
        assert_eq!(leases.expired(at(1_010)).len(), 1);
    }

    #[test]
    fn a_leader_that_was_stopped_expires_nobody_at_once() {
        let a = member("a");
        let mut leases = Leases::new(TTL);
        leases.reconcile([(&a, 1)].into_iter(), at(0));
        leases.expired(at(1));
        assert!(leases.expired(at(61)).is_empty(), "60 seconds without a look");
        assert!(leases.expired(at(66)).is_empty());
        assert_eq!(leases.expired(at(71)).len(), 1);
    }

    #[test]
    fn a_new_epoch_is_a_new_lease_and_the_old_one_cannot_renew_it() {
        let a = member("a");
        let mut leases = Leases::new(TTL);
        leases.reconcile([(&a, 1)].into_iter(), at(0));
        leases.reconcile([(&a, 5)].into_iter(), at(9));
        leases.renew(&a, 1, at(15));
        leases.expired(at(12));
        leases.expired(at(16));
        assert_eq!(leases.expired(at(19)), [(a, 5)]);
    }
}
