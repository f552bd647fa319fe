//! Which tenants have a head.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use hashbrown::HashMap;
use limits::{Limits, LimitsProvider};
use model::TenantId;
use parking_lot::RwLock;
use tsdb::{Head, HeadConfig, HeadLimits};

use crate::blocks::TenantBlocks;
use crate::error::Error;
use crate::ship::TenantShipping;

/// A tenant whose last push was not longer ago is being written: longer than the pauses of most senders.
const WRITTEN_WITHIN: Duration = Duration::from_secs(300);

/// One tenant's share of the ingester.
#[derive(Debug)]
pub(crate) struct Tenant {
    /// Its recent series. Exchanged once, under the turn: when the replay ends (`service/restore.rs`). Held for a clone of the pointer.
    head: RwLock<Arc<Head>>,
    /// Whose push may go into the head and join the log's queue. Pushes of one tenant take turns, so that samples of a series are in the log
    /// in the order in which the head took them: a replay that meets the later one first would have to take the earlier one as late, which costs it a
    /// multiple. A turn is some hundred microseconds, and waiting for it holds no thread.
    pub(crate) turn: Arc<tokio::sync::Mutex<()>>,
    /// When samples were last appended: milliseconds of the monotonic clock, and one; 0 if never.
    pushed: AtomicU64,
    /// Its older samples.
    pub(crate) blocks: TenantBlocks,
    /// Their way to the object store.
    pub(crate) shipping: TenantShipping,
}

impl Tenant {
    fn new(head: Arc<Head>) -> Self {
        let (blocks, shipping) = (TenantBlocks::default(), TenantShipping::default());
        Self { head: RwLock::new(head), turn: Arc::default(), pushed: AtomicU64::new(0), blocks, shipping }
    }

    /// Notes that samples are appended, at a time of the monotonic clock.
    pub(crate) fn pushed(&self, now: Duration) {
        self.pushed.store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX - 1).saturating_add(1), Relaxed);
    }

    /// The newest time of samples of a tenant that is being written, which is about the time of its senders.
    pub(crate) fn written_ms(&self, now: Duration) -> Option<i64> {
        let pushed = self.pushed.load(Relaxed).checked_sub(1).map(Duration::from_millis)?;
        if now.saturating_sub(pushed) <= WRITTEN_WITHIN { self.head().newest_ms() } else { None }
    }

    /// The head now. Whoever appends asks while it is the tenant's turn.
    pub(crate) fn head(&self) -> Arc<Head> {
        Arc::clone(&self.head.read())
    }

    /// Puts a head in the place of the one that is there. The caller has the turn.
    pub(crate) fn exchange_head(&self, head: Arc<Head>) {
        *self.head.write() = head;
    }
}

/// All tenants. Heads are made by the first push (or the replay) and forgotten when they are empty and there are no blocks.
#[derive(Debug)]
pub(crate) struct Tenants {
    /// Never held while a head works.
    map: RwLock<HashMap<TenantId, Arc<Tenant>>>,
    max: usize,
    limits: LimitsProvider,
}

impl Tenants {
    pub(crate) fn new(max: usize, limits: LimitsProvider) -> Self {
        Self { map: RwLock::default(), max, limits }
    }

    pub(crate) fn get(&self, tenant: &TenantId) -> Option<Arc<Tenant>> {
        self.map.read().get(tenant).cloned()
    }

    /// The tenant, made if there is room for one more.
    pub(crate) fn get_or_create(&self, tenant: &TenantId) -> Result<Arc<Tenant>, Error> {
        if let Some(found) = self.get(tenant) {
            return Ok(found);
        }
        let mut map = self.map.write();
        if let Some(found) = map.get(tenant) {
            return Ok(Arc::clone(found));
        }
        if map.len() >= self.max {
            return Err(Error::TooManyTenants { max: self.max });
        }
        let made = Arc::new(Tenant::new(self.new_head(tenant)));
        map.insert(tenant.clone(), Arc::clone(&made));
        Ok(made)
    }

    /// The tenant, made without regard to the bound: for blocks that are there.
    pub(crate) fn get_or_restore(&self, tenant: &TenantId) -> Arc<Tenant> {
        let mut map = self.map.write();
        Arc::clone(map.entry(tenant.clone()).or_insert_with(|| Arc::new(Tenant::new(self.new_head(tenant)))))
    }

    /// Adds a tenant with a head that was restored, without regard to the bound: what is in it was acknowledged. If pushes have made
    /// the tenant meanwhile, it is returned, and nothing is changed.
    pub(crate) fn add_restored(&self, tenant: &TenantId, head: &Arc<Head>) -> Option<Arc<Tenant>> {
        let mut map = self.map.write();
        if let Some(found) = map.get(tenant) {
            return Some(Arc::clone(found));
        }
        map.insert(tenant.clone(), Arc::new(Tenant::new(Arc::clone(head))));
        None
    }

    /// An empty head with the tenant's limits.
    pub(crate) fn new_head(&self, tenant: &TenantId) -> Arc<Head> {
        Arc::new(Head::new(HeadConfig { limits: head_limits(&self.limits.of(tenant)), ..HeadConfig::default() }))
    }

    pub(crate) fn count(&self) -> usize {
        self.map.read().len()
    }

    /// All tenants now.
    pub(crate) fn all(&self) -> Vec<(TenantId, Arc<Tenant>)> {
        self.map.read().iter().map(|(id, tenant)| (id.clone(), Arc::clone(tenant))).collect()
    }

    /// Forgets tenants without series that nobody is working with; how many. Whoever works with a tenant holds a reference that it got while the
    /// map was locked, so under the map's write lock a count of one means that nobody does.
    pub(crate) fn forget_idle(&self) -> usize {
        let mut map = self.map.write();
        let before = map.len();
        map.retain(|_, tenant| {
            let used = Arc::strong_count(tenant) > 1 || Arc::strong_count(&tenant.head.read()) > 1;
            used || tenant.head().series_count() > 0 || !tenant.blocks.is_idle()
        });
        before - map.len()
    }
}

/// How far back samples of a tenant are taken, in milliseconds: within the retention, and within the window for what comes late.
pub(crate) fn accepted_ms(limits: &Limits, retention_ms: i64) -> i64 {
    retention_ms.max(limits.out_of_order_time_window_ms)
}

/// A tenant's limits as its head takes them.
pub(crate) fn head_limits(limits: &Limits) -> HeadLimits {
    HeadLimits {
        max_series: unlimited_if_zero(limits.max_series),
        max_series_per_metric: unlimited_if_zero(limits.max_series_per_metric),
        creation_grace_ms: limits.creation_grace_period_ms,
        out_of_order_time_window_ms: limits.out_of_order_time_window_ms,
        max_exemplars: limits.max_exemplars,
        max_metadata: limits.max_metadata,
    }
}

fn unlimited_if_zero(limit: usize) -> usize {
    if limit == 0 { usize::MAX } else { limit }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use limits::LimitsProvider;
    use model::TenantId;

    use super::Tenants;
    use crate::error::Error;

    #[test]
    fn tenants_are_bounded_and_idle_ones_are_forgotten() {
        let tenants = Tenants::new(2, LimitsProvider::default());
        let id = |name| TenantId::new(name).unwrap();
        assert!(tenants.get(&id("a")).is_none());
        let a = tenants.get_or_create(&id("a")).unwrap();
        assert!(Arc::ptr_eq(&a, &tenants.get_or_create(&id("a")).unwrap()));
        tenants.get_or_create(&id("b")).unwrap();
        assert!(matches!(tenants.get_or_create(&id("c")), Err(Error::TooManyTenants { max: 2 })));
        assert_eq!(tenants.forget_idle(), 1, "b; somebody works with a");
        assert!(tenants.get_or_create(&id("c")).is_ok());
        drop(a);
        assert_eq!(tenants.forget_idle(), 2);
        assert_eq!(tenants.count(), 0);
    }
}
