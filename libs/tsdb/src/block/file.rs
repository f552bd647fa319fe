//! Checked reads of a file of a block, which is mapped (`docs/adr/0004-mapped-files.md`).

use std::path::Path;

use bytes::Bytes;

use super::BlockError;
use crate::fs::Fs;

/// A file of a block that is open.
#[derive(Debug)]
pub(super) struct BlockFile {
    /// As errors name it.
    pub(super) name: String,
    map: Bytes,
}

impl BlockFile {
    /// Opens `dir`/`name`.
    pub(super) fn open(fs: &dyn Fs, dir: &Path, name: &str) -> Result<Self, BlockError> {
        let path = dir.join(name);
        let map = fs.map(&path).map_err(BlockError::io(&path))?;
        Ok(Self { name: name.to_owned(), map })
    }

    pub(super) fn corrupt(&self, at: u64, what: &'static str) -> BlockError {
        BlockError::corrupt(&self.name, at, what)
    }

    pub(super) fn len(&self) -> u64 {
        self.map.len() as u64
    }

    /// All that the file has from `at` on; nothing beyond its end.
    pub(super) fn from(&self, at: u64) -> &[u8] {
        usize::try_from(at).ok().and_then(|at| self.map.get(at..)).unwrap_or_default()
    }

    /// The bytes of a range, which must be there.
    pub(super) fn read(&self, at: u64, len: u64) -> Result<&[u8], BlockError> {
        let len = usize::try_from(len).ok();
        len.and_then(|len| self.from(at).get(..len)).ok_or_else(|| self.corrupt(at, "the file ends before the record does"))
    }

    /// Bytes that [`BlockFile::read`] or [`BlockFile::from`] gave, as a part of the map that lives on its own.
    pub(super) fn share(&self, part: &[u8]) -> Bytes {
        self.map.slice_ref(part)
    }

    /// The contents of a section: u32 length, contents, CRC32C of the contents.
    pub(super) fn section(&self, at: u64) -> Result<&[u8], BlockError> {
        let len = self.read(at, 4)?.first_chunk().map_or(0, |b| u32::from_be_bytes(*b));
        let body = self.read(at.saturating_add(4), u64::from(len) + 4)?;
        let (contents, sum) = body.split_at_checked(len as usize).unwrap_or_default();
        if crc32c::crc32c(contents).to_be_bytes() != *sum {
            return Err(self.corrupt(at, "the section's checksum is wrong"));
        }
        Ok(contents)
    }
}

/// A whole file of at most `max` bytes. It is read, not mapped, since such files are replaced.
pub(super) fn read_all(fs: &dyn Fs, path: &Path, max: u64) -> Result<Vec<u8>, BlockError> {
    let file = fs.open(path).map_err(BlockError::io(path))?;
    let len = file.len().map_err(BlockError::io(path))?;
    if len > max {
        return Err(BlockError::TooLarge { what: "bytes of a small file", limit: max });
    }
    let mut out = vec![0; usize::try_from(len).map_err(|_| BlockError::TooLarge { what: "bytes of a small file", limit: max })?];
    let mut read = 0;
    while let Some(rest) = out.get_mut(read..).filter(|rest| !rest.is_empty()) {
        let n = file.read_at(read as u64, rest).map_err(BlockError::io(path))?;
        if n == 0 {
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            return Err(BlockError::corrupt(name, read as u64, "the file became shorter"));
        }
        read += n;
    }
    Ok(out)
}
