//! Reading series that were selected.

use std::collections::BTreeSet;
use std::hint::black_box;

use hashbrown::HashSet;
use model::{Chunk, Labels, Matcher, Projection, SeriesChunks};

use super::overlap::Overlap;
use super::project::{CopiedChunks, ProjectedLabels};
use super::select::{find, labels_match, visit_values};
use super::series::{ChunkData, Cold, Hot, OpenChunk};
use super::{Head, HeadError, SeriesRef};

/// Series that are looked at under one hold of the index lock.
const READ_BATCH: usize = 256;

/// Series of one stripe that are read under one hold of its lock, some ten microseconds: their cache misses overlap.
const LOCKED_SERIES: usize = 64;

/// See [`Head::read_projected`].
pub(super) fn read_series(
    head: &Head,
    refs: &[SeriesRef],
    min_t: i64,
    max_t: i64,
    projection: &Projection,
    out: &mut Vec<SeriesChunks>,
) -> Result<(), HeadError> {
    let before = out.len();
    let result = read_batches(head, refs, min_t, max_t, projection, out);
    if result.is_err() {
        out.truncate(before);
    }
    result
}

fn read_batches(
    head: &Head,
    refs: &[SeriesRef],
    min_t: i64,
    max_t: i64,
    projection: &Projection,
    out: &mut Vec<SeriesChunks>,
) -> Result<(), HeadError> {
    let mut copies = CopiedChunks::default();
    for batch in refs.chunks(READ_BATCH) {
        let mut overlaps = Vec::new();
        let index = head.index.read();
        let mut labels = ProjectedLabels::new(&index, projection);
        let same_stripe = |a: &SeriesRef, b: &SeriesRef| head.locate(a.id).0 == head.locate(b.id).0;
        for run in batch.chunk_by(same_stripe).flat_map(|run| run.chunks(LOCKED_SERIES)) {
            let Some(first) = run.first() else { continue };
            let stripe = head.stripes[head.locate(first.id).0].read();
            let slot = |series: &SeriesRef| head.locate(series.id).1;
            black_box(run.iter().fold(0, |sink, s| sink ^ stripe.hot.get(slot(s)).map_or(0, Hot::touch)));
            if !projection.newest_only {
                black_box(run.iter().fold(0, |sink, s| sink ^ stripe.hot.get(slot(s)).map_or(0, Hot::touch_chunk)));
            }
            for series in run {
                let (Some(hot), Some(cold)) = (stripe.hot.get(slot(series)), stripe.cold.get(slot(series))) else { continue };
                if !hot.is(series.hash) {
                    continue;
                }
                let newest = if projection.newest_only { hot.newest_float(min_t, max_t) } else { None };
                let mut overlap = None;
                let chunks = match newest {
                    Some(_) => Vec::new(),
                    None => {
                        overlap = Overlap::take(out.len(), hot, cold, min_t, max_t)?;
                        chunks(hot, cold, (min_t, max_t), out.len(), &mut copies)?
                    }
                };
                if newest.is_some() || !chunks.is_empty() || overlap.is_some() {
                    overlaps.extend(overlap);
                    out.push(SeriesChunks { labels: labels.of(stripe.pairs_of(cold)), hash: series.hash, chunks, newest });
                }
            }
        }
        drop(labels);
        drop(index);
        copies.fill(out);
        for overlap in overlaps {
            overlap.merge_into(out)?;
        }
    }
    Ok(())
}

/// The chunks of series number `series` of the answer, those in memory to be filled by `copies`.
fn chunks(hot: &Hot, cold: &Cold, range: (i64, i64), series: usize, copies: &mut CopiedChunks) -> Result<Vec<Chunk>, HeadError> {
    let closed = || cold.chunks.iter().filter(|c| c.overlaps(range.0, range.1));
    let open = hot.open_chunk(range.0, range.1);
    let mut chunks = Vec::with_capacity(closed().count() + usize::from(open.is_some()));
    for chunk in closed() {
        let data = match chunk.data() {
            ChunkData::Memory(data) => copies.add(data, (series, chunks.len())),
            ChunkData::Stored(file, at) => file.read(at, &chunk.key(hot.hash()))?,
        };
        chunks.push(Chunk { encoding: chunk.encoding(), min_t: chunk.min_t(), max_t: chunk.max_t(), data });
    }
    if let Some(OpenChunk { encoding, min_t, max_t, data }) = open {
        let data = copies.add(data, (series, chunks.len()));
        chunks.push(Chunk { encoding, min_t, max_t, data });
    }
    Ok(chunks)
}

/// Calls `visit` with the pair ids of every series that matches and has chunks in the range, until it says no. The index is held
/// meanwhile for [`READ_BATCH`] series at a time; ids of pairs are meaningful only within one call.
pub(super) fn visit_pairs(
    head: &Head,
    matchers: &[Matcher],
    min_t: i64,
    max_t: i64,
    mut visit: impl FnMut(&super::index::Index, &[u32]) -> bool,
) {
    let found = find(head, matchers);
    for batch in found.ids.chunks(READ_BATCH) {
        let index = head.index.read();
        let stale = found.is_stale(&index);
        for id in batch {
            let (stripe, slot) = head.locate(*id);
            let stripe = head.stripes[stripe].read();
            if let (Some(hot), Some(cold)) = (stripe.hot.get(slot), stripe.cold.get(slot))
                && in_range(hot, cold, min_t, max_t)
                && (!stale || labels_match(&index, stripe.pairs_of(cold), matchers))
                && !visit(&index, stripe.pairs_of(cold))
            {
                return;
            }
        }
    }
}

fn in_range(hot: &Hot, cold: &Cold, min_t: i64, max_t: i64) -> bool {
    let late = || cold.late.as_ref().is_some_and(|late| late.overlaps(min_t, max_t));
    hot.open_overlaps(min_t, max_t) || cold.chunks.iter().any(|c| c.overlaps(min_t, max_t)) || late()
}

/// See [`Head::series`].
pub(super) fn series(head: &Head, matchers: &[Matcher], min_t: i64, max_t: i64, limit: usize) -> Vec<Labels> {
    let mut out = Vec::new();
    let mut block = Vec::new();
    if limit == 0 {
        return out;
    }
    visit_pairs(head, matchers, min_t, max_t, |index, pairs| {
        out.push(index.labels(pairs, &mut block));
        out.len() < limit
    });
    out
}

/// See [`Head::label_names`].
pub(super) fn label_names(head: &Head, matchers: &[Matcher], min_t: i64, max_t: i64, limit: usize) -> Vec<String> {
    let mut names = BTreeSet::new();
    let mut seen = HashSet::new();
    if !overlaps(head, min_t, max_t) {
        return Vec::new();
    }
    if matchers.is_empty() {
        names.extend(head.index.read().names().map(str::to_owned));
    } else {
        // Names are never taken away from the index, so their ids mean the same throughout.
        visit_pairs(head, matchers, min_t, max_t, |index, pairs| {
            for name in pairs.iter().filter_map(|pair| index.name_of(*pair)) {
                if seen.insert(name) {
                    names.insert(index.name(name).to_owned());
                }
            }
            true
        });
    }
    names.into_iter().take(limit).collect()
}

/// See [`Head::label_values`].
pub(super) fn label_values(head: &Head, name: &str, matchers: &[Matcher], min_t: i64, max_t: i64, limit: usize) -> Vec<String> {
    if !overlaps(head, min_t, max_t) {
        return Vec::new();
    }
    let mut values: Vec<String> = if matchers.is_empty() {
        let mut values = Vec::new();
        visit_values(head, name, |value, _| values.push(value.to_owned()));
        values
    } else {
        let mut values = HashSet::new();
        let mut block = Vec::new();
        visit_pairs(head, matchers, min_t, max_t, |index, pairs| {
            // One pair at a time, until the one of this name: a block of one label.
            let of_name = pairs.iter().find(|pair| index.name_of(**pair).is_some_and(|n| index.name(n) == name));
            if let Some(pair) = of_name {
                let labels = index.labels(&[*pair], &mut block);
                if let Some(value) = labels.get(name)
                    && !values.contains(value)
                {
                    values.insert(value.to_owned());
                }
            }
            true
        });
        values.into_iter().collect()
    };
    values.sort_unstable();
    values.truncate(limit);
    values
}

/// Whether any sample of the head may be in the range.
fn overlaps(head: &Head, min_t: i64, max_t: i64) -> bool {
    head.totals.max_t() >= min_t && head.totals.min_t() <= max_t
}
