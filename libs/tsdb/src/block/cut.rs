//! Cutting a block from a head.

use std::path::Path;
use std::sync::Arc;

use model::{Chunk, Labels, SeriesChunks};

use super::recode::{OverlapStats, clip, merge_overlaps};
use super::{BlockError, BlockMeta, BlockSpec, write_block};
use crate::fs::Fs;
use crate::head::{Head, SelectOrder, SeriesRef};

/// Series that are read from the head at a time.
const BATCH: usize = 256;

/// Writes the samples of a head from `spec.min_time` (inclusive) to `spec.max_time` (exclusive) as a block. Chunks inside of the range
/// are copied; those across its borders are written anew. The head stays as it is. `None`: it has nothing in the range.
///
/// The labels of all series in the range are in memory meanwhile, to be sorted.
pub fn write_head_range(fs: Arc<dyn Fs>, parent: &Path, head: &Head, spec: BlockSpec) -> Result<Option<BlockMeta>, BlockError> {
    let (min_t, max_t) = (spec.min_time, spec.max_time.saturating_sub(1));
    if min_t > max_t {
        return Ok(None);
    }
    let refs = in_label_order(head, min_t, max_t)?;
    let series = refs.chunks(BATCH).flat_map(|refs| {
        let mut batch = Vec::with_capacity(refs.len());
        let error = head.read_series(refs, min_t, max_t, &mut batch).err();
        let series = batch.into_iter().map(|series| cut(series, min_t, max_t));
        series.chain(error.map(|error| Err(error.into())))
    });
    write_block(fs, parent, spec, series)
}

fn cut(series: SeriesChunks, min_t: i64, max_t: i64) -> Result<(Labels, Vec<Chunk>), BlockError> {
    let mut inside = Vec::with_capacity(series.chunks.len());
    for chunk in series.chunks {
        clip(chunk, min_t, max_t, &[], &mut inside)?;
    }
    let apart = inside.is_sorted_by(|a, b| a.max_t < b.min_t);
    let chunks = if apart { inside } else { merge_overlaps(inside.into_iter().enumerate().collect(), &mut OverlapStats::default())? };
    Ok((series.labels, chunks))
}

fn in_label_order(head: &Head, min_t: i64, max_t: i64) -> Result<Vec<SeriesRef>, BlockError> {
    let refs = head.select_ids(&[], SelectOrder::Any);
    let mut sorted: Vec<(Labels, SeriesRef)> = Vec::new();
    let mut batch = Vec::new();
    for refs in refs.chunks(BATCH) {
        head.read_series(refs, min_t, max_t, &mut batch)?;
        // The answers come in the order of the references, of which some may have none.
        let mut refs = refs.iter();
        for series in batch.drain(..) {
            if let Some(of) = refs.by_ref().find(|r| r.hash == series.hash) {
                sorted.push((series.labels, *of));
            }
        }
    }
    sorted.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(sorted.into_iter().map(|(_, of)| of).collect())
}
