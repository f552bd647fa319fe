//! Tasks with an owner, a name and an end.

use std::future::Future;
use std::time::Duration;

use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// Spawns tasks and knows when all of them have ended. Cheap to clone; clones share the set.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
}

/// Tasks that did not end in time.
#[derive(Debug, thiserror::Error)]
#[error("{0} tasks still running after the drain timeout")]
pub struct TaskError(pub usize);

impl Tasks {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `future` until it ends. The span of the caller is the task's. A panic in the task is logged by the panic hook and ends only
    /// that task; what it was part of notices through its closed channel or its [`tokio::task::JoinHandle`].
    #[allow(clippy::disallowed_methods, reason = "this is where tasks are spawned")]
    pub fn spawn<F>(&self, name: &'static str, future: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tracker.spawn(future.instrument(tracing::debug_span!("task", name)))
    }

    /// Runs a blocking closure on the blocking pool, counted like a task.
    pub fn spawn_blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> tokio::task::JoinHandle<T> {
        let span = tracing::Span::current();
        self.tracker.spawn_blocking(move || span.in_scope(work))
    }

    /// Waits until every task has ended, at most `timeout`.
    pub async fn drain(&self, timeout: Duration) -> Result<(), TaskError> {
        self.tracker.close();
        tokio::time::timeout(timeout, self.tracker.wait()).await.map_err(|_| TaskError(self.tracker.len()))
    }
}
