//! The bucket index of each tenant, kept for a while.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bucket::index::IndexRead;
use bucket::store::Version;
use bucket::{Bucket, BucketError, BucketIndex};
use model::TenantId;
use parking_lot::{Mutex, RwLock};
use runtime::clock::SharedClock;

/// How old an index may be if no newer one can be had. Shorter than the quarter of an hour for which an ingester keeps a block that the index shows.
const MAX_AGE: Duration = Duration::from_secs(300);

/// Tenants whose index is kept. An index takes some hundred bytes for each block.
const MAX_TENANTS: usize = 10_000;

/// The indexes. Cheap to clone.
#[derive(Clone)]
pub struct Catalog {
    bucket: Bucket,
    clock: SharedClock,
    /// How long an index is taken as it is.
    fresh: Duration,
    tenants: Arc<Mutex<HashMap<TenantId, Arc<Entry>>>>,
}

#[derive(Debug, Default)]
struct Entry {
    known: RwLock<Option<Known>>,
    /// Held while the store is asked, so that it is asked once.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone)]
struct Known {
    index: Arc<BucketIndex>,
    version: Option<Version>,
    /// When the store was asked.
    at: Duration,
}

impl Catalog {
    /// An empty catalog.
    #[must_use]
    pub fn new(bucket: Bucket, clock: SharedClock, fresh: Duration) -> Self {
        Self { bucket, clock, fresh, tenants: Arc::default() }
    }

    pub(super) fn clock(&self) -> &dyn runtime::Clock {
        &*self.clock
    }

    /// A tenant's index; an empty one if there is none. It was read `fresh` ago at most, or, while the store does not answer, some minutes.
    pub async fn index(&self, tenant: &TenantId) -> Result<Arc<BucketIndex>, BucketError> {
        self.index_since(tenant, self.clock.monotonic().saturating_sub(self.fresh)).await
    }

    /// The index as it is in the store now.
    pub async fn newest(&self, tenant: &TenantId) -> Result<Arc<BucketIndex>, BucketError> {
        self.index_since(tenant, self.clock.monotonic()).await
    }

    async fn index_since(&self, tenant: &TenantId, since: Duration) -> Result<Arc<BucketIndex>, BucketError> {
        let entry = self.entry(tenant);
        let known = || entry.known.read().clone();
        let fresh = |known: &Known| known.at >= since;
        if let Some(known) = known().filter(fresh) {
            return Ok(known.index);
        }
        let _turn = entry.asking.lock().await;
        let before = known();
        if let Some(known) = before.clone().filter(fresh) {
            return Ok(known.index);
        }
        let at = self.clock.monotonic();
        let read = self.bucket.index_unless(tenant, before.as_ref().and_then(|known| known.version.as_ref())).await;
        let now = match (read, before) {
            (Ok(IndexRead::Changed(index, version)), _) => Known { index: Arc::new(index), version: Some(version), at },
            (Ok(IndexRead::Same), Some(before)) => Known { at, ..before },
            (Ok(IndexRead::Same | IndexRead::Missing), _) => Known { index: Arc::default(), version: None, at },
            (Err(error), Some(before)) if at.saturating_sub(before.at) < MAX_AGE => {
                tracing::warn!(%error, %tenant, "the bucket index cannot be read; the one of some minutes ago is used");
                return Ok(before.index);
            }
            (Err(error), _) => return Err(error),
        };
        let index = Arc::clone(&now.index);
        *entry.known.write() = Some(now);
        Ok(index)
    }

    fn entry(&self, tenant: &TenantId) -> Arc<Entry> {
        let mut tenants = self.tenants.lock();
        if let Some(entry) = tenants.get(tenant) {
            return Arc::clone(entry);
        }
        if tenants.len() >= MAX_TENANTS {
            let oldest = tenants.iter().min_by_key(|(_, entry)| entry.known.read().as_ref().map_or(Duration::ZERO, |known| known.at));
            let oldest = oldest.map(|(tenant, _)| tenant.clone());
            oldest.and_then(|tenant| tenants.remove(&tenant));
        }
        Arc::clone(tenants.entry(tenant.clone()).or_default())
    }
}
