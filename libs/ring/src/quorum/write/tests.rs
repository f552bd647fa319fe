#![allow(clippy::disallowed_methods, reason = "time is printed")]

use proptest::prelude::*;

use crate::instance::InstanceState;
use crate::quorum::{Verdict, write_quorum};
use crate::ring::Ring;
use crate::ring::tests::cluster;

fn tokens(count: u64) -> Vec<u64> {
    (1..=count).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect()
}

#[test]
fn with_three_of_three_all_series_are_one_group() {
    let plan = Ring::build(cluster("i", 3, 3), 3).plan_write(tokens(2_000));
    assert_eq!(plan.targets.len(), 3);
    assert!(plan.targets.iter().all(|target| target.series.is_none()));
    let mut quorum = plan.quorum;
    assert_eq!(quorum.succeeded(2), Verdict::Pending);
    assert_eq!(quorum.succeeded(2), Verdict::Pending, "a second answer of one target is not a second ack");
    assert_eq!(quorum.failed(0), Verdict::Pending);
    assert_eq!(quorum.succeeded(1), Verdict::Reached);
}

#[test]
fn two_failures_of_three_are_final_at_once() {
    let mut quorum = Ring::build(cluster("i", 3, 3), 3).plan_write(tokens(10)).quorum;
    assert_eq!(quorum.failed(0), Verdict::Pending);
    assert_eq!(quorum.failed(1), Verdict::Impossible);
    assert_eq!(quorum.succeeded(2), Verdict::Impossible);
    assert_eq!(quorum.failed(99), Verdict::Impossible, "an unknown target changes nothing");
}

#[test]
fn too_few_instances_are_no_quorum() {
    assert_eq!(Ring::build(cluster("i", 1, 1), 3).plan_write(tokens(1)).quorum.verdict(), Verdict::Impossible);
    assert_eq!(Ring::build(Vec::new(), 1).plan_write(tokens(1)).quorum.verdict(), Verdict::Impossible);
    assert_eq!(Ring::build(Vec::new(), 1).plan_write([]).quorum.verdict(), Verdict::Reached);
    assert_eq!(Ring::build(cluster("i", 2, 1), 3).plan_write(tokens(1)).quorum.verdict(), Verdict::Pending);
}

#[test]
fn leaving_and_unhealthy_are_spared_while_the_others_are_a_quorum() {
    let mut instances = cluster("i", 3, 3);
    instances[1].state = InstanceState::Leaving;
    let asked = |instances: &[crate::Instance]| {
        let plan = Ring::build(instances.to_vec(), 3).plan_write(tokens(5));
        plan.targets.iter().map(|target| target.instance).collect::<Vec<_>>()
    };
    assert_eq!(asked(&instances), [0, 2]);
    instances[0].state = InstanceState::Unhealthy;
    assert_eq!(asked(&instances), [0, 1, 2], "one that is left is no quorum: everyone is asked");
    instances[0].state = InstanceState::Joining;
    assert_eq!(asked(&instances), [0, 2]);
}

#[test]
fn keys_of_a_read_only_instance_go_to_the_next_one_of_its_zone() {
    // Two in each of three zones.
    let mut instances = cluster("i", 6, 3);
    let keys: Vec<u64> = tokens(300);
    let plan = |instances: &[crate::Instance]| Ring::build(instances.to_vec(), 3).plan_write(keys.iter().copied());
    let holders = |instances: &[crate::Instance], s: u32| -> Vec<String> {
        let plan = plan(instances);
        let has = |t: &&crate::WriteTarget| t.series.as_ref().is_none_or(|list| list.contains(&s));
        plan.targets.iter().filter(has).map(|t| instances[t.instance as usize].id.to_string()).collect()
    };
    let before = instances.clone();
    instances[1].state = InstanceState::ReadOnly;
    let (gone, zone) = (instances[1].id.to_string(), instances[1].zone.clone());
    let next = before.iter().find(|i| i.zone == zone && i.id.as_str() != gone).unwrap().id.to_string();
    let mut moved = 0;
    for s in 0..keys.len() as u32 {
        let (was, is) = (holders(&before, s), holders(&instances, s));
        let mut expected: Vec<String> = was.iter().map(|id| if *id == gone { next.clone() } else { id.clone() }).collect();
        expected.sort();
        assert_eq!(is, expected, "three copies, and only that one moves");
        moved += usize::from(was != is);
    }
    assert!(moved > 50, "{moved}");
    // Where its zone has no other, two zones would hold all copies, and a read may do without one zone: it is left out like one that is LEAVING.
    let mut instances = cluster("i", 3, 3);
    instances[1].state = InstanceState::ReadOnly;
    assert_eq!(holders(&instances, 7).len(), 2);
    // A change of state alone is seen.
    let snapshot = |instances: &[crate::Instance], version| crate::ClusterSnapshot {
        cluster_id: "c".to_owned(),
        version,
        instances: instances.to_vec(),
    };
    let ring = Ring::of_role(&snapshot(&before, 1), crate::Role::Ingester, 3);
    let mut instances = before.clone();
    instances[1].state = InstanceState::ReadOnly;
    let updated = ring.updated(&snapshot(&instances, 2), crate::Role::Ingester);
    assert!(updated.plan_write(keys.iter().copied()).targets.iter().all(|t| updated.instances()[t.instance as usize].id.as_str() != gone));
    assert_eq!(updated.instances().len(), 6, "it is read all the same");
    instances[1].state = InstanceState::Gone;
    assert_eq!(updated.updated(&snapshot(&instances, 3), crate::Role::Ingester).instances().len(), 5, "who is GONE has no place");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Against a ledger that counts acks series by series.
    #[test]
    fn verdicts_are_those_of_each_series(
        count in 1usize..9, zones in 1usize..4, rf in 1usize..6, series in 1u64..60,
        states in prop::collection::vec(0u8..6, 9), outcomes in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..14),
    ) {
        let mut instances = cluster("i", count, zones);
        for (instance, state) in instances.iter_mut().zip(states) {
            instance.state = match state { 0 => InstanceState::Leaving, 1 => InstanceState::Unhealthy, 2 => InstanceState::Joining, _ => InstanceState::Active };
        }
        let ring = Ring::build(instances, rf);
        let tokens = tokens(series);
        let plan = ring.plan_write(tokens.iter().copied());
        let holders = |s: u32| plan.targets.iter().enumerate().filter(move |(_, t)| t.series.as_ref().is_none_or(|list| list.contains(&s))).map(|(i, _)| i);
        for (s, token) in (0..).zip(&tokens) {
            let replicas = &ring.replicas(*token).instances;
            prop_assert!(holders(s).all(|t| replicas.contains(&plan.targets[t].instance)));
            prop_assert!(holders(s).count() >= write_quorum(rf).min(replicas.len()));
        }
        for target in &plan.targets {
            prop_assert!(target.series.as_ref().is_none_or(|list| !list.is_empty() && list.is_sorted_by(|a, b| a < b)));
        }
        let mut quorum = plan.quorum.clone();
        let mut heard = vec![None; plan.targets.len()];
        for (target, success) in outcomes {
            if heard.is_empty() { break; }
            let target = target.index(heard.len());
            heard[target].get_or_insert(success);
            let verdict = if success { quorum.succeeded(target) } else { quorum.failed(target) };
            let acked = |s| holders(s).filter(|&t| heard[t] == Some(true)).count();
            let possible = |s| holders(s).filter(|&t| heard[t] != Some(false)).count();
            let all = || 0..series as u32;
            let expected = if all().any(|s| possible(s) < write_quorum(rf)) { Verdict::Impossible }
                else if all().all(|s| acked(s) >= write_quorum(rf)) { Verdict::Reached }
                else { Verdict::Pending };
            prop_assert_eq!(verdict, expected);
        }
    }
}

#[test]
fn planning_two_thousand_series_is_cheap() {
    let ring = Ring::build(cluster("ingester", 30, 3), 3);
    let tokens = tokens(2_000);
    let started = std::time::Instant::now();
    let rounds: u32 = 50;
    let mut targets = 0;
    for _ in 0..rounds {
        targets = ring.plan_write(tokens.iter().copied()).targets.len();
    }
    println!("2,000 series over 30 instances: {:?} per plan", started.elapsed() / rounds);
    assert_eq!(targets, 30);
}
