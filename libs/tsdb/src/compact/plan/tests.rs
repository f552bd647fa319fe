#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const H: i64 = HOUR_MS;
const DAY: i64 = 24 * H;

fn block(n: i64, from: i64, to: i64) -> BlockRange {
    BlockRange { ulid: Ulid::new(n, 0), min_time: from, max_time: to }
}

fn names(ns: &[i64]) -> Vec<Ulid> {
    ns.iter().map(|n| Ulid::new(*n, 0)).collect()
}

/// What the blocks are after the jobs are done: each result spans its sources and is the newest.
fn carry_out(blocks: &[BlockRange], jobs: &[MergeJob], next: &mut i64) -> Vec<BlockRange> {
    let mut left = blocks.to_vec();
    for job in jobs {
        let sources: Vec<_> = left.iter().filter(|b| job.blocks.contains(&b.ulid)).copied().collect();
        left.retain(|b| !job.blocks.contains(&b.ulid));
        let (from, to) = (sources.iter().map(|b| b.min_time).min().unwrap(), sources.iter().map(|b| b.max_time).max().unwrap());
        left.push(block(*next, from, to));
        *next += 1;
    }
    left
}

#[test]
fn a_day_of_blocks_becomes_one() {
    let blocks: Vec<_> = (0..12).map(|n| block(n, n * 2 * H, (n + 1) * 2 * H)).collect();
    let levels = Levels::default();
    assert_eq!(plan(&blocks, &levels, 11 * H), [], "twelve hours are not over");
    let halves = plan(&blocks, &levels, DAY);
    assert_eq!(halves.len(), 2);
    assert_eq!(halves[0], MergeJob { kind: JobKind::Horizontal, range: (0, 12 * H), blocks: names(&[0, 1, 2, 3, 4, 5]) });
    let mut next = 100;
    let two = carry_out(&blocks, &halves, &mut next);
    let day = plan(&two, &levels, DAY);
    assert_eq!(day, [MergeJob { kind: JobKind::Horizontal, range: (0, DAY), blocks: names(&[100, 101]) }]);
    assert_eq!(plan(&carry_out(&two, &day, &mut next), &levels, i64::MAX), []);
}

#[test]
fn overlaps_go_first_and_their_ranges_wait() {
    let levels = Levels::default();
    let blocks = [block(9, 0, 2 * H), block(3, 0, 2 * H), block(4, 2 * H, 4 * H), block(5, 12 * H, 14 * H), block(6, 14 * H, 16 * H)];
    let jobs = plan(&blocks, &levels, DAY);
    assert_eq!(
        jobs,
        [
            MergeJob { kind: JobKind::Vertical, range: (0, 2 * H), blocks: names(&[3, 9]) },
            MergeJob { kind: JobKind::Horizontal, range: (12 * H, DAY), blocks: names(&[5, 6]) },
        ]
    );
    let mut next = 10;
    let after = carry_out(&blocks, &jobs, &mut next);
    assert_eq!(plan(&after, &levels, DAY), [MergeJob { kind: JobKind::Horizontal, range: (0, 12 * H), blocks: names(&[4, 10]) }]);
}

#[test]
fn a_late_block_joins_the_day_that_was_merged_before() {
    let blocks = [block(1, 0, DAY), block(2, 4 * H, 6 * H), block(3, DAY, DAY + 2 * H)];
    let jobs = plan(&blocks, &Levels::default(), DAY);
    assert_eq!(jobs, [MergeJob { kind: JobKind::Vertical, range: (0, DAY), blocks: names(&[1, 2]) }]);
}

#[test]
fn blocks_over_a_border_of_the_widest_level_are_left_alone() {
    let blocks = [block(1, DAY - H, DAY + H), block(2, DAY - H, DAY + H), block(3, -H, 0), block(4, 0, H), block(5, 0, 3 * DAY)];
    assert_eq!(plan(&blocks, &Levels::default(), i64::MAX), []);
}

#[test]
fn levels_are_checked() {
    assert!(Levels::new(vec![1, 2, 6]).is_ok());
    for bad in [vec![], vec![0, 1], vec![-2, 4], vec![2, 3], vec![4, 2], vec![2, 2]] {
        assert_eq!(Levels::new(bad), Err(LevelsError));
    }
}

/// Blocks as ingesters, other systems and interrupted compactions leave them: aligned ones of all widths, and odd ones.
fn any_blocks() -> impl Strategy<Value = Vec<BlockRange>> {
    let aligned = (-30..60_i64, prop::sample::select(vec![2, 2, 2, 12, 24])).prop_map(|(n, w)| (n * w, (n + 1) * w));
    let odd = (-100..200_i64, 1..40_i64).prop_map(|(from, len)| (from, from + len));
    let range = prop_oneof![6 => aligned, 1 => odd];
    proptest::collection::vec(range, 0..80)
        .prop_map(|ranges| ranges.into_iter().zip(1..).map(|((from, to), n)| block(n, from * H, to * H)).collect())
}

fn any_levels() -> impl Strategy<Value = Levels> {
    prop::sample::select(vec![vec![2 * H, 12 * H, DAY], vec![2 * H], vec![H, 3 * H, 6 * H, 48 * H], vec![DAY]])
        .prop_map(|widths| Levels::new(widths).unwrap())
}

proptest! {
    #[test]
    fn jobs_are_disjoint_and_stay_within_one_aligned_range(blocks in any_blocks(), levels in any_levels(), closed in -100..400_i64) {
        let closed = closed * H;
        let jobs = plan(&blocks, &levels, closed);
        let mut seen = BTreeSet::new();
        for job in &jobs {
            prop_assert!(job.blocks.len() > 1);
            prop_assert!(job.blocks.is_sorted());
            let width = job.range.1 - job.range.0;
            prop_assert!(levels.0.contains(&width) && job.range.0.rem_euclid(width) == 0, "{job:?}");
            prop_assert!(job.kind == JobKind::Vertical || job.range.1 <= closed);
            for name in &job.blocks {
                prop_assert!(seen.insert(*name), "{name} is in two jobs");
                let source = blocks.iter().find(|b| b.ulid == *name).unwrap();
                prop_assert!(source.min_time >= job.range.0 && source.max_time <= job.range.1, "{source:?} in {job:?}");
            }
        }
        // The answer does not depend on the order of the question, and is the same when asked again.
        let mut turned = blocks.clone();
        turned.reverse();
        prop_assert_eq!(plan(&turned, &levels, closed), jobs);
    }

    #[test]
    fn it_always_ends_and_then_nothing_mergeable_overlaps(blocks in any_blocks(), levels in any_levels()) {
        let (mut left, mut next, mut rounds) = (blocks.clone(), 1_000, 0);
        loop {
            let jobs = plan(&left, &levels, i64::MAX);
            if jobs.is_empty() {
                break;
            }
            let after = carry_out(&left, &jobs, &mut next);
            prop_assert!(after.len() < left.len(), "every job makes fewer blocks");
            left = after;
            rounds += 1;
            prop_assert!(rounds <= blocks.len());
        }
        for (a, b) in left.iter().flat_map(|a| left.iter().map(move |b| (a, b))).filter(|(a, b)| a.ulid < b.ulid) {
            let overlap = a.min_time < b.max_time && b.min_time < a.max_time;
            prop_assert!(!overlap || levels.home(a).is_none() || levels.home(b).is_none(), "{a:?} {b:?}");
        }
    }
}
