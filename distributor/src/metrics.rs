//! What the distributor counts. No metric carries a tenant.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use model::RejectReason;

use crate::refusals::{Counts, Refusals};

/// Kinds of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Float samples.
    Float,
    /// Histogram samples.
    Histogram,
    /// Exemplars.
    Exemplar,
}

impl EncodeLabelValue for Kind {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        let text = match self {
            Self::Float => "float",
            Self::Histogram => "histogram",
            Self::Exemplar => "exemplar",
        };
        EncodeLabelValue::encode(&text, encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByKind {
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    reason: &'static str,
    kind: Kind,
}

/// The metrics. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Metrics {
    received: [Counter; 3],
    accepted: [Counter; 3],
    rejected: Family<ByReason, Counter>,
    pub(crate) requests_failed: Counter,
    rate_limited_requests: Counter,
    rate_limited_samples: Counter,
    deduped_samples: Counter,
    pub(crate) request_duration: Histogram,
    pub(crate) received_bytes: Counter,
    pub(crate) decompressed_bytes: Counter,
    pub(crate) known_series: Counter,
    pub(crate) new_series: Counter,
    pub(crate) inflight_bytes: Gauge,
    pub(crate) inflight_requests: Gauge,
    pub(crate) ingester_push_failures: Counter,
    pub(crate) background_pushes: Gauge,
    pub(crate) suspended_ingesters: Gauge,
}

impl Metrics {
    /// Metrics registered under `plimsoll_distributor_`.
    #[must_use]
    pub fn new(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("plimsoll_distributor");
        let (received, accepted) = (Family::<ByKind, Counter>::default(), Family::<ByKind, Counter>::default());
        let of = |family: &Family<ByKind, Counter>| {
            [Kind::Float, Kind::Histogram, Kind::Exemplar].map(|kind| family.get_or_create(&ByKind { kind }).clone())
        };
        let metrics = Self {
            received: of(&received),
            accepted: of(&accepted),
            rejected: Family::default(),
            requests_failed: Counter::default(),
            rate_limited_requests: Counter::default(),
            rate_limited_samples: Counter::default(),
            deduped_samples: Counter::default(),
            // 0.5 ms to 16 s.
            request_duration: Histogram::new((0..16).map(|i| 0.0005 * f64::from(1 << i))),
            received_bytes: Counter::default(),
            decompressed_bytes: Counter::default(),
            known_series: Counter::default(),
            new_series: Counter::default(),
            inflight_bytes: Gauge::default(),
            inflight_requests: Gauge::default(),
            ingester_push_failures: Counter::default(),
            background_pushes: Gauge::default(),
            suspended_ingesters: Gauge::default(),
        };
        for reason in RejectReason::ALL {
            // Made, so that it is there and zero before the first rejection.
            drop(metrics.rejected.get_or_create(&ByReason { reason: reason.as_str(), kind: Kind::Float }));
        }
        registry.register("received_samples", "Samples in requests that could be decoded, by kind", received);
        registry.register("accepted_samples", "Samples acknowledged by a quorum of ingesters, by kind", accepted);
        metrics.register(registry);
        metrics
    }

    fn register(&self, registry: &mut Registry) {
        registry.register("rejected_samples", "Samples that were not stored, by reason and kind", self.rejected.clone());
        registry.register("failed_requests", "Write requests of which nothing was acknowledged", self.requests_failed.clone());
        registry.register(
            "rate_limited_requests",
            "Write requests refused by ingestion_rate or ingestion_burst_size",
            self.rate_limited_requests.clone(),
        );
        registry.register("rate_limited_samples", "Samples in such requests that were looked into", self.rate_limited_samples.clone());
        registry.register(
            "deduped_samples",
            "Samples dropped because an equal sender is written (accept_ha_samples)",
            self.deduped_samples.clone(),
        );
        registry.register("request_duration_seconds", "Time to answer a write request, body included", self.request_duration.clone());
        registry.register("received_bytes", "Bytes of request bodies as received", self.received_bytes.clone());
        registry.register("decompressed_bytes", "Bytes of request bodies after decompression", self.decompressed_bytes.clone());
        registry.register("known_series", "Series in requests whose labels had been checked before", self.known_series.clone());
        registry.register("new_series", "Series in requests whose labels had to be checked", self.new_series.clone());
        registry.register("inflight_request_bytes", "Bytes that requests hold in memory", self.inflight_bytes.clone());
        registry.register("inflight_requests", "Write requests not yet answered", self.inflight_requests.clone());
        registry.register("ingester_push_failures", "Pushes to single ingesters that failed", self.ingester_push_failures.clone());
        registry.register("background_pushes", "Answered writes that wait for their slower replicas", self.background_pushes.clone());
        registry.register(
            "suspended_ingesters",
            "Ingesters that do not answer pushes and are left out where others are enough",
            self.suspended_ingesters.clone(),
        );
    }

    /// Counts a request that was refused for its tenant's rate; 0 samples if it was not looked into.
    pub(crate) fn rate_limited(&self, samples: u64) {
        self.rate_limited_requests.inc();
        self.rate_limited_samples.inc_by(samples);
    }

    /// Counts a request that was decoded and written.
    pub(crate) fn written(&self, received: Counts, refusals: &Refusals, deduped: Counts) {
        let accepted = received.minus(refusals.total()).minus(deduped);
        self.deduped_samples.inc_by(deduped.samples + deduped.histograms);
        for (counters, counts) in [(&self.received, received), (&self.accepted, accepted)] {
            let [float, histogram, exemplar] = counters;
            float.inc_by(counts.samples);
            histogram.inc_by(counts.histograms);
            exemplar.inc_by(counts.exemplars);
        }
        for (reason, counts) in refusals.by_reason() {
            for (kind, n) in [(Kind::Float, counts.samples), (Kind::Histogram, counts.histograms), (Kind::Exemplar, counts.exemplars)] {
                if n > 0 {
                    self.rejected.get_or_create(&ByReason { reason: reason.as_str(), kind }).inc_by(n);
                }
            }
        }
    }
}

/// Adds one to a gauge for as long as it lives.
#[derive(Debug)]
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
