//! One tenant's round.

use std::path::Path;

use bucket::{Bucket, DeletionMark, NoCompactMark};
use limits::LimitsProvider;
use model::TenantId;
use runtime::clock::SharedClock;
use runtime::failpoint::{self, Failpoint};
use runtime::{Shutdown, Tasks};
use tsdb::block::Ulid;
use tsdb::compact::plan::{BlockRange, MergeJob, plan};

use crate::catalog::Catalog;
use crate::config::{Config, millis};
use crate::error::Error;
use crate::metrics::Metrics;
use crate::{cleaner, job, retention};

/// The most merges of one tenant in a round; what is left waits for the next, so that others have their turn.
const MAX_MERGES: usize = 64;

/// What a round works with.
#[derive(Clone)]
pub(crate) struct Workshop {
    pub(crate) bucket: Bucket,
    pub(crate) config: Config,
    pub(crate) limits: LimitsProvider,
    pub(crate) clock: SharedClock,
    pub(crate) tasks: Tasks,
    pub(crate) metrics: Metrics,
    pub(crate) names: std::sync::Arc<dyn Fn(i64) -> Ulid + Send + Sync>,
    pub(crate) shutdown: Shutdown,
}

impl Workshop {
    /// Does all that is to be done for a tenant; `known` is the catalog of the last round and becomes that of this one.
    pub(crate) async fn round(&self, tenant: &TenantId, known: &mut Catalog, dir: &Path) -> Result<(), Error> {
        let mut catalog = Catalog::read(&self.bucket, tenant, known).await?;
        for (block, what) in &catalog.damaged {
            tracing::error!(%tenant, %block, what, "meta.json of a block cannot be read; the block is left as it is and not queried");
        }
        self.mark_the_useless(tenant, &mut catalog).await?;
        for _ in 0..MAX_MERGES {
            failpoint::hit(Failpoint::CompactPlan).await?;
            let Some(job) = self.next_job(&catalog) else { break };
            if self.shutdown.is_requested() {
                return Err(Error::Stopping);
            }
            self.merge(tenant, &job, &mut catalog, dir).await?;
        }
        self.clean(tenant, &mut catalog).await?;
        if catalog.is_empty() && known.is_empty() {
            // Not a tenant's folder, or one without a block yet: nothing is written into it.
            return Ok(());
        }
        self.bucket.put_index(tenant, &catalog.index(self.clock.now_ms())).await?;
        *known = catalog;
        Ok(())
    }

    async fn mark_the_useless(&self, tenant: &TenantId, catalog: &mut Catalog) -> Result<(), Error> {
        let now_ms = self.clock.now_ms();
        let live: Vec<_> = catalog.live().collect();
        let superseded = retention::superseded(&live);
        self.mark(tenant, catalog, superseded, "superseded", "all of its samples are in another block").await?;
        let kept_ms = self.limits.of(tenant).blocks_retention_ms;
        let index = catalog.index(now_ms);
        let unmarked =
            retention::expired(&index.blocks, kept_ms, now_ms).into_iter().filter(|b| !catalog.deletions.contains_key(b)).collect();
        self.mark(tenant, catalog, unmarked, "retention", "older than the tenant's retention (blocks_retention_ms)").await
    }

    async fn mark(
        &self,
        tenant: &TenantId,
        catalog: &mut Catalog,
        blocks: Vec<Ulid>,
        reason: &'static str,
        details: &str,
    ) -> Result<(), Error> {
        for block in blocks {
            let mark = DeletionMark::new(block, self.clock.now_ms(), details);
            failpoint::hit(Failpoint::CompactMark).await?;
            self.bucket.mark_for_deletion(tenant, &mark).await?;
            catalog.deletions.insert(block, mark.deletion_time);
            self.metrics.marked(reason, 1);
            tracing::info!(%tenant, %block, reason, "block marked for deletion");
        }
        Ok(())
    }

    fn next_job(&self, catalog: &Catalog) -> Option<MergeJob> {
        let levels = self.config.levels().ok()?;
        let ranges: Vec<BlockRange> = catalog.mergeable().map(BlockRange::from).collect();
        let closed_before = self.clock.now_ms().saturating_sub(millis(self.config.settle_seconds));
        plan(&ranges, &levels, closed_before).into_iter().next()
    }

    async fn merge(&self, tenant: &TenantId, job: &MergeJob, catalog: &mut Catalog, dir: &Path) -> Result<(), Error> {
        let started = self.clock.monotonic();
        let name = (self.names)(self.clock.now_ms());
        tracing::info!(%tenant, %name, kind = ?job.kind, blocks = job.blocks.len(), range = ?job.range, "merging blocks");
        let merged = match job::run(&self.bucket, &self.tasks, tenant, job, name, &dir.join(name.to_string())).await {
            Ok(merged) => merged,
            Err(Error::Source { block, .. } | Error::Unsound { block, .. }) if block != name => {
                return self.set_aside(tenant, block, catalog).await;
            }
            Err(error) => {
                self.metrics.merges_failed.inc();
                return Err(error);
            }
        };
        if let Some(meta) = merged.meta {
            catalog.blocks.insert(name, (meta, self.clock.now_ms().div_euclid(1_000)));
        }
        // The index shows the new block before its sources are marked: whoever reads it finds every sample at any time.
        self.bucket.put_index(tenant, &catalog.index(self.clock.now_ms())).await?;
        self.mark(tenant, catalog, job.blocks.clone(), "merged", "merged into another block").await?;
        self.metrics.merges.inc();
        self.metrics.merged_blocks.inc_by(job.blocks.len() as u64);
        self.metrics.source_bytes.inc_by(merged.source_bytes);
        self.metrics.result_bytes.inc_by(merged.result_bytes);
        let seconds = self.clock.monotonic().saturating_sub(started).as_secs_f64();
        self.metrics.merge_seconds.inc_by(seconds);
        let (from_bytes, to_bytes) = (merged.source_bytes, merged.result_bytes);
        tracing::info!(%tenant, %name, from_bytes, to_bytes, seconds, "blocks merged");
        Ok(())
    }

    /// Keeps a block that cannot be read out of compaction, so that the rest goes on.
    async fn set_aside(&self, tenant: &TenantId, block: Ulid, catalog: &mut Catalog) -> Result<(), Error> {
        tracing::error!(%tenant, %block, "a block cannot be read; it is kept out of compaction and stays in the bucket");
        let mark = NoCompactMark::new(block, self.clock.now_ms(), "block-cannot-be-read", "its checksums or its structure are wrong");
        self.bucket.mark_no_compact(tenant, &mark).await?;
        catalog.no_compact.push(block);
        self.metrics.unreadable.inc();
        self.metrics.marked("unreadable", 1);
        Ok(())
    }

    async fn clean(&self, tenant: &TenantId, catalog: &mut Catalog) -> Result<(), Error> {
        let (delay, partial) = (millis(self.config.deletion_delay_seconds), millis(self.config.partial_delay_seconds));
        // The index must not name what is gone, so it goes first.
        let now_ms = self.clock.now_ms();
        let due = cleaner::due(catalog, delay, now_ms);
        if !due.is_empty() {
            let mut index = catalog.index(now_ms);
            index.blocks.retain(|block| !due.contains(&block.block_id));
            index.block_deletion_marks.retain(|mark| !due.contains(&mark.block_id));
            self.bucket.put_index(tenant, &index).await?;
        }
        let cleaned = cleaner::clean(&self.bucket, tenant, catalog, delay, partial, now_ms).await?;
        self.metrics.deleted("marked", cleaned.blocks);
        self.metrics.deleted("partial", cleaned.partial);
        Ok(())
    }
}
