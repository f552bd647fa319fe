//! Cutting and shipping on demand: everything that the heads hold now.

use std::sync::Arc;
use std::time::Duration;

use model::TenantId;
use serde::Serialize;

use super::cycle::{Cut, Subject};
use crate::error::Error;
use crate::service::{Ingester, Shared};
use crate::tenants::Tenant;

/// How long a flush waits for queries that read what the cycle before has cut.
const WAIT_FOR_QUERIES: Duration = Duration::from_secs(60);
const ASK_EVERY: Duration = Duration::from_millis(50);

/// What a flush did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Flushed {
    /// Tenants that were looked at.
    pub tenants: u64,
    /// Blocks written.
    pub blocks: u64,
    /// Samples in them.
    pub samples: u64,
    /// Blocks of these tenants that were not known to be in the object store and now are.
    pub shipped: u64,
}

impl Ingester {
    /// Puts everything that the heads hold now into blocks, of one tenant or of all, and returns when these and all earlier blocks are in the object store. Samples that arrive
    /// meanwhile may or may not be in them. One flush at a time.
    pub async fn flush(&self, tenant: Option<TenantId>) -> Result<Flushed, Error> {
        let shared = &self.shared;
        shared.lifecycle.complete(Duration::ZERO).await?;
        let _turn = shared.flushing.try_lock().map_err(|_| Error::FlushInProgress)?;
        let mut all = shared.tenants.all();
        all.retain(|(id, _)| tenant.as_ref().is_none_or(|wanted| wanted == id));
        let mut sum = Flushed::default();
        for (id, of) in &all {
            sum.shipped += of.blocks.set().blocks().iter().filter(|block| block.on_its_way().stage.is_waiting()).count() as u64;
            let done = shared.flush_tenant(id.clone(), Arc::clone(of)).await?;
            sum.tenants += 1;
            sum.blocks += done.blocks;
            sum.samples += done.samples;
            sum.shipped += done.blocks;
        }
        let shipped = shared.ship_now(all).await;
        let measured = Arc::clone(shared);
        // A panic has been logged by the hook, and the numbers come with the next round.
        let _ = shared.tasks.spawn_blocking(move || measured.measure_blocks()).await;
        shipped.map_err(|(tenant, failure)| Error::NotShipped { tenant, cause: failure.to_string() })?;
        Ok(sum)
    }
}

impl Shared {
    async fn flush_tenant(self: &Arc<Self>, id: TenantId, tenant: Arc<Tenant>) -> Result<Cut, Error> {
        let started = self.clock.monotonic();
        loop {
            let (shared, id, tenant) = (Arc::clone(self), id.clone(), Arc::clone(&tenant));
            let cut = self.tasks.spawn_blocking(move || shared.flush_now(&id, &tenant)).await.map_err(|_| Error::Panicked)??;
            if !cut.busy {
                return Ok(cut);
            }
            if self.clock.monotonic().saturating_sub(started) > WAIT_FOR_QUERIES {
                return Err(Error::FlushBehindQueries);
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    fn flush_now(&self, id: &TenantId, tenant: &Tenant) -> Result<Cut, Error> {
        let mut cycle = tenant.blocks.cycle();
        let (now_ms, head) = (self.clock.now_ms(), tenant.head());
        let of = Subject { id, blocks: &tenant.blocks, head: &head };
        match self.blocks.cut(&of, &mut cycle, i64::MAX, now_ms, &|| true) {
            Ok(cut) => {
                self.cut_succeeded(id, cut);
                Ok(cut)
            }
            Err(error) => {
                self.cut_failed(id, &error);
                Err(Error::Cut { tenant: id.clone(), cause: error.to_string() })
            }
        }
    }
}
