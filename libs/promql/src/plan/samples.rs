//! Where a plan's samples come from: selectors, and subqueries over what is evaluated below them.

use std::sync::Arc;

use model::Matcher;

use super::VectorPlan;
use super::grid::{Grid, Reference};
use crate::parser::ast::{ExtendedRange, TextSpan};
use crate::storage::SelectHints;

/// What an instant selector takes of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleRead {
    /// Its value.
    Value,
    /// Its time, for `timestamp(selector)`.
    Timestamp,
    /// When its counter began, for `start_timestamp(selector)`.
    StartTimestamp,
}

/// `anchored` or `smoothed`: how far outside of their windows samples are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension {
    /// Which of the two.
    pub kind: ExtendedRange,
    /// Milliseconds before the window.
    pub before_ms: i64,
    /// Milliseconds after the window.
    pub after_ms: i64,
}

/// A selector with its times resolved.
#[derive(Debug, Clone)]
pub struct SelectorPlan {
    /// Where it stands.
    pub span: TextSpan,
    /// All must match.
    pub matchers: Arc<[Matcher]>,
    /// The times of evaluation.
    pub grid: Grid,
    /// Which time is looked at from each of them.
    pub reference: Reference,
    /// How far back samples count, exclusive: the lookback or the range, in milliseconds.
    pub window_ms: i64,
    /// `anchored` or `smoothed`.
    pub extended: Option<Extension>,
    /// What of histograms matters.
    pub histograms: HistogramUse,
    /// For the store.
    pub hints: SelectHints,
}

impl SelectorPlan {
    /// First and last millisecond of samples that can matter, both inclusive.
    #[must_use]
    pub fn time_range(&self) -> (i64, i64) {
        let (before, after) = self.extended.map_or((0, 0), |e| (e.before_ms, e.after_ms));
        let first = self.reference.at(self.grid.start()).saturating_sub(self.window_ms).saturating_sub(before);
        (first.saturating_add(1), self.reference.at(self.grid.last()).saturating_add(after))
    }
}

/// What of a selector's histograms matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HistogramUse {
    /// All of them.
    #[default]
    Buckets,
    /// Count and sum: buckets are dropped once resets are known.
    Statistics,
    /// Count and sum, and at each step whether there was a reset before the sample.
    StatisticsAndResets,
}

/// Series with a window of samples per step.
#[derive(Debug, Clone)]
pub enum MatrixPlan {
    /// `x[5m]`.
    Selector(SelectorPlan),
    /// `expr[1h:1m]`.
    Subquery(SubqueryPlan),
}

impl MatrixPlan {
    /// Where it stands.
    #[must_use]
    pub fn span(&self) -> TextSpan {
        match self {
            Self::Selector(s) => s.span,
            Self::Subquery(s) => s.span,
        }
    }

    /// The length of the window in milliseconds.
    #[must_use]
    pub fn window_ms(&self) -> i64 {
        match self {
            Self::Selector(s) => s.window_ms,
            Self::Subquery(s) => s.range_ms,
        }
    }
}

/// A subquery with its times resolved.
#[derive(Debug, Clone)]
pub struct SubqueryPlan {
    /// Where it stands.
    pub span: TextSpan,
    /// The times of the outer evaluation.
    pub grid: Grid,
    /// Which time the window ends at.
    pub reference: Reference,
    /// The window, open at its start.
    pub range_ms: i64,
    /// The inner times: multiples of the subquery's step that lie in any of the windows (and between them).
    pub inner_grid: Grid,
    /// What is evaluated on them.
    pub inner: Box<VectorPlan>,
}
