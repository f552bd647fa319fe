//! Blocks whose samples are nobody's any more. Pure.

use bucket::index::IndexedBlock;
use tsdb::block::{BlockMeta, Ulid};

/// The blocks all of whose samples are older than the retention. 0 is no retention: everything is kept.
#[must_use]
pub fn expired(blocks: &[IndexedBlock], retention_ms: i64, now_ms: i64) -> Vec<Ulid> {
    if retention_ms <= 0 {
        return Vec::new();
    }
    let oldest = now_ms.saturating_sub(retention_ms);
    blocks.iter().filter(|block| block.max_time <= oldest).map(|block| block.block_id).collect()
}

/// The blocks all of whose samples are in another block: it was made of them, directly or by way of others. Blocks that were made from the same
/// sources keep the one of the highest level, and of those the oldest name.
#[must_use]
pub fn superseded(metas: &[&BlockMeta]) -> Vec<Ulid> {
    let covers = |a: &BlockMeta, b: &BlockMeta| {
        let (ours, theirs) = (&a.compaction.sources, &b.compaction.sources);
        if theirs.is_empty() || a.ulid == b.ulid || !theirs.iter().all(|source| ours.contains(source)) {
            return false;
        }
        let rank = |m: &BlockMeta| (m.compaction.sources.len(), m.compaction.level, std::cmp::Reverse(m.ulid));
        rank(a) > rank(b)
    };
    // Only blocks that overlap in time can cover one another: with blocks by their first time, a short way to look back and forth.
    let mut by_time: Vec<&BlockMeta> = metas.to_vec();
    by_time.sort_by_key(|meta| (meta.min_time, meta.max_time));
    let widest = by_time.iter().map(|meta| meta.max_time.saturating_sub(meta.min_time)).max().unwrap_or_default();
    let covered = |b: &&&BlockMeta| {
        let from = by_time.partition_point(|a| a.min_time < b.min_time.saturating_sub(widest));
        let near = by_time.iter().skip(from).take_while(|a| a.min_time <= b.min_time);
        near.into_iter().any(|a| a.max_time >= b.max_time && covers(a, b))
    };
    by_time.iter().filter(covered).map(|meta| meta.ulid).collect()
}

#[cfg(test)]
mod tests {
    use bucket::index::IndexedBlock;
    use proptest::prelude::*;
    use tsdb::block::{BlockMeta, BlockStats, Compaction, Ulid};

    use super::*;

    fn name(n: u128) -> Ulid {
        Ulid::new(1_000, n)
    }

    fn meta(n: u128, range: (i64, i64), level: u32, sources: &[u128]) -> BlockMeta {
        BlockMeta {
            ulid: name(n),
            min_time: range.0,
            max_time: range.1,
            stats: BlockStats::default(),
            compaction: Compaction { level, sources: sources.iter().map(|n| name(*n)).collect(), ..Compaction::default() },
            version: 1,
            thanos: None,
            other: serde_json::Map::new(),
        }
    }

    #[test]
    fn blocks_go_when_all_of_them_is_too_old() {
        let blocks: Vec<_> =
            [(1, 0, 10), (2, 10, 20), (3, 5, 21)].map(|(n, a, b)| IndexedBlock::new(&meta(n, (a, b), 1, &[n]), 0)).to_vec();
        assert_eq!(expired(&blocks, 80, 100), [name(1), name(2)]);
        assert_eq!(expired(&blocks, 0, i64::MAX), []);
    }

    #[test]
    fn what_is_in_another_block_is_superseded() {
        let (a, b, c) = (meta(1, (0, 10), 1, &[1]), meta(2, (0, 10), 1, &[2]), meta(3, (10, 20), 1, &[3]));
        let (ab, abc) = (meta(4, (0, 10), 2, &[1, 2]), meta(5, (0, 20), 3, &[1, 2, 3]));
        let names = |metas: &[&BlockMeta]| {
            let mut names = superseded(metas);
            names.sort();
            names
        };
        assert_eq!(names(&[&a, &b, &c]), []);
        assert_eq!(names(&[&a, &b, &ab, &c]), [name(1), name(2)]);
        assert_eq!(names(&[&a, &b, &ab, &c, &abc]), [name(1), name(2), name(3), name(4)]);
        let again = meta(6, (0, 20), 3, &[1, 2, 3]);
        assert_eq!(names(&[&abc, &again]), [name(6)], "of two equal ones the older name stays");
    }

    proptest! {
        #[test]
        fn nothing_is_lost(blocks in proptest::collection::vec((0_i64..5, proptest::collection::btree_set(0_u128..8, 1..5), 1_u32..4), 1..12)) {
            let metas: Vec<_> = blocks.iter().enumerate().map(|(i, (start, sources, level))| {
                let sources: Vec<_> = sources.iter().copied().collect();
                meta(100 + i as u128, (*start, start + sources.len() as i64), *level, &sources)
            }).collect();
            let refs: Vec<_> = metas.iter().collect();
            let gone = superseded(&refs);
            for meta in &metas {
                let kept = metas.iter().any(|other| {
                    !gone.contains(&other.ulid) && meta.compaction.sources.iter().all(|s| other.compaction.sources.contains(s))
                });
                prop_assert!(kept, "the samples of {} are nowhere", meta.ulid);
            }
        }
    }
}
