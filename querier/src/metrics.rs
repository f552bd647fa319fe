//! What the querier counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Labels of a finished query.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct QueryLabels {
    /// `instant`, `range`, `series`, `labels`, `label_values`, `metadata`, `exemplars`, `parse`, `format`, `features`, `read`, `cardinality`, `status`.
    pub kind: &'static str,
    /// `success` or Prometheus's `errorType`.
    pub result: &'static str,
}

/// Metrics of the querier.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Finished queries.
    pub queries: Family<QueryLabels, Counter>,
    /// Seconds from admission to answer of PromQL queries.
    pub duration: Histogram,
    /// Queries that compute or wait for it.
    pub inflight: Gauge,
    /// Samples decoded.
    pub samples: Counter,
    /// Series read after merging replicas.
    pub series: Counter,
    /// Ingesters that were asked and whose answer did not come in time, or was an error.
    pub ingesters_missed: Counter,
    /// Requests to ingesters.
    pub ingesters_asked: Family<AskedLabels, Counter>,
    /// Those of them that were made because another ingester failed, or kept the others waiting.
    pub ingesters_asked_late: Counter,
    /// Ingesters that are asked only where others are not enough, because they have not answered lately.
    pub suspended_ingesters: Gauge,
}

/// Labels of requests to ingesters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AskedLabels {
    /// `own`: in the zone of the querier, or in its process; `other`.
    pub zone: &'static str,
}

/// Adds one to a gauge for as long as it lives.
pub(crate) struct GaugeGuard(Gauge);

impl GaugeGuard {
    pub(crate) fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// Registers everything as `plimsoll_querier_…`.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("plimsoll_querier");
        let seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];
        let metrics = Self {
            queries: Family::default(),
            duration: Histogram::new(seconds),
            inflight: Gauge::default(),
            samples: Counter::default(),
            series: Counter::default(),
            ingesters_missed: Counter::default(),
            ingesters_asked: Family::default(),
            ingesters_asked_late: Counter::default(),
            suspended_ingesters: Gauge::default(),
        };
        registry.register("queries", "Finished queries by kind and result", metrics.queries.clone());
        registry.register("query_duration_seconds", "Time from admission to answer of PromQL queries", metrics.duration.clone());
        registry.register("inflight_queries", "Queries that compute or wait for a turn", metrics.inflight.clone());
        registry.register("samples_read", "Samples decoded for queries", metrics.samples.clone());
        registry.register("series_read", "Series read for queries, replicas merged", metrics.series.clone());
        registry.register("ingesters_missed", "Ingesters that were asked and that an answer did without", metrics.ingesters_missed.clone());
        registry.register("ingesters_asked", "Requests to ingesters, in the own zone and in others", metrics.ingesters_asked.clone());
        registry.register(
            "ingesters_asked_late",
            "Requests to ingesters because others failed or were late",
            metrics.ingesters_asked_late.clone(),
        );
        registry.register("suspended_ingesters", "Ingesters that have not answered lately", metrics.suspended_ingesters.clone());
        metrics
    }
}
