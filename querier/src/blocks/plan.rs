//! Which blocks of an index a query reads. Pure.

use std::collections::{HashMap, HashSet};

use bucket::BucketIndex;
use bucket::index::IndexedBlock;
use tsdb::block::Ulid;

/// The blocks that may have samples in `[min_t, max_t]` (both inclusive) and whose samples are in no other block: those that are marked for deletion are left out, and those
/// that were merged into another one which is shown. Ascending by name.
#[must_use]
pub fn candidates(index: &BucketIndex, min_t: i64, max_t: i64) -> Vec<&IndexedBlock> {
    let marked: HashSet<Ulid> = index.block_deletion_marks.iter().map(|mark| mark.block_id).collect();
    let live = || index.blocks.iter().filter(|block| !marked.contains(&block.block_id));
    // A compactor's shard has only some of the series of its sources.
    let whole = live().filter(|block| block.compactor_shard_id.is_empty());
    let mut largest: HashMap<Ulid, &IndexedBlock> = HashMap::new();
    for block in whole {
        for source in &block.sources {
            let known = largest.entry(*source).or_insert(block);
            if size(block) > size(known) {
                *known = block;
            }
        }
    }
    let merged = |block: &IndexedBlock| {
        let into = block.sources.first().and_then(|source| largest.get(source));
        into.is_some_and(|into| size(into) > size(block) && block.sources.iter().all(|source| into.sources.contains(source)))
    };
    let mut found: Vec<&IndexedBlock> = live().filter(|block| block.overlaps(min_t, max_t) && !merged(block)).collect();
    found.sort_unstable_by_key(|block| block.block_id);
    found
}

/// Of two blocks with the same sources the one that was compacted more often replaces the other.
fn size(block: &IndexedBlock) -> (usize, u32) {
    (block.sources.len(), block.compaction_level)
}

/// Those of the candidates that must be read, if the ingesters that answer hold these blocks of level 1.
#[must_use]
pub fn unheld(candidates: &[&IndexedBlock], held: &HashSet<u128>) -> Vec<Ulid> {
    let is_held = |block: &IndexedBlock| match block.sources.as_slice() {
        // An index of others does not tell what a block was made of; a block of level 1 is made of itself.
        [] => held.contains(&block.block_id.to_bits()),
        sources => sources.iter().all(|source| held.contains(&source.to_bits())),
    };
    candidates.iter().filter(|block| !is_held(block)).map(|block| block.block_id).collect()
}

#[cfg(test)]
mod tests {
    use bucket::index::IndexedMark;
    use proptest::prelude::*;

    use super::*;

    fn ulid(n: u128) -> Ulid {
        Ulid::new(0, n)
    }

    fn block(name: u128, range: (i64, i64), level: u32, sources: &[u128]) -> IndexedBlock {
        IndexedBlock {
            block_id: ulid(name),
            min_time: range.0,
            max_time: range.1,
            segments_format: String::new(),
            segments_num: 0,
            uploaded_at: 0,
            compaction_level: level,
            sources: sources.iter().copied().map(ulid).collect(),
            compactor_shard_id: String::new(),
        }
    }

    fn index(blocks: Vec<IndexedBlock>, marked: &[u128]) -> BucketIndex {
        let marks = marked.iter().map(|name| IndexedMark { block_id: ulid(*name), deletion_time: 0 }).collect();
        BucketIndex { version: 1, blocks, block_deletion_marks: marks, updated_at: 0 }
    }

    fn names(blocks: &[&IndexedBlock]) -> Vec<u128> {
        blocks.iter().map(|block| block.block_id.to_bits()).collect()
    }

    #[test]
    fn a_merged_block_replaces_its_sources() {
        let replicas = || vec![block(1, (0, 10), 1, &[1]), block(2, (0, 10), 1, &[2]), block(3, (0, 10), 2, &[1, 2])];
        assert_eq!(names(&candidates(&index(replicas(), &[]), 0, 9)), [3], "sources that are not marked yet");
        assert_eq!(names(&candidates(&index(replicas(), &[1, 2]), 0, 9)), [3]);
        assert_eq!(names(&candidates(&index(replicas(), &[3]), 0, 9)), [1, 2], "somebody marked the merged one");
        assert!(candidates(&index(replicas(), &[]), 10, 20).is_empty(), "the end is exclusive");
    }

    #[test]
    fn a_shard_of_the_compactor_replaces_nothing() {
        let mut shard = block(3, (0, 10), 2, &[1]);
        shard.compactor_shard_id = "1_of_2".to_owned();
        assert_eq!(names(&candidates(&index(vec![block(1, (0, 10), 1, &[1]), shard], &[]), 0, 9)), [1, 3]);
    }

    #[test]
    fn blocks_without_sources_stay() {
        let foreign = || index(vec![block(1, (0, 10), 0, &[]), block(2, (0, 10), 0, &[])], &[]);
        let index = foreign();
        let found = candidates(&index, 0, 9);
        assert_eq!(names(&found), [1, 2]);
        assert_eq!(unheld(&found, &HashSet::from([2])), [ulid(1)]);
    }

    #[test]
    fn a_block_is_left_out_only_if_all_its_sources_are_held() {
        let index = index(vec![block(9, (0, 10), 2, &[1, 2, 3])], &[]);
        let found = candidates(&index, 0, 9);
        assert_eq!(unheld(&found, &HashSet::from([1, 2])), [ulid(9)]);
        assert!(unheld(&found, &HashSet::from([1, 2, 3])).is_empty());
    }

    proptest! {
        /// Whatever was merged into what: every source of the index is in a block that is read.
        #[test]
        fn no_source_is_lost(blocks in proptest::collection::vec((proptest::collection::btree_set(0_u128..8, 1..5), 1_u32..4), 1..12)) {
            let blocks: Vec<_> = blocks.iter().enumerate().map(|(i, (sources, level))| {
                block(100 + i as u128, (0, 10), *level, &sources.iter().copied().collect::<Vec<_>>())
            }).collect();
            let index = index(blocks, &[]);
            let read: HashSet<Ulid> = candidates(&index, 0, 9).iter().flat_map(|b| b.sources.clone()).collect();
            for block in &index.blocks {
                prop_assert!(block.sources.iter().all(|source| read.contains(source)));
            }
        }
    }
}
