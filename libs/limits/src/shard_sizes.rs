//! How many ingesters tenants had and have, so that changes lose nothing. Pure.
//!
//! Processes hear of a change at different times, and ingesters hold what was written before it. Therefore
//!
//! - **writes** use the smallest size of the last moments (`settle`): a larger one counts when every querier has heard of it;
//! - **reads** use the largest size of as far back as an ingester may be the only one that has a sample, and ask everyone while that reaches back to a time of which this process knows
//!   nothing.
//!
//! A larger shard contains a smaller one, so a read asks everyone that was written to.

use std::collections::HashMap;

use model::TenantId;

/// The furthest back that reads may look. Changes before that are forgotten.
pub const MAX_LOOKBACK_MS: i64 = 7 * 86_400_000;

/// Changes that are remembered. With more, everything is forgotten, and reads ask everyone for a while.
const MAX_CHANGES: usize = 100_000;

/// What has changed. Sizes are those of the limit: 0 is all.
#[derive(Debug, Default)]
pub(crate) struct ShardSizes {
    /// All changes since then are known; `None`: not even the current size is known to others.
    known_from_ms: Option<i64>,
    settle_ms: i64,
    changes: HashMap<TenantId, Vec<Change>>,
    count: usize,
}

#[derive(Debug, Clone, Copy)]
struct Change {
    at_ms: i64,
    before: usize,
}

impl ShardSizes {
    /// From now on every change is told.
    pub(crate) fn begin(&mut self, now_ms: i64, settle_ms: i64) {
        *self = Self { known_from_ms: Some(now_ms), settle_ms, ..Self::default() };
    }

    /// A tenant's size is about to change.
    pub(crate) fn changed(&mut self, tenant: &TenantId, before: usize, now_ms: i64) {
        if self.count >= MAX_CHANGES {
            self.forget_before(now_ms.saturating_sub(MAX_LOOKBACK_MS + self.settle_ms));
        }
        if self.count >= MAX_CHANGES {
            // Those of the last moments matter to writes; they are as good as told to everyone by the time that so many have come.
            self.begin(now_ms, self.settle_ms);
        }
        self.changes.entry(tenant.clone()).or_default().push(Change { at_ms: now_ms, before });
        self.count += 1;
    }

    fn forget_before(&mut self, ms: i64) {
        for changes in self.changes.values_mut() {
            changes.retain(|change| change.at_ms >= ms);
        }
        self.changes.retain(|_, changes| !changes.is_empty());
        self.count = self.changes.values().map(Vec::len).sum();
    }

    /// The size for writes.
    pub(crate) fn for_writes(&self, tenant: &TenantId, current: usize, now_ms: i64) -> usize {
        let smallest = self.since(tenant, now_ms.saturating_sub(self.settle_ms)).map(rank).fold(rank(current), usize::min);
        size(smallest)
    }

    /// The size for reads of what was written since `now_ms - lookback_ms`.
    pub(crate) fn for_reads(&self, tenant: &TenantId, current: usize, now_ms: i64, lookback_ms: i64) -> usize {
        // Distributors may have heard of a change that much later.
        let since = now_ms.saturating_sub(lookback_ms).saturating_sub(self.settle_ms);
        if lookback_ms > MAX_LOOKBACK_MS || self.known_from_ms.is_none_or(|known| known > since) {
            return 0;
        }
        size(self.since(tenant, since).map(rank).fold(rank(current), usize::max))
    }

    /// The sizes before the changes since then.
    fn since(&self, tenant: &TenantId, ms: i64) -> impl Iterator<Item = usize> + '_ {
        // Nearly always there are none at all.
        let changes = if self.count == 0 { None } else { self.changes.get(tenant) };
        changes.into_iter().flatten().filter(move |change| change.at_ms >= ms).map(|change| change.before)
    }
}

/// All is more than any number.
fn rank(size: usize) -> usize {
    if size == 0 { usize::MAX } else { size }
}

fn size(rank: usize) -> usize {
    if rank == usize::MAX { 0 } else { rank }
}

#[cfg(test)]
mod tests {
    use model::TenantId;

    use super::{MAX_CHANGES, ShardSizes};

    const HOUR: i64 = 3_600_000;

    #[test]
    fn growth_waits_in_writes_and_shrinking_in_reads() {
        let tenant = TenantId::new("t").unwrap();
        let mut sizes = ShardSizes::default();
        sizes.begin(0, 60_000);
        // 3, then 9 at 10 h, then all at 11 h, then 6 at 20 h.
        sizes.changed(&tenant, 3, 10 * HOUR);
        assert_eq!(sizes.for_writes(&tenant, 9, 10 * HOUR), 3);
        assert_eq!(sizes.for_writes(&tenant, 9, 10 * HOUR + 60_001), 9);
        assert_eq!(sizes.for_reads(&tenant, 9, 10 * HOUR, HOUR), 9);
        sizes.changed(&tenant, 9, 11 * HOUR);
        assert_eq!(sizes.for_writes(&tenant, 0, 11 * HOUR), 9);
        assert_eq!(sizes.for_reads(&tenant, 0, 11 * HOUR, HOUR), 0);
        sizes.changed(&tenant, 0, 20 * HOUR);
        assert_eq!(sizes.for_writes(&tenant, 6, 20 * HOUR), 6);
        assert_eq!(sizes.for_reads(&tenant, 6, 21 * HOUR, HOUR), 0);
        assert_eq!(sizes.for_reads(&tenant, 6, 21 * HOUR + 60_001, HOUR), 6);
        assert_eq!(sizes.for_reads(&tenant, 6, 21 * HOUR + 60_001, 10 * HOUR), 0);
        let other = TenantId::new("u").unwrap();
        assert_eq!((sizes.for_writes(&other, 5, 11 * HOUR), sizes.for_reads(&other, 5, 11 * HOUR, HOUR)), (5, 5));
    }

    #[test]
    fn what_is_not_known_is_everyone() {
        let tenant = TenantId::new("t").unwrap();
        let mut sizes = ShardSizes::default();
        assert_eq!((sizes.for_writes(&tenant, 6, 0), sizes.for_reads(&tenant, 6, HOUR, 1)), (6, 0));
        sizes.begin(5 * HOUR, 1_000);
        assert_eq!(sizes.for_reads(&tenant, 6, 6 * HOUR, HOUR), 0);
        assert_eq!(sizes.for_reads(&tenant, 6, 6 * HOUR + 1_000, HOUR), 6);
    }

    #[test]
    fn changes_are_bounded() {
        let mut sizes = ShardSizes::default();
        sizes.begin(0, 1_000);
        for i in 0..MAX_CHANGES as i64 + 10 {
            sizes.changed(&TenantId::new(&format!("t{}", i % 1_000)).unwrap(), 5, 1_000_000 + i);
        }
        assert!(sizes.count <= 10);
        assert_eq!(sizes.for_reads(&TenantId::new("t0").unwrap(), 6, 1_100_000, 50_000), 0);
        // Over weeks old ones go by themselves.
        sizes.begin(0, 1_000);
        for i in 0..3 * MAX_CHANGES as i64 {
            sizes.changed(&TenantId::new("t").unwrap(), 5, i * 60_000);
        }
        assert_eq!(sizes.known_from_ms, Some(0));
    }
}
