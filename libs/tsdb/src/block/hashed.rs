//! A block read in order of its series' hashes, as ingesters stream.

use std::path::Path;
use std::sync::Arc;

use model::{Chunk, Labels, Matcher, SeriesHash};

use super::{Block, BlockError, IndexSeries, Sidecar, chunk_reader, index_reader, select};
use crate::fs::Fs;

/// A block with its sidecar.
#[derive(Debug)]
pub struct HashedBlock {
    block: Block,
    sidecar: Sidecar,
}

impl HashedBlock {
    /// Opens the block in a folder. A sidecar that is missing or damaged is made from the index, and written if that can be done: it says nothing that the
    /// index does not.
    pub fn open(fs: Arc<dyn Fs>, dir: &Path) -> Result<Self, BlockError> {
        let block = Block::open(Arc::clone(&fs), dir)?;
        let sidecar = match Sidecar::read(&*fs, dir, block.meta().ulid) {
            Ok(sidecar) => sidecar,
            Err(error) => {
                let made = Sidecar::of(&block)?;
                let written = made.write(&*fs, dir).err().map(|e| e.to_string());
                tracing::warn!(%error, not_written = written, dir = %dir.display(), "the sidecar of a block was made anew from its index");
                made
            }
        };
        Ok(Self { block, sidecar })
    }

    /// The block.
    #[must_use]
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// The positions of the series that match all matchers, ascending by hash; none if the block has nothing in `[min_t, max_t]` (both inclusive).
    /// Whether a series has samples in the range is seen when it is read.
    pub fn select(&self, matchers: &[Matcher], min_t: i64, max_t: i64) -> Result<Vec<u32>, BlockError> {
        let positions = self.select_in_label_order(matchers, min_t, max_t)?;
        // The upper half of the hash beside the position: comparing touches no other memory.
        let mut keyed: Vec<(u64, u32)> = positions.into_iter().map(|p| ((self.hash(p).0 >> 64) as u64, p)).collect();
        keyed.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| self.hash(a.1).cmp(&self.hash(b.1))));
        Ok(keyed.into_iter().map(|(_, position)| position).collect())
    }

    /// The positions of [`HashedBlock::select`], ascending: in label order.
    pub fn select_in_label_order(&self, matchers: &[Matcher], min_t: i64, max_t: i64) -> Result<Vec<u32>, BlockError> {
        if !self.block.overlaps(min_t, max_t) {
            return Ok(Vec::new());
        }
        let ids = select::select_ids(&self.block.index, matchers)?;
        let unknown = || BlockError::corrupt(super::INDEX_FILE, 0, "a postings list names a series that is not in the list of all");
        self.sidecar.positions(&ids).ok_or_else(unknown)
    }

    /// The hash of the series at a position.
    #[must_use]
    pub fn hash(&self, position: u32) -> SeriesHash {
        self.sidecar.hash(position)
    }

    /// Reads series at positions; fastest where positions ascend.
    #[must_use]
    pub fn reader(&self) -> HashedReader<'_> {
        HashedReader { of: self, series: self.block.index.series_cursor(), chunks: self.block.chunks.cursor() }
    }
}

/// Reads series of a [`HashedBlock`].
#[derive(Debug)]
pub struct HashedReader<'a> {
    of: &'a HashedBlock,
    series: index_reader::SeriesCursor<'a>,
    chunks: chunk_reader::ChunkCursor<'a>,
}

impl HashedReader<'_> {
    /// The labels of the series at a position, and its chunks that reach into `[min_t, max_t]` (inclusive), without what was deleted; possibly none.
    pub fn read(&mut self, position: u32, min_t: i64, max_t: i64) -> Result<(Labels, Vec<Chunk>), BlockError> {
        let IndexSeries { id, labels, chunks } = self.series.read(self.of.sidecar.id(position))?;
        if labels.hash() != self.of.hash(position) {
            return Err(BlockError::corrupt(super::SIDECAR_FILE, 0, "a hash is not that of the series in the index"));
        }
        let chunks = self.of.block.read_chunks(&self.chunks, id, &chunks, (min_t, max_t))?;
        Ok((labels, chunks))
    }

    /// The labels of the series at a position if it has samples in `[min_t, max_t]`, as far as the index knows. Chunks are read only where something was deleted.
    pub fn labels(&mut self, position: u32, min_t: i64, max_t: i64) -> Result<Option<Labels>, BlockError> {
        let IndexSeries { id, labels, chunks } = self.series.read(self.of.sidecar.id(position))?;
        let there = if self.of.block.tombstones.of(id).is_empty() {
            chunks.iter().any(|c| c.max_t >= min_t && c.min_t <= max_t)
        } else {
            !self.of.block.read_chunks(&self.chunks, id, &chunks, (min_t, max_t))?.is_empty()
        };
        Ok(there.then_some(labels))
    }
}
