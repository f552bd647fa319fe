//! Finished chunks of heads on disk instead of in memory (`docs/formats/head-chunks.md`).
//!
//! One set of files per process, for all tenants: [`HeadChunks`]. A head moves its finished chunks there ([`crate::Head::offload`]) and keeps places: a [`ChunkFile`] and an
//! offset. Files are written once, from front to back, and read through a map of the file; a chunk that is read is a part of the map, without a copy.
//!
//! *Who keeps a file.* Every place holds its file by an `Arc`. [`HeadChunks::remove_unused`] deletes those that nobody else holds; a query that still has a part of one
//! keeps the map, and so the bytes, beyond that. A snapshot that names files holds them the same way ([`HeadChunks::file`]).
//!
//! *Snapshots.* [`HeadChunks::sync`] finishes the file that is being written and brings all to the disk. Then every place whose file [`ChunkFile::is_synced`] may be
//! stored as (number, offset). At a start, [`HeadChunks::open`] finds the files, [`HeadChunks::file`] gives those that the snapshot names, and the first
//! [`HeadChunks::remove_unused`] deletes the others. Bytes of a chunk are checked when it is read, or at once by [`ChunkFile::read`].
//!
//! *Damage* is an error that names file and offset, never other data: checksums cover which series' chunk it is.
//!
//! Lock order: a head's stripe is never held while a file is written; it may be held while a file is mapped. Nothing here calls into a head.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use crate::fs::Fs;

mod error;
mod file;
mod record;
mod writer;

pub use error::HeadChunkError;
pub use file::ChunkFile;
pub use record::ChunkKey;
pub(crate) use writer::{Records, Written};

/// Length at which a file is finished: small enough for space to come back soon after chunks are dropped, large enough that a
/// million series over a day take some hundred files.
const FILE_BYTES: u64 = 64 << 20;

/// The files of a process.
#[derive(Debug)]
pub struct HeadChunks {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    /// Held while a batch is written, about as long as a `write(2)` of some hundred kilobytes, and while files are synced.
    state: Mutex<State>,
    written_bytes: AtomicU64,
    written_chunks: AtomicU64,
}

#[derive(Debug)]
struct State {
    /// Those that somebody asked for or wrote since the start, but for the active one.
    files: BTreeMap<u32, Arc<ChunkFile>>,
    active: Option<writer::Active>,
    /// Those that are finished and not durable yet; they are in `files` as well.
    unsynced: Vec<writer::Active>,
    /// Those that were there at the start and nobody has asked for.
    found: BTreeSet<u32>,
    next: u32,
}

/// What [`HeadChunks::remove_unused`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Files deleted.
    pub files: u64,
    /// Files that nobody needs, but which could not be deleted; the next call tries again.
    pub failed: u64,
}

/// What is there and was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeadChunksStats {
    /// Files on the disk.
    pub files: u64,
    /// Chunks written since the start.
    pub written_chunks: u64,
    /// Bytes written since the start.
    pub written_bytes: u64,
}

impl HeadChunks {
    /// Opens a folder, which is made if it is not there. Files are not read.
    pub fn open(fs: Arc<dyn Fs>, dir: PathBuf) -> Result<Self, HeadChunkError> {
        fs.create_dir_all(&dir).map_err(HeadChunkError::io(&dir))?;
        let names = fs.list(&dir).map_err(HeadChunkError::io(&dir))?;
        let found: BTreeSet<u32> = names.iter().filter_map(|name| parse_name(name)).collect();
        let next = found.last().map_or(1, |last| last.saturating_add(1));
        let state = State { files: BTreeMap::new(), active: None, unsynced: Vec::new(), found, next };
        Ok(Self { fs, dir, state: Mutex::new(state), written_bytes: AtomicU64::new(0), written_chunks: AtomicU64::new(0) })
    }

    /// The file of a number that a snapshot names. It is kept while the caller holds it. An error if it is not there or its header is not whole;
    /// whether a place in it is, is seen when that is read.
    pub fn file(&self, number: u32) -> Result<Arc<ChunkFile>, HeadChunkError> {
        let mut state = self.state.lock();
        if let Some(file) = state.files.get(&number) {
            return Ok(Arc::clone(file));
        }
        if let Some(active) = state.active.as_ref().filter(|active| active.file().number() == number) {
            return Ok(Arc::clone(active.file()));
        }
        let file = Arc::new(ChunkFile::new(Arc::clone(&self.fs), &self.dir, number));
        file.check_header()?;
        // Named by a snapshot, which names only such.
        file.set_synced();
        state.found.remove(&number);
        state.files.insert(number, Arc::clone(&file));
        Ok(file)
    }

    /// Finishes the file that is being written and makes everything durable that was written so far. Files of which this was not possible never become
    /// [`ChunkFile::is_synced`]; the next call does not try them again, since the kernel may have given up what it could not write.
    pub fn sync(&self) -> Result<(), HeadChunkError> {
        let mut state = self.state.lock();
        if let Some(active) = state.active.take() {
            self.finish(&mut state, active);
        }
        let pending = std::mem::take(&mut state.unsynced);
        let mut result = Ok(());
        let mut durable = Vec::with_capacity(pending.len());
        for written in pending {
            match written.sync() {
                Ok(()) => durable.push(Arc::clone(written.file())),
                Err(error) => result = Err(HeadChunkError::io(written.file().path())(error)),
            }
        }
        if !durable.is_empty() {
            self.fs.sync_dir(&self.dir).map_err(HeadChunkError::io(&self.dir))?;
            durable.iter().for_each(|file| file.set_synced());
        }
        result
    }

    /// Deletes files that nobody holds, also those of an earlier process that nobody has asked for. At a start: after the snapshots have theirs.
    pub fn remove_unused(&self) -> Removed {
        let mut state = self.state.lock();
        let State { files, found, unsynced, .. } = &mut *state;
        // One that nobody needs need not be made durable.
        unsynced.retain(|written| Arc::strong_count(written.file()) > 2);
        let mut removed = Removed::default();
        let mut gone = |path: &Path| match self.fs.remove(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "a head chunk file that nobody needs could not be deleted; trying again later");
                removed.failed += 1;
                false
            }
            _ => {
                removed.files += 1;
                true
            }
        };
        // Nobody can get hold of a file meanwhile: who does so without holding it already, does so under this lock.
        files.retain(|_, file| Arc::strong_count(file) > 1 || !gone(file.path()));
        found.retain(|number| !gone(&self.dir.join(file_name(*number))));
        removed
    }

    /// Counters and sizes.
    #[must_use]
    pub fn stats(&self) -> HeadChunksStats {
        let state = self.state.lock();
        HeadChunksStats {
            files: (state.files.len() + state.found.len() + usize::from(state.active.is_some())) as u64,
            written_chunks: self.written_chunks.load(Relaxed),
            written_bytes: self.written_bytes.load(Relaxed),
        }
    }
}

fn file_name(number: u32) -> String {
    format!("{number:06}")
}

fn parse_name(name: &str) -> Option<u32> {
    let number = name.parse().ok()?;
    (file_name(number) == name).then_some(number)
}

#[cfg(test)]
mod tests;
