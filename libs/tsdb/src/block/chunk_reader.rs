//! Reading the segment files of a block's chunks.

use std::ops::Range;
use std::path::Path;

use bytes::Bytes;
use model::ChunkEncoding;

use super::cursor::Cursor;
use super::file::BlockFile;
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

    /// A reader of chunks.
    pub(super) fn cursor(&self) -> ChunkCursor<'_> {
        ChunkCursor(self)
    }

    /// Fetches what lies at these places of segments, where that has to be done.
    pub(super) fn prefetch(&self, places: &mut [(usize, Range<u64>)]) -> Result<(), BlockError> {
        places.sort_unstable_by_key(|(segment, range)| (*segment, range.start));
        for of_segment in places.chunk_by(|a, b| a.0 == b.0) {
            let Some(file) = of_segment.first().and_then(|(segment, _)| self.segments.get(*segment)) else { continue };
            let ranges: Vec<_> = of_segment.iter().map(|(_, range)| range.clone()).collect();
            file.prefetch(&ranges)?;
        }
        Ok(())
    }

    /// The size of all segments.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(BlockFile::len).sum()
    }

    /// The number of segments.
    pub(super) fn segments(&self) -> usize {
        self.segments.len()
    }

    /// Where a segment ends.
    pub(super) fn segment_len(&self, segment: usize) -> u64 {
        self.segments.get(segment).map_or(0, BlockFile::len)
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
pub(super) struct ChunkCursor<'a>(&'a ChunkReader);

impl ChunkCursor<'_> {
    /// The chunk of a reference, which the caller need not trust. Its checksum is checked; its data is a part of the segment's map, or was fetched.
    pub(super) fn read(&self, reference: u64) -> Result<StoredChunk, BlockError> {
        let (segment, at) = ((reference >> 32) as usize, reference & u64::from(u32::MAX));
        let missing = || BlockError::corrupt("index", 0, "a chunk reference points into a segment that is not there");
        let file = self.0.segments.get(segment).ok_or_else(missing)?;
        if at < SEGMENT_HEADER.len() as u64 {
            return Err(file.corrupt(at, "a chunk reference points into the header"));
        }
        let start = file.window(at, LENGTH_BYTES as u64)?;
        let mut head = Cursor(&start);
        let len = head.uvarint32().ok_or_else(|| file.corrupt(at, "a chunk has no length"))? as usize;
        let prefix = start.len() - head.0.len();
        if len > MAX_CHUNK_BYTES {
            return Err(file.corrupt(at, "a chunk is larger than any is written"));
        }
        let framed = prefix + 1 + len + 4;
        let body = file.read(at + prefix as u64, (1 + len + 4) as u64)?;
        let (covered, sum) = body.split_at_checked(len + 1).ok_or_else(|| file.corrupt(at, "a chunk is cut"))?;
        if crc32c::crc32c(covered).to_be_bytes() != *sum {
            return Err(file.corrupt(at, "a chunk's checksum is wrong"));
        }
        let encoding = covered.first().and_then(|encoding| ChunkEncoding::from_wire(*encoding));
        let encoding = encoding.ok_or_else(|| file.corrupt(at, "a chunk's encoding is unknown"))?;
        let data = body.share(1..len + 1).ok_or_else(|| file.corrupt(at, "a chunk is cut"))?;
        Ok(StoredChunk { encoding, data, framed: framed as u64 })
    }
}
