#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "times are printed")]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::ShardCache;
use crate::instance::Instance;
use crate::quorum::{ReadQuorum, Verdict};
use crate::ring::Ring;
use crate::ring::tests::{cluster, instance, keys, numbered, unnumbered};

fn ids<'a>(ring: &'a Ring, members: &[u32]) -> BTreeSet<&'a str> {
    members.iter().map(|&i| ring.instances()[i as usize].id.as_str()).collect()
}

fn shard<'a>(ring: &'a Ring, tenant: &str, size: usize) -> BTreeSet<&'a str> {
    ids(ring, ring.shard_of(tenant, size).members())
}

fn readers<'a>(ring: &'a Ring, tenant: &str, size: usize, since: i64) -> BTreeSet<&'a str> {
    ids(ring, &ring.readers_of(tenant, size, since))
}

fn made(kind: usize, seed: u32, count: usize, zones: usize) -> Vec<Instance> {
    [numbered, cluster, unnumbered][kind](&format!("i{seed}"), count, zones)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_zone_gives_the_same_number(seed in 0u32..1_000_000, kind in 0usize..3, count in 3usize..60, zones in 1usize..5, rf in 1usize..4, size in 1usize..40) {
        let ring = Ring::build(made(kind, seed, count, zones), rf);
        let own = ring.shard_of("tenant", size);
        let of_each = size.max(rf).div_ceil(zones.min(count));
        let mut all = 0;
        let names: BTreeSet<&str> = ring.instances().iter().map(|i| i.zone.as_str()).collect();
        prop_assert_eq!(names.len(), zones.min(count));
        for zone in names {
            let here = ring.instances().iter().filter(|i| i.zone == zone).count();
            let drawn = own.members().iter().filter(|&&i| ring.instances()[i as usize].zone == zone).count();
            prop_assert_eq!(drawn, of_each.min(here));
            all += drawn;
        }
        prop_assert_eq!(all, own.members().len());
        prop_assert!((own.ownership().iter().sum::<f64>() - 1.0).abs() < 1e-9);
        // Keys have as many replicas in as many domains as in the whole ring.
        for token in keys(50) {
            let set = own.replicas(token);
            prop_assert!(set.instances.iter().all(|i| own.members().contains(i)));
            let domains: BTreeSet<_> = set.instances.iter().map(|&i| ring.instances()[i as usize].domain()).collect();
            prop_assert_eq!((domains.len(), set.instances.len()), (rf.min(ring.domains().len()), rf.min(ring.domains().len())));
        }
    }

    #[test]
    fn a_larger_shard_contains_a_smaller_one(seed in 0u32..1_000_000, kind in 0usize..3, count in 3usize..60, size in 1usize..40, more in 0usize..20) {
        let ring = Ring::build(made(kind, seed, count, 3), 3);
        prop_assert!(shard(&ring, "t", size).is_subset(&shard(&ring, "t", size + more)));
        prop_assert_eq!(shard(&ring, "t", 0).len(), count);
        prop_assert_eq!(shard(&ring, "t", 3 * count).len(), count);
    }

    #[test]
    fn who_joins_puts_out_one_of_its_zone_at_most(seed in 0u32..1_000_000, kind in 0usize..3, count in 6usize..60, size in 1usize..30) {
        let all = made(kind, seed, count, 3);
        let (newcomer, rest) = all.split_last().unwrap();
        let (before, after) = (Ring::build(rest.to_vec(), 3), Ring::build(all.clone(), 3));
        let (old, new) = (shard(&before, "t", size), shard(&after, "t", size));
        let out: Vec<_> = old.difference(&new).copied().collect();
        let came: Vec<_> = new.difference(&old).copied().collect();
        prop_assert!(out.len() <= 1 && (came.is_empty() || came == [newcomer.id.as_str()]));
        for gone in out {
            let zone = |name: &str| all.iter().find(|i| i.id.as_str() == name).unwrap().zone.clone();
            prop_assert_eq!(zone(gone), newcomer.zone.clone());
        }
    }

    /// Joins, leaves, restarts and sizes in any order: whoever was written to since `since` and is still there is asked.
    #[test]
    fn whoever_was_written_to_is_asked(
        seed in 0u32..1_000_000, kind in 0usize..3, first in 3usize..20,
        events in prop::collection::vec((0u8..4, any::<prop::sample::Index>(), 1usize..16), 1..30), since in 0i64..30, rf in 1usize..4,
    ) {
        let mut pool = made(kind, seed, 60, 3);
        let mut here: Vec<Instance> = pool.drain(..first).map(|i| Instance { registered_at_ms: -1, ..i }).collect();
        let (mut written, mut sizes) = (BTreeSet::new(), vec![]);
        let mut size = 4;
        for (now, (event, who, to)) in (0i64..).zip(events) {
            let ring = Ring::build(here.clone(), rf);
            if now >= since {
                sizes.push(size);
                written.extend(shard(&ring, "t", size).into_iter().map(str::to_owned));
            }
            match event {
                // Whoever joins now is written to from now on.
                0 => { let new = pool.remove(who.index(pool.len())); here.push(Instance { registered_at_ms: now, ..new }); }
                1 if here.len() > 3 => { let gone = here.remove(who.index(here.len())); pool.push(gone); }
                2 => { let place = who.index(here.len()); here[place].registered_at_ms = now; }
                _ => size = to,
            }
        }
        sizes.push(size);
        let ring = Ring::build(here, rf);
        let asked = readers(&ring, "t", *sizes.iter().max().unwrap(), since);
        for name in &written {
            prop_assert!(asked.contains(name.as_str()) || !ring.instances().iter().any(|i| i.id.as_str() == name), "{name} of {written:?}, asked {asked:?}");
        }
        prop_assert!(shard(&ring, "t", size).is_subset(&asked));
    }
}

/// Found by the property above: seven were here, five of them in one zone, and the shard was to have seven. "All" were seven then, of whom a join left four and two.
#[test]
fn a_size_of_all_takes_the_same_number_from_uneven_zones() {
    let old = |id: String, zone: &str| Instance { registered_at_ms: -1, ..instance(&id, zone) };
    let mut here: Vec<Instance> =
        (0..5).map(|n| old(format!("a-{n}"), "zone-0")).chain((0..2).map(|n| old(format!("b-{n}"), "zone-1"))).collect();
    let ring = Ring::build(here.clone(), 1);
    let written: BTreeSet<String> = shard(&ring, "t", 7).into_iter().map(str::to_owned).collect();
    assert_eq!(written.len(), 4 + 2);
    here.push(Instance { registered_at_ms: 5, ..instance("b-2", "zone-1") });
    let ring = Ring::build(here, 1);
    assert!(written.iter().all(|id| readers(&ring, "t", 7, 0).contains(id.as_str())));
    assert_eq!(shard(&ring, "t", 7).len(), 4 + 3);
}

#[test]
fn readers_without_changes_are_the_writers() {
    let ring = Ring::build(numbered("i", 60, 3), 3);
    assert_eq!(readers(&ring, "t", 9, 1), shard(&ring, "t", 9));
    assert_eq!(readers(&ring, "t", 9, 0).len(), 60, "all have registered since: anybody may have been in the shard");
    assert_eq!(readers(&ring, "t", 0, 1).len(), 60);
}

#[test]
fn a_read_of_a_shard_may_miss_a_zone_of_it() {
    let ring = Ring::build(numbered("i", 60, 3), 3);
    let asked = ring.readers_of("t", 6, 1);
    let in_zone = |zone: &str| asked.iter().copied().filter(|&i| ring.instances()[i as usize].zone == zone).collect::<Vec<u32>>();
    let mut read = ReadQuorum::among(&ring, &asked, 0);
    for index in in_zone("zone-1") {
        assert_eq!(read.failed(index), Verdict::Pending);
    }
    in_zone("zone-0").iter().for_each(|&i| assert_eq!(read.succeeded(i), Verdict::Pending));
    let last: Vec<Verdict> = in_zone("zone-2").iter().map(|&i| read.succeeded(i)).collect();
    assert_eq!(last, [Verdict::Pending, Verdict::Reached]);
    let mut read = ReadQuorum::among(&ring, &asked, 0);
    read.failed(in_zone("zone-0")[0]);
    assert_eq!(read.failed(in_zone("zone-1")[1]), Verdict::Impossible);
}

/// With 100 instances in 3 zones and 9 of them each: (33 choose 3) = 5,456 ways.
#[test]
fn two_tenants_rarely_share_everything() {
    for kind in 0..3 {
        let ring = Ring::build(made(kind, 7, 99, 3), 3);
        let shards: Vec<BTreeSet<&str>> = (0..400).map(|t| shard(&ring, &format!("tenant-{t}"), 9)).collect();
        let (mut pairs, mut alike, mut disjoint) = (0, 0, 0);
        for (i, a) in shards.iter().enumerate() {
            for b in &shards[i + 1..] {
                pairs += 1;
                alike += usize::from(a == b);
                disjoint += usize::from(a.is_disjoint(b));
            }
        }
        assert!(f64::from(alike as u32) < 0.001 * f64::from(pairs), "{alike} of {pairs}");
        let expected = if kind == 0 { 0.70 } else { 0.35 };
        assert!(f64::from(disjoint as u32) > expected * f64::from(pairs), "{disjoint} of {pairs}");
    }
}

#[test]
fn tenants_are_spread_over_instances() {
    let ring = Ring::build(numbered("ingester", 99, 3), 3);
    let mut tenants = vec![0u32; 99];
    for t in 0..10_000 {
        ring.shard_of(&format!("tenant-{t}"), 9).members().iter().for_each(|&i| tenants[i as usize] += 1);
    }
    let (least, most) = (tenants.iter().min().unwrap(), tenants.iter().max().unwrap());
    // 909 on average, and 29 of standard deviation.
    assert!(*least > 800 && *most < 1_020, "{least} {most}");
}

#[test]
fn the_cache_gives_what_would_be_made_and_is_bounded() {
    let instances = numbered("i", 60, 3);
    let ring = Ring::build(instances.clone(), 3);
    let mut cache = ShardCache::new(20_000);
    for round in 0..3 {
        for t in 0..100 {
            let tenant = format!("tenant-{t}");
            let made = ring.shard_of(&tenant, 9);
            if let Some(found) = cache.find(&ring, &tenant, 9) {
                assert!(keys(20).all(|token| found.replicas(token) == made.replicas(token)), "{round}");
            }
            cache.keep(&ring, &tenant, 9, &made);
            assert!(cache.nodes() <= 20_000, "{}", cache.nodes());
            assert!(cache.find(&ring, &tenant, 9).is_some());
            assert!(cache.find(&ring, &tenant, 12).is_none(), "another size");
        }
    }
    // States change, the shard stays, and knows the new ones.
    let mut snapshot = crate::ClusterSnapshot { cluster_id: "c".to_owned(), version: 5, instances };
    snapshot.instances[0].address = "elsewhere".to_owned();
    let same = ring.updated(&snapshot, crate::Role::Ingester);
    assert_eq!(cache.find(&same, "tenant-99", 9).unwrap().instances()[0].address, "elsewhere");
    snapshot.instances.push(instance("i-zone-0-20", "zone-0"));
    assert!(cache.find(&same.updated(&snapshot, crate::Role::Ingester), "tenant-99", 9).is_none(), "somebody joined");
}

#[test]
fn what_shards_cost() {
    for (count, size) in [(100, 9), (1_000, 9), (1_000, 90)] {
        let ring = Ring::build(numbered("ingester", count, 3), 3);
        let started = std::time::Instant::now();
        let nodes: usize = (0..500).map(|t| ring.shard_of(&format!("tenant-{t}"), size).node_count()).sum();
        let made = started.elapsed() / 500;
        let started = std::time::Instant::now();
        let readers: usize = (0..500).map(|t| ring.readers_of(&format!("tenant-{t}"), size, 1).len()).sum();
        println!(
            "{size} of {count}: {made:?} and {} nodes a shard, {:?} for {} readers",
            nodes / 500,
            started.elapsed() / 500,
            readers / 500
        );
    }
}
