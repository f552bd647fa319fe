//! The loop that looks every half minute whether something is to be cut, dropped or deleted.

use std::sync::Arc;
use std::time::Duration;

use model::TenantId;
use ring::InstanceState;
use tsdb::block::BlockError;

use super::cycle::{Cut, Subject, drop_published};
use crate::service::Shared;
use crate::tenants::Tenant;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(30);

/// Blocks that nobody has read are closed every so many rounds.
const CLOSE_EVERY: u32 = 10;

/// Runs until it is dropped.
pub(crate) async fn run(shared: &Arc<Shared>) {
    let mut round = 0_u32;
    loop {
        tokio::time::sleep(EVERY).await;
        round = round.wrapping_add(1);
        let blocking = Arc::clone(shared);
        let close = round.is_multiple_of(CLOSE_EVERY);
        // A panic has been logged by the hook; the next round tries again.
        let _ = shared
            .tasks
            .spawn_blocking(move || {
                if blocking.block_round() {
                    blocking.shipper.wake();
                    // What is in blocks need not be replayed any more.
                    blocking.snapshot();
                }
                if close {
                    blocking.blocks.close_idle();
                }
            })
            .await;
    }
}

impl Shared {
    /// Looks at every tenant once; whether anything was cut.
    pub(crate) fn block_round(&self) -> bool {
        let mut any = false;
        for (id, tenant) in self.tenants.all() {
            if !self.goes_on() {
                break;
            }
            any |= self.tenant_round(&id, &tenant);
        }
        self.measure_blocks();
        any
    }

    fn tenant_round(&self, id: &TenantId, tenant: &Tenant) -> bool {
        // Somebody flushes.
        let Some(mut cycle) = tenant.blocks.try_cycle() else { return false };
        let (now_ms, head) = (self.clock.now_ms(), tenant.head());
        drop_published(&mut cycle, &head);
        let mut cut = false;
        if let Some(border) = cycle.schedule.due(now_ms, tenant.written_ms(self.clock.monotonic()), head.chunk_range_ms()) {
            let of = Subject { id, blocks: &tenant.blocks, head: &head };
            match self.blocks.cut(&of, &mut cycle, border, now_ms, &|| self.goes_on()) {
                Ok(Cut { busy: true, .. }) => {}
                Ok(done) => {
                    cycle.schedule.done(border);
                    cut = done.blocks > 0;
                    self.cut_succeeded(id, done);
                }
                Err(BlockError::Stopped) => return false,
                Err(error) => {
                    cycle.schedule.failed(now_ms);
                    self.cut_failed(id, &error);
                }
            }
        }
        let deleted = self.blocks.tidy(id, &tenant.blocks, &mut cycle, now_ms, self.retention_ms);
        self.metrics.blocks_deleted(deleted);
        cut
    }

    /// Whether background work goes on: until the process stops.
    pub(super) fn goes_on(&self) -> bool {
        self.lifecycle.state() != InstanceState::Leaving
    }

    pub(super) fn cut_succeeded(&self, tenant: &TenantId, cut: Cut) {
        self.metrics.blocks_cut(cut.blocks, cut.samples);
        if cut.blocks > 0 {
            tracing::info!(%tenant, blocks = cut.blocks, samples = cut.samples, "blocks cut");
        }
    }

    pub(super) fn cut_failed(&self, tenant: &TenantId, error: &BlockError) {
        self.metrics.cut_failed();
        tracing::error!(%tenant, %error, "a block could not be cut: its samples stay in memory and in the log, and it is tried again");
    }

    /// Counts blocks for the metrics.
    pub(crate) fn measure_blocks(&self) {
        let (mut blocks, mut bytes, mut damaged) = (0, 0, 0);
        for (_, tenant) in self.tenants.all() {
            let set = tenant.blocks.set();
            blocks += set.blocks.len() as u64;
            bytes += set.blocks.iter().map(|block| block.bytes).sum::<u64>();
            damaged += set.damaged.len() as u64;
        }
        self.metrics.blocks_now(blocks, bytes, damaged);
        self.metrics.on_their_way(crate::ship::measure(self), self.clock.now_ms());
    }
}
