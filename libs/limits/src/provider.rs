//! Where the roles look a tenant's limits up.

use std::sync::Arc;

use model::TenantId;
use parking_lot::RwLock;

use crate::limits::Limits;
use crate::overrides::Overrides;
use crate::shard_sizes::ShardSizes;

/// Where the roles look a tenant's limits up. Cheap to clone; clones share the overrides, so that new ones are live everywhere at once.
#[derive(Debug, Clone, Default)]
pub struct LimitsProvider {
    defaults: Arc<Limits>,
    /// Held for a look or for the exchange of the pointer, never while a file is read.
    overrides: Arc<RwLock<Arc<Overrides>>>,
    /// Locked before `overrides` where both are.
    shard_sizes: Arc<RwLock<ShardSizes>>,
}

impl LimitsProvider {
    /// The same limits for every tenant, until [`LimitsProvider::set_overrides`].
    #[must_use]
    pub fn new(defaults: Limits) -> Self {
        Self { defaults: Arc::new(defaults), ..Self::default() }
    }

    /// The limits of a tenant now. On the path of every push: a lock that is hardly ever written, and a look into a table if there are overrides at all.
    #[must_use]
    pub fn of(&self, tenant: &TenantId) -> Arc<Limits> {
        Arc::clone(self.overrides.read().get(tenant).unwrap_or(&self.defaults))
    }

    /// The limits of tenants without overrides.
    #[must_use]
    pub fn defaults(&self) -> &Arc<Limits> {
        &self.defaults
    }

    /// The overrides in force.
    #[must_use]
    pub fn overrides(&self) -> Arc<Overrides> {
        Arc::clone(&self.overrides.read())
    }

    /// Puts these overrides in the place of all others.
    pub fn set_overrides(&self, overrides: Overrides, now_ms: i64) {
        let mut sizes = self.shard_sizes.write();
        let earlier = self.overrides();
        let default = self.defaults.ingestion_shard_size;
        let size = |of: &Overrides, tenant: &TenantId| of.get(tenant).map_or(default, |limits| limits.ingestion_shard_size);
        let tenants = earlier.tenants().chain(overrides.tenants().filter(|tenant| earlier.get(tenant).is_none()));
        for tenant in tenants {
            let before = size(&earlier, tenant);
            if before != size(&overrides, tenant) {
                sizes.changed(tenant, before, now_ms);
            }
        }
        // After the change is known: a reader must not see the new size without it.
        let old = std::mem::replace(&mut *self.overrides.write(), Arc::new(overrides));
        drop(sizes);
        // Freed when nobody waits for the lock.
        drop((old, earlier));
    }

    /// From now on every change of the overrides comes through here, and other processes hear of it within `settle_ms`. Before this is said, reads ask all ingesters.
    pub fn follows_changes_from(&self, now_ms: i64, settle_ms: i64) {
        self.shard_sizes.write().begin(now_ms, settle_ms);
    }

    /// How many ingesters to write the tenant's series to; 0 is all. A larger number counts a little later than it is set, when queriers know it, too.
    #[must_use]
    pub fn shard_size_for_writes(&self, tenant: &TenantId, now_ms: i64) -> usize {
        let sizes = self.shard_sizes.read();
        sizes.for_writes(tenant, self.of(tenant).ingestion_shard_size, now_ms)
    }

    /// The size of a shard that contains all to which the tenant's series were written in the last `lookback_ms`; 0 is all, also if that is not known.
    #[must_use]
    pub fn shard_size_for_reads(&self, tenant: &TenantId, now_ms: i64, lookback_ms: i64) -> usize {
        let sizes = self.shard_sizes.read();
        sizes.for_reads(tenant, self.of(tenant).ingestion_shard_size, now_ms, lookback_ms)
    }
}

#[cfg(test)]
mod tests {
    use model::TenantId;

    use super::LimitsProvider;
    use crate::{Limits, Overrides};

    #[test]
    fn overrides_are_live_in_every_clone_and_go_again() {
        let provider = LimitsProvider::new(Limits { max_series: 7, ..Limits::default() });
        let clone = provider.clone();
        let (a, b) = (TenantId::new("a").unwrap(), TenantId::new("b").unwrap());
        provider.set_overrides(Overrides::parse("overrides: {a: {max_series: 9}}", provider.defaults()).unwrap(), 0);
        assert_eq!((clone.of(&a).max_series, clone.of(&b).max_series), (9, 7));
        provider.set_overrides(Overrides::default(), 0);
        assert_eq!(clone.of(&a).max_series, 7);
    }

    #[test]
    fn a_shard_grows_late_in_writes_and_shrinks_late_in_reads() {
        let provider = LimitsProvider::new(Limits { ingestion_shard_size: 6, ..Limits::default() });
        let tenant = TenantId::new("a").unwrap();
        let set = |text: &str, now| provider.set_overrides(Overrides::parse(text, provider.defaults()).unwrap(), now);
        assert_eq!(provider.shard_size_for_reads(&tenant, 10_000, 100), 0, "nothing is known of the past");
        provider.follows_changes_from(0, 1_000);
        assert_eq!((provider.shard_size_for_writes(&tenant, 5_000), provider.shard_size_for_reads(&tenant, 5_000, 100)), (6, 6));
        set("overrides: {a: {ingestion_shard_size: 12}}", 10_000);
        assert_eq!((provider.shard_size_for_writes(&tenant, 10_500), provider.shard_size_for_reads(&tenant, 10_500, 100)), (6, 12));
        assert_eq!(provider.shard_size_for_writes(&tenant, 11_001), 12);
        set("overrides: {}", 20_000);
        assert_eq!((provider.shard_size_for_writes(&tenant, 20_000), provider.shard_size_for_reads(&tenant, 20_000, 100)), (6, 12));
        assert_eq!(provider.shard_size_for_reads(&tenant, 21_101, 100), 6);
    }
}
