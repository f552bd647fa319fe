//! K-way merge of blocks.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::path::Path;
use std::sync::Arc;

use model::{Chunk, Labels};

use crate::block::recode::{OverlapStats, merge_overlaps};
use crate::block::{Block, BlockError, BlockMeta, BlockSeries, BlockSpec, Compaction, ThanosMeta, Ulid, write_block};
use crate::fs::Fs;

/// The result's name and section `thanos`; all else comes from the sources.
#[derive(Debug, Clone)]
pub struct MergeSpec {
    /// Its name.
    pub ulid: Ulid,
    /// The section `thanos` of its `meta.json`.
    pub thanos: Option<ThanosMeta>,
}

/// What a merge made.
#[derive(Debug, Clone, PartialEq)]
pub struct MergeOutcome {
    /// The new block; `None` if every sample of the sources was deleted.
    pub meta: Option<BlockMeta>,
    /// What became of chunks that overlap.
    pub overlaps: OverlapStats,
}

/// Merges blocks into one under `parent`, series by series: chunks of blocks that follow each other are copied, the same chunk of two
/// replicas is taken once, overlapping chunks are merged by time; where two blocks have different values for one time, the block
/// that comes first in `blocks` wins. Deleted samples stay out. The new block spans the ranges of all sources. In memory is one series
/// of each source, and what [`crate::block::IndexWriter`] holds.
pub fn merge_blocks(fs: Arc<dyn Fs>, parent: &Path, blocks: &[&Block], spec: MergeSpec) -> Result<MergeOutcome, BlockError> {
    let mut overlaps = OverlapStats::default();
    let mut sources = Vec::with_capacity(blocks.len());
    for block in blocks {
        sources.push(block.select(&[], i64::MIN, i64::MAX)?.peekable());
    }
    let series = std::iter::from_fn(|| next_series(&mut sources, &mut overlaps).transpose());
    let meta = write_block(fs, parent, spec_of(blocks, spec), series)?;
    Ok(MergeOutcome { meta, overlaps })
}

fn spec_of(blocks: &[&Block], spec: MergeSpec) -> BlockSpec {
    let metas = || blocks.iter().map(|block| block.meta());
    let sources: BTreeSet<Ulid> = metas().flat_map(|m| m.compaction.sources.iter().copied()).collect();
    let mut parents: Vec<_> = metas().map(BlockMeta::desc).collect();
    parents.sort_by_key(|p| (p.min_time, p.ulid));
    let level = metas().map(|m| m.compaction.level).max().unwrap_or_default().saturating_add(1);
    let compaction = Compaction { level, sources: sources.into_iter().collect(), parents, ..Compaction::default() };
    BlockSpec {
        ulid: spec.ulid,
        min_time: metas().map(|m| m.min_time).min().unwrap_or_default(),
        max_time: metas().map(|m| m.max_time).max().unwrap_or_default(),
        compaction,
        thanos: spec.thanos,
    }
}

type Sources<'a> = [Peekable<BlockSeries<'a>>];

/// The next series in label order, of all sources that have it.
fn next_series(sources: &mut Sources<'_>, overlaps: &mut OverlapStats) -> Result<Option<(Labels, Vec<Chunk>)>, BlockError> {
    let mut least: Option<Labels> = None;
    for source in sources.iter_mut() {
        // An error goes first, whatever its place: the merge ends with it.
        if let Some(error) = source.next_if(Result::is_err) {
            error?;
        }
        if let Some(Ok(series)) = source.peek()
            && least.as_ref().is_none_or(|least| series.labels < *least)
        {
            least = Some(series.labels.clone());
        }
    }
    let Some(labels) = least else { return Ok(None) };
    let mut chunks = Vec::new();
    for (number, source) in sources.iter_mut().enumerate() {
        if let Some(Ok(series)) = source.next_if(|s| s.as_ref().is_ok_and(|s| s.labels == labels)) {
            chunks.extend(series.chunks.into_iter().map(|chunk| (number, chunk)));
        }
    }
    merge_overlaps(chunks, overlaps).map(|chunks| Some((labels, chunks)))
}
