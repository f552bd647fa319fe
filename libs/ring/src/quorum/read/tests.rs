use proptest::prelude::*;

use super::{Reach, ReadQuorum};
use crate::domain::{Domain, UNZONED};
use crate::instance::{Instance, InstanceState};
use crate::quorum::Verdict;
use crate::ring::Ring;
use crate::ring::tests::{cluster, instance};

fn first_choice(instances: Vec<Instance>, replication_factor: usize) -> Vec<u32> {
    let ring = Ring::build(instances, replication_factor);
    ReadQuorum::new(&ring).first_choice(&ring, ring.members(), Reach::Everyone, |_| false)
}

#[test]
fn one_of_three_may_be_missing_two_may_not() {
    let mut read = ReadQuorum::new(&Ring::build(cluster("i", 3, 1), 3));
    assert_eq!(read.failed(1), Verdict::Pending);
    assert_eq!(read.succeeded(0), Verdict::Pending);
    assert_eq!(read.succeeded(2), Verdict::Reached);
    let mut read = ReadQuorum::new(&Ring::build(cluster("i", 3, 1), 3));
    read.failed(0);
    assert_eq!(read.failed(2), Verdict::Impossible);
}

#[test]
fn a_whole_zone_may_be_missing_if_zones_hold_one_replica_each() {
    // Instances 0 and 3 are in zone 0.
    let mut read = ReadQuorum::new(&Ring::build(cluster("i", 6, 3), 3));
    read.failed(0);
    assert_eq!(read.failed(3), Verdict::Pending);
    for answered in [1, 2, 4] {
        assert_eq!(read.succeeded(answered), Verdict::Pending);
    }
    assert_eq!(read.succeeded(5), Verdict::Reached);
    let mut read = ReadQuorum::new(&Ring::build(cluster("i", 6, 2), 3));
    read.failed(0);
    assert_eq!(read.failed(2), Verdict::Pending, "two zones of three replicas: what was acknowledged is in both");
    assert_eq!(read.failed(1), Verdict::Impossible);
}

#[test]
fn without_replication_everyone_is_needed() {
    let mut read = ReadQuorum::new(&Ring::build(cluster("i", 2, 2), 1));
    assert_eq!(read.succeeded(0), Verdict::Pending);
    assert_eq!(read.succeeded(1), Verdict::Reached);
    assert_eq!(ReadQuorum::new(&Ring::build(cluster("i", 2, 2), 1)).failed(0), Verdict::Impossible);
    assert_eq!(ReadQuorum::new(&Ring::build(Vec::new(), 1)).verdict(), Verdict::Impossible);
}

#[test]
fn the_unhealthy_and_the_joining_are_left_out_if_that_is_tolerated() {
    for state in [InstanceState::Unhealthy, InstanceState::Joining] {
        let mut instances = cluster("i", 3, 3);
        instances[1].state = state;
        assert_eq!(first_choice(instances.clone(), 3), [0, 2]);
        assert_eq!(first_choice(instances.clone(), 1), [0, 1, 2]);
        instances[2].state = InstanceState::Unhealthy;
        assert_eq!(first_choice(instances, 3), [0, 1, 2]);
    }
}

#[test]
fn no_more_zones_are_asked_than_are_needed_and_the_own_one_is_among_them() {
    // Instance i is in zone i % 3.
    let mut ring = Ring::build(cluster("i", 6, 3), 3);
    let ask = |ring: &Ring, home, turn, spare: &[u32]| {
        let reach = Reach::Enough { home, turn };
        ReadQuorum::new(ring).first_choice(ring, ring.members(), reach, |index| spare.contains(&index))
    };
    let home = Some(Domain::Zone("zone-1"));
    assert_eq!([ask(&ring, home, 0, &[]), ask(&ring, home, 1, &[]), ask(&ring, home, 2, &[])], [[1, 2, 4, 5], [0, 1, 3, 4], [1, 2, 4, 5]]);
    assert_eq!([ask(&ring, None, 0, &[]), ask(&ring, None, 1, &[]), ask(&ring, None, 2, &[])], [[1, 2, 4, 5], [0, 2, 3, 5], [0, 1, 3, 4]]);
    assert_eq!(ask(&ring, home, 0, &[4]), [0, 2, 3, 5], "with one of its own missing, the zone is worth nothing");
    assert_eq!(ask(&ring, home, 0, &[3]), [1, 2, 4, 5]);
    assert_eq!(ask(&ring, home, 0, &[3, 4]), [0, 1, 2, 3, 4, 5], "without them there is no answer");
    let mut with_a_new_disk = cluster("i", 6, 3);
    with_a_new_disk[2].emptied_at_ms = 7;
    let asked = |since_ms| {
        let ring = Ring::build(with_a_new_disk.clone(), 3);
        let reach = Reach::Enough { home, turn: 0 };
        ReadQuorum::among(&ring, ring.members(), since_ms).first_choice(&ring, ring.members(), reach, |_| false).len()
    };
    assert_eq!((asked(7), asked(8)), (6, 4), "everyone while it may have lost what is needed");
    ring = Ring::build(cluster("i", 5, 5), 5);
    assert_eq!(ask(&ring, home, 0, &[]), [1, 3, 4], "three of five");
    ring = Ring::build(cluster("i", 4, 1), 3);
    assert_eq!(ask(&ring, Some(Domain::Instance("i-0")), 0, &[]), [0, 2, 3], "without zones each is one of its own");
    ring = Ring::build(cluster("i", 4, 2), 1);
    assert_eq!(ask(&ring, home, 0, &[]), [0, 1, 2, 3], "of one copy nothing is needless");
    ring = Ring::build(cluster("i", 1, 1), 3);
    assert_eq!(ask(&ring, None, 0, &[]), [0]);
}

#[test]
fn what_an_instance_held_in_another_zone_counts_as_such_while_it_may_be_needed() {
    let moved = |id: &str, at| Instance { moved_at_ms: at, ..instance(id, "a") };
    let ring = Ring::build(vec![moved("i-0", 100), moved("i-1", 100), instance("i-2", "b"), instance("i-3", "c")], 3);
    let verdict = |since_ms| {
        let mut read = ReadQuorum::among(&ring, ring.members(), since_ms);
        read.failed(0);
        read.failed(1)
    };
    assert_eq!((verdict(100), verdict(101)), (Verdict::Impossible, Verdict::Pending));
}

/// The zone of an instance in the properties; the first is none.
const ZONES: [&str; 5] = [UNZONED, "a", "b", "c", "d"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Ingesters come, and go to other zones, between the write and the read: nobody who answers a read of as few as possible lacks what was acknowledged. Zones may be fewer than
    /// copies when it was written, as in a cluster that is just being started.
    #[test]
    fn a_read_of_as_few_as_possible_sees_every_acknowledged_sample(
        first in prop::collection::vec(0usize..5, 1..8), later in prop::collection::vec(0usize..5, 0..4),
        moves in prop::collection::vec((any::<prop::sample::Index>(), 0usize..5), 0..4),
        rf in 1usize..6, token: u64, taken in prop::collection::vec(prop::bool::weighted(0.7), 12),
        doubtful in prop::collection::vec(prop::bool::weighted(0.1), 12), home in 0usize..5, turn in 0usize..9,
    ) {
        let named = |i: usize, zone: usize| instance(&format!("i-{i}"), ZONES[zone]);
        let mut instances: Vec<Instance> = first.iter().enumerate().map(|(i, zone)| named(i, *zone)).collect();
        let ring = Ring::build(instances.clone(), rf);
        let plan = ring.plan_write([token]);
        let mut write = plan.quorum;
        let mut holders = Vec::new();
        for (place, target) in plan.targets.iter().enumerate() {
            let ok = taken[target.instance as usize];
            holders.extend(ok.then(|| ring.instances()[target.instance as usize].id.clone()));
            if ok { write.succeeded(place) } else { write.failed(place) };
        }
        instances.extend(later.iter().enumerate().map(|(i, zone)| named(first.len() + i, *zone)));
        for (who, zone) in moves {
            let instance = who.get(&instances).clone();
            let moved = instances.iter_mut().find(|other| other.id == instance.id).unwrap();
            if moved.zone != ZONES[zone] {
                (moved.zone, moved.moved_at_ms) = (ZONES[zone].to_owned(), 5);
            }
        }
        let ring = Ring::build(instances, rf);
        let mut read = ReadQuorum::among(&ring, ring.members(), 1);
        let reach = Reach::Enough { home: Some(Domain::Zone(ZONES[home])), turn };
        let asked = read.first_choice(&ring, ring.members(), reach, |index| doubtful[index as usize]);
        asked.iter().for_each(|index| { read.succeeded(*index); });
        prop_assert_eq!(read.verdict(), Verdict::Reached, "who is asked is enough");
        if write.verdict() == Verdict::Reached {
            prop_assert!(asked.iter().any(|index| holders.contains(&ring.instances()[*index as usize].id)), "{asked:?} of {:?}", ring.instances());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Whatever a write quorum acknowledged, a read that was reached has it from at least one replica, in any ring and order of events.
    #[test]
    fn a_reached_read_sees_every_acknowledged_sample(
        count in 1usize..10, zones in 1usize..5, rf in 1usize..6, token: u64,
        taken in prop::collection::vec(any::<bool>(), 10), order in Just((0u32..10).collect::<Vec<_>>()).prop_shuffle(),
        up in prop::collection::vec(prop::bool::weighted(0.8), 10),
    ) {
        let ring = Ring::build(cluster("i", count, zones), rf);
        let plan = ring.plan_write([token]);
        let mut write = plan.quorum;
        for (place, target) in plan.targets.iter().enumerate() {
            if taken[target.instance as usize] { write.succeeded(place) } else { write.failed(place) };
        }
        let mut read = ReadQuorum::new(&ring);
        let mut seen = false;
        let down: Vec<u32> = (0..count as u32).filter(|i| !up[*i as usize]).collect();
        let mut without = read.clone();
        down.iter().for_each(|index| { without.failed(*index); });
        prop_assert_eq!(read.can_do_without(&down), without.verdict() != Verdict::Impossible);
        for instance in order.into_iter().filter(|&i| (i as usize) < count) {
            if read.verdict() != Verdict::Pending { break; }
            if up[instance as usize] {
                seen |= taken[instance as usize] && ring.replicas(token).instances.contains(&instance);
                read.succeeded(instance);
            } else {
                read.failed(instance);
            }
        }
        prop_assert!(read.verdict() != Verdict::Pending);
        if write.verdict() == Verdict::Reached && read.verdict() == Verdict::Reached {
            prop_assert!(seen);
        }
    }
}
