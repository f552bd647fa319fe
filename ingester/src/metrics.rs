//! What the ingester counts. No metric carries a tenant.
//!
//! Events move the counters of [`Metrics`]; what can be asked for is asked when the metrics are read ([`sizes`]).

use std::sync::atomic::{AtomicI64, AtomicU64};

use model::RejectReason;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tsdb::snapshot::SnapshotReport;
use tsdb::wal::ReplayReport;
use tsdb::{AppendOutcome, WalError};

use crate::error::Error;

mod blocks;
mod sizes;

use blocks::Blocks;
pub(crate) use sizes::{Sizes, register_sizes};

/// Prefix of all names.
const PREFIX: &str = "plimsoll_ingester";

/// Labels of what was taken.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByKind {
    /// `float`, `histogram`, `exemplar`.
    kind: &'static str,
}

/// Labels of what was refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    /// [`RejectReason::as_str`].
    reason: &'static str,
    /// As in [`ByKind`].
    kind: &'static str,
}

/// Labels of pushes that failed as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCause {
    /// `wal`, `deadline`, `limit`, `internal`.
    cause: &'static str,
}

const CAUSES: [&str; 4] = ["wal", "deadline", "limit", "internal"];

/// Counters and histograms that events move. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    floats: Counter,
    histograms: Counter,
    exemplars: Counter,
    duplicates: Counter,
    out_of_order: Counter,
    created: Counter,
    rejected: Family<ByReason, Counter>,
    failed: Family<ByCause, Counter>,
    push_duration: Histogram,
    series_read: Counter,
    replay_duration: Gauge<f64, AtomicU64>,
    replayed_samples: Counter,
    wal_corruptions: Counter,
    blocks: Blocks,
    wal_quarantined_bytes: Counter,
    wal_torn_bytes: Counter,
    snapshots: Counter,
    snapshot_failures: Counter,
    snapshots_damaged: Counter,
    snapshot_duration: Gauge<f64, AtomicU64>,
    snapshot_bytes: Gauge<i64, AtomicI64>,
    snapshot_series: Gauge<i64, AtomicI64>,
    snapshot_time: Gauge<f64, AtomicU64>,
    snapshot_load_duration: Gauge<f64, AtomicU64>,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix(PREFIX);
        // From a push of one series in memory to a disk that hangs.
        let seconds = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
        let appended = Family::<ByKind, Counter>::default();
        let of_kind = |kind| appended.get_or_create_owned(&ByKind { kind });
        let metrics = Self {
            floats: of_kind("float"),
            histograms: of_kind("histogram"),
            exemplars: of_kind("exemplar"),
            duplicates: Counter::default(),
            out_of_order: Counter::default(),
            created: Counter::default(),
            rejected: Family::default(),
            failed: Family::default(),
            push_duration: Histogram::new(seconds),
            series_read: Counter::default(),
            replay_duration: Gauge::default(),
            replayed_samples: Counter::default(),
            wal_corruptions: Counter::default(),
            blocks: Blocks::register(registry),
            wal_quarantined_bytes: Counter::default(),
            wal_torn_bytes: Counter::default(),
            snapshots: Counter::default(),
            snapshot_failures: Counter::default(),
            snapshots_damaged: Counter::default(),
            snapshot_duration: Gauge::default(),
            snapshot_bytes: Gauge::default(),
            snapshot_series: Gauge::default(),
            snapshot_time: Gauge::default(),
            snapshot_load_duration: Gauge::default(),
        };
        for cause in CAUSES {
            drop(metrics.failed.get_or_create_owned(&ByCause { cause }));
        }
        for reason in RejectReason::ALL.map(RejectReason::as_str) {
            drop(metrics.rejected.get_or_create_owned(&ByReason { reason, kind: "float" }));
        }
        registry.register("appended_samples", "Samples and exemplars taken, by kind", appended);
        registry.register("duplicate_samples", "Samples that were there already, with the same value", metrics.duplicates.clone());
        registry.register(
            "out_of_order_samples",
            "Samples taken that were older than the newest of their series",
            metrics.out_of_order.clone(),
        );
        registry.register("created_series", "Series made in memory by pushes", metrics.created.clone());
        registry.register("rejected_samples", "Samples and exemplars refused, by reason and kind", metrics.rejected.clone());
        registry.register("failed_pushes", "Pushes that failed as a whole, by cause", metrics.failed.clone());
        registry.register("push_duration_seconds", "Time from a push's arrival to its answer", metrics.push_duration.clone());
        registry.register("series_read", "Series read for queries", metrics.series_read.clone());
        registry.register("wal_replay_duration_seconds", "How long the last replay took", metrics.replay_duration.clone());
        registry.register("wal_replayed_samples", "Samples that the replay brought back", metrics.replayed_samples.clone());
        registry.register("wal_corruptions", "Damaged places found by the replay, torn tails not counted", metrics.wal_corruptions.clone());
        let (quarantined, torn) = (metrics.wal_quarantined_bytes.clone(), metrics.wal_torn_bytes.clone());
        registry.register("wal_quarantined_bytes", "Bytes at damaged places that the replay left out", quarantined);
        registry.register("wal_torn_bytes", "Bytes cut off the end of the log by the replay: a write that the process did not end", torn);
        metrics.register_snapshots(registry);
        metrics
    }

    fn register_snapshots(&self, registry: &mut Registry) {
        registry.register("snapshots", "Snapshots taken", self.snapshots.clone());
        registry.register("snapshot_failures", "Snapshots that could not be taken", self.snapshot_failures.clone());
        registry.register("snapshots_damaged", "Snapshots that could not be used at the start", self.snapshots_damaged.clone());
        registry.register("snapshot_duration_seconds", "How long the last snapshot took", self.snapshot_duration.clone());
        registry.register("snapshot_bytes", "Bytes of the last snapshot", self.snapshot_bytes.clone());
        registry.register("snapshot_series", "Series in the last snapshot", self.snapshot_series.clone());
        registry.register("snapshot_timestamp_seconds", "When the last snapshot was taken; 0 before the first", self.snapshot_time.clone());
        let duration = self.snapshot_load_duration.clone();
        registry.register("snapshot_load_duration_seconds", "How long reading the snapshot took at the start", duration);
    }

    /// A snapshot is on the disk.
    pub(crate) fn snapshot_taken(&self, seconds: f64, report: &SnapshotReport, now_ms: i64) {
        self.snapshots.inc();
        self.snapshot_duration.set(seconds);
        self.snapshot_bytes.set(i64::try_from(report.bytes).unwrap_or(i64::MAX));
        self.snapshot_series.set(i64::try_from(report.series).unwrap_or(i64::MAX));
        self.snapshot_time.set(now_ms as f64 / 1_000.0);
    }

    pub(crate) fn snapshot_failed(&self) {
        self.snapshot_failures.inc();
    }

    pub(crate) fn snapshot_damaged(&self) {
        self.snapshots_damaged.inc();
    }

    pub(crate) fn snapshot_loaded(&self, seconds: f64) {
        self.snapshot_load_duration.set(seconds);
    }

    /// A push is in the head and in the log.
    pub(crate) fn appended(&self, outcome: &AppendOutcome) {
        self.floats.inc_by(outcome.samples);
        self.histograms.inc_by(outcome.histograms);
        self.exemplars.inc_by(outcome.exemplars);
        self.duplicates.inc_by(outcome.duplicates);
        self.out_of_order.inc_by(outcome.out_of_order);
        self.created.inc_by(outcome.created);
        for rejected in &outcome.rejected {
            let reason = rejected.reason.as_str();
            let counts = [("float", rejected.samples), ("histogram", rejected.histograms), ("exemplar", rejected.exemplars)];
            for (kind, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
                self.rejected.get_or_create(&ByReason { reason, kind }).inc_by(u64::from(count));
            }
        }
    }

    /// A push that was let in has been answered.
    pub(crate) fn push_ended(&self, seconds: f64, error: Option<&Error>) {
        self.push_duration.observe(seconds);
        let cause = match error {
            None => return,
            Some(Error::DeadlineExceeded) => "deadline",
            Some(Error::Wal(WalError::TooLarge { .. }) | Error::LogBehind { .. }) => "limit",
            Some(Error::Wal(_)) => "wal",
            Some(
                Error::InflightFull { .. }
                | Error::TooManyTenants { .. }
                | Error::TooManyQueries { .. }
                | Error::TooLargeAnswer { .. }
                | Error::TooManyLabels { .. },
            ) => "limit",
            Some(
                Error::Starting
                | Error::Stopping
                | Error::ReadOnly
                | Error::Marker(_)
                | Error::Unreadable(_)
                | Error::Cut { .. }
                | Error::NotShipped { .. }
                | Error::FlushInProgress
                | Error::FlushBehindQueries
                | Error::Panicked,
            ) => "internal",
        };
        self.failed.get_or_create(&ByCause { cause }).inc();
    }

    pub(crate) fn read(&self, series: usize) {
        self.series_read.inc_by(series as u64);
    }

    pub(crate) fn replayed(&self, seconds: f64, report: &ReplayReport) {
        self.replay_duration.set(seconds);
        self.replayed_samples.inc_by(report.heads.samples + report.heads.histograms);
        self.wal_corruptions.inc_by(report.quarantined + report.heads.malformed);
        self.wal_quarantined_bytes.inc_by(report.quarantined_bytes);
        self.wal_torn_bytes.inc_by(report.torn_bytes);
    }
}
