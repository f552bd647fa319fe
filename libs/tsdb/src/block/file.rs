//! Checked reads of a file of a block: one on the disk is mapped (`docs/adr/0004-mapped-files.md`), one elsewhere is read part by part
//! ([`crate::fs::PagedFile`]).

use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::BlockError;
use crate::fs::{Fs, PagedFile};

/// A file of a block that is open.
#[derive(Debug)]
pub(super) struct BlockFile {
    /// As errors name it.
    pub(super) name: String,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Mapped(Bytes),
    Paged(PathBuf, Arc<dyn PagedFile>),
}

/// Bytes that were read.
#[derive(Debug)]
pub(super) enum Part<'a> {
    /// A part of a map.
    Mapped {
        bytes: &'a [u8],
        map: &'a Bytes,
    },
    Fetched(Bytes),
}

impl Deref for Part<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped { bytes, .. } => bytes,
            Self::Fetched(bytes) => bytes,
        }
    }
}

impl Part<'_> {
    fn get(self, range: Range<usize>) -> Option<Self> {
        match self {
            Self::Mapped { bytes, map } => Some(Self::Mapped { bytes: bytes.get(range)?, map }),
            Self::Fetched(bytes) => (range.start <= range.end && range.end <= bytes.len()).then(|| Self::Fetched(bytes.slice(range))),
        }
    }

    /// A part of it that lives on its own.
    pub(super) fn share(&self, range: Range<usize>) -> Option<Bytes> {
        match self {
            Self::Mapped { bytes, map } => Some(map.slice_ref(bytes.get(range)?)),
            Self::Fetched(bytes) => (range.start <= range.end && range.end <= bytes.len()).then(|| bytes.slice(range)),
        }
    }

    /// All of it, to live on its own.
    pub(super) fn into_bytes(self) -> Bytes {
        match self {
            Self::Mapped { bytes, map } => map.slice_ref(bytes),
            Self::Fetched(bytes) => bytes,
        }
    }
}

impl BlockFile {
    /// Opens `dir`/`name`.
    pub(super) fn open(fs: &dyn Fs, dir: &Path, name: &str) -> Result<Self, BlockError> {
        let path = dir.join(name);
        let source = match fs.paged(&path).map_err(BlockError::io(&path))? {
            Some(file) => Source::Paged(path, file),
            None => Source::Mapped(fs.map(&path).map_err(BlockError::io(&path))?),
        };
        Ok(Self { name: name.to_owned(), source })
    }

    pub(super) fn corrupt(&self, at: u64, what: &'static str) -> BlockError {
        BlockError::corrupt(&self.name, at, what)
    }

    pub(super) fn len(&self) -> u64 {
        match &self.source {
            Source::Mapped(map) => map.len() as u64,
            Source::Paged(_, file) => file.len(),
        }
    }

    /// Whether parts of it must be fetched before they can be read.
    pub(super) fn is_paged(&self) -> bool {
        matches!(self.source, Source::Paged(..))
    }

    /// Fetches what will be read soon. Ranges may reach beyond the end.
    pub(super) fn prefetch(&self, ranges: &[Range<u64>]) -> Result<(), BlockError> {
        match &self.source {
            Source::Mapped(_) => Ok(()),
            Source::Paged(path, file) => file.prefetch(ranges).map_err(BlockError::io(path)),
        }
    }

    /// What the file has in a range: fewer bytes at its end, none beyond.
    pub(super) fn window(&self, at: u64, max: u64) -> Result<Part<'_>, BlockError> {
        let start = at.min(self.len());
        let end = at.saturating_add(max).min(self.len()).max(start);
        match &self.source {
            Source::Mapped(map) => {
                let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
                let bytes = range.and_then(|(start, end)| map.get(start..end)).unwrap_or_default();
                Ok(Part::Mapped { bytes, map })
            }
            Source::Paged(path, file) => file.read(start..end).map(Part::Fetched).map_err(BlockError::io(path)),
        }
    }

    /// The bytes of a range, which must be there.
    pub(super) fn read(&self, at: u64, len: u64) -> Result<Part<'_>, BlockError> {
        let missing = || self.corrupt(at, "the file ends before the record does");
        if at.checked_add(len).is_none_or(|end| end > self.len()) {
            return Err(missing());
        }
        let part = self.window(at, len)?;
        if part.len() as u64 == len { Ok(part) } else { Err(missing()) }
    }

    /// The contents of a section: u32 length, contents, CRC32C of the contents.
    pub(super) fn section(&self, at: u64) -> Result<Part<'_>, BlockError> {
        let len = self.section_len(at)?;
        let body = self.read(at.saturating_add(4), u64::from(len) + 4)?;
        self.checked(at, body, len as usize)
    }

    /// The same of a section that is read often for as long as the file is open.
    pub(super) fn kept_section(&self, at: u64) -> Result<Part<'_>, BlockError> {
        let Source::Paged(path, file) = &self.source else { return self.section(at) };
        let len = self.section_len(at)?;
        let (start, end) = (at.saturating_add(4), at.saturating_add(8 + u64::from(len)));
        if end > self.len() {
            return Err(self.corrupt(at, "the file ends before the record does"));
        }
        let body = Part::Fetched(file.read_kept(start..end).map_err(BlockError::io(path))?);
        self.checked(at, body, len as usize)
    }

    fn section_len(&self, at: u64) -> Result<u32, BlockError> {
        Ok(self.read(at, 4)?.first_chunk().map_or(0, |b| u32::from_be_bytes(*b)))
    }

    fn checked<'a>(&'a self, at: u64, body: Part<'a>, len: usize) -> Result<Part<'a>, BlockError> {
        let (contents, sum) = body.split_at_checked(len).unwrap_or_default();
        if crc32c::crc32c(contents).to_be_bytes() != *sum {
            return Err(self.corrupt(at, "the section's checksum is wrong"));
        }
        body.get(0..len).ok_or_else(|| self.corrupt(at, "the section is cut"))
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
