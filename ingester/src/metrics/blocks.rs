//! What is counted of blocks.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Metrics;
use crate::ship::OnTheirWay;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCause {
    /// `store`: the object store said no, or could not be reached. `block`: the local files cannot be read.
    cause: &'static str,
}

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
    shipped: Counter,
    shipped_bytes: Counter,
    ship_failures: Family<ByCause, Counter>,
    unshipped: Gauge,
    oldest_unshipped: Gauge,
    overdue: Gauge,
}

impl Blocks {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let this = Self::default();
        registry.register("blocks_cut", "Blocks cut from heads", this.cut.clone());
        registry.register("block_cut_samples", "Samples in blocks cut from heads", this.cut_samples.clone());
        registry.register("block_cut_failures", "Attempts to cut a tenant's head that failed; tried again", this.cut_failures.clone());
        registry.register(
            "blocks_deleted",
            "Blocks deleted because they were older than the retention, and the object store has them",
            this.deleted.clone(),
        );
        registry.register("block_read_failures", "Queries that failed because a block could not be read", this.read_failures.clone());
        registry.register("blocks", "Blocks on the disk that queries read", this.now.clone());
        registry.register("block_bytes", "Bytes of index and chunks of these blocks", this.bytes.clone());
        registry.register("blocks_damaged", "Blocks that cannot be opened: queries over their time ranges fail", this.damaged.clone());
        this.register_shipping(registry);
        this
    }

    fn register_shipping(&self, registry: &mut Registry) {
        registry.register("blocks_shipped", "Blocks written to the object store", self.shipped.clone());
        registry.register("block_shipped_bytes", "Bytes of these blocks", self.shipped_bytes.clone());
        let help = "Attempts to ship blocks that failed, by cause; tried again";
        registry.register("block_ship_failures", help, self.ship_failures.clone());
        for cause in ["store", "block"] {
            let _ = self.ship_failures.get_or_create(&ByCause { cause });
        }
        registry.register("blocks_unshipped", "Blocks that are not known to be in the object store", self.unshipped.clone());
        let help = "How long ago the oldest of these was cut; 0 without one";
        registry.register("oldest_unshipped_block_age_seconds", help, self.oldest_unshipped.clone());
        let help = "Blocks older than the retention that stay because the bucket index does not show them";
        registry.register("blocks_overdue", help, self.overdue.clone());
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

    pub(crate) fn block_shipped(&self, bytes: u64) {
        self.blocks.shipped.inc();
        self.blocks.shipped_bytes.inc_by(bytes);
    }

    pub(crate) fn ship_failed(&self, cause: &'static str) {
        self.blocks.ship_failures.get_or_create(&ByCause { cause }).inc();
    }

    pub(crate) fn on_their_way(&self, sum: OnTheirWay, now_ms: i64) {
        self.blocks.unshipped.set(gauge(sum.waiting));
        self.blocks.oldest_unshipped.set(sum.oldest_ms.map_or(0, |cut_ms| now_ms.saturating_sub(cut_ms).max(0) / 1_000));
        self.blocks.overdue.set(gauge(sum.overdue));
    }

    pub(crate) fn blocks_now(&self, blocks: u64, bytes: u64, damaged: u64) {
        self.blocks.now.set(gauge(blocks));
        self.blocks.bytes.set(gauge(bytes));
        self.blocks.damaged.set(gauge(damaged));
    }
}

fn gauge(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
