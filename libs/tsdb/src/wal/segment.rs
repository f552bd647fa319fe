//! A segment that is being written.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::AcqRel, Ordering::Release};

use failpoints::Failpoint;
use parking_lot::Mutex;

use super::frame::{HEADER_BYTES, Header};
use super::state::io_error;
use super::{Generation, WalError, files};
use crate::fs::{AppendFile, Fs};

/// An open segment. The writer alone appends; the syncing thread syncs.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) generation: Generation,
    pub(super) seed: u32,
    pub(super) path: PathBuf,
    file: Arc<dyn AppendFile>,
    /// Something was written since the last sync began.
    dirty: AtomicBool,
    /// A sync failed. Locked for as long as a sync takes, so that none believes another that is still under way.
    failed: Mutex<bool>,
}

impl Segment {
    /// Makes a segment with its header. What is left of one that could not be finished is removed.
    pub(super) fn create(fs: &dyn Fs, dir: &Path, header: Header) -> Result<Self, WalError> {
        let path = files::path(dir, header.number);
        let file = fs.create(&path).map_err(|e| io_error(dir, "create", &path, e))?;
        let finished = file.append(&header.encode()).and_then(|()| fs.sync_dir(dir));
        if let Err(e) = finished {
            if let Err(e) = fs.remove(&path) {
                tracing::warn!(path = %path.display(), error = %e, "unfinished segment of the write-ahead log stays");
            }
            return Err(io_error(dir, "create", &path, e));
        }
        let (Header { generation, number, .. }, seed) = (header, header.seed());
        Ok(Self { number, generation, seed, path, file, dirty: AtomicBool::new(true), failed: Mutex::new(false) })
    }

    /// The length after the header.
    pub(super) fn first_len() -> u64 {
        HEADER_BYTES as u64
    }

    /// Writes at the end.
    pub(super) fn append(&self, bytes: &[u8]) -> std::io::Result<()> {
        let result = self.file.append(bytes);
        self.dirty.store(true, Release);
        result
    }

    /// Cuts off what a failed append left.
    pub(super) fn cut(&self, len: u64) -> std::io::Result<()> {
        self.file.set_len(len)
    }

    /// Makes durable what was written before the call; whether there was anything. After an error it never succeeds again: the kernel may have given up
    /// what it could not write, and tells of it once.
    pub(super) fn sync(&self) -> std::io::Result<bool> {
        let mut failed = self.failed.lock();
        if *failed {
            return Err(std::io::Error::other("an earlier sync of it failed"));
        }
        let dirty = self.dirty.swap(false, AcqRel);
        if dirty {
            let synced = failpoints::hit(Failpoint::WalFsync).map_err(Into::into).and_then(|()| self.file.sync());
            synced.inspect_err(|_| *failed = true)?;
        }
        Ok(dirty)
    }
}
