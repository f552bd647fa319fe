//! The ingesters as the distributor sees them now.

use std::sync::Arc;

use ring::{ClusterSnapshot, Instance, InstanceIndex, Ring, Role};
use rpc::{CallContext, IngesterClient, IngesterPool, PushSlice, RpcError, RpcErrorKind};
use runtime::Clock;

use crate::inflight::InflightBytes;

/// The ring and a lane to each of its ingesters. Immutable; made anew when the cluster changes.
pub(crate) struct View {
    pub(crate) ring: Ring,
    lanes: Vec<Arc<Lane>>,
}

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
        Self { ring, lanes }
    }

    /// The view of a newer snapshot. Ingesters that are the same process at the same address keep their lane.
    pub(crate) fn updated(&self, snapshot: &ClusterSnapshot, pool: &dyn IngesterPool, max_inflight: u64) -> Self {
        let ring = self.ring.updated(snapshot, Role::Ingester);
        let lane = |instance: &Instance| {
            let kept = self.lanes.iter().find(|lane| lane.is_same(instance)).map(Arc::clone);
            kept.unwrap_or_else(|| Lane::new(instance, pool, max_inflight))
        };
        let lanes = ring.instances().iter().map(lane).collect();
        Self { ring, lanes }
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
