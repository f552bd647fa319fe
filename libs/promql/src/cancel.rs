//! Stopping a query from outside.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::QueryError;

/// Ends a query early: on demand, or when a deadline passes. Clones share one state; the engine looks at it once per batch of
/// series and inside long loops, so a query stops within a few milliseconds.
#[derive(Clone, Default)]
pub struct CancelToken {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    canceled: AtomicBool,
    deadline: Option<Deadline>,
}

struct Deadline {
    at_ms: i64,
    now_ms: Box<dyn Fn() -> i64 + Send + Sync>,
}

impl CancelToken {
    /// A token without a deadline.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A token that expires when `now_ms()` reaches `at_ms`. Both count milliseconds of the same clock, whichever it is.
    pub fn with_deadline(at_ms: i64, now_ms: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        let deadline = Some(Deadline { at_ms, now_ms: Box::new(now_ms) });
        Self { shared: Arc::new(Shared { canceled: AtomicBool::new(false), deadline }) }
    }

    /// Cancels the query, for example because the caller went away.
    pub fn cancel(&self) {
        self.shared.canceled.store(true, Ordering::Relaxed);
    }

    /// `Ok` while the query may go on. `stage` completes "query timed out in …" and "query was canceled in …".
    pub fn check(&self, stage: &'static str) -> Result<(), QueryError> {
        if self.shared.canceled.load(Ordering::Relaxed) {
            return Err(QueryError::Canceled(stage));
        }
        match &self.shared.deadline {
            Some(deadline) if (deadline.now_ms)() >= deadline.at_ms => Err(QueryError::Timeout(stage)),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let deadline_ms = self.shared.deadline.as_ref().map(|d| d.at_ms);
        f.debug_struct("CancelToken").field("canceled", &self.shared.canceled).field("deadline_ms", &deadline_ms).finish()
    }
}
