//! Which instances hold the series of one tenant. Pure.
//!
//! Each tenant draws a score for every instance, and each zone gives those with the highest. So a larger shard contains every smaller one, a join puts out at most the lowest
//! of its zone, a leave lets the next one in, and instances that stand for each other in different zones (by their number) are mostly drawn together: then two that are
//! down in two zones share keys only if their numbers are the same.

mod cache;

pub use cache::ShardCache;

use std::cmp::Reverse;

use xxhash_rust::xxh3::xxh3_64;

use crate::instance::Instance;
use crate::ring::{InstanceIndex, Ring};
use crate::token::{mirror_key, mix};

/// An instance as a tenant sees it; the order of their scores.
type Candidate = (Reverse<u64>, InstanceIndex);

/// Those that are written to, ascending; `None` is all.
pub(crate) fn writers(ring: &Ring, tenant: &str, size: usize) -> Option<Vec<InstanceIndex>> {
    drawn(ring, tenant, size, |_| false)
}

/// Those that are asked for what was written since `since_ms`, ascending; `None` is all.
///
/// Whoever was in the shard at some time since then and is still here is among them: at that time, those that are here now and had registered before `since_ms` were here,
/// and fewer than the zone's number of them had a higher score. Here they are counted in the same order. The number is that of the zones that were there then for certain: with
/// fewer zones, each gives more.
pub(crate) fn readers(ring: &Ring, tenant: &str, size: usize, since_ms: i64) -> Option<Vec<InstanceIndex>> {
    drawn(ring, tenant, size, |instance| instance.registered_at_ms >= since_ms)
}

/// Of each zone the first by score, until the zone's number of them without the `extra` ones is reached.
///
/// A size that is not below the number of instances is no exception: where zones differ in size, "all of them" would give a larger zone more than its number, and the next
/// join would put out several of them at once, which `readers` could not tell from who is here.
fn drawn(ring: &Ring, tenant: &str, size: usize, extra: impl Fn(&Instance) -> bool) -> Option<Vec<InstanceIndex>> {
    let instances = ring.instances();
    if size == 0 {
        return None;
    }
    let seed = xxh3_64(tenant.as_bytes());
    let mut zones: Vec<(&str, Vec<Candidate>)> = Vec::new();
    for (index, instance) in (0..).zip(instances) {
        let candidate = (Reverse(mix(seed ^ mirror_key(&instance.id))), index);
        match zones.iter_mut().find(|(zone, _)| *zone == instance.zone) {
            Some((_, candidates)) => candidates.push(candidate),
            None => zones.push((&instance.zone, vec![candidate])),
        }
    }
    let is_extra = |index: u32| instances.get(index as usize).is_some_and(&extra);
    let old_zones = zones.iter().filter(|(_, candidates)| candidates.iter().any(|(_, index)| !is_extra(*index))).count();
    let of_each = size.max(ring.replication_factor()).div_ceil(old_zones.max(1));
    let mut members = Vec::with_capacity(of_each * zones.len());
    for (_, candidates) in &mut zones {
        candidates.sort_unstable();
        let mut missing = of_each;
        for &(_, index) in &*candidates {
            if missing == 0 {
                break;
            }
            members.push(index);
            missing -= usize::from(!is_extra(index));
        }
    }
    members.sort_unstable();
    (members.len() < instances.len()).then_some(members)
}

#[cfg(test)]
mod tests;
