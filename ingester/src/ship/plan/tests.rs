use bucket::index::IndexedBlock;

use super::*;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const NOW: i64 = 1_700_000_000_000;

const WAITING: Stage = Stage::Waiting { tried: false };

fn stored(minutes_ago: i64) -> Stage {
    Stage::Stored { at_ms: NOW - minutes_ago * MINUTE }
}

fn ulid(n: u128) -> Ulid {
    Ulid::new(NOW, n)
}

fn indexed(n: u128, sources: &[u128]) -> IndexedBlock {
    IndexedBlock {
        block_id: ulid(n),
        min_time: 0,
        max_time: 1,
        segments_format: String::new(),
        segments_num: 0,
        uploaded_at: 0,
        compaction_level: 1,
        sources: sources.iter().map(|n| ulid(*n)).collect(),
        compactor_shard_id: String::new(),
    }
}

fn index(blocks: Vec<IndexedBlock>, minutes_ago: i64) -> BucketIndex {
    let updated_at = (NOW - minutes_ago * MINUTE) / 1_000;
    BucketIndex { version: BucketIndex::VERSION, blocks, block_deletion_marks: Vec::new(), updated_at }
}

fn planned(stages: &[Stage], looked_minutes_ago: Option<i64>) -> (Vec<usize>, bool) {
    let blocks: Vec<_> = stages.iter().map(|stage| OnItsWay { stage: *stage, backoff: Backoff::default() }).collect();
    let Plan { ship, look } = plan(&blocks, looked_minutes_ago.map(|ago| NOW - ago * MINUTE), Effort::Due, NOW);
    (ship, look)
}

#[test]
fn what_waits_is_shipped_and_what_is_stored_is_looked_for() {
    let cases = [
        (vec![], None, vec![], false),
        (vec![WAITING, stored(1), Stage::Waiting { tried: true }], None, vec![0, 2], false),
        (vec![stored(1)], None, vec![], false),
        (vec![stored(2)], None, vec![], true),
        (vec![stored(1), stored(2)], Some(5), vec![], true),
        (vec![stored(60)], Some(4), vec![], false),
        (vec![Stage::Shown { at_ms: NOW - 60 * MINUTE }], None, vec![], false),
    ];
    for (stages, looked, ship, look) in cases {
        assert_eq!(planned(&stages, looked), (ship, look), "{stages:?}, looked {looked:?} minutes ago");
    }
}

#[test]
fn a_block_that_could_not_be_read_waits_and_others_do_not() {
    let mut backoff = Backoff::default();
    backoff.failed(NOW - 1);
    let blocks = [OnItsWay { stage: WAITING, backoff }, OnItsWay { stage: WAITING, backoff: Backoff::default() }];
    assert_eq!(plan(&blocks, None, Effort::Due, NOW).ship, [1]);
    assert_eq!(plan(&blocks, None, Effort::Now, NOW).ship, [0, 1]);
    assert_eq!(plan(&blocks, Some(NOW), Effort::Look, NOW), Plan { ship: vec![0, 1], look: true });
    assert_eq!(plan(&blocks, None, Effort::Due, NOW + 30_000).ship, [0, 1]);
}

#[test]
fn the_index_shows_a_block_by_its_name_or_as_a_source() {
    let blocks = [(ulid(1), stored(3)), (ulid(2), stored(3)), (ulid(3), stored(3)), (ulid(4), WAITING)];
    let shown = Stage::Shown { at_ms: NOW };
    let index = index(vec![indexed(1, &[1]), indexed(9, &[8, 2]), indexed(4, &[4])], 1);
    assert_eq!(after_look(&blocks, Some(&index), NOW), [shown, shown, stored(3), WAITING], "one that waits is asked for by its name");
    assert_eq!(after_look(&blocks, None, NOW), blocks.map(|(_, stage)| stage), "no index yet");
    let before = [(ulid(1), Stage::Shown { at_ms: 7 })];
    assert_eq!(after_look(&before, Some(&index), NOW), [Stage::Shown { at_ms: 7 }], "when it was first seen");
}

#[test]
fn what_a_later_index_lacks_is_shipped_again() {
    let lost = Stage::Waiting { tried: true };
    for (stored_ago, written_ago, expected) in [(70, 11, stored(70)), (70, 10, lost), (300, 0, lost), (59, 0, stored(59))] {
        let index = index(vec![indexed(5, &[5])], written_ago);
        assert_eq!(after_look(&[(ulid(1), stored(stored_ago))], Some(&index), NOW), [expected], "{stored_ago} {written_ago}");
    }
}

#[test]
fn a_block_goes_when_it_is_old_and_the_store_has_it_for_certain() {
    let (end, retention) = (NOW - 25 * HOUR, 24 * HOUR);
    assert_eq!(WAITING.goes_at(end, retention), i64::MAX);
    assert_eq!(stored(600).goes_at(end, retention), i64::MAX);
    let shown = |minutes_ago| Stage::Shown { at_ms: NOW - minutes_ago * MINUTE };
    assert_eq!(shown(600).goes_at(end, retention), NOW - HOUR, "it has been long enough for both");
    assert_eq!(shown(0).goes_at(end, retention), NOW + 15 * MINUTE, "queriers must see the index too");
    assert_eq!(shown(600).goes_at(NOW, retention), NOW + retention, "the retention");
}

#[test]
fn overdue_is_what_is_old_and_not_in_the_index() {
    let cut = |minutes_ago: i64| Ulid::new(NOW - minutes_ago * MINUTE, 1);
    let (old, young) = (NOW - 25 * HOUR, NOW - 23 * HOUR);
    let overdue = |stage: Stage, block, end| stage.is_overdue(block, end, 24 * HOUR, NOW);
    assert!(overdue(WAITING, cut(30), old) && overdue(stored(600), cut(600), old));
    assert!(!overdue(WAITING, cut(600), young), "its time has not come");
    assert!(!overdue(WAITING, cut(29), old), "history that was written just now");
    assert!(!overdue(Stage::Shown { at_ms: NOW }, cut(600), old));
}
