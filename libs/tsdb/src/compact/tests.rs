#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use model::Labels;
use proptest::prelude::*;

use super::*;
use crate::block::recode::Point;
use crate::block::tests::{Series, any_points, any_series, float, int, open, parent, read, write_at};
use crate::block::{SEGMENT_BYTES, Ulid, verify};
use crate::fs::FaultyFs;

fn merge(sources: &[Series]) -> (Series, MergeOutcome) {
    let fs = FaultyFs::new();
    let dirs: Vec<_> = sources.iter().zip(1..).map(|(s, n)| write_at(&fs, Ulid::new(n, 0), (0, i64::MAX), s, SEGMENT_BYTES)).collect();
    let blocks: Vec<_> = dirs.iter().map(|dir| open(&fs, dir)).collect();
    let spec = MergeSpec { ulid: Ulid::new(100, 0), thanos: None };
    let outcome = merge_blocks(Arc::new(fs.clone()), &parent(), &blocks.iter().collect::<Vec<_>>(), spec).unwrap();
    let meta = outcome.meta.clone().unwrap();
    assert_eq!(meta.compaction.level, 2);
    assert_eq!(meta.compaction.sources.len(), sources.len());
    assert_eq!(meta.compaction.parents.len(), sources.len());
    let block = open(&fs, &parent().join(meta.ulid.to_string()));
    let found = verify(&block);
    assert!(found.is_sound(), "{:?}", found.problems);
    assert_eq!(found.stats, meta.stats);
    (read(&block), outcome)
}

/// Each time once, from the first source that has it.
fn naive(sources: &[Series]) -> (Series, u64) {
    let mut all: BTreeMap<Labels, BTreeMap<i64, Point>> = BTreeMap::new();
    let mut conflicts = 0;
    for (labels, points) in sources.iter().flatten() {
        let series = all.entry(labels.clone()).or_default();
        for point in points {
            let first = series.entry(point.t()).or_insert_with(|| point.clone());
            conflicts += u64::from(format!("{first:?}") != format!("{point:?}"));
        }
    }
    (all.into_iter().map(|(l, p)| (l, p.into_values().collect())).collect(), conflicts)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_blocks(sources in proptest::collection::vec(any_series(), 1..4)) {
        let (got, outcome) = merge(&sources);
        let (want, conflicts) = naive(&sources);
        prop_assert_eq!(format!("{got:?}"), format!("{want:?}"));
        prop_assert_eq!(outcome.overlaps.conflicts, conflicts);
    }

    #[test]
    fn replicas_that_each_missed_something(
        points in any_points(500),
        kept in proptest::collection::vec(proptest::collection::vec(prop::bool::weighted(0.9), 500), 2..4),
    ) {
        let labels = Labels::from_pairs([("__name__", "m")]);
        let replica = |kept: &Vec<bool>| points.iter().zip(kept).filter(|(_, kept)| **kept).map(|(p, _)| p.clone()).collect::<Vec<_>>();
        let sources: Vec<Series> = kept.iter().map(|k| vec![(labels.clone(), replica(k))]).filter(|s| !s[0].1.is_empty()).collect();
        prop_assume!(!sources.is_empty());
        let (got, outcome) = merge(&sources);
        prop_assert_eq!(format!("{got:?}"), format!("{:?}", naive(&sources).0));
        prop_assert_eq!(outcome.overlaps.conflicts, 0);
    }
}

#[test]
fn chunks_that_follow_each_other_are_copied_and_identical_ones_taken_once() {
    let labels = Labels::from_pairs([("__name__", "m")]);
    let run = |from: i64| (from..from + 240).map(|i| if from < 300 { float(i, i as f64) } else { int(i, i as u64) }).collect::<Vec<_>>();
    let (first, second) = (vec![(labels.clone(), run(0))], vec![(labels.clone(), run(300))]);
    let (got, outcome) = merge(&[second.clone(), first.clone(), first.clone(), second]);
    assert_eq!(got, [(labels, [run(0), run(300)].concat())]);
    assert_eq!((outcome.overlaps.identical_chunks, outcome.overlaps.recoded_chunks, outcome.overlaps.conflicts), (4, 0, 0));
}
