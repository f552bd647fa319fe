//! Finished chunks.

use std::sync::Arc;

use bytes::Bytes;
use model::{Chunk, ChunkEncoding, SeriesHash};

use crate::block::recode::{self, Point};
use crate::chunk::sample_count;
use crate::head_chunks::{ChunkFile, ChunkKey, HeadChunkError};

/// A finished chunk: 32 bytes, and its data. A series has one for half an hour or so.
#[derive(Debug, Clone)]
pub(in crate::head) struct ClosedChunk {
    min_t: i64,
    body: Body,
}

const _: () = assert!(size_of::<ClosedChunk>() == 32);

/// Small fields are within the variants so that they share the discriminant's word. `span` is `max_t - min_t`: chunks end at multiples of the chunk range, which is below
/// 2³² milliseconds ([`super::super::MAX_CHUNK_RANGE_MS`]).
#[derive(Debug, Clone)]
enum Body {
    Memory { encoding: ChunkEncoding, sealed: bool, span: u32, data: Box<[u8]> },
    Stored { encoding: ChunkEncoding, sealed: bool, span: u32, at: u32, file: Arc<ChunkFile> },
}

/// Where a finished chunk's data is.
#[derive(Debug, Clone, Copy)]
pub(in crate::head) enum ChunkData<'a> {
    /// In memory, until the next [`crate::Head::offload`].
    Memory(&'a [u8]),
    /// At this offset of a head chunk file.
    Stored(&'a Arc<ChunkFile>, u32),
}

impl ClosedChunk {
    /// A chunk in memory.
    pub(in crate::head) fn new(encoding: ChunkEncoding, min_t: i64, max_t: i64, data: Vec<u8>) -> Self {
        let body = Body::Memory { encoding, sealed: false, span: span(min_t, max_t), data: data.into_boxed_slice() };
        Self { min_t, body }
    }

    /// Time of the first sample, inclusive.
    #[inline]
    pub(in crate::head) fn min_t(&self) -> i64 {
        self.min_t
    }

    /// Time of the last sample, inclusive.
    #[inline]
    pub(in crate::head) fn max_t(&self) -> i64 {
        let (Body::Memory { span, .. } | Body::Stored { span, .. }) = &self.body;
        self.min_t.saturating_add(i64::from(*span))
    }

    #[inline]
    pub(in crate::head) fn overlaps(&self, min_t: i64, max_t: i64) -> bool {
        self.min_t() <= max_t && self.max_t() >= min_t
    }

    /// Whether it belongs to the next block ([`crate::Head::seal`]).
    #[inline]
    pub(in crate::head) fn is_sealed(&self) -> bool {
        let (Body::Memory { sealed, .. } | Body::Stored { sealed, .. }) = &self.body;
        *sealed
    }

    pub(in crate::head) fn seal(&mut self) {
        let (Body::Memory { sealed, .. } | Body::Stored { sealed, .. }) = &mut self.body;
        *sealed = true;
    }

    pub(in crate::head) fn encoding(&self) -> ChunkEncoding {
        let (Body::Memory { encoding, .. } | Body::Stored { encoding, .. }) = &self.body;
        *encoding
    }

    pub(in crate::head) fn data(&self) -> ChunkData<'_> {
        match &self.body {
            Body::Memory { data, .. } => ChunkData::Memory(data),
            Body::Stored { file, at, .. } => ChunkData::Stored(file, *at),
        }
    }

    /// What a head chunk file must say of this chunk of a series.
    pub(in crate::head) fn key(&self, series: SeriesHash) -> ChunkKey {
        ChunkKey { series, min_t: self.min_t, max_t: self.max_t(), encoding: self.encoding() }
    }

    /// Moves the data out of memory: it is at this place now.
    pub(in crate::head) fn set_stored(&mut self, file: Arc<ChunkFile>, at: u32) {
        let (Body::Memory { encoding, sealed, span, .. } | Body::Stored { encoding, sealed, span, .. }) = &self.body;
        self.body = Body::Stored { encoding: *encoding, sealed: *sealed, span: *span, at, file };
    }

    /// Heap bytes of the data.
    pub(in crate::head) fn heap_bytes(&self) -> usize {
        match self.data() {
            ChunkData::Memory(data) => data.len(),
            ChunkData::Stored(..) => 0,
        }
    }

    /// The chunk for a reader. Data in memory is copied (it stays there for half a minute or so), stored data is a part of the file's map and is
    /// checked.
    pub(in crate::head) fn to_chunk(&self, series: SeriesHash) -> Result<Chunk, HeadChunkError> {
        let data = match self.data() {
            ChunkData::Memory(data) => Bytes::copy_from_slice(data),
            ChunkData::Stored(file, at) => file.read(at, &self.key(series))?,
        };
        Ok(Chunk { encoding: self.encoding(), min_t: self.min_t, max_t: self.max_t(), data })
    }

    /// The chunk of what a block's encoder gave.
    pub(in crate::head) fn from_chunk(chunk: &Chunk) -> Self {
        Self::new(chunk.encoding, chunk.min_t, chunk.max_t, chunk.data.to_vec())
    }

    /// Lets `look` see the data, which is checked if it is stored.
    pub(in crate::head) fn look<T>(&self, series: SeriesHash, look: impl FnOnce(&[u8]) -> T) -> Result<T, HeadChunkError> {
        match self.data() {
            ChunkData::Memory(data) => Ok(look(data)),
            ChunkData::Stored(file, at) => Ok(look(&file.read(at, &self.key(series))?)),
        }
    }

    /// Its samples, if they can be read.
    pub(in crate::head) fn decode(&self, series: SeriesHash) -> Option<Vec<Point>> {
        self.look(series, |data| recode::decode_data(self.encoding(), data).ok()).ok()?
    }

    /// How many samples it says it has; 0 if it cannot be read.
    pub(in crate::head) fn samples(&self, series: SeriesHash) -> usize {
        self.look(series, |data| sample_count(data).unwrap_or_default()).map_or(0, usize::from)
    }
}

fn span(min_t: i64, max_t: i64) -> u32 {
    let span = u32::try_from(max_t.saturating_sub(min_t));
    debug_assert!(span.is_ok(), "a chunk from {min_t} to {max_t}");
    span.unwrap_or(u32::MAX)
}
