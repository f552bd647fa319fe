//! What is done now and then: giving disk space and memory back, and measuring.

use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use crate::tenants::{accepted_ms, head_limits};

/// How often what nobody needs is forgotten. Samples leave heads every two hours, so more often would find little more.
const TRUNCATE_EVERY: Duration = Duration::from_secs(300);

/// How often finished chunks leave memory and the sizes of heads are measured; both walk all series.
const ROUND_EVERY: Duration = Duration::from_secs(30);

/// Runs until it is dropped.
pub(super) async fn run(shared: &Arc<Shared>) {
    let mut truncated = shared.clock.monotonic();
    let mut snapshot = shared.clock.monotonic();
    loop {
        let now = shared.clock.monotonic();
        let due = |since: &mut Duration, every| {
            let due = now.saturating_sub(*since) >= every;
            if due {
                *since = now;
            }
            due
        };
        let due = Due { truncation: due(&mut truncated, TRUNCATE_EVERY), snapshot: due(&mut snapshot, shared.snapshot_interval) };
        let blocking = Arc::clone(shared);
        // A panic has been logged by the hook; the next round tries again.
        let _ = shared.tasks.spawn_blocking(move || blocking.round(due)).await;
        tokio::time::sleep(ROUND_EVERY.min(shared.snapshot_interval)).await;
    }
}

/// What a round has to do besides what all do.
#[derive(Debug, Clone, Copy)]
struct Due {
    truncation: bool,
    snapshot: bool,
}

impl Shared {
    fn round(&self, due: Due) {
        if due.truncation {
            self.truncate();
        }
        self.offload();
        if due.snapshot || self.log_is_exposed() {
            self.snapshot_if_needed();
        }
        self.sizes.refresh(&self.tenants);
    }

    /// Forgets what nobody needs: series that have nothing left, tenants without series and blocks, and the log of what is in blocks. Samples leave a head only for a block,
    /// however old they are.
    pub(crate) fn truncate(&self) {
        let now_ms = self.clock.now_ms();
        let (mut series, mut needed_ms) = (0, Some(now_ms.saturating_sub(self.retention_ms)));
        for (id, tenant) in self.tenants.all() {
            // Not while a block is cut from it; there is time until the next round.
            let Some(cycle) = tenant.blocks.try_cycle() else {
                needed_ms = None;
                continue;
            };
            let (head, limits) = (tenant.head(), self.limits.of(&id));
            // A tenant that does not push may still have more than it may keep now.
            head.set_limits(&head_limits(&limits));
            series += head.truncate(i64::MIN).series;
            // What came since its last cut was not older than this when it came, or is of the last hours.
            let uncut_ms = now_ms.saturating_sub(accepted_ms(&limits, self.retention_ms)).saturating_sub(2 * head.chunk_range_ms());
            needed_ms = needed_ms.filter(|_| cycle.is_done(now_ms, head.chunk_range_ms())).map(|needed| needed.min(uncut_ms));
        }
        let tenants = self.tenants.forget_idle();
        // While a cut is due, everything may be needed.
        match self.wal.truncate(now_ms, needed_ms.unwrap_or(i64::MIN)) {
            Ok(log) => {
                let (segments, bytes) = (log.segments, log.bytes);
                tracing::info!(series, tenants, segments, bytes, "empty series and old segments of the write-ahead log forgotten");
            }
            Err(error) => tracing::warn!(%error, "old segments of the write-ahead log could not be deleted; trying again later"),
        }
    }
}
