//! The times at which an expression is evaluated.

use crate::error::QueryError;
use crate::limits::Budget;

/// The most steps a grid can have, whatever the limits say: a column of them takes 1 GiB.
const MAX_STEPS: u64 = 1 << 27;

/// Evenly spaced times, inclusive at both ends. Every column of an operator has one slot for each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    start: i64,
    step: i64,
    count: usize,
}

impl Grid {
    /// One time.
    #[must_use]
    pub fn single(t: i64) -> Self {
        Self { start: t, step: 1, count: 1 }
    }

    /// `start`, `start + step`, … up to `end`; empty if `end` comes before `start`. `step` must be positive. The number of steps
    /// is checked against the budget before anyone allocates a column.
    pub fn new(start: i64, end: i64, step: i64, budget: &Budget) -> Result<Self, QueryError> {
        if step <= 0 {
            return Err(QueryError::BadData(
                "zero or negative query resolution step widths are not accepted. Try a positive integer".into(),
            ));
        }
        if end < start {
            return Ok(Self { start, step, count: 0 });
        }
        let steps = (i128::from(end) - i128::from(start)) / i128::from(step) + 1;
        let steps = u64::try_from(steps).unwrap_or(u64::MAX);
        budget.check_steps(steps)?;
        if steps > MAX_STEPS {
            return Err(QueryError::Execution(format!(
                "the query has {steps} steps in one grid, more than {MAX_STEPS}: use a larger step"
            )));
        }
        Ok(Self { start, step, count: steps as usize })
    }

    /// The first time.
    #[must_use]
    pub fn start(&self) -> i64 {
        self.start
    }

    /// The distance of two times; 1 for a single time.
    #[must_use]
    pub fn step(&self) -> i64 {
        self.step
    }

    /// The number of times.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Time number `i`. Cannot overflow for `i` below [`Grid::count`]; saturates beyond.
    #[inline]
    #[must_use]
    pub fn at(&self, i: usize) -> i64 {
        self.start.saturating_add(self.step.saturating_mul(i as i64))
    }

    /// The last time; the first one of an empty grid.
    #[must_use]
    pub fn last(&self) -> i64 {
        self.at(self.count.saturating_sub(1))
    }

    /// The grid of only the first time, on which step-invariant parts are evaluated.
    #[must_use]
    pub fn first(&self) -> Self {
        Self { count: self.count.min(1), ..*self }
    }

    /// The times, ascending.
    pub fn iter(&self) -> impl Iterator<Item = i64> + '_ {
        (0..self.count).map(|i| self.at(i))
    }
}

/// The time that a selector looks at, as a function of the step's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// So many milliseconds before the step.
    Offset(i64),
    /// Always this time: `@`, its offset already subtracted.
    Fixed(i64),
}

impl Reference {
    /// The time looked at from step time `t`.
    #[inline]
    #[must_use]
    pub fn at(self, t: i64) -> i64 {
        match self {
            Self::Offset(offset) => t.saturating_sub(offset),
            Self::Fixed(t) => t,
        }
    }
}

/// The times of the query as a whole, which `@ start()`, `start()`, `range()` and duration expressions refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryTime {
    /// First time in milliseconds.
    pub start: i64,
    /// Last time in milliseconds, inclusive; need not lie on a step.
    pub end: i64,
    /// Step in milliseconds; 0 for an instant query.
    pub step: i64,
}

impl QueryTime {
    /// An instant query.
    #[must_use]
    pub fn instant(t: i64) -> Self {
        Self { start: t, end: t, step: 0 }
    }

    /// A range query.
    pub fn range(start: i64, end: i64, step: i64) -> Result<Self, QueryError> {
        if end < start {
            return Err(QueryError::BadData("end timestamp must not be before start time".into()));
        }
        if step <= 0 {
            return Err(QueryError::BadData(
                "zero or negative query resolution step widths are not accepted. Try a positive integer".into(),
            ));
        }
        Ok(Self { start, end, step })
    }

    /// Whether this is a range query, even one of a single step.
    #[must_use]
    pub fn is_range(&self) -> bool {
        self.step > 0
    }

    /// The query's grid.
    pub fn grid(&self, budget: &Budget) -> Result<Grid, QueryError> {
        if self.is_range() { Grid::new(self.start, self.end, self.step, budget) } else { Ok(Grid::single(self.start)) }
    }
}
