//! Finished chunks leave memory: from the heads to files that are mapped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use tsdb::head_chunks::{HeadChunkError, HeadChunks};

use super::Shared;

/// While chunks cannot be written, the log is told so often. What a full disk costs meanwhile is memory, 1 to 2 bytes per sample.
const WARN_EVERY: Duration = Duration::from_secs(300);

/// The files, and how writing them goes.
#[derive(Debug)]
pub(crate) struct Offloading {
    pub(crate) files: Arc<HeadChunks>,
    failures: AtomicU64,
    /// When the last warning was given, on the monotonic clock; `None` once writing succeeds again.
    warned: Mutex<Option<Duration>>,
}

impl Offloading {
    pub(crate) fn new(files: HeadChunks) -> Self {
        Self { files: Arc::new(files), failures: AtomicU64::new(0), warned: Mutex::new(None) }
    }

    /// Rounds of upkeep in which chunks could not be written.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    fn succeeded(&self) {
        if self.warned.lock().take().is_some() {
            tracing::info!("head chunks are written again");
        }
    }

    fn failed(&self, now: Duration, error: &HeadChunkError) {
        self.failures.fetch_add(1, Relaxed);
        let mut warned = self.warned.lock();
        if warned.is_none_or(|at| now.saturating_sub(at) >= WARN_EVERY) {
            *warned = Some(now);
            tracing::warn!(%error, "finished chunks cannot be written and stay in memory; trying again");
        }
    }
}

impl Shared {
    /// Deletes files that nobody needs any more, and moves finished chunks of all heads to files.
    pub(crate) fn offload(&self) {
        self.offloading.files.remove_unused();
        for (_, tenant) in self.tenants.all() {
            // What hinders one tenant's chunks hinders all.
            if let Err(error) = tenant.head().offload(&self.offloading.files) {
                return self.offloading.failed(self.clock.monotonic(), &error);
            }
        }
        self.offloading.succeeded();
    }
}
