//! Deleting what is not needed any more.

use super::*;

const HOUR: i64 = 3_600_000;

fn config() -> WalConfig {
    WalConfig { generation_ms: 2 * HOUR, ..always() }
}

#[test]
fn old_generations_go_and_living_series_stay() {
    let fs = FaultyFs::new();
    let (node, _) = Node::start(&fs, config());
    let mut deleted = 0;
    for hour in 0..12 {
        let now = T0 + hour * HOUR;
        let push = |name: &str| {
            let samples = [(now, hour as f64)];
            let series = (labels(&[("__name__", name)]), samples.as_slice());
            let mut out = AppendOutcome::new();
            node.head.append(&batch(&[series]), Selection::All, node.wal.generation(), now, &mut out);
            let record = out.take_record();
            node.wal.append(&tenant(), record).unwrap();
            node.head.confirm(&out);
        };
        push("always");
        if hour < 2 {
            push("early");
        }
        node.head.truncate(now - 3 * HOUR);
        deleted += node.wal.truncate(now, now - 3 * HOUR).unwrap().segments;
    }
    let stats = node.wal.stats();
    assert!(deleted >= 3 && stats.segments <= 4, "{deleted} {stats:?}");
    assert_eq!(stats.disk_bytes, fs.paths().iter().map(|p| fs.edit(p, |b| b.len() as u64)).sum::<u64>());
    let (wal, replay) = open(&fs.after_power_cut(), config());
    let head = Arc::new(Head::new(HeadConfig::default()));
    head.set_oldest_accepted(T0 + 8 * HOUR);
    let report = replay_into(replay, &head);
    assert_eq!((floats(&head), report.heads.orphans), (node.floats(), 0));
    drop(wal);
}

#[test]
fn segments_before_the_replay_are_kept_until_it_has_run() {
    let fs = FaultyFs::new();
    let (node, _) = Node::start(&fs, config());
    node.push(&["a"], T0).unwrap();
    let fs = fs.after_kill();
    let (wal, replay) = open(&fs, config());
    assert_eq!(replay.bytes(), fs.edit(&segment(1), |b| b.len() as u64));
    assert_eq!(wal.truncate(T0, i64::MAX).unwrap().segments, 0);
    let head = Arc::new(Head::new(HeadConfig::default()));
    replay_into(replay, &head);
    assert_eq!(wal.truncate(T0, T0).unwrap().segments, 0);
    assert_eq!(wal.truncate(T0, T0 + 1).unwrap().segments, 1);
    assert!(fs.paths().is_empty());
}

/// A record that was encoded for the last generation may come after the next has begun.
#[test]
fn late_records_find_their_definitions() {
    let fs = FaultyFs::new();
    let (node, _) = Node::start(&fs, config());
    node.push(&["a"], T0).unwrap();
    let a = labels(&[("__name__", "a"), ("job", "test")]);
    let mut out = AppendOutcome::new();
    let samples = [(T0 + 1, 1.0)];
    node.head.append(&batch(&[(a, &samples)]), Selection::All, node.wal.generation(), T0, &mut out);
    assert_eq!(out.defined, 0);
    assert!(!node.wal.truncate(T0, i64::MIN).unwrap().new_generation);
    assert!(node.wal.truncate(T0 + 2 * HOUR, i64::MIN).unwrap().new_generation);
    node.push(&["b"], T0 + 2).unwrap();
    let record = out.take_record();
    node.wal.append(&tenant(), record).unwrap();
    // The second segment holds a record of the first generation: it goes no sooner than that.
    assert_eq!(node.wal.truncate(T0 + 2 * HOUR, T0 + 1).unwrap().segments, 0);
    let (next, report) = Node::start(&node.fs.after_kill(), config());
    assert_eq!((next.floats(), report.heads.orphans), (node.floats(), 0));
}

#[test]
fn a_generation_without_records_does_not_end() {
    let fs = FaultyFs::new();
    let (node, _) = Node::start(&fs, config());
    for hour in 0..10 {
        assert!(!node.wal.truncate(T0 + hour * HOUR, i64::MIN).unwrap().new_generation);
    }
    assert!(fs.paths().is_empty());
}
