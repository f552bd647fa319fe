//! What one query may use.
//!
//! The budget is refused before memory is allocated, from the first byte fetched: encoded chunks, decoded windows, columns
//! that an operator holds, and the result. Everything an operator holds beyond one batch is charged; a batch in flight is
//! bounded by [`crate::eval::BATCH_VALUES`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::QueryError;
use crate::value::QueryStats;

/// What a step takes in any query: a slot in four columns.
const LEAST_BYTES_PER_STEP: u64 = 32;

/// Limits of one query. Zero means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueryLimits {
    /// Samples decoded, `max_query_samples`.
    pub max_samples: u64,
    /// Series fetched, `max_query_series`.
    pub max_series: u64,
    /// Bytes held at a time, `max_query_memory_bytes`.
    pub max_memory_bytes: u64,
    /// Steps of a range query or a subquery, `max_query_steps`. Prometheus's own bound of 11,000 points per range query is the HTTP
    /// layer's, with its own text.
    pub max_steps: u64,
}

/// The running account of one query; shared by its operators.
#[derive(Debug, Default)]
pub struct Budget {
    limits: QueryLimits,
    bytes: AtomicU64,
    peak: AtomicU64,
    samples: AtomicU64,
    series: AtomicU64,
}

impl Budget {
    /// An empty account.
    #[must_use]
    pub fn new(limits: QueryLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Takes `bytes` of memory, or refuses.
    pub fn take(&self, bytes: usize) -> Result<(), QueryError> {
        let now = self.bytes.fetch_add(bytes as u64, Ordering::Relaxed).saturating_add(bytes as u64);
        let max = self.limits.max_memory_bytes;
        if max > 0 && now > max {
            self.give_back(bytes);
            return Err(refused("hold more than", max, "bytes of memory", "max_query_memory_bytes"));
        }
        self.peak.fetch_max(now, Ordering::Relaxed);
        Ok(())
    }

    /// Returns `bytes` taken before.
    pub fn give_back(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
    }

    /// Counts decoded samples.
    pub fn add_samples(&self, n: usize) -> Result<(), QueryError> {
        count(&self.samples, n, self.limits.max_samples, "samples", "max_query_samples")
    }

    /// Counts fetched series.
    pub fn add_series(&self, n: usize) -> Result<(), QueryError> {
        count(&self.series, n, self.limits.max_series, "series", "max_query_series")
    }

    /// Checks a number of steps before anything is made of that length.
    pub fn check_steps(&self, steps: u64) -> Result<(), QueryError> {
        let QueryLimits { max_steps, max_memory_bytes, .. } = self.limits;
        if max_steps > 0 && steps > max_steps {
            return Err(refused("evaluate more than", max_steps, "steps", "max_query_steps"));
        }
        // A query holds a few columns at the least.
        if max_memory_bytes > 0 && steps.saturating_mul(LEAST_BYTES_PER_STEP) > max_memory_bytes {
            return Err(refused("hold more than", max_memory_bytes, "bytes of memory", "max_query_memory_bytes"));
        }
        Ok(())
    }

    /// The figures so far.
    #[must_use]
    pub fn stats(&self) -> QueryStats {
        QueryStats {
            samples_read: self.samples.load(Ordering::Relaxed),
            series_read: self.series.load(Ordering::Relaxed),
            peak_bytes: self.peak.load(Ordering::Relaxed),
            ..QueryStats::default()
        }
    }
}

fn count(counter: &AtomicU64, n: usize, max: u64, what: &str, setting: &str) -> Result<(), QueryError> {
    let now = counter.fetch_add(n as u64, Ordering::Relaxed).saturating_add(n as u64);
    if max > 0 && now > max { Err(refused("read more than", max, what, setting)) } else { Ok(()) }
}

fn refused(verb: &str, max: u64, what: &str, setting: &str) -> QueryError {
    QueryError::Execution(format!(
        "the query would {verb} {max} {what} (limit: {setting} = {max} {what}; change limits.{setting} or the tenant's override); \
         narrow the selectors or the time range"
    ))
}

/// Bytes taken from a budget and returned on drop.
#[derive(Debug)]
pub struct Charge {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Charge {
    /// Nothing taken yet.
    #[must_use]
    pub fn none(budget: &Arc<Budget>) -> Self {
        Self { budget: Arc::clone(budget), bytes: 0 }
    }

    /// Takes more.
    pub fn grow(&mut self, bytes: usize) -> Result<(), QueryError> {
        self.budget.take(bytes)?;
        self.bytes += bytes;
        Ok(())
    }

    /// What is held now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Holds exactly `bytes` from now on.
    pub fn set(&mut self, bytes: usize) -> Result<(), QueryError> {
        if bytes > self.bytes {
            return self.grow(bytes - self.bytes);
        }
        self.budget.give_back(self.bytes - bytes);
        self.bytes = bytes;
        Ok(())
    }

    /// Returns part of what was taken.
    pub fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.budget.give_back(bytes);
        self.bytes -= bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}
