//! What is counted of calls to the store.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// Every operation, for metrics that are there before the first call.
pub(crate) const OPERATIONS: [&str; 8] = ["get", "get_range", "head", "put", "upload", "download", "list", "delete"];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOperation {
    operation: &'static str,
}

/// Counters of a bucket. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    seconds: Family<ByOperation, Histogram, fn() -> Histogram>,
    failed: Family<ByOperation, Counter>,
    received: Counter,
    sent: Counter,
    running: Gauge,
}

fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.002, 3.0, 10))
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            seconds: Family::new_with_constructor(seconds),
            failed: Family::default(),
            received: Counter::default(),
            sent: Counter::default(),
            running: Gauge::default(),
        };
        let registry = registry.sub_registry_with_prefix("plimsoll_bucket");
        registry.register("operation_duration_seconds", "Time of calls to the object store, retries included", metrics.seconds.clone());
        registry.register(
            "operation_failures",
            "Calls to the object store that failed for another reason than a missing object",
            metrics.failed.clone(),
        );
        registry.register("received_bytes", "Bytes read from the object store", metrics.received.clone());
        registry.register("sent_bytes", "Bytes written to the object store", metrics.sent.clone());
        registry.register("operations_running", "Calls to the object store under way", metrics.running.clone());
        for operation in OPERATIONS {
            let _ = metrics.failed.get_or_create(&ByOperation { operation });
        }
        metrics
    }

    pub(crate) fn begin(&self) -> Running<'_> {
        self.running.inc();
        Running(self)
    }

    pub(crate) fn done(&self, operation: &'static str, seconds: f64, failed: bool) {
        self.seconds.get_or_create(&ByOperation { operation }).observe(seconds);
        if failed {
            self.failed.get_or_create(&ByOperation { operation }).inc();
        }
    }

    pub(crate) fn received(&self, bytes: u64) {
        self.received.inc_by(bytes);
    }

    pub(crate) fn sent(&self, bytes: u64) {
        self.sent.inc_by(bytes);
    }
}

/// A call under way, also one whose caller goes away.
pub(crate) struct Running<'a>(&'a Metrics);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.dec();
    }
}
