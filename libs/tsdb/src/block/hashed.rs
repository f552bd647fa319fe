//! A block read in order of its series' hashes, as ingesters stream.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use model::{Chunk, Labels, Matcher, SeriesHash};

use super::{Block, BlockError, ChunkMeta, IndexSeries, MAX_CHUNK_BYTES, Sidecar, chunk_reader, index_reader, select};
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

    /// Bytes of memory that its tables take now; the sidecar and the files are mapped.
    #[must_use]
    pub fn table_bytes(&self) -> u64 {
        self.block.index.table_bytes()
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

    /// Calls `visit` with the labels of each series that matches all matchers and has samples in `[min_t, max_t]` (both inclusive) as far as the index knows, in label
    /// order, until it says no.
    pub fn visit_labels(
        &self,
        matchers: &[Matcher],
        min_t: i64,
        max_t: i64,
        visit: &mut dyn FnMut(Labels) -> bool,
    ) -> Result<(), BlockError> {
        let positions = self.select_in_label_order(matchers, min_t, max_t)?;
        let mut reader = self.reader();
        for some in positions.chunks(SERIES_PER_FETCH) {
            self.prefetch_series(some)?;
            for position in some {
                if let Some(labels) = reader.labels(*position, min_t, max_t)?
                    && !visit(labels)
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Adds the names of labels of the series that match, if the block has anything in `[min_t, max_t]`.
    pub fn add_label_names(&self, matchers: &[Matcher], min_t: i64, max_t: i64, all: &mut BTreeSet<String>) -> Result<(), BlockError> {
        if matchers.is_empty() {
            all.extend(if self.block.overlaps(min_t, max_t) { self.block.label_names()? } else { Vec::new() });
            return Ok(());
        }
        self.visit_labels(matchers, min_t, max_t, &mut |labels| {
            for (name, _) in labels.iter() {
                if !all.contains(name) {
                    all.insert(name.to_owned());
                }
            }
            true
        })
    }

    /// Adds the values of a label of the series that match, if the block has anything in `[min_t, max_t]`.
    pub fn add_label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        min_t: i64,
        max_t: i64,
        all: &mut BTreeSet<String>,
    ) -> Result<(), BlockError> {
        if matchers.is_empty() {
            all.extend(if self.block.overlaps(min_t, max_t) { self.block.label_values(name)? } else { Vec::new() });
            return Ok(());
        }
        self.visit_labels(matchers, min_t, max_t, &mut |labels| {
            if let Some(value) = labels.get(name)
                && !all.contains(value)
            {
                all.insert(value.to_owned());
            }
            true
        })
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

/// Series whose chunks are fetched together: their references take 32 bytes for each chunk.
const SERIES_PER_FETCH: usize = 4_096;
/// How far a chunk is taken to reach if no other one of its series follows it. Most have less than 1 KiB.
const LIKELY_CHUNK_BYTES: u64 = 2_048;

impl HashedBlock {
    /// Fetches what reading these series in `[min_t, max_t]` takes, if the block is not on this disk. Positions ascend. Without it every read
    /// fetches for itself.
    pub fn prefetch(&self, positions: &[u32], min_t: i64, max_t: i64) -> Result<(), BlockError> {
        if !self.block.index.is_paged() {
            return Ok(());
        }
        self.prefetch_series(positions)?;
        let mut cursor = self.block.index.series_cursor();
        for some in positions.chunks(SERIES_PER_FETCH) {
            let mut places = Vec::new();
            for position in some {
                let chunks = cursor.read(self.sidecar.id(*position))?.chunks;
                places.extend(chunk_places(&chunks, min_t, max_t));
            }
            self.block.chunks.prefetch(&mut places)?;
        }
        Ok(())
    }

    /// The same, for reading labels alone.
    pub fn prefetch_series(&self, positions: &[u32]) -> Result<(), BlockError> {
        let next = |position: u32| position.checked_add(1).filter(|next| *next < self.sidecar.count()).map(|next| self.sidecar.id(next));
        self.block.index.prefetch_series(positions.iter().map(|position| (self.sidecar.id(*position), next(*position))))
    }
}

/// Where the chunks of a series lie that reach into a range: segment and bytes.
fn chunk_places(chunks: &[ChunkMeta], min_t: i64, max_t: i64) -> impl Iterator<Item = (usize, Range<u64>)> {
    let place = |reference: u64| ((reference >> 32) as usize, reference & u64::from(u32::MAX));
    chunks.iter().enumerate().filter(move |(_, c)| c.max_t >= min_t && c.min_t <= max_t).map(move |(i, chunk)| {
        let (segment, at) = place(chunk.reference);
        let next = chunks.get(i + 1).map(|next| place(next.reference)).filter(|(other, next)| *other == segment && *next > at);
        let end = next.map_or(at + LIKELY_CHUNK_BYTES, |(_, next)| next.min(at.saturating_add(MAX_CHUNK_BYTES as u64)));
        (segment, at..end)
    })
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
