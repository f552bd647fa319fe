//! Cutting a block from a head.

use std::path::Path;
use std::sync::Arc;

use failpoints::Failpoint;
use model::{Chunk, Labels, SeriesChunks};

use super::recode::{OverlapStats, clip, merge_overlaps};
use super::{BlockError, BlockMeta, BlockSpec, write_block};
use crate::fs::Fs;
use crate::head::Head;

/// Series that are read from the head at a time.
const BATCH: usize = 256;

/// Writes the sealed chunks of a head ([`Head::seal`]) from `spec.min_time` (inclusive) to `spec.max_time` (exclusive) as a block. Chunks inside of the range
/// are copied; those across its borders, and those that overlap because samples came late, are written anew. The head stays as it is. `None`: it has
/// nothing sealed in the range.
///
/// Appends go on meanwhile. Nobody may truncate the head. `go_on` is asked now and then; when it says no, nothing is written and the error is
/// [`BlockError::Stopped`]. In memory are some 8 bytes for each series and 4 for each of its labels, and what [`super::IndexWriter`] holds.
pub fn write_sealed_range(
    fs: Arc<dyn Fs>,
    parent: &Path,
    head: &Head,
    spec: BlockSpec,
    go_on: &dyn Fn() -> bool,
) -> Result<Option<BlockMeta>, BlockError> {
    let (min_t, max_t) = (spec.min_time, spec.max_time.saturating_sub(1));
    if min_t > max_t {
        return Ok(None);
    }
    failpoints::hit(Failpoint::HeadCut).map_err(|injected| BlockError::io(parent)(injected.into()))?;
    let ids = head.sealed_in_label_order(min_t, max_t);
    let series = ids.chunks(BATCH).flat_map(|ids| {
        if !go_on() {
            return vec![Err(BlockError::Stopped)];
        }
        let mut batch = Vec::with_capacity(ids.len());
        match head.read_sealed(ids, min_t, max_t, &mut batch) {
            Ok(()) => batch.into_iter().map(|series| cut(series, min_t, max_t)).collect(),
            Err(error) => vec![Err(error.into())],
        }
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
