//! A pool for CPU-heavy work, so that queries cannot starve the I/O threads that take writes.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::tasks::Tasks;

/// Bounds how many CPU-heavy closures run at a time; the others wait their turn in order of arrival.
#[derive(Debug, Clone)]
pub struct CpuPool {
    permits: Arc<Semaphore>,
    tasks: Tasks,
}

impl CpuPool {
    /// A pool that runs at most `workers` closures at a time (at least one).
    #[must_use]
    pub fn new(workers: usize, tasks: Tasks) -> Self {
        Self { permits: Arc::new(Semaphore::new(workers.max(1))), tasks }
    }

    /// How many closures could start at once.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.permits.available_permits()
    }

    /// Runs `work` on a thread of its own kind if one is free now; false if none is. Nobody learns when it ends.
    pub fn try_run(&self, work: impl FnOnce() + Send + 'static) -> bool {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else { return false };
        drop(self.tasks.spawn_blocking(move || {
            work();
            drop(permit);
        }));
        true
    }

    /// Runs `work` on a thread of its own kind when its turn comes. `None` if it panicked; the panic hook has logged why.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        self.tasks
            .spawn_blocking(move || {
                let result = work();
                drop(permit);
                result
            })
            .await
            .ok()
    }
}
