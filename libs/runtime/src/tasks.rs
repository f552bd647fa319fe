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

    /// Runs `future` until it ends. Within a span, the task has a child span of its own, so that what it does belongs to the same trace; a
    /// task that outlives its request does not make the request look longer. A panic in the task is logged by the panic hook and ends only
    /// that task; what it was part of notices through its closed channel or its [`tokio::task::JoinHandle`].
    #[allow(clippy::disallowed_methods, reason = "this is where tasks are spawned")]
    pub fn spawn<F>(&self, name: &'static str, future: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tracker.spawn(future.instrument(task_span(name)))
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

/// Tasks of a request (whose span is at level info) are part of its trace; those of the process itself would be traces that end with it.
fn task_span(name: &'static str) -> tracing::Span {
    let of_request = tracing::Span::current().metadata().is_some_and(|span| *span.level() <= tracing::Level::INFO);
    match of_request {
        true => tracing::info_span!("task", otel.name = name, name),
        false => tracing::debug_span!("task", name),
    }
}

#[cfg(test)]
mod tests {
    use tracing::{Instrument, Span};

    use super::Tasks;

    /// Spans below info are not exported, and one that is not made carries no trace.
    #[tokio::test]
    async fn a_task_of_a_request_is_in_a_span_that_is_exported() {
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_writer(std::io::sink).finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let tasks = Tasks::new();
        let name = async || Span::current().metadata().map(tracing::Metadata::name);
        let spawn = || tasks.spawn("work", name());
        let of_request = async { spawn().await }.instrument(tracing::info_span!("request"));
        assert_eq!(of_request.await.unwrap(), Some("task"));
        assert_eq!(spawn().await.unwrap(), None);
    }
}
