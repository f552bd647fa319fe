//! Where the roles look a tenant's limits up.

use std::sync::Arc;

use model::TenantId;
use parking_lot::RwLock;

use crate::limits::Limits;
use crate::overrides::Overrides;

/// Where the roles look a tenant's limits up. Cheap to clone; clones share the overrides, so that new ones are live everywhere at once.
#[derive(Debug, Clone, Default)]
pub struct LimitsProvider {
    defaults: Arc<Limits>,
    /// Held for a look or for the exchange of the pointer, never while a file is read.
    overrides: Arc<RwLock<Arc<Overrides>>>,
}

impl LimitsProvider {
    /// The same limits for every tenant, until [`LimitsProvider::set_overrides`].
    #[must_use]
    pub fn new(defaults: Limits) -> Self {
        Self { defaults: Arc::new(defaults), overrides: Arc::default() }
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
    pub fn set_overrides(&self, overrides: Overrides) {
        let old = std::mem::replace(&mut *self.overrides.write(), Arc::new(overrides));
        // Freed when nobody waits for the lock.
        drop(old);
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
        provider.set_overrides(Overrides::parse("overrides: {a: {max_series: 9}}", provider.defaults()).unwrap());
        assert_eq!((clone.of(&a).max_series, clone.of(&b).max_series), (9, 7));
        provider.set_overrides(Overrides::default());
        assert_eq!(clone.of(&a).max_series, 7);
    }
}
