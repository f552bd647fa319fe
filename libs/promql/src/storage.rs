//! Where the engine gets series from.
//!
//! The engine is synchronous: it runs on a CPU pool and pulls. A source that is fed over the network blocks in
//! [`SeriesSource::next_batch`] on a bounded channel, which is also the back-pressure: what the engine has not asked for is
//! not sent. Series come one by one, never all at once, so that an aggregation holds its groups and one window rather than its input.

use std::sync::Arc;

use model::{Matcher, Projection, SeriesChunks, SeriesHash};

use crate::error::QueryError;

/// What a selector wants. Hints may be ignored: they only let a source do less work.
#[derive(Debug, Clone)]
pub struct SelectRequest {
    /// All must match.
    pub matchers: Arc<[Matcher]>,
    /// First millisecond of interest, inclusive.
    pub min_t: i64,
    /// Last millisecond of interest, inclusive.
    pub max_t: i64,
    /// What is done with the samples.
    pub hints: SelectHints,
}

/// What the engine will do with a selector's samples.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SelectHints {
    /// The function directly around the selector, for example `rate`; empty for none.
    pub function: &'static str,
    /// The range of the range selector in milliseconds; 0 for an instant selector.
    pub range_ms: i64,
    /// The query's step in milliseconds; 0 for an instant query.
    pub step_ms: i64,
    /// The labels of the aggregation directly above, and whether it is `by` (else `without`).
    pub grouping: Option<(Vec<String>, bool)>,
    /// What of each series is looked at.
    pub projection: Projection,
    /// Whether start times of samples are of use ([`SeriesSource::start_times`]).
    pub start_times: bool,
}

/// A stream of series. Each series comes once, with all its chunks in the asked range (and perhaps some outside of it),
/// replicas already merged into one chunk list; the order of series is unspecified.
pub trait SeriesSource: Send {
    /// The next few series, or `None` at the end. Blocks. After an error the source is at its end.
    fn next_batch(&mut self) -> Result<Option<Vec<SeriesChunks>>, QueryError>;

    /// When the counters of a series began, for samples of the batch that came last: pairs of a sample's time and its start time in
    /// milliseconds, ascending. A sample without a pair has an unknown start. Asked only with [`SelectHints::start_times`].
    fn start_times(&mut self, _series: SeriesHash) -> Option<Arc<[(i64, i64)]>> {
        None
    }
}

/// A store of series for one tenant. `select` is called for every selector before evaluation starts, so that sources can
/// fetch side by side; it must not block for long.
pub trait Queryable: Send + Sync {
    /// Starts fetching the series of a selector.
    fn select(&self, request: SelectRequest) -> Result<Box<dyn SeriesSource>, QueryError>;
}
