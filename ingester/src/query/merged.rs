//! Series of a head and of blocks as one stream: ascending by hash, each series once, each sample once.

use model::{Chunk, Labels, Projection, SeriesChunks, SeriesHash};
use rpc::StreamSelectRequest;
use tsdb::block::recode::{OverlapStats, merge_overlaps};
use tsdb::block::{BlockUnion, Part};
use tsdb::head::{SelectOrder, SeriesRef};

use super::sources::Sources;
use crate::error::Error;

/// What is still to be read.
pub(super) struct Merged {
    sources: Sources,
    refs: Vec<SeriesRef>,
    at: usize,
    /// Of those blocks that have something in the range, the oldest first.
    blocks: BlockUnion,
    min_t: i64,
    max_t: i64,
    projection: Projection,
}

/// A series that is being put together.
#[derive(Debug)]
struct Entry {
    hash: SeriesHash,
    labels: Option<Labels>,
    /// Each with the number of its source, the oldest first.
    chunks: Vec<(usize, Chunk)>,
}

impl Merged {
    /// Finds the series.
    pub(super) fn find(sources: Sources, request: StreamSelectRequest) -> Result<Self, Error> {
        let StreamSelectRequest { matchers, min_t, max_t, sorted, mut projection } = request;
        let blocks = sources.blocks(min_t, max_t)?;
        let blocks = BlockUnion::find(blocks, &matchers, min_t, max_t).map_err(|failed| sources.failed(&failed.dir, &failed.error))?;
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
        self.at >= self.refs.len() && self.blocks.is_done()
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
        let read = self.blocks.read(parts, |entry, block, labels, chunks| {
            let Some(entry) = entries.get_mut(entry) else { return };
            entry.labels.get_or_insert(labels);
            entry.chunks.extend(chunks.into_iter().map(|chunk| (block, chunk)));
        });
        read.map_err(|failed| self.sources.failed(&failed.dir, &failed.error))?;
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
            let Some(hash) = self.blocks.peek().into_iter().chain(head).min() else { break };
            while let Some(series) = self.refs.get(self.at).filter(|series| series.hash == hash) {
                refs.push(*series);
                self.at += 1;
            }
            self.blocks.take(hash, entries.len(), &mut parts);
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
