//! Series of several blocks in order of their hashes, each series once, with the chunks of all blocks that have it.

use std::path::PathBuf;
use std::sync::Arc;

use model::{Chunk, Labels, Matcher, SeriesHash};

use super::{BlockError, HashedBlock};

/// What is still to be read of some blocks.
#[derive(Debug, Default)]
pub struct BlockUnion {
    places: Vec<Place>,
    min_t: i64,
    max_t: i64,
}

/// A block and what is still to be read of it: positions, ascending by hash.
#[derive(Debug)]
struct Place {
    block: Arc<HashedBlock>,
    positions: Vec<u32>,
    at: usize,
}

/// A series of a block that is to be read.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    place: usize,
    position: u32,
    /// The caller's number of the series.
    pub entry: usize,
}

/// A block that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("block {} cannot be read: {error}", dir.display())]
pub struct UnreadableBlock {
    /// Where it lies.
    pub dir: PathBuf,
    /// Why.
    pub error: BlockError,
}

impl UnreadableBlock {
    fn of(block: &HashedBlock) -> impl FnOnce(BlockError) -> Self {
        let dir = block.block().dir().to_owned();
        move |error| Self { dir, error }
    }
}

impl Place {
    fn next(&self) -> Option<(SeriesHash, u32)> {
        self.positions.get(self.at).map(|position| (self.block.hash(*position), *position))
    }
}

impl BlockUnion {
    /// Finds the series of blocks that match all matchers; they are read for `[min_t, max_t]` (both inclusive). Where blocks have other samples for one
    /// time, the first block's is right.
    pub fn find(blocks: Vec<Arc<HashedBlock>>, matchers: &[Matcher], min_t: i64, max_t: i64) -> Result<Self, UnreadableBlock> {
        let mut union = Self { places: Vec::with_capacity(blocks.len()), min_t, max_t };
        for block in blocks {
            let positions = block.select(matchers, min_t, max_t).map_err(UnreadableBlock::of(&block))?;
            union.add(block, positions);
        }
        Ok(union)
    }

    /// Adds a block whose series were found before ([`HashedBlock::select`]).
    pub fn add(&mut self, block: Arc<HashedBlock>, positions: Vec<u32>) {
        if !positions.is_empty() {
            self.places.push(Place { block, positions, at: 0 });
        }
    }

    /// No blocks yet, to be read for `[min_t, max_t]` (both inclusive).
    #[must_use]
    pub fn new(min_t: i64, max_t: i64) -> Self {
        Self { places: Vec::new(), min_t, max_t }
    }

    /// Whether no block had any series that matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Whether everything has been taken.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.places.iter().all(|place| place.at >= place.positions.len())
    }

    /// The lowest hash that has not been taken.
    #[must_use]
    pub fn peek(&self) -> Option<SeriesHash> {
        self.places.iter().filter_map(|place| place.next().map(|(hash, _)| hash)).min()
    }

    /// Takes the series of a hash, which is not above [`BlockUnion::peek`]: one part for each block that has it.
    pub fn take(&mut self, hash: SeriesHash, entry: usize, parts: &mut Vec<Part>) {
        for (number, place) in self.places.iter_mut().enumerate() {
            while let Some((_, position)) = place.next().filter(|(of, _)| *of == hash) {
                parts.push(Part { place: number, position, entry });
                place.at += 1;
            }
        }
    }

    /// Reads parts, block by block and in the order in which series lie there. `sink` gets the part's entry, the number of its block (in the order of blocks), the labels, and
    /// the chunks that reach into the range, possibly none.
    pub fn read(&self, mut parts: Vec<Part>, mut sink: impl FnMut(usize, usize, Labels, Vec<Chunk>)) -> Result<(), UnreadableBlock> {
        parts.sort_unstable_by_key(|part| (part.place, part.position));
        for of_block in parts.chunk_by(|a, b| a.place == b.place) {
            let Some((number, place)) = of_block.first().and_then(|part| Some((part.place, self.places.get(part.place)?))) else {
                continue;
            };
            let mut reader = place.block.reader();
            for part in of_block {
                let read = reader.read(part.position, self.min_t, self.max_t);
                let (labels, chunks) = read.map_err(UnreadableBlock::of(&place.block))?;
                sink(part.entry, number, labels, chunks);
            }
        }
        Ok(())
    }
}
