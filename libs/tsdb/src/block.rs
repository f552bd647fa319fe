//! Blocks: the samples of a time range, immutable, as Prometheus writes them (`docs/formats/block.md`).
//!
//! [`Block`] reads one, also one of Prometheus; [`BlockWriter`] and [`write_block`] write one; [`write_sealed_range`] cuts one from a
//! head. [`inspect`], [`verify`] and [`dump`] tell people what is in one.
//!
//! Readers take bytes that nobody vouches for: every read is checked against the length of the file and against its checksum, nothing is
//! allocated beyond what is there, and damage is an error ([`BlockError::is_damage`]), never a panic and never other data.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Chunk, Matcher, SeriesChunks};

use crate::fs::Fs;

mod chunk_reader;
mod chunk_writer;
mod cursor;
mod cut;
mod dump;
mod error;
mod file;
mod hashed;
mod index_reader;
mod index_writer;
mod inspect;
mod meta;
mod out_file;
pub mod recode;
mod select;
mod sidecar;
mod tombstones;
mod ulid;
mod union;
mod verify;
mod writer;

pub use chunk_reader::ChunkReader;
pub use chunk_writer::ChunkWriter;
pub use cut::write_sealed_range;
pub use dump::dump;
pub use error::BlockError;
pub use hashed::{HashedBlock, HashedReader};
pub use index_reader::{IndexReader, IndexSeries};
pub use index_writer::IndexWriter;
pub use inspect::{Inspection, inspect};
pub use meta::{BlockDesc, BlockMeta, BlockStats, Compaction, Downsample, META_FILE, ThanosMeta};
pub use sidecar::{SIDECAR_FILE, Sidecar};
pub use tombstones::{TOMBSTONES_FILE, Tombstones};
pub use ulid::{Ulid, UlidError};
pub use union::{BlockUnion, Part, UnreadableBlock};
pub use verify::{Verification, verify};
pub use writer::{BlockSpec, BlockWriter, TMP_SUFFIX, write_block};

/// The index's name within a block.
pub const INDEX_FILE: &str = "index";
/// The folder of chunk segments within a block.
pub const CHUNKS_DIR: &str = "chunks";
/// Where a segment of chunks ends.
pub const SEGMENT_BYTES: u64 = 512 << 20;
/// The largest chunk that is read or written.
pub const MAX_CHUNK_BYTES: usize = 32 << 20;

/// The most bytes of one series in the index that are read or written: some million chunks.
const MAX_SERIES_BYTES: u64 = 32 << 20;
/// Magic 0x85BD40DD, version 1, padding.
const SEGMENT_HEADER: [u8; 8] = [0x85, 0xbd, 0x40, 0xdd, 1, 0, 0, 0];
/// Magic 0xBAAAD700, version 2.
const INDEX_HEADER: [u8; 5] = [0xba, 0xaa, 0xd7, 0x00, 2];

/// A chunk as the index knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkMeta {
    /// Time of the first sample, inclusive.
    pub min_t: i64,
    /// Time of the last sample, inclusive.
    pub max_t: i64,
    /// Segment (from 0) in the upper 32 bits, offset in it in the lower.
    pub reference: u64,
}

/// A block that is open for reading.
#[derive(Debug)]
pub struct Block {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    meta: BlockMeta,
    index: IndexReader,
    chunks: ChunkReader,
    tombstones: Tombstones,
}

impl Block {
    /// Opens the block in a folder. Reads `meta.json`, the tombstones and the headers of all files.
    pub fn open(fs: Arc<dyn Fs>, dir: &Path) -> Result<Self, BlockError> {
        Ok(Self {
            meta: BlockMeta::read(&*fs, dir)?,
            index: IndexReader::open(&*fs, dir)?,
            chunks: ChunkReader::open(&*fs, &dir.join(CHUNKS_DIR))?,
            tombstones: Tombstones::read(&*fs, dir)?,
            dir: dir.to_owned(),
            fs,
        })
    }

    /// Where the block lies.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its `meta.json`.
    #[must_use]
    pub fn meta(&self) -> &BlockMeta {
        &self.meta
    }

    /// Its index.
    #[must_use]
    pub fn index(&self) -> &IndexReader {
        &self.index
    }

    /// What was deleted from it.
    #[must_use]
    pub fn tombstones(&self) -> &Tombstones {
        &self.tombstones
    }

    /// The series that match all matchers and have chunks in `[min_t, max_t]` (both inclusive), with those chunks, in label order.
    /// No matchers: all series. Chunks may hold samples outside of the range, but none that were deleted. Series are read one
    /// by one as the caller goes on.
    pub fn select(&self, matchers: &[Matcher], min_t: i64, max_t: i64) -> Result<BlockSeries<'_>, BlockError> {
        let ids = if self.overlaps(min_t, max_t) { select::select_ids(&self.index, matchers)? } else { Vec::new() };
        Ok(BlockSeries {
            block: self,
            ids: ids.into_iter(),
            range: (min_t, max_t),
            series: self.index.series_cursor(),
            chunks: self.chunks.cursor(),
        })
    }

    /// Bytes of its index and chunks.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.index.bytes() + self.chunks.bytes()
    }

    /// Whether any of its range lies in `[min_t, max_t]` (both inclusive).
    #[must_use]
    pub fn overlaps(&self, min_t: i64, max_t: i64) -> bool {
        self.meta.overlaps(min_t, max_t)
    }

    /// The names of labels, ascending; of deleted series too.
    pub fn label_names(&self) -> Result<Vec<String>, BlockError> {
        self.index.label_names()
    }

    /// The values of a label, ascending; of deleted series too.
    pub fn label_values(&self, name: &str) -> Result<Vec<String>, BlockError> {
        self.index.label_values(name)
    }
}

/// The series of a [`Block::select`]. After an error it goes on with the next series.
#[derive(Debug)]
pub struct BlockSeries<'a> {
    block: &'a Block,
    ids: std::vec::IntoIter<u32>,
    range: (i64, i64),
    series: index_reader::SeriesCursor<'a>,
    chunks: chunk_reader::ChunkCursor<'a>,
}

impl BlockSeries<'_> {
    fn read(&mut self, id: u32) -> Result<Option<SeriesChunks>, BlockError> {
        let IndexSeries { labels, chunks: metas, .. } = self.series.read(id)?;
        let chunks = self.block.read_chunks(&self.chunks, id, &metas, self.range)?;
        Ok((!chunks.is_empty()).then(|| SeriesChunks { hash: labels.hash(), labels, chunks, newest: None }))
    }
}

impl Block {
    /// Those chunks of a series that reach into the range (inclusive), without what was deleted.
    fn read_chunks(
        &self,
        cursor: &chunk_reader::ChunkCursor<'_>,
        id: u32,
        metas: &[ChunkMeta],
        range: (i64, i64),
    ) -> Result<Vec<Chunk>, BlockError> {
        let deleted = self.tombstones.of(id);
        let mut chunks = Vec::with_capacity(metas.len());
        for meta in metas.iter().filter(|meta| meta.max_t >= range.0 && meta.min_t <= range.1) {
            let stored = cursor.read(meta.reference)?;
            let chunk = Chunk { encoding: stored.encoding, min_t: meta.min_t, max_t: meta.max_t, data: stored.data };
            recode::clip(chunk, i64::MIN, i64::MAX, deleted, &mut chunks)?;
        }
        chunks.retain(|c| c.max_t >= range.0 && c.min_t <= range.1);
        Ok(chunks)
    }
}

impl Iterator for BlockSeries<'_> {
    type Item = Result<SeriesChunks, BlockError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let id = self.ids.next()?;
            if let Some(item) = self.read(id).transpose() {
                return Some(item);
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
