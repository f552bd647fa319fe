//! What is done now and then: forgetting old samples, giving disk space and memory back, and measuring.

use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use crate::tenants::head_limits;

/// How often old samples are forgotten. Chunks span up to two hours, so more often would find nothing more.
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

    /// Forgets samples older than the retention: first in the heads, then, since no head needs them, in the log.
    pub(crate) fn truncate(&self) {
        let now_ms = self.clock.now_ms();
        let before_ms = now_ms.saturating_sub(self.retention_ms);
        self.tenants.raise_floor(before_ms);
        let (mut series, mut chunks) = (0, 0);
        for (id, tenant) in self.tenants.all() {
            // Not while a block is cut from it; there is time until the next round.
            let Some(_cycle) = tenant.blocks.try_cycle() else { continue };
            let head = tenant.head();
            // A tenant that does not push may still have more than it may keep now.
            head.set_limits(&head_limits(&self.limits.of(&id)));
            head.set_oldest_accepted(before_ms);
            let dropped = head.truncate(before_ms);
            series += dropped.series;
            chunks += dropped.chunks;
        }
        let tenants = self.tenants.forget_idle();
        match self.wal.truncate(now_ms, before_ms) {
            Ok(log) => {
                let (segments, bytes) = (log.segments, log.bytes);
                tracing::info!(series, chunks, tenants, segments, bytes, "samples older than the retention forgotten");
            }
            Err(error) => tracing::warn!(%error, "old segments of the write-ahead log could not be deleted; trying again later"),
        }
    }
}
