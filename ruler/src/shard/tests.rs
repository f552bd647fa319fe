use model::TenantId;
use proptest::prelude::*;
use ring::{ClusterSnapshot, Instance, InstanceId, InstanceState, Role};

use super::{owner, rulers, token};

fn cluster(names: impl IntoIterator<Item = String>) -> ClusterSnapshot {
    let ruler = |name: String| Instance {
        id: InstanceId::new(&name).expect("a name"),
        role: Role::Ruler,
        address: format!("{name}:9095"),
        zone: "z".to_owned(),
        state: InstanceState::Active,
        epoch: 1,
        registered_at_ms: 0,
        moved_at_ms: 0,
        emptied_at_ms: 0,
    };
    ClusterSnapshot { cluster_id: "c".to_owned(), version: 1, instances: names.into_iter().map(ruler).collect() }
}

fn named(seed: u32, count: usize) -> impl Iterator<Item = String> {
    (0..count).map(move |i| format!("ruler-{seed}-{i}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Every group has one owner, the same for everyone; a ruler that joins takes about its share, from whomever, and nothing else moves.
    #[test]
    fn one_owner_and_few_moves(seed in 0_u32..1_000_000, count in 1_usize..10) {
        let before = rulers(&cluster(named(seed, count)));
        let shuffled = rulers(&cluster(named(seed, count).collect::<Vec<_>>().into_iter().rev()));
        let after = rulers(&cluster(named(seed, count + 1)));
        let joined = format!("ruler-{seed}-{count}");
        let groups = 2_000_u32;
        let mut moved = 0;
        for i in 0..groups {
            let (tenant, file, group) = (TenantId::new(&format!("t{}", i % 7)).expect("a tenant"), format!("n{}", i % 31), format!("g{i}"));
            let old = owner(&before, &tenant, &file, &group).expect("an owner");
            prop_assert_eq!(old, owner(&shuffled, &tenant, &file, &group).expect("an owner"));
            let new = owner(&after, &tenant, &file, &group).expect("an owner");
            if new.id != old.id {
                prop_assert_eq!(new.id.as_str(), &joined);
                moved += 1;
            }
        }
        let share = f64::from(groups) / (count + 1) as f64;
        prop_assert!(f64::from(moved) > share * 0.6 && f64::from(moved) < share * 1.5, "{moved} of {groups} moved, about {share} should");
    }
}

#[test]
fn only_active_rulers_own() {
    let mut snapshot = cluster(named(0, 2));
    let tenant = TenantId::anonymous();
    snapshot.instances[0].state = InstanceState::Leaving;
    let ring = rulers(&snapshot);
    let owners = (0..100).filter_map(|i| owner(&ring, &tenant, "n", &i.to_string())).map(|i| i.id.as_str().to_owned());
    assert!(owners.collect::<Vec<_>>().iter().all(|id| id == "ruler-0-1"));
    assert_eq!(owner(&rulers(&ClusterSnapshot::default()), &tenant, "n", "g"), None);
}

#[test]
fn parts_do_not_run_together() {
    let tenant = TenantId::anonymous();
    assert_ne!(token(&tenant, "a", "bc"), token(&tenant, "ab", "c"));
}
