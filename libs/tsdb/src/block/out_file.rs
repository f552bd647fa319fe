//! A file that is written from front to back.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::BlockError;
use crate::fs::{AppendFile, Fs};

/// Bytes that are collected before a write.
const BUFFER: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct OutFile {
    file: Arc<dyn AppendFile>,
    path: PathBuf,
    buffer: Vec<u8>,
    written: u64,
}

impl OutFile {
    pub(super) fn create(fs: &dyn Fs, path: &Path) -> Result<Self, BlockError> {
        let file = fs.create(path).map_err(BlockError::io(path))?;
        Ok(Self { file, path: path.to_owned(), buffer: Vec::new(), written: 0 })
    }

    /// Where the next byte goes.
    pub(super) fn position(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<(), BlockError> {
        if self.buffer.len() + bytes.len() < BUFFER {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        self.flush()?;
        self.file.append(bytes).map_err(BlockError::io(&self.path))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Zeros up to a multiple of `n`.
    pub(super) fn align(&mut self, n: u64) -> Result<(), BlockError> {
        let zeros = (n - self.position() % n) % n;
        self.put(&[0; 16][..(zeros as usize).min(16)])
    }

    /// The checksum of `bytes`, which were put last.
    pub(super) fn put_checksum(&mut self, bytes: &[u8]) -> Result<(), BlockError> {
        self.put(&crc32c::crc32c(bytes).to_be_bytes())
    }

    /// A section: u32 length, contents, checksum.
    pub(super) fn put_section(&mut self, contents: &[u8], what: &'static str) -> Result<(), BlockError> {
        let len = u32::try_from(contents.len()).map_err(|_| BlockError::TooLarge { what, limit: u64::from(u32::MAX) })?;
        self.put(&len.to_be_bytes())?;
        self.put(contents)?;
        self.put_checksum(contents)
    }

    fn flush(&mut self) -> Result<(), BlockError> {
        self.file.append(&self.buffer).map_err(BlockError::io(&self.path))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Writes the rest without making it durable: for files that are read back and removed.
    pub(super) fn finish_scratch(mut self) -> Result<(), BlockError> {
        self.flush()
    }

    /// Writes the rest and makes all durable.
    pub(super) fn finish(mut self) -> Result<(), BlockError> {
        self.flush()?;
        self.file.sync().map_err(BlockError::io(&self.path))
    }
}
