//! The ingesters as the distributor sees them now.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use model::TenantId;
use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use ring::{ClusterSnapshot, Instance, InstanceIndex, Ring, Role, ShardCache};
use rpc::{CallContext, IngesterClient, IngesterPool, PeerHealth, PushSlice, RpcError, RpcErrorKind};
use runtime::Clock;

use crate::inflight::InflightBytes;
use crate::metrics::GaugeGuard;

/// The ring and a lane to each of its ingesters. Immutable; made anew when the cluster changes.
pub(crate) struct View {
    pub(crate) ring: Ring,
    lanes: Vec<Arc<Lane>>,
    /// How many of the lanes are suspended.
    suspended: Gauge,
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
    suspended: Gauge,
    /// Held for a look or a note only.
    health: Mutex<Health>,
}

/// What pushes say about an ingester; counted while that is that it is suspended, and no longer than its lane lives.
#[derive(Default)]
struct Health {
    peer: PeerHealth,
    counted: Option<GaugeGuard>,
}

impl View {
    /// The first view.
    pub(crate) fn new(
        snapshot: &ClusterSnapshot,
        replication_factor: usize,
        pool: &dyn IngesterPool,
        max_inflight: u64,
        suspended: &Gauge,
    ) -> Self {
        let ring = Ring::of_role(snapshot, Role::Ingester, replication_factor);
        let lanes = ring.instances().iter().map(|instance| Lane::new(instance, pool, max_inflight, suspended)).collect();
        Self { ring, lanes, suspended: suspended.clone(), shards: Arc::new(Mutex::new(ShardCache::new(MAX_SHARD_NODES))) }
    }

    /// The view of a newer snapshot. Ingesters that are the same process at the same address keep their lane.
    pub(crate) fn updated(&self, snapshot: &ClusterSnapshot, pool: &dyn IngesterPool, max_inflight: u64) -> Self {
        let ring = self.ring.updated(snapshot, Role::Ingester);
        let lane = |instance: &Instance| {
            let kept = self.lanes.iter().find(|lane| lane.is_same(instance)).map(Arc::clone);
            kept.unwrap_or_else(|| Lane::new(instance, pool, max_inflight, &self.suspended))
        };
        let lanes = ring.instances().iter().map(lane).collect();
        Self { ring, lanes, suspended: self.suspended.clone(), shards: Arc::clone(&self.shards) }
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

    /// Which ingesters to leave out of one write because of how earlier ones went. Each is asked once, so that a try which one of them gives is for the whole write.
    pub(crate) fn spare(&self, now: Duration) -> impl FnMut(InstanceIndex) -> bool {
        let mut asked: HashMap<InstanceIndex, bool> = HashMap::new();
        move |index| *asked.entry(index).or_insert_with(|| self.lane(index).is_some_and(|lane| !lane.is_trusted(now)))
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
    fn new(instance: &Instance, pool: &dyn IngesterPool, max_inflight: u64, suspended: &Gauge) -> Arc<Self> {
        Arc::new(Self {
            instance: instance.clone(),
            client: pool.client(instance),
            inflight: InflightBytes::new(max_inflight),
            max_inflight,
            suspended: suspended.clone(),
            health: Mutex::default(),
        })
    }

    fn is_trusted(&self, now: Duration) -> bool {
        self.note(|health| health.is_trusted(now))
    }

    /// Tells the health of something, and the log if that changes what it means.
    fn note<T>(&self, tell: impl FnOnce(&mut PeerHealth) -> T) -> T {
        let mut health = self.health.lock();
        let before = health.peer.is_suspended();
        let told = tell(&mut health.peer);
        let after = health.peer.is_suspended();
        if before != after {
            health.counted = after.then(|| GaugeGuard::new(&self.suspended));
        }
        drop(health);
        match (before, after) {
            (false, true) => {
                tracing::warn!(ingester = %self.instance.id, "ingester does not answer pushes: left out where others are enough");
            }
            (true, false) => tracing::info!(ingester = %self.instance.id, "ingester answers pushes again"),
            _ => {}
        }
        told
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
        let call = Call::start(self, clock.monotonic());
        let result = match tokio::time::timeout(left, self.client.push(ctx, slice)).await {
            Ok(result) => result,
            Err(_) => Err(RpcError::new(RpcErrorKind::DeadlineExceeded, format!("ingester {} did not answer in time", self.instance.id))),
        };
        call.ended(result.as_ref().is_err_and(RpcError::is_silence), clock.monotonic());
        result
    }
}

/// A push that is under way. Dropped, it was given up.
struct Call<'a>(Option<&'a Lane>);

impl<'a> Call<'a> {
    fn start(lane: &'a Lane, now: Duration) -> Self {
        lane.note(|health| health.started(now));
        Self(Some(lane))
    }

    fn ended(mut self, in_silence: bool, now: Duration) {
        if let Some(lane) = self.0.take() {
            lane.note(|health| if in_silence { health.failed(now) } else { health.answered(now) });
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if let Some(lane) = self.0.take() {
            lane.note(PeerHealth::abandoned);
        }
    }
}
