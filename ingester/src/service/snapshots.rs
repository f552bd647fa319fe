//! Taking snapshots of all heads, so that a start replays little of the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use tsdb::Generation;
use tsdb::head_chunks::ChunkFile;
use tsdb::snapshot::{SnapshotError, SnapshotReport, Snapshots};
use tsdb::wal::WalStats;

use super::Shared;

/// Snapshots that are kept, with the log that each needs: if the newest turns out to be damaged, the one before and more of the log are as good.
const KEEP: usize = 2;

/// The folder, and what is known of what is in it.
#[derive(Debug)]
pub(crate) struct Snapshotting {
    pub(super) store: Snapshots,
    /// The head chunk files that each kept snapshot needs. Locked while a snapshot is taken, so that there is one at a time; nothing else is
    /// waited for with it but the turns of tenants, one after the other.
    pinned: Mutex<Vec<(Generation, Vec<Arc<ChunkFile>>)>>,
    /// Records in the log when the last snapshot was begun.
    records: AtomicU64,
    /// Syncs of the log that had failed then.
    sync_errors: AtomicU64,
}

impl Snapshotting {
    pub(crate) fn new(store: Snapshots) -> Self {
        Self { store, pinned: Mutex::default(), records: AtomicU64::new(u64::MAX), sync_errors: AtomicU64::new(0) }
    }

    /// Keeps the head chunk files of snapshots that are there at the start.
    pub(super) fn pin(&self, generation: Generation, files: Vec<Arc<ChunkFile>>) {
        self.pinned.lock().push((generation, files));
    }
}

impl Shared {
    /// Whether acknowledged samples are in a part of the log that could not be brought to the disk. A snapshot has them in another file.
    pub(crate) fn log_is_exposed(&self) -> bool {
        self.wal.stats().sync_errors != self.snapshotting.sync_errors.load(Relaxed)
    }

    /// Takes a snapshot if anything was pushed since the last one; blocks. A failure is logged and counted, and harms nothing: the log stays.
    pub(crate) fn snapshot_if_needed(&self) {
        if self.wal.stats().records != self.snapshotting.records.load(Relaxed) || self.log_is_exposed() {
            self.snapshot();
        }
    }

    /// Takes a snapshot; blocks for about a second per million series. To be called when the heads hold everything, not while the log is replayed.
    /// A failure is logged and counted, and harms nothing: the log stays.
    pub(crate) fn snapshot(&self) {
        let started = self.clock.monotonic();
        match self.take_snapshot() {
            Ok(report) => {
                let seconds = self.clock.monotonic().saturating_sub(started).as_secs_f64();
                self.metrics.snapshot_taken(seconds, &report, self.clock.now_ms());
                let SnapshotReport { tenants, series, bytes, .. } = report;
                tracing::info!(seconds, tenants, series, bytes, "snapshot of all series taken");
            }
            Err(error) => {
                self.metrics.snapshot_failed();
                tracing::warn!(%error, "no snapshot could be taken: the write-ahead log stays, and a start takes longer; trying again later");
            }
        }
    }

    fn take_snapshot(&self) -> Result<SnapshotReport, SnapshotError> {
        let mut pinned = self.snapshotting.pinned.lock();
        if let Err(error) = self.offloading.files.sync() {
            // Their chunks go into the snapshot as bytes.
            tracing::warn!(%error, "head chunk files could not be brought to the disk");
        }
        let WalStats { records, sync_errors, .. } = self.wal.stats();
        let generation = self.wal.begin_generation();
        let mut writer = self.snapshotting.store.begin(generation, self.clock.now_ms())?;
        for (id, tenant) in self.tenants.all() {
            // Pushes of older generations are in the head when the turn comes. A tenant that is made from now on has none.
            drop(tenant.turn.blocking_lock());
            writer.tenant(&id, &tenant.head())?;
        }
        let mut report = writer.finish()?;
        self.snapshotting.records.store(records, Relaxed);
        self.snapshotting.sync_errors.store(sync_errors, Relaxed);
        pinned.push((generation, std::mem::take(&mut report.files)));
        self.forget_older(&mut pinned)?;
        Ok(report)
    }

    /// Deletes older snapshots, and the log that none of the others needs.
    fn forget_older(&self, pinned: &mut Vec<(Generation, Vec<Arc<ChunkFile>>)>) -> Result<(), SnapshotError> {
        let Some(oldest) = self.snapshotting.store.retain(KEEP)? else { return Ok(()) };
        pinned.retain(|(generation, _)| *generation >= oldest);
        match self.wal.release(oldest) {
            Ok(log) => tracing::debug!(segments = log.segments, bytes = log.bytes, "write-ahead log before the snapshots deleted"),
            Err(error) => tracing::warn!(%error, "old segments of the write-ahead log could not be deleted; trying again later"),
        }
        Ok(())
    }
}
