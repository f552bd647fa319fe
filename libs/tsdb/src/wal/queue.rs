//! Records that wait for the writer.

use std::mem::replace;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc;

use model::TenantId;

use super::frame::{FRAME_BYTES, MAX_RECORD_BYTES, push_len};
use super::state::Shared;
use super::{Completion, WalError, WalRecord};

/// The queue, bounded by `queue_bytes`.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) entries: Vec<Waiting>,
    /// Bytes of `entries` and of what the writer has taken but not written.
    pub(super) bytes: usize,
    pub(super) closed: bool,
}

/// A record that waits.
pub(super) struct Waiting {
    pub(super) tenant: TenantId,
    pub(super) record: WalRecord,
    pub(super) done: Completion,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Waiting({:?}, {} bytes)", self.tenant, self.record.body.len())
    }
}

impl Waiting {
    /// Its length in the log.
    pub(super) fn len(&self) -> usize {
        FRAME_BYTES + push_len(&self.tenant, &self.record)
    }
}

/// See [`super::Wal::append`].
pub(super) fn append(shared: &Shared, tenant: &TenantId, record: WalRecord) -> Result<(), WalError> {
    let (done, wait) = mpsc::sync_channel(1);
    let completion: Completion = Box::new(move |result| {
        // The other end waits until this is sent.
        let _ = done.send(result);
    });
    enqueue(shared, tenant, record, completion, true)?;
    wait.recv().unwrap_or(Err(WalError::Closed))
}

/// See [`super::Wal::submit`].
pub(super) fn submit(shared: &Shared, tenant: &TenantId, record: WalRecord, done: Completion) -> Result<(), WalError> {
    enqueue(shared, tenant, record, done, false)
}

fn enqueue(shared: &Shared, tenant: &TenantId, record: WalRecord, done: Completion, wait: bool) -> Result<(), WalError> {
    let waiting = Waiting { tenant: tenant.clone(), record, done };
    let len = waiting.len();
    if len - FRAME_BYTES > MAX_RECORD_BYTES {
        return Err(WalError::TooLarge { len, max: MAX_RECORD_BYTES });
    }
    let limit = shared.config.queue_bytes;
    let mut queue = shared.queue.lock();
    // A record alone is let in, however small the limit.
    while queue.bytes > 0 && queue.bytes.saturating_add(len) > limit && !queue.closed {
        if !wait {
            shared.counters.refused.fetch_add(1, Relaxed);
            return Err(WalError::Overloaded { limit });
        }
        shared.room.wait(&mut queue);
    }
    if queue.closed {
        return Err(WalError::Closed);
    }
    queue.bytes += len;
    queue.entries.push(waiting);
    let first = queue.entries.len() == 1;
    drop(queue);
    if first {
        shared.work.notify_one();
    }
    Ok(())
}

impl Shared {
    /// Waits for records; `None` when the log is closed and none are left.
    pub(super) fn take_waiting(&self, empty: Vec<Waiting>) -> Option<Vec<Waiting>> {
        let mut queue = self.queue.lock();
        while queue.entries.is_empty() {
            if queue.closed {
                return None;
            }
            self.work.wait(&mut queue);
        }
        Some(replace(&mut queue.entries, empty))
    }

    /// What waits when nobody will write it any more.
    pub(super) fn take_rest(&self) -> Vec<Waiting> {
        std::mem::take(&mut self.queue.lock().entries)
    }

    /// Lets others in after records were written or refused.
    pub(super) fn release(&self, bytes: usize) {
        self.queue.lock().bytes -= bytes;
        self.room.notify_all();
    }
}
