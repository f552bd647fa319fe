//! Bringing segments to the disk every now and then.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::segment::Segment;
use super::state::{Shared, io_error};
use super::{SyncPolicy, WalError};

/// Syncs every `interval` until the log is closed; the writer then does the last sync.
pub(super) fn run(shared: &Shared, interval: Duration) {
    loop {
        let mut queue = shared.queue.lock();
        if queue.closed {
            return;
        }
        shared.closing.wait_for(&mut queue, interval);
        drop(queue);
        // A failure is logged where the segment is given up.
        let _ = shared.sync();
    }
}

impl Shared {
    /// See [`super::Wal::sync`].
    pub(super) fn sync(&self) -> Result<(), WalError> {
        let mut result = self.sync_old();
        if self.config.sync == SyncPolicy::Always {
            return result;
        }
        let segments = self.unsynced.lock().clone();
        for (i, segment) in segments.iter().enumerate() {
            match self.sync_segment(segment) {
                // The last one may be written on.
                Ok(()) if i + 1 == segments.len() => continue,
                Ok(()) => {}
                Err(e) => result = Err(e),
            }
            self.unsynced.lock().retain(|s| !Arc::ptr_eq(s, segment));
        }
        result
    }

    /// Syncs what earlier processes wrote, once: their samples are as good as those of this one. What cannot be synced is not tried again, since the
    /// kernel may have given it up.
    fn sync_old(&self) -> Result<(), WalError> {
        let mut result = Ok(());
        for path in std::mem::take(&mut *self.unsynced_old.lock()) {
            match self.fs.sync_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    self.counters.sync_errors.fetch_add(1, Relaxed);
                    tracing::error!(path = %path.display(), error = %e, "segment of an earlier process could not be synced: a power cut may lose it");
                    result = Err(io_error(&self.dir, "sync", &path, e));
                }
                _ => {}
            }
        }
        result
    }

    /// Syncs a segment, and gives its generation up if that fails.
    pub(super) fn sync_segment(&self, segment: &Segment) -> Result<(), WalError> {
        match segment.sync() {
            Ok(synced) => {
                self.counters.syncs.fetch_add(u64::from(synced), Relaxed);
                Ok(())
            }
            Err(e) => {
                self.give_up(segment, &e);
                Err(io_error(&self.dir, "sync", &segment.path, e))
            }
        }
    }
}
