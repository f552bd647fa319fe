//! The thread that writes.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use failpoints::Failpoint;
use smallvec::smallvec;

use super::frame::{Header, put_push};
use super::queue::Waiting;
use super::segment::Segment;
use super::state::{Entry, Shared, io_error};
use super::{SyncPolicy, WalError};

/// Records are gathered for one write up to about this many bytes.
const GROUP_BYTES: usize = 4 << 20;

/// A buffer that a large record has grown beyond this is given back.
const KEEP_BYTES: usize = 8 << 20;

struct Writer<'a> {
    shared: &'a Shared,
    next_number: u64,
    segment: Option<Arc<Segment>>,
    /// Length of the segment up to the last whole group.
    len: u64,
    buffer: Vec<u8>,
}

/// Closes the log when the writer ends, also by a panic: nobody may wait for it then.
struct CloseAtEnd<'a>(&'a Shared);

impl Drop for CloseAtEnd<'_> {
    fn drop(&mut self) {
        self.0.close();
        // Completions that are dropped uncalled tell their callers that the log is closed.
        drop(self.0.take_rest());
    }
}

/// Writes until the log is closed.
pub(super) fn run(shared: &Shared, first_number: u64) {
    let _close = CloseAtEnd(shared);
    let mut writer = Writer { shared, next_number: first_number, segment: None, len: 0, buffer: Vec::new() };
    let mut taken = Vec::new();
    while let Some(waiting) = shared.take_waiting(taken) {
        taken = writer.write_all(waiting);
    }
    if let Err(error) = shared.sync() {
        tracing::error!(%error, "write-ahead log could not be synced when it was closed");
    }
}

impl Writer<'_> {
    /// Writes all records in groups; the emptied vector.
    fn write_all(&mut self, mut waiting: Vec<Waiting>) -> Vec<Waiting> {
        while !waiting.is_empty() {
            let mut bytes = 0;
            let mut count = 0;
            for len in waiting.iter().map(Waiting::len) {
                if count > 0 && bytes + len > GROUP_BYTES {
                    break;
                }
                bytes += len;
                count += 1;
            }
            let group: Vec<Waiting> = waiting.drain(..count).collect();
            self.write_group(group, bytes);
        }
        waiting
    }

    /// Writes one group, of `bytes`, and answers its records. Their room in the queue is free before anybody hears of it, so that whoever
    /// pushes again on an answer finds it.
    fn write_group(&mut self, group: Vec<Waiting>, bytes: usize) {
        let lost = self.shared.oldest_valid();
        let (group, refused): (Vec<_>, Vec<_>) = group.into_iter().partition(|w| w.record.generation >= lost);
        let result = if group.is_empty() { Ok(()) } else { self.write(&group) };
        if let Err(error) = &result {
            self.shared.counters.write_errors.fetch_add(1, Relaxed);
            tracing::warn!(%error, records = group.len(), "group of records refused by the write-ahead log");
        }
        self.shared.release(bytes);
        for waiting in refused {
            (waiting.done)(Err(WalError::GenerationLost));
        }
        for waiting in group {
            (waiting.done)(result.clone());
        }
    }

    fn write(&mut self, group: &[Waiting]) -> Result<(), WalError> {
        let segment = self.segment()?;
        self.buffer.clear();
        for waiting in group {
            put_push(&mut self.buffer, segment.seed, &waiting.tenant, &waiting.record);
        }
        let appended = failpoints::hit(Failpoint::WalAppend).map_err(Into::into).and_then(|()| segment.append(&self.buffer));
        if let Err(e) = appended {
            self.cut(&segment);
            return Err(io_error(&self.shared.dir, "write to", &segment.path, e));
        }
        self.note(&segment, group);
        if self.buffer.capacity() > KEEP_BYTES {
            self.buffer = Vec::new();
        }
        if self.shared.syncs_first() {
            self.shared.sync_segment(&segment)?;
            self.shared.synced_first();
        }
        Ok(())
    }

    /// Takes a failed write back, so that the next one follows a whole record.
    fn cut(&mut self, segment: &Segment) {
        if let Err(error) = segment.cut(self.len) {
            tracing::warn!(path = %segment.path.display(), %error, "segment of the write-ahead log could not be cut, going on in a new one");
            self.segment = None;
        }
    }

    fn note(&mut self, segment: &Segment, group: &[Waiting]) {
        self.len += self.buffer.len() as u64;
        let counters = &self.shared.counters;
        counters.records.fetch_add(group.len() as u64, Relaxed);
        counters.bytes.fetch_add(self.buffer.len() as u64, Relaxed);
        counters.groups.fetch_add(1, Relaxed);
        let mut ledger = self.shared.ledger.lock();
        for waiting in group {
            ledger.note(segment.number, waiting.len() as u64, waiting.record.generation, waiting.record.max_t);
        }
    }

    /// The segment to write to: a new one if there is none, it is full, or its generation is over.
    fn segment(&mut self) -> Result<Arc<Segment>, WalError> {
        let generation = self.shared.generation();
        if let Some(segment) = &self.segment
            && segment.generation == generation
            && self.len < self.shared.config.segment_bytes
        {
            return Ok(Arc::clone(segment));
        }
        self.segment = None;
        let number = self.next_number;
        // A number is not used again after a failure: what is left of the file may be in the way.
        self.next_number += 1;
        let salt = self.shared.config.salt.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let header = Header { generation, number, salt };
        if let Err(injected) = failpoints::hit(Failpoint::WalRotate) {
            return Err(io_error(&self.shared.dir, "create a segment in", &self.shared.dir, injected.into()));
        }
        let segment = Arc::new(Segment::create(&*self.shared.fs, &self.shared.dir, header)?);
        self.len = Segment::first_len();
        let mut entry = Entry::new(smallvec![generation]);
        entry.bytes = self.len;
        self.shared.ledger.lock().segments.insert(number, entry);
        if self.shared.config.sync != SyncPolicy::Always {
            self.shared.unsynced.lock().push(Arc::clone(&segment));
        }
        self.segment = Some(Arc::clone(&segment));
        Ok(segment)
    }
}
