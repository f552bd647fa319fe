//! What a reader of series looks at.

use std::sync::Arc;

/// The part of each selected series that its reader looks at. A source may leave out all else, and may as well give everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Projection {
    /// Of the samples in the range, only the newest that is not a stale marker matters, and whether stale markers follow it.
    pub newest_only: bool,
    /// Only these labels matter, sorted, each once; `None` is all of them. [`crate::SeriesChunks::hash`] stays that of all labels. A source that
    /// knows of any series with a label `__type__` or `__unit__` gives all labels of every series: readers drop these together with the
    /// name, and then have to see whether two series have become one.
    pub labels: Option<Arc<[String]>>,
}

impl Projection {
    /// All of every series.
    pub const WHOLE: Self = Self { newest_only: false, labels: None };
}
