//! What the compactor counts.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ByReason {
    pub(crate) reason: &'static str,
}

/// Counters of the compactor. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    pub(crate) rounds: Counter,
    pub(crate) rounds_failed: Counter,
    pub(crate) last_round: Gauge<f64, AtomicU64>,
    pub(crate) tenants: Gauge,
    pub(crate) merges: Counter,
    pub(crate) merges_failed: Counter,
    pub(crate) merged_blocks: Counter,
    pub(crate) merge_seconds: Counter<f64, AtomicU64>,
    pub(crate) source_bytes: Counter,
    pub(crate) result_bytes: Counter,
    pub(crate) marked: Family<ByReason, Counter>,
    pub(crate) deleted: Family<ByReason, Counter>,
    pub(crate) unreadable: Counter,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let m = Self::default();
        let r = registry.sub_registry_with_prefix("plimsoll_compactor");
        r.register("rounds", "Rounds over all tenants", m.rounds.clone());
        r.register("round_failures", "Rounds of one tenant that ended with an error", m.rounds_failed.clone());
        r.register("last_round_timestamp_seconds", "When a round over all tenants last ended", m.last_round.clone());
        r.register("tenants", "Tenants that this instance looks after", m.tenants.clone());
        r.register("merges", "Merges that were made", m.merges.clone());
        r.register("merge_failures", "Merges that failed", m.merges_failed.clone());
        r.register("merged_blocks", "Blocks that went into merges", m.merged_blocks.clone());
        r.register("merge_duration_seconds", "Time of merges, downloads and uploads included", m.merge_seconds.clone());
        r.register("merge_source_bytes", "Bytes of blocks that went into merges", m.source_bytes.clone());
        r.register("merge_result_bytes", "Bytes of blocks that came out of merges", m.result_bytes.clone());
        r.register("blocks_marked", "Blocks marked for deletion or kept out of compaction", m.marked.clone());
        r.register("blocks_deleted", "Blocks and leftovers deleted", m.deleted.clone());
        r.register("unreadable_blocks", "Blocks that could not be read and were kept out of compaction", m.unreadable.clone());
        m
    }

    pub(crate) fn marked(&self, reason: &'static str, blocks: u64) {
        self.marked.get_or_create(&ByReason { reason }).inc_by(blocks);
    }

    pub(crate) fn deleted(&self, reason: &'static str, blocks: u64) {
        self.deleted.get_or_create(&ByReason { reason }).inc_by(blocks);
    }
}
