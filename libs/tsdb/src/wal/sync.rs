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
        if self.config.sync == SyncPolicy::Always {
            return Ok(());
        }
        let segments = self.unsynced.lock().clone();
        let mut result = Ok(());
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
