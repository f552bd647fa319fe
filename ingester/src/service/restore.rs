//! Coming back: what earlier processes left is read into heads of its own, while pushes go into heads beside them.
//!
//! ```text
//! newest whole snapshot ─▶ restored head ◀─ log from its generation on ─┐
//!                                │                                      │
//!                                ├─ tenant by tenant, in its turn ──────┼──▶ the tenant's head; queries go on
//! pushes ──▶ the tenant's head, and the log ────────────────────────────┘
//! ```
//!
//! A push of this time is in the log before it is answered, as ever, so it survives another kill, and in the tenant's head, which the
//! restored one then absorbs. The head of that time does not know what is being restored: it takes samples that the restored one has
//! already (which are not doubled), and for a time that the restored head has with another value it takes the newcomer, which is then dropped.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use model::TenantId;
use parking_lot::Mutex;
use tsdb::head::ReplayStats;
use tsdb::snapshot::LoadReport;
use tsdb::wal::{Replay, ReplayReport};
use tsdb::{Generation, Head};

use super::Shared;
use crate::error::StartError;
use crate::tenants::Tenants;

/// Heads that are being restored.
struct Restored<'a> {
    tenants: &'a Tenants,
    heads: Mutex<HashMap<TenantId, Arc<Head>>>,
}

impl Shared {
    /// Restores everything; blocks. Then the heads are complete.
    pub(super) fn restore(&self, replay: Replay) -> Result<(), StartError> {
        let started = self.clock.monotonic();
        let seconds_since = |started| self.clock.monotonic().saturating_sub(started).as_secs_f64();
        self.open_blocks()?;
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let (restored, replay) = match self.load_snapshot(workers)? {
            Some((restored, generation)) => (restored, replay.from(generation)),
            None => (Restored::new(&self.tenants), replay),
        };
        tracing::info!(bytes = replay.bytes(), "replaying the write-ahead log; pushes are taken meanwhile");
        // No limit on tenants here: whatever is in the log was acknowledged.
        let report = replay.run(&|tenant: &TenantId| Some(restored.head(tenant)), workers).map_err(StartError::Replay)?;
        let meanwhile = self.unite(restored.heads.into_inner())?;
        let seconds = seconds_since(started);
        self.metrics.replayed(seconds, &report);
        log(seconds, &report, &meanwhile);
        Ok(())
    }

    fn open_blocks(&self) -> Result<(), StartError> {
        let grace_ms = |tenant: &TenantId| self.limits.of(tenant).creation_grace_period_ms;
        let found = self.blocks.open_all(&grace_ms).map_err(StartError::Blocks)?;
        for (id, set) in found {
            self.tenants.get_or_restore(&id).blocks.restore(set);
        }
        self.measure_blocks();
        Ok(())
    }

    /// The heads as the newest whole snapshot has them, and its generation. `None` if there is none.
    fn load_snapshot(&self, workers: usize) -> Result<Option<(Restored<'_>, Generation)>, StartError> {
        let store = &self.snapshotting.store;
        let found = store.list().map_err(StartError::Snapshots)?;
        for (i, generation) in found.iter().enumerate() {
            let started = self.clock.monotonic();
            let restored = Restored::new(&self.tenants);
            match store.load(*generation, &|tenant: &TenantId| restored.head(tenant), &self.offloading.files, workers) {
                Ok(report) => {
                    let seconds = self.clock.monotonic().saturating_sub(started).as_secs_f64();
                    self.metrics.snapshot_loaded(seconds);
                    let LoadReport { tenants, series, bytes, taken_ms } = report;
                    let age_seconds = self.clock.now_ms().saturating_sub(taken_ms) / 1_000;
                    tracing::info!(seconds, tenants, series, bytes, age_seconds, "snapshot loaded");
                    self.pin_files(found.get(i..).unwrap_or_default());
                    return Ok(Some((restored, *generation)));
                }
                Err(error) => {
                    self.metrics.snapshot_damaged();
                    tracing::error!(%error, "a snapshot cannot be used; going on with the one before it and more of the write-ahead log");
                    if let Err(error) = store.set_aside(*generation) {
                        tracing::warn!(%error, "the damaged snapshot stays where it is");
                    }
                }
            }
        }
        if !found.is_empty() {
            tracing::error!(
                snapshots = found.len(),
                "no snapshot can be used: what is not in the write-ahead log any more is lost on this ingester (docs/runbooks/damaged-files.md)"
            );
        }
        Ok(None)
    }

    /// Keeps the head chunk files that the kept snapshots need.
    fn pin_files(&self, snapshots: &[Generation]) {
        for generation in snapshots {
            match self.snapshotting.store.files(*generation, &self.offloading.files) {
                Ok(files) => self.snapshotting.pin(*generation, files),
                Err(error) => tracing::warn!(%error, "the snapshot before the newest could not be used if it were needed"),
            }
        }
    }

    /// Puts the restored heads in their places. What was pushed meanwhile is absorbed by them.
    fn unite(&self, restored: HashMap<TenantId, Arc<Head>>) -> Result<ReplayStats, StartError> {
        let mut meanwhile = ReplayStats::default();
        for (id, head) in restored {
            let Some(tenant) = self.tenants.add_restored(&id, &head) else { continue };
            // Nobody appends in a turn but its holder.
            let turn = tenant.turn.blocking_lock();
            meanwhile.add(&head.absorb(&tenant.head()).map_err(StartError::Unite)?);
            tenant.exchange_head(head);
            drop(turn);
        }
        Ok(meanwhile)
    }
}

impl<'a> Restored<'a> {
    fn new(tenants: &'a Tenants) -> Self {
        Self { tenants, heads: Mutex::default() }
    }

    fn head(&self, tenant: &TenantId) -> Arc<Head> {
        match self.heads.lock().entry(tenant.clone()) {
            Entry::Occupied(found) => Arc::clone(found.get()),
            Entry::Vacant(free) => Arc::clone(free.insert(self.tenants.new_head(tenant))),
        }
    }
}

fn log(seconds: f64, report: &ReplayReport, meanwhile: &ReplayStats) {
    tracing::info!(
        seconds,
        records = report.records,
        before_snapshot = report.before_snapshot,
        series = report.heads.series,
        samples = report.heads.samples,
        skipped = report.heads.skipped,
        orphans = report.heads.orphans,
        damaged_places = report.quarantined,
        damaged_bytes = report.quarantined_bytes,
        torn_bytes = report.torn_bytes,
        pushed_meanwhile = meanwhile.samples + meanwhile.histograms,
        there_already = meanwhile.skipped,
        "write-ahead log replayed"
    );
}
