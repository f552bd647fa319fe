//! Reading series that were selected.

use std::collections::BTreeSet;

use hashbrown::HashSet;
use model::{Labels, Matcher, SeriesChunks};

use super::select::ids;
use super::series::{Cold, Hot};
use super::{Head, SeriesRef};

/// Series that are looked at under one hold of the index lock.
const READ_BATCH: usize = 256;

/// See [`Head::read_series`].
pub(super) fn read_series(head: &Head, refs: &[SeriesRef], min_t: i64, max_t: i64, out: &mut Vec<SeriesChunks>) {
    let mut block = Vec::new();
    for batch in refs.chunks(READ_BATCH) {
        let index = head.index.read();
        for series in batch {
            let (stripe, slot) = head.locate(series.id);
            let stripe = head.stripes[stripe].read();
            let (Some(hot), Some(cold)) = (stripe.hot.get(slot), stripe.cold.get(slot)) else { continue };
            if !hot.is(series.hash) {
                continue;
            }
            let mut chunks: Vec<_> = cold.chunks.iter().filter(|c| c.overlaps(min_t, max_t)).map(|c| c.to_chunk()).collect();
            chunks.extend(hot.open_chunk(min_t, max_t));
            if !chunks.is_empty() {
                let labels = index.labels(stripe.pairs_of(cold), &mut block);
                out.push(SeriesChunks { labels, hash: series.hash, chunks });
            }
        }
    }
}

/// Calls `visit` with the pair ids of every series that matches and has chunks in the range, until it says no. The index is held
/// meanwhile for [`READ_BATCH`] series at a time; ids of pairs are meaningful only within one call.
fn visit_pairs(head: &Head, matchers: &[Matcher], min_t: i64, max_t: i64, mut visit: impl FnMut(&super::index::Index, &[u32]) -> bool) {
    for batch in ids(head, matchers).chunks(READ_BATCH) {
        let index = head.index.read();
        for id in batch {
            let (stripe, slot) = head.locate(*id);
            let stripe = head.stripes[stripe].read();
            if let (Some(hot), Some(cold)) = (stripe.hot.get(slot), stripe.cold.get(slot))
                && in_range(hot, cold, min_t, max_t)
                && !visit(&index, stripe.pairs_of(cold))
            {
                return;
            }
        }
    }
}

fn in_range(hot: &Hot, cold: &Cold, min_t: i64, max_t: i64) -> bool {
    hot.open_overlaps(min_t, max_t) || cold.chunks.iter().any(|c| c.overlaps(min_t, max_t))
}

/// Whether a slot that was freed and given to another series since the ids were found still answers the matchers.
fn still_matches(labels: &Labels, matchers: &[Matcher]) -> bool {
    matchers.iter().all(|m| m.matches(labels.get(&m.name).unwrap_or_default()))
}

/// See [`Head::series`].
pub(super) fn series(head: &Head, matchers: &[Matcher], min_t: i64, max_t: i64, limit: usize) -> Vec<Labels> {
    let mut out = Vec::new();
    let mut block = Vec::new();
    if limit == 0 {
        return out;
    }
    visit_pairs(head, matchers, min_t, max_t, |index, pairs| {
        let labels = index.labels(pairs, &mut block);
        if still_matches(&labels, matchers) {
            out.push(labels);
        }
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
        head.index.read().values(name).map(|(value, _)| value.to_owned()).collect()
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
