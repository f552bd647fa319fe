//! One file of chunks, as its readers see it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use bytes::Bytes;
use parking_lot::RwLock;

use super::record::{self, ChunkKey};
use super::{HeadChunkError, file_name};
use crate::fs::Fs;

/// A file. Whoever holds it keeps it on the disk.
#[derive(Debug)]
pub struct ChunkFile {
    number: u32,
    path: PathBuf,
    fs: Arc<dyn Fs>,
    /// As much of the file as was there when it was last mapped; empty until somebody reads.
    map: RwLock<Bytes>,
    synced: AtomicBool,
}

impl ChunkFile {
    pub(super) fn new(fs: Arc<dyn Fs>, dir: &Path, number: u32) -> Self {
        Self { number, path: dir.join(file_name(number)), fs, map: RwLock::default(), synced: AtomicBool::new(false) }
    }

    /// Its number, which is its name.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is finished and on the disk, so that a snapshot may name it.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.synced.load(Relaxed)
    }

    pub(super) fn set_synced(&self) {
        self.synced.store(true, Relaxed);
    }

    /// The data of the chunk at a place, which need not be trusted. The bytes are a part of the map: they hold memory only as the kernel
    /// sees fit, and keep the map, not the file's name.
    pub fn read(&self, at: u32, key: &ChunkKey) -> Result<Bytes, HeadChunkError> {
        let mapped = self.map.read().clone();
        if let Ok(range) = record::bounds(&mapped, at) {
            return self.checked(&mapped, at, range, key);
        }
        // The file was never mapped, or has grown since.
        let mapped = self.map_again(mapped.len())?;
        let range = record::bounds(&mapped, at).map_err(|what| self.damaged(at, what))?;
        self.checked(&mapped, at, range, key)
    }

    fn checked(&self, mapped: &Bytes, at: u32, range: std::ops::Range<usize>, key: &ChunkKey) -> Result<Bytes, HeadChunkError> {
        let data = mapped.slice(range);
        record::check(mapped, at, &data, key).map_err(|what| self.damaged(at, what))?;
        Ok(data)
    }

    /// Whether the file is there and its header whole.
    pub(super) fn check_header(&self) -> Result<(), HeadChunkError> {
        self.map_again(0).map(drop)
    }

    fn map_again(&self, old_len: usize) -> Result<Bytes, HeadChunkError> {
        let mut map = self.map.write();
        if map.len() <= old_len {
            let new = self.fs.map(&self.path).map_err(HeadChunkError::io(&self.path))?;
            if !new.starts_with(&record::header(self.number)) {
                return Err(self.damaged(0, "not a head chunk file of version 1 and this number"));
            }
            *map = new;
        }
        Ok(map.clone())
    }

    fn damaged(&self, at: u32, what: &'static str) -> HeadChunkError {
        HeadChunkError::Damaged { path: self.path.clone(), at, what }
    }
}
