//! What a query answers.

use std::sync::Arc;

use model::{FloatHistogram, Labels};

use crate::explain::Explain;

/// One sample of a result.
#[derive(Debug, Clone, PartialEq)]
pub enum PointValue {
    /// A number.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<FloatHistogram>),
}

/// One sample with its time.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Milliseconds since the epoch.
    pub t: i64,
    /// The value.
    pub value: PointValue,
}

/// One series of an instant vector.
#[derive(Debug, Clone, PartialEq)]
pub struct InstantSeries {
    /// The labels.
    pub labels: Labels,
    /// The sample; for a range selector's own result see [`QueryValue::Matrix`].
    pub point: Point,
}

/// One series of a matrix. Points ascend in time.
#[derive(Debug, Clone, PartialEq)]
pub struct RangeSeries {
    /// The labels.
    pub labels: Labels,
    /// The samples.
    pub points: Vec<Point>,
}

/// The value of a query.
#[derive(Debug, Clone, PartialEq)]
pub enum QueryValue {
    /// Of an instant query; in the order that `sort*` and `topk` made, otherwise unspecified.
    Vector(Vec<InstantSeries>),
    /// Of a range query, or of an instant query whose expression is a range vector; ordered by labels.
    Matrix(Vec<RangeSeries>),
    /// Of an instant query whose expression is a scalar.
    Scalar {
        /// Milliseconds since the epoch.
        t: i64,
        /// The value.
        v: f64,
    },
    /// Of an instant query whose expression is a text.
    String {
        /// Milliseconds since the epoch.
        t: i64,
        /// The text.
        text: String,
    },
}

/// What a query cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueryStats {
    /// Samples decoded and considered.
    pub samples_read: u64,
    /// Series fetched, after merging replicas.
    pub series_read: u64,
    /// The most bytes that the query's budget held at a time.
    pub peak_bytes: u64,
    /// The time.
    pub timings: QueryTimings,
}

/// How long the parts of a query took, in microseconds. The engine has no clock: its caller fills them in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueryTimings {
    /// Reading and checking the expression.
    pub preparation_us: u64,
    /// Waiting for a thread.
    pub queue_us: u64,
    /// Planning and evaluating.
    pub evaluation_us: u64,
}

/// Samples that a query looked at, as Prometheus counts them: once per step that they matter to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SampleFigures {
    /// At all steps.
    pub total: u64,
    /// At each step: its time in milliseconds, and the count.
    pub per_step: Vec<(i64, u64)>,
}

/// A complete answer.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryResult {
    /// The value.
    pub value: QueryValue,
    /// Warnings, Prometheus's texts with positions.
    pub warnings: Vec<String>,
    /// Infos, Prometheus's texts with positions.
    pub infos: Vec<String>,
    /// The cost.
    pub stats: QueryStats,
    /// The plan and what its operators did, if it was asked for.
    pub explain: Option<Explain>,
    /// Samples by step, if they were asked for ([`crate::QueryContext::count_samples`]).
    pub samples: Option<SampleFigures>,
}
