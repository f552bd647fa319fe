//! Writing batches of chunks.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::record::{self, ChunkKey};
use super::{ChunkFile, FILE_BYTES, HeadChunkError, HeadChunks, State};
use crate::block::MAX_CHUNK_BYTES;
use crate::fs::AppendFile;

/// The file that is being written.
#[derive(Debug)]
pub(super) struct Active {
    file: Arc<ChunkFile>,
    out: Arc<dyn AppendFile>,
    len: u64,
    /// A write failed: how much of it is in the file is not known.
    torn: bool,
}

impl Active {
    pub(super) fn file(&self) -> &Arc<ChunkFile> {
        &self.file
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.out.sync()
    }
}

/// Chunks on their way to a file.
#[derive(Debug, Default)]
pub(crate) struct Records {
    bytes: Vec<u8>,
    starts: Vec<u32>,
}

/// Where [`Records`] are now.
#[derive(Debug)]
pub(crate) struct Written {
    file: Arc<ChunkFile>,
    at: u32,
}

impl Records {
    /// Adds a chunk; whether it can be written at all.
    pub(crate) fn push(&mut self, key: &ChunkKey, data: &[u8]) -> bool {
        let Ok(start) = u32::try_from(self.bytes.len()) else { return false };
        if !(2..=MAX_CHUNK_BYTES).contains(&data.len()) {
            return false;
        }
        self.starts.push(start);
        record::put(&mut self.bytes, key, data);
        true
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.starts.clear();
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// The data of the `n`-th chunk.
    pub(crate) fn data(&self, n: usize) -> &[u8] {
        let end = self.starts.get(n + 1).map_or(self.bytes.len(), |end| *end as usize);
        let start = self.starts.get(n).map_or(end, |start| *start as usize + record::RECORD_HEAD);
        self.bytes.get(start..end).unwrap_or_default()
    }
}

impl Written {
    /// The place of the `n`-th chunk of `records`, which were written here.
    pub(crate) fn place(&self, records: &Records, n: usize) -> Option<(Arc<ChunkFile>, u32)> {
        let at = self.at.checked_add(*records.starts.get(n)?)?;
        Some((Arc::clone(&self.file), at))
    }
}

impl HeadChunks {
    /// Writes a batch with one `write(2)`. After an error nothing of it has a place; what may be in the file of it is never read.
    pub(crate) fn write(&self, records: &Records) -> Result<Written, HeadChunkError> {
        let mut state = self.state.lock();
        let active = self.writable(&mut state)?;
        let at = u32::try_from(active.len).map_err(io::Error::other).map_err(HeadChunkError::io(active.file.path()))?;
        if let Err(error) = active.out.append(&records.bytes) {
            active.torn = true;
            return Err(HeadChunkError::io(active.file.path())(error));
        }
        active.len += records.bytes.len() as u64;
        let file = Arc::clone(&active.file);
        self.written_bytes.fetch_add(records.bytes.len() as u64, Relaxed);
        self.written_chunks.fetch_add(records.starts.len() as u64, Relaxed);
        Ok(Written { file, at })
    }

    /// The file that the next batch goes to.
    fn writable<'s>(&self, state: &'s mut State) -> Result<&'s mut Active, HeadChunkError> {
        match state.active.take() {
            Some(mut active) if active.len < FILE_BYTES => {
                if active.torn {
                    // Files are not cut, since they may be mapped: what is there of the failed batch stays, and nothing refers to it.
                    active.len = match self.fs.open(active.file.path()).and_then(|file| file.len()) {
                        Ok(len) => len,
                        Err(error) => {
                            let error = HeadChunkError::io(active.file.path())(error);
                            state.active = Some(active);
                            return Err(error);
                        }
                    };
                    active.torn = false;
                }
                Ok(state.active.insert(active))
            }
            full => {
                if let Some(full) = full {
                    self.finish(state, full);
                }
                let active = self.begin(state)?;
                Ok(state.active.insert(active))
            }
        }
    }

    pub(super) fn finish(&self, state: &mut State, full: Active) {
        state.files.insert(full.file.number(), Arc::clone(&full.file));
        state.unsynced.push(full);
    }

    fn begin(&self, state: &mut State) -> Result<Active, HeadChunkError> {
        let number = state.next;
        let file = Arc::new(ChunkFile::new(Arc::clone(&self.fs), &self.dir, number));
        let out = self.fs.create(file.path()).map_err(HeadChunkError::io(file.path()))?;
        // A number is used once, whatever becomes of the file.
        state.next = number.checked_add(1).ok_or_else(|| HeadChunkError::io(file.path())(io::Error::other("file numbers are used up")))?;
        let header = record::header(number);
        if let Err(error) = out.append(&header) {
            let _ = self.fs.remove(file.path());
            return Err(HeadChunkError::io(file.path())(error));
        }
        Ok(Active { file, out, len: header.len() as u64, torn: false })
    }
}
