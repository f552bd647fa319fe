//! Whose turn it is: so many groups at a time, and not all of them of one tenant.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use model::TenantId;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bounds evaluations. Clones share the bounds.
#[derive(Debug, Clone)]
pub(crate) struct Turns {
    all: Arc<Semaphore>,
    per_tenant: usize,
    tenants: Arc<Mutex<HashMap<TenantId, Arc<Semaphore>>>>,
}

/// A place among the groups that are evaluated; free again when dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _of_tenant: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Turns {
    /// `all` groups at a time, `per_tenant` of one tenant; both at least 1.
    pub(crate) fn new(all: usize, per_tenant: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all.max(1))), per_tenant: per_tenant.max(1), tenants: Arc::default() }
    }

    /// Waits for a turn. A tenant's groups wait among themselves first, so that few of them stand in the line of all; `None` never happens.
    pub(crate) async fn take(&self, tenant: &TenantId) -> Option<Turn> {
        let own = {
            let mut tenants = self.tenants.lock();
            let own = tenants.entry(tenant.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.per_tenant)));
            Arc::clone(own)
        };
        // The semaphores are never closed.
        let of_tenant = own.acquire_owned().await.ok()?;
        let of_all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Turn { _of_tenant: of_tenant, _of_all: of_all })
    }

    /// Forgets tenants that have no groups.
    pub(crate) fn keep(&self, tenants: &BTreeSet<&TenantId>) {
        self.tenants.lock().retain(|tenant, _| tenants.contains(tenant));
    }
}

#[cfg(test)]
mod tests {
    use model::TenantId;
    use std::time::Duration;

    use super::Turns;

    #[tokio::test(start_paused = true)]
    async fn one_tenant_leaves_room_for_others() {
        let turns = Turns::new(3, 2);
        let (a, b) = (TenantId::new("a").expect("a tenant"), TenantId::new("b").expect("a tenant"));
        let soon = |tenant: &TenantId| {
            let (turns, tenant) = (turns.clone(), tenant.clone());
            async move { tokio::time::timeout(Duration::from_secs(1), turns.take(&tenant)).await }
        };
        let first = soon(&a).await.expect("a turn");
        let _second = soon(&a).await.expect("a turn");
        assert!(soon(&a).await.is_err(), "two at a time");
        let _other = soon(&b).await.expect("a turn of another tenant");
        assert!(soon(&b).await.is_err(), "three of all");
        drop(first);
        soon(&b).await.expect("a turn that has become free");
    }
}
