//! Checked reads of a file, through a window that grows while it is read from front to back.

use std::path::Path;

use super::BlockError;
use crate::fs::{Fs, ReadFile};

/// The first read, and every read after a jump.
const SMALLEST: usize = 4 << 10;
/// The largest read ahead.
const LARGEST: usize = 256 << 10;

/// A file of a block that is open.
#[derive(Debug)]
pub(super) struct BlockFile {
    /// As errors name it.
    pub(super) name: String,
    pub(super) len: u64,
    file: Box<dyn ReadFile>,
}

impl BlockFile {
    /// Opens `dir`/`name`.
    pub(super) fn open(fs: &dyn Fs, dir: &Path, name: &str) -> Result<Self, BlockError> {
        let path = dir.join(name);
        let file = fs.open(&path).map_err(BlockError::io(&path))?;
        let len = file.len().map_err(BlockError::io(&path))?;
        Ok(Self { name: name.to_owned(), len, file })
    }

    pub(super) fn corrupt(&self, at: u64, what: &'static str) -> BlockError {
        BlockError::corrupt(&self.name, at, what)
    }

    /// The bytes of a range, which must be there.
    pub(super) fn read(&self, at: u64, len: u64) -> Result<Vec<u8>, BlockError> {
        if at.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(self.corrupt(at, "the file ends before the record does"));
        }
        let mut out = vec![0; usize::try_from(len).map_err(|_| self.corrupt(at, "the record is larger than memory"))?];
        let mut read = 0;
        while let Some(rest) = out.get_mut(read..).filter(|rest| !rest.is_empty()) {
            let n = self.file.read_at(at + read as u64, rest).map_err(BlockError::io(Path::new(&self.name)))?;
            if n == 0 {
                return Err(self.corrupt(at, "the file became shorter"));
            }
            read += n;
        }
        Ok(out)
    }

    /// The contents of a section: u32 length, contents, CRC32C of the contents.
    pub(super) fn section(&self, at: u64) -> Result<Vec<u8>, BlockError> {
        let head = self.read(at, 4)?;
        let len = head.first_chunk().map_or(0, |b| u32::from_be_bytes(*b));
        let mut body = self.read(at.saturating_add(4), u64::from(len) + 4)?;
        let sum = body.split_off(len as usize);
        if crc32c::crc32c(&body).to_be_bytes() != *sum {
            return Err(self.corrupt(at, "the section's checksum is wrong"));
        }
        Ok(body)
    }
}

/// A whole file of at most `max` bytes.
pub(super) fn read_all(fs: &dyn Fs, path: &Path, max: u64) -> Result<Vec<u8>, BlockError> {
    let (dir, name) = (path.parent().unwrap_or(Path::new("")), path.file_name().and_then(|n| n.to_str()).unwrap_or_default());
    let file = BlockFile::open(fs, dir, name)?;
    if file.len > max {
        return Err(BlockError::TooLarge { what: "bytes of a small file", limit: max });
    }
    file.read(0, file.len)
}

/// A reader of a file with a buffer.
#[derive(Debug)]
pub(super) struct Window<'a> {
    file: &'a BlockFile,
    start: u64,
    bytes: Vec<u8>,
    ahead: usize,
}

impl<'a> Window<'a> {
    pub(super) fn new(file: &'a BlockFile) -> Self {
        Self { file, start: 0, bytes: Vec::new(), ahead: SMALLEST }
    }

    pub(super) fn file(&self) -> &'a BlockFile {
        self.file
    }

    /// What the file has at `at`: `want` bytes, or fewer at its end.
    pub(super) fn up_to(&mut self, at: u64, want: usize) -> Result<&[u8], BlockError> {
        let want = (want as u64).min(self.file.len.saturating_sub(at)) as usize;
        let end = self.start + self.bytes.len() as u64;
        if at < self.start || at + want as u64 > end {
            let on = at >= self.start && at <= end.saturating_add(SMALLEST as u64);
            self.ahead = if on { (self.ahead * 2).min(LARGEST) } else { SMALLEST };
            let len = (want.max(self.ahead) as u64).min(self.file.len.saturating_sub(at));
            self.bytes = self.file.read(at, len)?;
            self.start = at;
        }
        let from = (at - self.start) as usize;
        Ok(self.bytes.get(from..from + want).unwrap_or_default())
    }

    /// Exactly these bytes, which must be there.
    pub(super) fn exactly(&mut self, at: u64, len: usize) -> Result<&[u8], BlockError> {
        let file = self.file;
        let bytes = self.up_to(at, len)?;
        if bytes.len() < len {
            return Err(file.corrupt(at, "the file ends before the record does"));
        }
        Ok(bytes)
    }
}
