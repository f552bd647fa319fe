//! Snapshots: what all heads of a process hold, so that a start reads little of the log (`docs/formats/snapshot.md`).
//!
//! ```text
//! Wal::begin_generation ─ G ─▶ each tenant's turn once ─▶ SnapshotWriter::tenant(head) … ─▶ finish ─▶ Snapshots::retain ─▶ Wal::release
//! Snapshots::load(newest) ─▶ heads ─▶ Replay::run from generation G on
//! ```
//!
//! A writer holds one section and a number per label of the tenant that it is at; locks of the head are held for some hundred series at a time. A reader
//! trusts nothing: checksums, lengths and counts are checked before anything is allocated, and a snapshot is taken whole or not at all.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fs::Fs;
use crate::head_chunks::{ChunkFile, HeadChunks};
use crate::wal::Generation;

mod format;
mod load;
mod writer;

pub use load::{LoadReport, SnapshotSink};
pub use writer::{SnapshotReport, SnapshotWriter};

/// Name of the last snapshot that could not be used.
const DAMAGED: &str = "damaged";

/// Suffix of a file that is being written.
const TMP_SUFFIX: &str = ".tmp";

/// Why a snapshot could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file system failed.
    #[error("could not {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not a whole snapshot.
    #[error("snapshot {path} is damaged at byte {at}: {what}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where it was noticed: the offset of a section.
        at: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// One series has more bytes than a section may have.
    #[error("a series with {bytes} bytes of chunks does not fit a snapshot's section of {max} bytes")]
    SeriesTooLarge {
        /// Its bytes.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// A chunk that is not on the disk for good could not be read.
    #[error("{0}")]
    Chunk(#[from] crate::head::HeadError),
    /// A worker could not be started or panicked.
    #[error("a worker that reads the snapshot failed")]
    Worker,
}

impl SnapshotError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// Whether the disk is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Io { source, .. }
            if matches!(source.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded))
    }
}

/// The folder of snapshots.
#[derive(Debug)]
pub struct Snapshots {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
}

impl Snapshots {
    /// Opens the folder, which is made if it is not there. What an earlier process did not finish is deleted.
    pub fn open(fs: Arc<dyn Fs>, dir: impl Into<PathBuf>) -> Result<Self, SnapshotError> {
        let dir = dir.into();
        fs.create_dir_all(&dir).map_err(SnapshotError::io("create", &dir))?;
        for name in fs.list(&dir).map_err(SnapshotError::io("list", &dir))? {
            if name.strip_suffix(TMP_SUFFIX).is_some_and(|stem| number(stem).is_some()) {
                let path = dir.join(name);
                fs.remove(&path).map_err(SnapshotError::io("remove", &path))?;
            }
        }
        Ok(Self { fs, dir })
    }

    /// The snapshots that are there, whole or not, the newest first.
    pub fn list(&self) -> Result<Vec<Generation>, SnapshotError> {
        let names = self.fs.list(&self.dir).map_err(SnapshotError::io("list", &self.dir))?;
        let mut found: Vec<Generation> = names.iter().filter_map(|name| number(name)).map(Generation).collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        Ok(found)
    }

    /// Begins a snapshot for a generation that has just begun. A writer that is dropped leaves nothing behind.
    pub fn begin(&self, generation: Generation, now_ms: i64) -> Result<SnapshotWriter, SnapshotError> {
        SnapshotWriter::create(Arc::clone(&self.fs), &self.dir, generation, now_ms)
    }

    /// Reads a snapshot into heads, whose stored chunks are in `files`, with `workers` threads besides this one. On an error the heads hold some of it and are to be thrown away.
    pub fn load(
        &self,
        generation: Generation,
        sink: &dyn SnapshotSink,
        files: &Arc<HeadChunks>,
        workers: usize,
    ) -> Result<LoadReport, SnapshotError> {
        load::load(&*self.fs, &path(&self.dir, generation), generation, sink, files, workers)
    }

    /// The head chunk files that a snapshot needs, without reading all of it.
    pub fn files(&self, generation: Generation, files: &HeadChunks) -> Result<Vec<Arc<ChunkFile>>, SnapshotError> {
        load::files(&*self.fs, &path(&self.dir, generation), files)
    }

    /// Puts a snapshot that cannot be used out of the way, for people to look at; at most one is kept.
    pub fn set_aside(&self, generation: Generation) -> Result<(), SnapshotError> {
        let path = path(&self.dir, generation);
        self.fs.rename(&path, &self.dir.join(DAMAGED)).map_err(SnapshotError::io("rename", &path))
    }

    /// Deletes all but the newest `keep` snapshots. The oldest of those that stay, if there are as many as should: the log before its
    /// generation is not needed any more.
    pub fn retain(&self, keep: usize) -> Result<Option<Generation>, SnapshotError> {
        let found = self.list()?;
        for old in found.get(keep..).unwrap_or_default() {
            self.remove(*old)?;
        }
        Ok(keep.checked_sub(1).and_then(|last| found.get(last)).copied())
    }

    /// Deletes a snapshot.
    pub fn remove(&self, generation: Generation) -> Result<(), SnapshotError> {
        let path = path(&self.dir, generation);
        self.fs.remove(&path).map_err(SnapshotError::io("remove", &path))
    }
}

fn path(dir: &Path, generation: Generation) -> PathBuf {
    dir.join(format!("{:08}", generation.0))
}

/// The number of a snapshot's name; `None` for other files.
fn number(name: &str) -> Option<u32> {
    name.parse().ok().filter(|number: &u32| format!("{number:08}") == name)
}

#[cfg(test)]
mod tests;
