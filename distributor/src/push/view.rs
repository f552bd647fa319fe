//! The ingesters as the distributor sees them now.

use std::sync::Arc;

use model::TenantId;
use parking_lot::Mutex;
use ring::{ClusterSnapshot, Instance, InstanceIndex, Ring, Role, ShardCache};
use rpc::{CallContext, IngesterClient, IngesterPool, PushSlice, RpcError, RpcErrorKind};
use runtime::Clock;

use crate::inflight::InflightBytes;

/// The ring and a lane to each of its ingesters. Immutable; made anew when the cluster changes.
pub(crate) struct View {
    pub(crate) ring: Ring,
    lanes: Vec<Arc<Lane>>,
    /// Held for a look or an insertion only.
    shards: Arc<Mutex<ShardCache>>,
}

/// Virtual nodes of tenants' shards that are kept, 24 bytes each: 150 MB at most, which is 10,000 tenants with nine ingesters each twice over. A shard that is not kept is made anew
/// for every push, some 300 µs.
const MAX_SHARD_NODES: usize = 6_000_000;

/// The way to one ingester.
pub(crate) struct Lane {
    instance: Instance,
    client: Arc<dyn IngesterClient>,
    inflight: Arc<InflightBytes>,
    max_inflight: u64,
}

impl View {
    /// The first view.
    pub(crate) fn new(snapshot: &ClusterSnapshot, replication_factor: usize, pool: &dyn IngesterPool, max_inflight: u64) -> Self {
        let ring = Ring::of_role(snapshot, Role::Ingester, replication_factor);
        let lanes = ring.instances().iter().map(|instance| Lane::new(instance, pool, max_inflight)).collect();
        Self { ring, lanes, shards: Arc::new(Mutex::new(ShardCache::new(MAX_SHARD_NODES))) }
    }

    /// The view of a newer snapshot. Ingesters that are the same process at the same address keep their lane.
    pub(crate) fn updated(&self, snapshot: &ClusterSnapshot, pool: &dyn IngesterPool, max_inflight: u64) -> Self {
        let ring = self.ring.updated(snapshot, Role::Ingester);
        let lane = |instance: &Instance| {
            let kept = self.lanes.iter().find(|lane| lane.is_same(instance)).map(Arc::clone);
            kept.unwrap_or_else(|| Lane::new(instance, pool, max_inflight))
        };
        let lanes = ring.instances().iter().map(lane).collect();
        Self { ring, lanes, shards: Arc::clone(&self.shards) }
    }

    /// The ring of those ingesters that take the tenant's series, if these are `size` (0: all). Indices are those of [`View::lane`].
    pub(crate) fn ring_of(&self, tenant: &TenantId, size: usize) -> Ring {
        if size == 0 || size >= self.ring.instances().len() {
            return self.ring.clone();
        }
        let found = self.shards.lock().find(&self.ring, tenant.as_str(), size);
        found.unwrap_or_else(|| {
            let shard = self.ring.shard_of(tenant.as_str(), size);
            self.shards.lock().keep(&self.ring, tenant.as_str(), size, &shard);
            shard
        })
    }

    pub(crate) fn lane(&self, index: InstanceIndex) -> Option<&Arc<Lane>> {
        self.lanes.get(index as usize)
    }

    /// The lane of the ingester that holds everything, if there is just one and it need not be more.
    pub(crate) fn only_lane(&self) -> Option<&Arc<Lane>> {
        match self.lanes.as_slice() {
            [lane] if self.ring.replication_factor() == 1 => Some(lane),
            _ => None,
        }
    }
}

impl Lane {
    fn new(instance: &Instance, pool: &dyn IngesterPool, max_inflight: u64) -> Arc<Self> {
        Arc::new(Self {
            instance: instance.clone(),
            client: pool.client(instance),
            inflight: InflightBytes::new(max_inflight),
            max_inflight,
        })
    }

    fn is_same(&self, instance: &Instance) -> bool {
        let own = &self.instance;
        (&own.id, &own.address, own.epoch) == (&instance.id, &instance.address, instance.epoch)
    }

    /// Pushes a slice that holds about `bytes` in memory. Ends by the deadline whatever the client does.
    pub(crate) async fn push(
        &self,
        ctx: &CallContext,
        slice: PushSlice,
        bytes: u64,
        clock: &dyn Clock,
    ) -> Result<model::PushReport, RpcError> {
        let mut held = self.inflight.guard();
        // One batch alone may be larger than the bound.
        held.grow(bytes.min(self.max_inflight)).map_err(|full| {
            let id = &self.instance.id;
            RpcError::unavailable(format!(
                "pushes that ingester {id} has not answered hold {} bytes (distributor.max_inflight_bytes_per_ingester)",
                full.max
            ))
        })?;
        let left = ctx.deadline.remaining(clock);
        match tokio::time::timeout(left, self.client.push(ctx, slice)).await {
            Ok(result) => result,
            Err(_) => Err(RpcError::new(RpcErrorKind::DeadlineExceeded, format!("ingester {} did not answer in time", self.instance.id))),
        }
    }
}
