//! Reading the segment files of a block's chunks.

use std::path::Path;

use bytes::Bytes;
use model::ChunkEncoding;

use super::cursor::Cursor;
use super::window::{BlockFile, Window};
use super::{BlockError, MAX_CHUNK_BYTES, SEGMENT_HEADER};
use crate::fs::Fs;

/// The longest length of a chunk: a uvarint of 32 bits.
const LENGTH_BYTES: usize = 5;

/// The segment files of a block.
#[derive(Debug)]
pub struct ChunkReader {
    segments: Vec<BlockFile>,
}

impl ChunkReader {
    /// Opens the segments of a folder and checks their headers.
    pub fn open(fs: &dyn Fs, dir: &Path) -> Result<Self, BlockError> {
        let mut names = fs.list(dir).map_err(BlockError::io(dir))?;
        names.retain(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()));
        names.sort_unstable();
        let segments = names.iter().map(|name| open_segment(fs, dir, name)).collect::<Result<_, _>>()?;
        Ok(Self { segments })
    }

    /// A reader that is fastest where references ascend.
    pub(super) fn cursor(&self) -> ChunkCursor<'_> {
        ChunkCursor { reader: self, window: None }
    }

    /// The size of all segments.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|s| s.len).sum()
    }

    /// The number of segments.
    pub(super) fn segments(&self) -> usize {
        self.segments.len()
    }

    /// Where a segment ends.
    pub(super) fn segment_len(&self, segment: usize) -> u64 {
        self.segments.get(segment).map_or(0, |s| s.len)
    }
}

fn open_segment(fs: &dyn Fs, dir: &Path, name: &str) -> Result<BlockFile, BlockError> {
    let mut file = BlockFile::open(fs, dir, name)?;
    file.name = format!("chunks/{name}");
    // The three bytes after the version are padding.
    if !file.read(0, SEGMENT_HEADER.len() as u64)?.starts_with(&SEGMENT_HEADER[..5]) {
        return Err(file.corrupt(0, "not a chunk segment of version 1"));
    }
    Ok(file)
}

/// A chunk as it lies in a segment.
#[derive(Debug)]
pub(super) struct StoredChunk {
    pub(super) encoding: ChunkEncoding,
    pub(super) data: Bytes,
    /// Bytes in the file, framing included.
    pub(super) framed: u64,
}

/// Reads chunks of one block.
#[derive(Debug)]
pub(super) struct ChunkCursor<'a> {
    reader: &'a ChunkReader,
    window: Option<(usize, Window<'a>)>,
}

impl<'a> ChunkCursor<'a> {
    /// The chunk of a reference, which the caller need not trust. Its checksum is checked.
    pub(super) fn read(&mut self, reference: u64) -> Result<StoredChunk, BlockError> {
        let (segment, at) = ((reference >> 32) as usize, reference & u64::from(u32::MAX));
        let window = self.window(segment)?;
        let file = window.file();
        if at < SEGMENT_HEADER.len() as u64 {
            return Err(file.corrupt(at, "a chunk reference points into the header"));
        }
        let mut head = Cursor(window.up_to(at, LENGTH_BYTES)?);
        let before = head.0.len();
        let len = head.uvarint32().ok_or_else(|| file.corrupt(at, "a chunk has no length"))? as usize;
        let prefix = before - head.0.len();
        if len > MAX_CHUNK_BYTES {
            return Err(file.corrupt(at, "a chunk is larger than any is written"));
        }
        let framed = prefix + 1 + len + 4;
        let body = window.exactly(at, framed)?.get(prefix..).unwrap_or_default();
        let (covered, sum) = body.split_at_checked(len + 1).ok_or_else(|| file.corrupt(at, "a chunk is cut"))?;
        if crc32c::crc32c(covered).to_be_bytes() != *sum {
            return Err(file.corrupt(at, "a chunk's checksum is wrong"));
        }
        let (encoding, data) = covered.split_first().ok_or_else(|| file.corrupt(at, "a chunk is cut"))?;
        let encoding = ChunkEncoding::from_wire(*encoding).ok_or_else(|| file.corrupt(at, "a chunk's encoding is unknown"))?;
        Ok(StoredChunk { encoding, data: Bytes::copy_from_slice(data), framed: framed as u64 })
    }

    fn window(&mut self, segment: usize) -> Result<&mut Window<'a>, BlockError> {
        let current = self.window.take().filter(|(of, _)| *of == segment);
        let window = match current {
            Some((_, window)) => window,
            None => {
                let missing = || BlockError::corrupt("index", 0, "a chunk reference points into a segment that is not there");
                Window::new(self.reader.segments.get(segment).ok_or_else(missing)?)
            }
        };
        Ok(&mut self.window.insert((segment, window)).1)
    }
}
