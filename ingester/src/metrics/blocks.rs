//! What is counted of blocks.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Metrics;

/// Blocks of all tenants.
#[derive(Debug, Clone, Default)]
pub(super) struct Blocks {
    cut: Counter,
    cut_samples: Counter,
    cut_failures: Counter,
    deleted: Counter,
    read_failures: Counter,
    now: Gauge,
    bytes: Gauge,
    damaged: Gauge,
}

impl Blocks {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let this = Self::default();
        registry.register("blocks_cut", "Blocks cut from heads", this.cut.clone());
        registry.register("block_cut_samples", "Samples in blocks cut from heads", this.cut_samples.clone());
        registry.register("block_cut_failures", "Attempts to cut a tenant's head that failed; tried again", this.cut_failures.clone());
        registry.register("blocks_deleted", "Blocks deleted because they were older than the retention", this.deleted.clone());
        registry.register("block_read_failures", "Queries that failed because a block could not be read", this.read_failures.clone());
        registry.register("blocks", "Blocks on the disk that queries read", this.now.clone());
        registry.register("block_bytes", "Bytes of index and chunks of these blocks", this.bytes.clone());
        registry.register("blocks_damaged", "Blocks that cannot be opened: queries over their time ranges fail", this.damaged.clone());
        this
    }
}

impl Metrics {
    pub(crate) fn blocks_cut(&self, blocks: u64, samples: u64) {
        self.blocks.cut.inc_by(blocks);
        self.blocks.cut_samples.inc_by(samples);
    }

    pub(crate) fn cut_failed(&self) {
        self.blocks.cut_failures.inc();
    }

    pub(crate) fn blocks_deleted(&self, blocks: u64) {
        self.blocks.deleted.inc_by(blocks);
    }

    pub(crate) fn block_read_failed(&self) {
        self.blocks.read_failures.inc();
    }

    pub(crate) fn blocks_now(&self, blocks: u64, bytes: u64, damaged: u64) {
        let gauge = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.blocks.now.set(gauge(blocks));
        self.blocks.bytes.set(gauge(bytes));
        self.blocks.damaged.set(gauge(damaged));
    }
}
