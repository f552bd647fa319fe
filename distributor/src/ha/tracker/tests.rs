use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use model::TenantId;
use proptest::prelude::*;

use super::{Election, Group, Rules, Tracker, Verdict};

const RULES: Rules = Rules { failover: Duration::from_secs(30), max_groups: 3 };

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn group(cluster: &str) -> Group {
    Group { tenant: TenantId::new("t").unwrap(), cluster: cluster.into() }
}

fn election(cluster: &str, replica: &str) -> Election {
    Election { tenant: "t".to_owned(), cluster: cluster.to_owned(), replica: replica.to_owned(), elected_ms: 0, heard_ms: 0 }
}

impl Tracker {
    fn elect(&mut self, cluster: &str, replica: &str, version: u64, now: u64) {
        self.stored(&group(cluster), &election(cluster, replica), version, RULES.failover, 0, at(now));
    }
}

#[test]
fn the_elected_one_is_taken_until_it_is_silent_for_the_timeout() {
    let mut tracker = Tracker::default();
    let g = group("c");
    assert_eq!(tracker.check(&g, "a", RULES, at(0)), Verdict::Propose { expected: 0 });
    tracker.elect("c", "a", 1, 0);
    for now in (0..60).step_by(15) {
        assert_eq!(tracker.check(&g, "a", RULES, at(now)), Verdict::Take);
        assert_eq!(tracker.check(&g, "b", RULES, at(now)), Verdict::Drop);
    }
    assert_eq!(tracker.check(&g, "b", RULES, at(74)), Verdict::Drop);
    assert_eq!(tracker.check(&g, "b", RULES, at(75)), Verdict::Propose { expected: 1 });
    tracker.elect("c", "b", 2, 75);
    assert_eq!(tracker.check(&g, "b", RULES, at(75)), Verdict::Take);
    assert_eq!(tracker.check(&g, "a", RULES, at(76)), Verdict::Drop, "back, and now the other one");
    // An older value comes late.
    tracker.elect("c", "a", 1, 77);
    assert_eq!(tracker.check(&g, "a", RULES, at(77)), Verdict::Drop);
}

#[test]
fn who_hears_of_it_only_through_the_store_does_not_lose_patience() {
    let (mut here, mut there) = (Tracker::default(), Tracker::default());
    here.elect("c", "a", 1, 0);
    there.elect("c", "a", 1, 0);
    let mut version = 1;
    for now in 0..300 {
        // A scrape interval of 15 seconds, all of it at one distributor.
        if now % 15 == 0 {
            assert_eq!(here.check(&group("c"), "a", RULES, at(now)), Verdict::Take);
        }
        for renewal in here.renewals(10, at(now), 0) {
            assert_eq!(renewal.expected, version);
            version += 1;
            here.elect("c", "a", version, now);
            there.elect("c", "a", version, now);
        }
        assert_eq!(there.check(&group("c"), "b", RULES, at(now)), Verdict::Drop, "at {now}");
    }
    assert!((19..=22).contains(&version), "about every 15 seconds, not with every sample: {version}");
}

#[test]
fn without_the_store_the_last_election_holds() {
    let mut tracker = Tracker::default();
    tracker.elect("c", "a", 1, 0);
    let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
    assert!(!tracker.unreachable(&group("c"), &b, RULES, at(100), 0), "also when it is silent");
    assert!(tracker.unreachable(&group("c"), &a, RULES, at(100), 0));
    assert!(tracker.unreachable(&group("d"), &b, RULES, at(100), 5), "where there is none, the first one is taken");
    assert!(!tracker.unreachable(&group("d"), &a, RULES, at(101), 5));
    let wish = tracker.renewals(10, at(102), 0);
    assert_eq!(wish.len(), 1);
    assert_eq!((wish[0].expected, wish[0].election.as_ref().unwrap().replica.as_str()), (0, "b"), "and proposed as soon as it can be");
    // Another distributor was faster.
    tracker.elect("d", "a", 7, 103);
    assert_eq!(tracker.check(&group("d"), "b", RULES, at(103)), Verdict::Drop);
}

#[test]
fn a_tenant_has_so_many_groups_and_old_ones_are_forgotten() {
    let mut tracker = Tracker::default();
    for (version, name) in (1..).zip(["c", "d", "e"]) {
        tracker.elect(name, "a", version, 0);
    }
    assert_eq!(tracker.check(&group("f"), "a", RULES, at(1)), Verdict::TooMany);
    assert_eq!(tracker.check(&group("f"), "a", Rules { max_groups: 0, ..RULES }, at(1)), Verdict::Propose { expected: 0 });
    tracker.check(&group("e"), "a", RULES, at(1_000));
    let wishes: Vec<_> = tracker.renewals(10, at(1_900), 0).into_iter().filter(|r| r.election.is_none()).collect();
    assert_eq!(wishes.len(), 2, "{wishes:?}");
    for wish in wishes {
        tracker.removed(&wish.group, 9);
    }
    assert_eq!(tracker.check(&group("f"), "a", RULES, at(1_900)), Verdict::Propose { expected: 0 });
    tracker.only(&HashSet::from([group("x")]));
    assert!(tracker.elections(at(1_900)).is_empty());
}

proptest! {
    /// Distributors, replicas and a store that may be out of reach, in any order: at any version of the store at most one replica is taken by all who know it, and
    /// who knows the newest version takes only the elected one.
    #[test]
    fn nobody_takes_two(steps in prop::collection::vec((0usize..3, 0usize..2, 0u64..40, any::<bool>(), any::<bool>()), 1..200)) {
        let names: [Arc<str>; 2] = ["a".into(), "b".into()];
        let mut trackers: Vec<Tracker> = (0..3).map(|_| Tracker::default()).collect();
        let (mut version, mut elected, mut now) = (0u64, None::<Arc<str>>, 0u64);
        let mut known = [0u64; 3];
        let mut by_version: BTreeMap<u64, Arc<str>> = BTreeMap::new();
        for (who, replica, pause, reachable, told) in steps {
            now += pause;
            let replica = Arc::clone(&names[replica]);
            if told && reachable && let Some(elected) = &elected {
                trackers[who].elect("c", elected, version, now);
                known[who] = version;
            }
            let tracker = &mut trackers[who];
            let taken = match tracker.check(&group("c"), &replica, RULES, at(now)) {
                Verdict::Take => true,
                Verdict::Drop | Verdict::TooMany => false,
                Verdict::Propose { .. } if !reachable => tracker.unreachable(&group("c"), &replica, RULES, at(now), 0),
                Verdict::Propose { expected } => {
                    if expected == version {
                        version += 1;
                        elected = Some(Arc::clone(&replica));
                        by_version.insert(version, Arc::clone(&replica));
                    }
                    tracker.elect("c", elected.as_ref().unwrap(), version, now);
                    known[who] = version;
                    tracker.check(&group("c"), &replica, RULES, at(now)) == Verdict::Take
                }
            };
            if let Some(by) = by_version.get(&known[who]) {
                prop_assert_eq!(taken, *by == replica);
            }
        }
    }
}
