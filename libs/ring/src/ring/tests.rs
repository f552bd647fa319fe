use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::Ring;
use crate::domain::{Domain, UNZONED};
use crate::instance::{Instance, InstanceId, InstanceState, Role};
use crate::snapshot::ClusterSnapshot;
use crate::token::TOKENS_PER_INSTANCE;

mod placement;

pub(crate) fn instance(name: &str, zone: &str) -> Instance {
    Instance {
        id: InstanceId::new(name).unwrap(),
        role: Role::Ingester,
        address: format!("{name}:9095"),
        zone: zone.to_owned(),
        state: InstanceState::Active,
        epoch: 1,
        registered_at_ms: 0,
        moved_at_ms: 0,
        emptied_at_ms: 0,
    }
}

/// Zone i of so many; one zone is none.
fn zone(i: usize, zones: usize) -> String {
    if zones == 1 { UNZONED.to_owned() } else { format!("zone-{}", i % zones) }
}

/// `count` instances, dealt over `zones` zones: every zone has every so many of the numbers.
pub(crate) fn cluster(prefix: &str, count: usize, zones: usize) -> Vec<Instance> {
    (0..count).map(|i| instance(&format!("{prefix}-{i}"), &zone(i, zones))).collect()
}

/// As a chart names them: in each zone the numbers from 0 on.
pub(crate) fn numbered(prefix: &str, count: usize, zones: usize) -> Vec<Instance> {
    (0..count).map(|i| instance(&format!("{prefix}-zone-{}-{}", i % zones, i / zones), &zone(i, zones))).collect()
}

/// Whose ids end in no number.
pub(crate) fn unnumbered(prefix: &str, count: usize, zones: usize) -> Vec<Instance> {
    (0..count).map(|i| instance(&format!("{prefix}{i}x"), &zone(i, zones))).collect()
}

pub(crate) fn keys(count: u64) -> impl Iterator<Item = u64> {
    (1..=count).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17).wrapping_mul(0xD6E8_FEB8_6659_FD93))
}

fn names(ring: &Ring, token: u64) -> BTreeSet<&str> {
    ring.replicas(token).instances.iter().map(|&i| ring.instances()[i as usize].id.as_str()).collect()
}

/// What the ring must say, found by walking over all tokens.
fn walk(instances: &[Instance], rf: usize, token: u64) -> BTreeSet<&str> {
    let spread = crate::spread::Spread::with_rows(32);
    let mut sorted: Vec<&Instance> = instances.iter().collect();
    sorted.sort_by(|a, b| a.id.cmp(&b.id));
    let owned: Vec<Instance> = sorted.iter().map(|i| (*i).clone()).collect();
    let all: Vec<u32> = (0..instances.len() as u32).collect();
    let mut places: Vec<(u64, u64, &Instance)> = crate::topology::by_token(&owned, &all, rf, &spread, TOKENS_PER_INSTANCE)
        .iter()
        .map(|node| (node.token.wrapping_sub(token), node.tie, sorted[node.instance as usize]))
        .collect();
    places.sort_by_key(|(distance, lot, _)| (*distance, *lot));
    let (mut chosen, mut domains) = (BTreeSet::new(), BTreeSet::new());
    for (_, _, i) in &places {
        if chosen.len() < rf && domains.insert(i.domain()) {
            chosen.insert(i.id.as_str());
        }
    }
    chosen
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn replicas_are_what_a_walk_finds(seed in 0u32..1_000_000, count in 1usize..12, zones in 1usize..5, rf in 1usize..6, token: u64) {
        let instances = cluster(&format!("i{seed}"), count, zones);
        let ring = Ring::build(instances.clone(), rf);
        for token in keys(20).map(|k| k ^ token).chain([0, u64::MAX]) {
            prop_assert_eq!(names(&ring, token), walk(&instances, rf, token));
        }
    }

    #[test]
    fn replicas_are_in_distinct_domains(seed in 0u32..1_000_000, count in 1usize..20, zones in 1usize..6, rf in 1usize..6, salt: u64) {
        let ring = Ring::build(cluster(&format!("i{seed}"), count, zones), rf);
        let domains = if zones == 1 { count } else { zones.min(count) };
        for token in keys(200).map(|k| k ^ salt) {
            let set = ring.replicas(token);
            let distinct: BTreeSet<u32> = set.instances.iter().copied().collect();
            prop_assert_eq!(distinct.len(), set.instances.len());
            let used: BTreeSet<Domain<'_>> = distinct.iter().map(|&i| ring.instances()[i as usize].domain()).collect();
            prop_assert_eq!((used.len(), distinct.len()), (rf.min(domains), rf.min(domains)));
            prop_assert!(set.number < ring.set_count() as u32);
        }
    }
}

#[test]
fn ownership_is_what_keys_see() {
    let ring = Ring::build(cluster("ingester", 6, 3), 3);
    let mut seen = BTreeMap::<u32, f64>::new();
    for token in keys(60_000) {
        ring.replicas(token).instances.iter().for_each(|&i| *seen.entry(i).or_default() += 1.0 / 180_000.0);
    }
    assert!((ring.ownership().iter().sum::<f64>() - 1.0).abs() < 1e-9);
    for (i, share) in ring.ownership().iter().enumerate() {
        assert!((share - seen[&(i as u32)]).abs() < 0.005, "{share} {seen:?}");
        assert!((share * 6.0 - 1.0).abs() < 0.10, "{share}");
    }
}

#[test]
fn an_empty_ring_has_no_replicas() {
    let ring = Ring::build(Vec::new(), 3);
    assert!(ring.replicas(7).instances.is_empty());
    assert!(ring.ownership().is_empty());
}

#[test]
fn a_change_of_state_keeps_the_topology_and_a_leave_does_not() {
    let mut snapshot = ClusterSnapshot { cluster_id: "c".to_owned(), version: 7, instances: cluster("ingester", 5, 3) };
    let first = Ring::of_role(&snapshot, Role::Ingester, 3);
    snapshot.version = 8;
    snapshot.instances[2].state = InstanceState::Leaving;
    snapshot.instances[2].address = "elsewhere:1".to_owned();
    let second = first.updated(&snapshot, Role::Ingester);
    assert!(std::sync::Arc::ptr_eq(&first.topology, &second.topology));
    assert_eq!(second.version(), 8);
    assert_eq!(second.instances()[2].address, "elsewhere:1");
    snapshot.instances.remove(2);
    let third = second.updated(&snapshot, Role::Ingester);
    assert_eq!(third.instances().len(), 4);
    assert_eq!(names(&third, 99), names(&Ring::build(snapshot.instances.clone(), 3), 99));
}

#[test]
fn order_and_duplicates_of_the_input_do_not_matter() {
    let mut instances = cluster("ingester", 7, 3);
    let ring = Ring::build(instances.clone(), 3);
    instances.reverse();
    instances.push(instances[0].clone());
    let same = Ring::build(instances, 3);
    assert_eq!(ring.instances(), same.instances());
    assert!(keys(500).all(|token| ring.replicas(token) == same.replicas(token)));
}
