//! Native histograms, as Prometheus defines them (`model/histogram` in its source, "Native Histograms" specification 1.0).

/// What is known about a counter reset between a histogram and the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CounterResetHint {
    /// Nothing is known: the reader compares.
    #[default]
    Unknown,
    /// There was a reset.
    Reset,
    /// There was none.
    NotReset,
    /// A gauge histogram: resets have no meaning.
    Gauge,
}

/// A run of consecutive buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Gap to the end of the previous span; for the first span, the index of its first bucket.
    pub offset: i32,
    /// Number of buckets in the run.
    pub length: u32,
}

/// The schema of a histogram with custom bucket bounds ("NHCB").
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;

/// A histogram with integer counts. Buckets are deltas to the previous bucket; the first is absolute.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Histogram {
    /// What the sender said about resets.
    pub counter_reset_hint: CounterResetHint,
    /// −4 to 8 (bucket growth 2^(2^−schema)) or [`CUSTOM_BUCKETS_SCHEMA`].
    pub schema: i32,
    /// Upper bound of the zero bucket's absolute values.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: u64,
    /// All observations.
    pub count: u64,
    /// Sum of all observations; the stale marker's bits here make the whole histogram a stale marker.
    pub sum: f64,
    /// Runs of positive buckets.
    pub positive_spans: Vec<Span>,
    /// Runs of negative buckets.
    pub negative_spans: Vec<Span>,
    /// Deltas of the positive buckets.
    pub positive_deltas: Vec<i64>,
    /// Deltas of the negative buckets.
    pub negative_deltas: Vec<i64>,
    /// Upper bounds of the custom buckets, ascending, without +Inf; empty for exponential schemas.
    pub custom_values: Vec<f64>,
}

/// A histogram with float counts. Buckets are absolute.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FloatHistogram {
    /// What the sender said about resets.
    pub counter_reset_hint: CounterResetHint,
    /// As in [`Histogram::schema`].
    pub schema: i32,
    /// As in [`Histogram::zero_threshold`].
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// As in [`Histogram::sum`].
    pub sum: f64,
    /// Runs of positive buckets.
    pub positive_spans: Vec<Span>,
    /// Runs of negative buckets.
    pub negative_spans: Vec<Span>,
    /// Counts of the positive buckets.
    pub positive_buckets: Vec<f64>,
    /// Counts of the negative buckets.
    pub negative_buckets: Vec<f64>,
    /// As in [`Histogram::custom_values`].
    pub custom_values: Vec<f64>,
}

/// Either kind of histogram.
#[derive(Debug, Clone, PartialEq)]
pub enum HistogramValue {
    /// Integer counts.
    Int(Box<Histogram>),
    /// Float counts.
    Float(Box<FloatHistogram>),
}

/// One histogram sample.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramSample {
    /// Milliseconds since the Unix epoch.
    pub t: i64,
    /// The histogram.
    pub value: HistogramValue,
}

impl Histogram {
    /// The same histogram with float counts and absolute buckets.
    #[must_use]
    pub fn to_float(&self) -> FloatHistogram {
        FloatHistogram {
            counter_reset_hint: self.counter_reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count as f64,
            count: self.count as f64,
            sum: self.sum,
            positive_spans: self.positive_spans.clone(),
            negative_spans: self.negative_spans.clone(),
            positive_buckets: absolute(&self.positive_deltas),
            negative_buckets: absolute(&self.negative_deltas),
            custom_values: self.custom_values.clone(),
        }
    }
}

/// Running sums of deltas; wraps rather than panics on counts that no honest sender has.
fn absolute(deltas: &[i64]) -> Vec<f64> {
    let mut current = 0_i64;
    deltas
        .iter()
        .map(|delta| {
            current = current.wrapping_add(*delta);
            current as f64
        })
        .collect()
}

impl HistogramValue {
    /// The sum of observations.
    #[must_use]
    pub fn sum(&self) -> f64 {
        match self {
            Self::Int(h) => h.sum,
            Self::Float(h) => h.sum,
        }
    }

    /// Whether this is the stale marker.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        crate::is_stale_nan(self.sum())
    }

    /// The float form, by which queries compute.
    #[must_use]
    pub fn to_float(&self) -> FloatHistogram {
        match self {
            Self::Int(h) => h.to_float(),
            Self::Float(h) => h.as_ref().clone(),
        }
    }
}
