use proptest::prelude::*;

use super::ReadQuorum;
use crate::instance::InstanceState;
use crate::quorum::Verdict;
use crate::ring::Ring;
use crate::ring::tests::cluster;

fn first_choice(instances: Vec<crate::Instance>, replication_factor: usize) -> Vec<u32> {
    let ring = Ring::build(instances, replication_factor);
    ReadQuorum::first_choice(&ring, ring.members(), |_| false)
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
    assert_eq!(read.failed(2), Verdict::Impossible, "two zones of three replicas: both may be replicas of one series");
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
