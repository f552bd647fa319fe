//! Series of a head and of blocks as one stream: ascending by hash, each series once, each sample once.

use std::sync::Arc;

use model::{Chunk, Labels, Projection, SeriesChunks, SeriesHash};
use rpc::StreamSelectRequest;
use tsdb::block::HashedBlock;
use tsdb::block::recode::{OverlapStats, merge_overlaps};
use tsdb::head::{SelectOrder, SeriesRef};

use super::sources::Sources;
use crate::error::Error;

/// What is still to be read.
pub(super) struct Merged {
    sources: Sources,
    refs: Vec<SeriesRef>,
    at: usize,
    /// Those that have something in the range, the oldest first.
    blocks: Vec<Place>,
    min_t: i64,
    max_t: i64,
    projection: Projection,
}

/// A block and what is still to be read of it: positions, ascending by hash.
#[derive(Debug)]
struct Place {
    block: Arc<HashedBlock>,
    positions: Vec<u32>,
    at: usize,
}

impl Place {
    fn next(&self) -> Option<(SeriesHash, u32)> {
        self.positions.get(self.at).map(|position| (self.block.hash(*position), *position))
    }
}

/// A series that is being put together.
#[derive(Debug)]
struct Entry {
    hash: SeriesHash,
    labels: Option<Labels>,
    /// Each with the number of its source, the oldest first.
    chunks: Vec<(usize, Chunk)>,
}

/// A series of a block.
#[derive(Debug, Clone, Copy)]
struct Part {
    place: usize,
    position: u32,
    entry: usize,
}

impl Merged {
    /// Finds the series.
    pub(super) fn find(sources: Sources, request: StreamSelectRequest) -> Result<Self, Error> {
        let StreamSelectRequest { matchers, min_t, max_t, sorted, mut projection } = request;
        let mut blocks = Vec::new();
        for block in sources.blocks(min_t, max_t)? {
            let positions = block.select(&matchers, min_t, max_t).map_err(|error| sources.failed(&block, &error))?;
            if !positions.is_empty() {
                blocks.push(Place { block, positions, at: 0 });
            }
        }
        if !blocks.is_empty() {
            // The newest sample may be in either, and whether there are labels that forbid to leave labels out would have to be known of all sources before the
            // first series.
            projection = Projection::WHOLE;
        }
        let order = if sorted || !blocks.is_empty() { SelectOrder::ByHash } else { SelectOrder::Any };
        let refs = sources.head.select_ids(&matchers, order);
        Ok(Self { sources, refs, at: 0, blocks, min_t, max_t, projection })
    }

    pub(super) fn is_done(&self) -> bool {
        self.at >= self.refs.len() && self.blocks.iter().all(|place| place.at >= place.positions.len())
    }

    /// Appends the next series, at most `n`; fewer if some have nothing in the range.
    pub(super) fn read(&mut self, n: usize, out: &mut Vec<SeriesChunks>) -> Result<(), Error> {
        if self.blocks.is_empty() {
            let end = self.refs.len().min(self.at.saturating_add(n));
            let refs = self.refs.get(self.at..end).unwrap_or_default();
            self.sources.head.read_projected(refs, self.min_t, self.max_t, &self.projection, out)?;
            self.at = end;
            return Ok(());
        }
        let (mut entries, refs, parts) = self.take(n);
        self.read_head(&refs, &mut entries)?;
        self.read_blocks(parts, &mut entries)?;
        for entry in entries {
            out.extend(finish(entry)?);
        }
        Ok(())
    }

    /// The next `n` hashes of all sources, and where they are.
    fn take(&mut self, n: usize) -> (Vec<Entry>, Vec<SeriesRef>, Vec<Part>) {
        let (mut entries, mut refs, mut parts) = (Vec::with_capacity(n), Vec::with_capacity(n), Vec::new());
        while entries.len() < n {
            let head = self.refs.get(self.at).map(|series| series.hash);
            let least = self.blocks.iter().filter_map(|place| place.next().map(|(hash, _)| hash)).chain(head).min();
            let Some(hash) = least else { break };
            while let Some(series) = self.refs.get(self.at).filter(|series| series.hash == hash) {
                refs.push(*series);
                self.at += 1;
            }
            for (number, place) in self.blocks.iter_mut().enumerate() {
                while let Some((_, position)) = place.next().filter(|(of, _)| *of == hash) {
                    parts.push(Part { place: number, position, entry: entries.len() });
                    place.at += 1;
                }
            }
            entries.push(Entry { hash, labels: None, chunks: Vec::new() });
        }
        (entries, refs, parts)
    }

    fn read_head(&self, refs: &[SeriesRef], entries: &mut [Entry]) -> Result<(), Error> {
        let mut found = Vec::with_capacity(refs.len());
        self.sources.head.read_projected(refs, self.min_t, self.max_t, &self.projection, &mut found)?;
        // Both ascend by hash.
        let mut entries = entries.iter_mut();
        for series in found {
            if let Some(entry) = entries.find(|entry| entry.hash == series.hash) {
                entry.labels = Some(series.labels);
                entry.chunks.extend(series.chunks.into_iter().map(|chunk| (usize::MAX, chunk)));
            }
        }
        Ok(())
    }

    /// Reads block by block, in the order in which series lie there.
    fn read_blocks(&self, mut parts: Vec<Part>, entries: &mut [Entry]) -> Result<(), Error> {
        parts.sort_unstable_by_key(|part| (part.place, part.position));
        for of_block in parts.chunk_by(|a, b| a.place == b.place) {
            let Some((number, place)) = of_block.first().and_then(|part| Some((part.place, self.blocks.get(part.place)?))) else {
                continue;
            };
            let mut reader = place.block.reader();
            for part in of_block {
                let Some(entry) = entries.get_mut(part.entry) else { continue };
                let read = reader.read(part.position, self.min_t, self.max_t);
                let (labels, chunks) = read.map_err(|error| self.sources.failed(&place.block, &error))?;
                entry.labels.get_or_insert(labels);
                entry.chunks.extend(chunks.into_iter().map(|chunk| (number, chunk)));
            }
        }
        Ok(())
    }
}

/// A series whose sources overlap has each sample once; where they differ, the oldest block is right, and the head last.
fn finish(entry: Entry) -> Result<Option<SeriesChunks>, Error> {
    let Entry { hash, labels, mut chunks } = entry;
    let Some(labels) = labels.filter(|_| !chunks.is_empty()) else { return Ok(None) };
    chunks.sort_by_key(|(_, chunk)| chunk.min_t);
    let chunks = if chunks.is_sorted_by(|(_, a), (_, b)| a.max_t < b.min_t) {
        chunks.into_iter().map(|(_, chunk)| chunk).collect()
    } else {
        let merged = merge_overlaps(chunks, &mut OverlapStats::default());
        merged.map_err(|error| Error::Unreadable(format!("a chunk of series {labels} cannot be read: {error}")))?
    };
    Ok(Some(SeriesChunks { labels, hash, chunks, newest: None }))
}
