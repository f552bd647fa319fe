//! The loop over all tenants, and shipping on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use futures::StreamExt;
use model::TenantId;
use parking_lot::Mutex;

use super::plan::Effort;
use super::tenant::Failure;
use crate::service::Shared;
use crate::tenants::Tenant;

/// How often it is looked whether something is to be shipped, besides after every cut.
const EVERY: Duration = Duration::from_secs(30);

/// Tenants whose blocks are shipped at a time; each holds a part of an upload, 8 MiB, in memory.
const TENANTS_AT_A_TIME: usize = 4;

/// Runs until it is dropped; an upload that is under way then is repeated by the next process.
pub(crate) async fn run(shared: &Arc<Shared>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = shared.shipper.wanted.notified() => {}
        }
        shared.ship_round().await;
    }
}

impl Shared {
    /// Brings the blocks of all tenants a step further.
    pub(crate) async fn ship_round(self: &Arc<Self>) {
        // Every failure is in the log.
        let _ = self.ship_all(self.tenants.all(), Effort::Due).await;
        let measured = Arc::clone(self);
        // A panic has been logged by the hook, and the numbers come with the next round.
        let _ = self.tasks.spawn_blocking(move || measured.measure_blocks()).await;
    }

    /// Ships every block of these tenants that is not in the store yet. When the store fails the rest is not tried, and the error is the first.
    pub(crate) async fn ship_now(&self, tenants: Vec<(TenantId, Arc<Tenant>)>) -> Result<(), (TenantId, Failure)> {
        self.ship_all(tenants, Effort::Now).await
    }

    /// The same, and reads the index of those whose blocks it has not shown.
    pub(crate) async fn look_now(&self, tenants: Vec<(TenantId, Arc<Tenant>)>) -> Result<(), (TenantId, Failure)> {
        self.ship_all(tenants, Effort::Look).await
    }

    async fn ship_all(&self, tenants: Vec<(TenantId, Arc<Tenant>)>, effort: Effort) -> Result<(), (TenantId, Failure)> {
        let (failing, first) = (AtomicBool::new(false), Mutex::new(Ok(())));
        let ship = async |(id, tenant): (TenantId, Arc<Tenant>)| {
            if failing.load(Relaxed) {
                return;
            }
            if let Err(error) = self.ship_tenant(&id, &tenant, effort).await {
                failing.fetch_or(error.is_of_store(), Relaxed);
                let mut first = first.lock();
                if first.is_ok() {
                    *first = Err((id, error));
                }
            }
        };
        futures::stream::iter(tenants).for_each_concurrent(TENANTS_AT_A_TIME, ship).await;
        first.into_inner()
    }
}

/// What is counted of blocks on their way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct OnTheirWay {
    /// Not known to be in the store.
    pub(crate) waiting: u64,
    /// When the oldest of these was cut.
    pub(crate) oldest_ms: Option<i64>,
    /// Older than the retention and here only because the index does not show them.
    pub(crate) overdue: u64,
}

/// Counts the blocks of all tenants, and says once when blocks are overdue.
pub(crate) fn measure(shared: &Shared) -> OnTheirWay {
    let now_ms = shared.clock.now_ms();
    let mut sum = OnTheirWay::default();
    for (_, tenant) in shared.tenants.all() {
        for block in tenant.blocks.set().blocks() {
            let stage = block.on_its_way().stage;
            if stage.is_waiting() {
                let cut_ms = block.ulid().timestamp_ms();
                sum.waiting += 1;
                sum.oldest_ms = Some(sum.oldest_ms.map_or(cut_ms, |oldest| oldest.min(cut_ms)));
            }
            sum.overdue += u64::from(stage.is_overdue(block.ulid(), block.end_ms(), shared.retention_ms, now_ms));
        }
    }
    let overdue = sum.overdue > 0;
    if overdue != shared.shipper.warned.swap(overdue, Relaxed) {
        if overdue {
            tracing::warn!(
                blocks = sum.overdue,
                "blocks are older than ingester.block_retention_seconds and stay, because the bucket index does not show them (docs/runbooks/unshipped-blocks.md)"
            );
        } else {
            tracing::info!("no block is overdue any more");
        }
    }
    sum
}
