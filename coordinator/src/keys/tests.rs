use rpc::keys::MAX_VALUE_BYTES;
use rpc::{KeyEntry, Swap, Swapped};

use super::{Counters, Keys, MAX_KEYS, MAX_REMOVED, MAX_TOTAL_BYTES};

#[derive(Default)]
struct Rig {
    keys: Keys,
    counters: Counters,
}

impl Rig {
    fn swap(&mut self, key: &str, expected: u64, value: Option<&str>) -> Swapped {
        let swap = Swap { key: key.to_owned(), expected, value: value.map(str::to_owned) };
        self.keys.swap(swap, &mut self.counters, &mut Vec::new())
    }

    fn known(&self, follower: u64, prefix: &str) -> Vec<(String, Option<String>)> {
        self.keys.since(follower, prefix, self.counters).entries.into_iter().map(|(key, entry)| (key, entry.value)).collect()
    }
}

#[test]
fn only_who_knows_the_last_version_changes_a_value() {
    let mut rig = Rig::default();
    assert_eq!(rig.swap("a", 0, Some("1")), Swapped::Done { version: 1 });
    let there = KeyEntry { version: 1, value: Some("1".to_owned()) };
    assert_eq!(rig.swap("a", 0, Some("2")), Swapped::Conflict { current: there });
    assert_eq!(rig.swap("a", 1, Some("2")), Swapped::Done { version: 2 });
    assert_eq!(rig.swap("a", 2, None), Swapped::Done { version: 3 });
    assert_eq!(rig.swap("a", 2, Some("x")), Swapped::Conflict { current: KeyEntry::default() });
    assert_eq!(rig.swap("a", 0, None), Swapped::Done { version: 0 }, "what is not there can be removed, and nothing happens");
    assert_eq!(rig.swap("a", 0, Some("4")), Swapped::Done { version: 4 }, "a version is given once");
}

#[test]
fn a_follower_hears_of_every_change_once() {
    let mut rig = Rig::default();
    rig.swap("ha/a", 0, Some("1"));
    rig.swap("other", 0, Some("1"));
    rig.swap("ha/b", 0, Some("1"));
    let all = rig.keys.since(0, "ha/", rig.counters);
    assert_eq!((all.reset, all.version, all.entries.len()), (true, 3, 2));
    rig.swap("ha/a", 1, None);
    let next = rig.keys.since(3, "ha/", rig.counters);
    assert_eq!((next.reset, next.version), (false, 4));
    assert_eq!(rig.known(3, "ha/"), [("ha/a".to_owned(), None)]);
    assert!(rig.known(4, "ha/").is_empty());
    // From another group's counter, or of a member that was ahead of this one.
    assert!(rig.keys.since(99, "", rig.counters).reset);
}

#[test]
fn removals_are_forgotten_and_who_missed_them_begins_anew() {
    let mut rig = Rig::default();
    for i in 0..=MAX_REMOVED as u64 {
        let key = format!("k{i}");
        let Swapped::Done { version } = rig.swap(&key, 0, Some("v")) else { panic!() };
        rig.swap(&key, version, None);
    }
    assert_eq!(rig.keys.rows().count(), MAX_REMOVED);
    assert!(rig.keys.since(1, "", rig.counters).reset);
    assert!(!rig.keys.since(rig.counters.last - 1, "", rig.counters).reset);
    assert!(rig.known(1, "").is_empty(), "nothing is there");
}

#[test]
fn there_are_bounds() {
    let mut rig = Rig::default();
    let value = "x".repeat(MAX_VALUE_BYTES);
    assert_eq!(rig.swap("big", 0, Some(&format!("{value}x"))), Swapped::Full);
    assert_eq!(rig.swap(&"k".repeat(600), 0, Some("v")), Swapped::Full);
    let mut n = 0;
    while rig.swap(&format!("v{n}"), 0, Some(&value)) != Swapped::Full {
        n += 1;
    }
    assert_eq!(n, MAX_TOTAL_BYTES / (MAX_VALUE_BYTES + 3));
    let mut rig = Rig::default();
    for i in 0..MAX_KEYS {
        assert_eq!(rig.swap(&i.to_string(), 0, Some("")), Swapped::Done { version: i as u64 + 1 });
    }
    assert_eq!(rig.swap("one more", 0, Some("")), Swapped::Full);
    assert!(matches!(rig.swap("7", 8, Some("changed")), Swapped::Done { .. }), "those that are there can be changed");
}

#[test]
fn what_is_written_row_by_row_is_the_same_again() {
    let mut rig = Rig::default();
    rig.swap("a", 0, Some("1"));
    rig.swap("b", 0, Some("2"));
    rig.swap("a", 1, None);
    let rows = rig.keys.rows().map(|(key, entry)| (key.clone(), entry.clone()));
    assert_eq!(Keys::of(rows), rig.keys);
}
