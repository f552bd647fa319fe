//! Which group it is, when it is evaluated, and which of its series have gone: pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Labels, SeriesHash, TenantId};

use crate::shard;

/// What identifies a group in the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct GroupKey {
    /// Whose it is.
    pub(crate) tenant: TenantId,
    /// The rule file, or the namespace of a stored group.
    pub(crate) file: Arc<str>,
    /// Its name.
    pub(crate) name: Arc<str>,
}

impl GroupKey {
    pub(crate) fn new(tenant: &TenantId, file: &str, name: &str) -> Self {
        Self { tenant: tenant.clone(), file: file.into(), name: name.into() }
    }
}

/// The times at which a group is evaluated: every interval, at an offset of its own, so that not all groups are evaluated at once and
/// each is at the same times after a restart. Milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slots {
    interval_ms: i64,
    offset_ms: i64,
}

impl Slots {
    /// The slots of a group. An interval below a millisecond counts as one.
    pub(crate) fn of(key: &GroupKey, interval_ms: i64) -> Self {
        let interval_ms = interval_ms.max(1);
        let hash = shard::token(&key.tenant, &key.file, &key.name);
        let offset_ms = i64::try_from(hash % interval_ms.unsigned_abs()).unwrap_or(0);
        Self { interval_ms, offset_ms }
    }

    /// The last slot at or before `now`.
    pub(crate) fn at_or_before(self, now: i64) -> i64 {
        let since = now.saturating_sub(self.offset_ms);
        since.div_euclid(self.interval_ms).saturating_mul(self.interval_ms).saturating_add(self.offset_ms)
    }

    /// The slot to evaluate after `last` when it is `now`, and how many were missed in between: an evaluation that takes longer than the
    /// interval skips slots rather than running behind for ever.
    pub(crate) fn next(self, last: i64, now: i64) -> (i64, u64) {
        // A clock that was set back by more than a slot: go on from where it stands, or nobody is alerted until it is there again.
        let last = if last > now.saturating_add(self.interval_ms) { self.at_or_before(now) } else { last };
        let next = last.saturating_add(self.interval_ms);
        let current = self.at_or_before(now);
        if current <= next {
            return (next, 0);
        }
        let missed = current.saturating_sub(next) / self.interval_ms;
        (next.saturating_add(missed.saturating_mul(self.interval_ms)), missed.unsigned_abs())
    }
}

/// The series that a rule wrote in its last evaluation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Written {
    series: BTreeMap<SeriesHash, Labels>,
}

impl Written {
    /// Takes what was written now; gives the series that were written before and are gone.
    pub(crate) fn replace(&mut self, now: BTreeMap<SeriesHash, Labels>) -> Vec<Labels> {
        let gone = self.gone(&now);
        self.series = now;
        gone
    }

    /// The series that are not among those of `now`.
    pub(crate) fn gone(&self, now: &BTreeMap<SeriesHash, Labels>) -> Vec<Labels> {
        self.series.iter().filter(|(hash, _)| !now.contains_key(hash)).map(|(_, labels)| labels.clone()).collect()
    }

    /// All of them.
    pub(crate) fn into_labels(self) -> Vec<Labels> {
        self.series.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use model::{Labels, TenantId};

    use super::{GroupKey, Slots, Written};

    #[test]
    fn slots_are_where_they_were() {
        let of = |name: &str| Slots::of(&GroupKey::new(&TenantId::anonymous(), "a.yml", name), 60_000);
        let slots = of("g");
        assert_eq!(slots, of("g"));
        assert!((0..60_000).contains(&slots.offset_ms));
        let offsets: std::collections::BTreeSet<_> = (0..100).map(|i| of(&i.to_string()).offset_ms / 6_000).collect();
        assert_eq!(offsets.len(), 10, "groups spread");
        for now in [0, 1_700_000_000_123, 59_999, -5] {
            let slot = slots.at_or_before(now);
            assert!(slot <= now && now - slot < 60_000, "{now}: {slot}");
        }
    }

    #[test]
    fn late_evaluations_skip_slots() {
        let slots = Slots { interval_ms: 10, offset_ms: 3 };
        assert_eq!(slots.next(13, 22), (23, 0));
        assert_eq!(slots.next(13, 23), (23, 0));
        assert_eq!(slots.next(13, 32), (23, 0), "a little late is late, not missed");
        assert_eq!(slots.next(13, 33), (33, 1));
        assert_eq!(slots.next(13, 59), (53, 3));
        assert_eq!(slots.next(13, 5), (23, 0), "the clock was set back a little");
        assert_eq!(slots.next(1_003, 5), (13, 0), "and far");
    }

    #[test]
    fn what_has_gone_is_told_once() {
        let series = |names: &[&str]| {
            let labels = names.iter().map(|n| Labels::from_pairs([("a", n)]));
            labels.map(|l| (l.hash(), l)).collect::<BTreeMap<_, _>>()
        };
        let mut written = Written::default();
        assert_eq!(written.replace(series(&["x", "y"])), []);
        assert_eq!(written.replace(series(&["y", "z"])), [Labels::from_pairs([("a", "x")])]);
        assert_eq!(written.replace(series(&["y", "z"])), []);
        assert_eq!(written.into_labels().len(), 2);
    }
}
