//! Writing the segment files of a block's chunks.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::Chunk;

use super::cursor::put_uvarint;
use super::out_file::OutFile;
use super::{BlockError, MAX_CHUNK_BYTES, SEGMENT_BYTES, SEGMENT_HEADER};
use crate::fs::Fs;

/// Writes chunks to `000001`, `000002`, … of a folder.
#[derive(Debug)]
pub struct ChunkWriter {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    segment_bytes: u64,
    /// Segments begun.
    segments: u32,
    file: Option<OutFile>,
    scratch: Vec<u8>,
}

impl ChunkWriter {
    /// A writer into a folder that is made and must have no segments. Segments end at [`SEGMENT_BYTES`].
    pub fn create(fs: Arc<dyn Fs>, dir: &Path) -> Result<Self, BlockError> {
        Self::with_segments(fs, dir, SEGMENT_BYTES)
    }

    pub(super) fn with_segments(fs: Arc<dyn Fs>, dir: &Path, segment_bytes: u64) -> Result<Self, BlockError> {
        fs.create_dir_all(dir).map_err(BlockError::io(dir))?;
        Ok(Self { fs, dir: dir.to_owned(), segment_bytes, segments: 0, file: None, scratch: Vec::new() })
    }

    /// Writes a chunk; its reference.
    pub fn put(&mut self, chunk: &Chunk) -> Result<u64, BlockError> {
        if chunk.data.len() > MAX_CHUNK_BYTES {
            return Err(BlockError::TooLarge { what: "bytes of a chunk", limit: MAX_CHUNK_BYTES as u64 });
        }
        self.scratch.clear();
        put_uvarint(&mut self.scratch, chunk.data.len() as u64);
        let covered = self.scratch.len();
        self.scratch.push(chunk.encoding as u8);
        self.scratch.extend_from_slice(&chunk.data);
        let sum = crc32c::crc32c(self.scratch.get(covered..).unwrap_or_default());
        self.scratch.extend_from_slice(&sum.to_be_bytes());

        let len = self.scratch.len() as u64;
        if self.file.as_ref().is_some_and(|file| file.position() + len > self.segment_bytes) {
            self.end_segment()?;
        }
        let mut file = match self.file.take() {
            Some(file) => file,
            None => self.begin_segment()?,
        };
        let reference = u64::from(self.segments - 1) << 32 | file.position();
        file.put(&self.scratch)?;
        self.file = Some(file);
        Ok(reference)
    }

    fn begin_segment(&mut self) -> Result<OutFile, BlockError> {
        self.segments += 1;
        let mut file = OutFile::create(&*self.fs, &self.dir.join(format!("{:06}", self.segments)))?;
        file.put(&SEGMENT_HEADER)?;
        Ok(file)
    }

    fn end_segment(&mut self) -> Result<(), BlockError> {
        self.file.take().map_or(Ok(()), OutFile::finish)
    }

    /// Makes all durable.
    pub fn finish(mut self) -> Result<(), BlockError> {
        self.end_segment()?;
        self.fs.sync_dir(&self.dir).map_err(BlockError::io(&self.dir))
    }
}
