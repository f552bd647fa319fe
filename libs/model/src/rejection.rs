//! Why a sample was not taken.

use std::fmt;

/// The reason for which a sample, a series or an exemplar was refused. The names are stable: they are label values of
/// `plimsoll_discarded_samples_total` and ids in error texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RejectReason {
    /// The label set has no `__name__`, or an empty one.
    MissingMetricName,
    /// `__name__` is not a valid metric name.
    InvalidMetricName,
    /// A label name is empty or not valid.
    InvalidLabelName,
    /// A label name occurs twice.
    DuplicateLabelName,
    /// Labels are not sorted and could not be put in order.
    LabelsNotSorted,
    /// A label is not valid UTF-8.
    InvalidUtf8,
    /// More labels than `max_label_names_per_series`.
    TooManyLabels,
    /// A label name longer than `max_label_name_length`.
    LabelNameTooLong,
    /// A label value longer than `max_label_value_length`.
    LabelValueTooLong,
    /// A histogram whose parts contradict each other.
    InvalidHistogram,
    /// More buckets than `max_native_histogram_buckets`.
    TooManyHistogramBuckets,
    /// Older than the series' newest sample, where `out_of_order_time_window_ms` is 0. For an exemplar, older than the window.
    OutOfOrder,
    /// The same timestamp with another value.
    DuplicateTimestamp,
    /// Older than anything the ingester keeps, or than the series' newest sample by more than `out_of_order_time_window_ms`.
    TooOld,
    /// Further ahead of the ingester's clock than `creation_grace_period_ms`.
    TooFarInFuture,
    /// The tenant is at `max_series`.
    SeriesLimit,
    /// The tenant has `max_series_per_metric` series of this metric.
    MetricSeriesLimit,
    /// An exemplar whose labels are too long.
    ExemplarLabelsTooLong,
    /// Metadata that breaks a limit.
    InvalidMetadata,
    /// A remote-write 2.0 series with nothing to write, which the specification forbids.
    EmptySeries,
    /// The tenant has `ha_max_clusters` groups of replicas.
    TooManyHaClusters,
}

impl RejectReason {
    /// Every reason, for metrics that start at zero and for codecs.
    pub const ALL: [Self; 21] = [
        Self::MissingMetricName,
        Self::InvalidMetricName,
        Self::InvalidLabelName,
        Self::DuplicateLabelName,
        Self::LabelsNotSorted,
        Self::InvalidUtf8,
        Self::TooManyLabels,
        Self::LabelNameTooLong,
        Self::LabelValueTooLong,
        Self::InvalidHistogram,
        Self::TooManyHistogramBuckets,
        Self::OutOfOrder,
        Self::DuplicateTimestamp,
        Self::TooOld,
        Self::TooFarInFuture,
        Self::SeriesLimit,
        Self::MetricSeriesLimit,
        Self::ExemplarLabelsTooLong,
        Self::InvalidMetadata,
        Self::EmptySeries,
        Self::TooManyHaClusters,
    ];

    /// The stable id.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MissingMetricName => "missing_metric_name",
            Self::InvalidMetricName => "invalid_metric_name",
            Self::InvalidLabelName => "invalid_label_name",
            Self::DuplicateLabelName => "duplicate_label_name",
            Self::LabelsNotSorted => "labels_not_sorted",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::TooManyLabels => "too_many_labels",
            Self::LabelNameTooLong => "label_name_too_long",
            Self::LabelValueTooLong => "label_value_too_long",
            Self::InvalidHistogram => "invalid_histogram",
            Self::TooManyHistogramBuckets => "too_many_histogram_buckets",
            Self::OutOfOrder => "out_of_order",
            Self::DuplicateTimestamp => "duplicate_timestamp",
            Self::TooOld => "too_old",
            Self::TooFarInFuture => "too_far_in_future",
            Self::SeriesLimit => "series_limit",
            Self::MetricSeriesLimit => "metric_series_limit",
            Self::ExemplarLabelsTooLong => "exemplar_labels_too_long",
            Self::InvalidMetadata => "invalid_metadata",
            Self::EmptySeries => "empty_series",
            Self::TooManyHaClusters => "too_many_ha_clusters",
        }
    }

    /// The reason with this id.
    #[must_use]
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == id)
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What was refused of one series of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedSeries {
    /// Index into [`crate::WriteBatch::series`] of the batch that was pushed.
    pub series: u32,
    /// Why.
    pub reason: RejectReason,
    /// Float samples refused.
    pub samples: u32,
    /// Histogram samples refused.
    pub histograms: u32,
    /// Exemplars refused.
    pub exemplars: u32,
    /// One sentence with the offending value and the limit, without the series.
    pub detail: String,
}

/// What became of a push: everything in the batch was taken but for what is listed here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PushReport {
    /// At most one entry per series and reason, so bounded by the batch.
    pub rejected: Vec<RejectedSeries>,
    /// Series of which nothing was taken because the batch names them by hash ([`crate::WriteBatch::is_by_hash`]), and the receiver needs their labels. Empty
    /// for every other batch.
    pub unknown: Vec<u32>,
}
