//! Which compactor looks after which tenant: a pure function of the ring.

use model::TenantId;
use ring::{InstanceId, InstanceState, Ring};
use xxhash_rust::xxh3::xxh3_64;

/// Whether the instance `me` looks after the tenant. The ring is that of compactors, with replication factor 1.
///
/// With no compactor but this one in the ring, or none yet, it does. Two may believe so for a while when the ring changes: both then merge the same
/// blocks, and the next round finds one of the results superseded or merges the two, which hold the same samples.
#[must_use]
pub fn owns(ring: &Ring, me: &InstanceId, tenant: &TenantId) -> bool {
    let token = xxh3_64(tenant.as_str().as_bytes());
    let owner = ring.replicas(token).instances.first().and_then(|index| ring.instances().get(*index as usize));
    match owner {
        None => true,
        Some(owner) if owner.id == *me => true,
        // Whoever is away gets its tenants back when it returns; until then the first that is there takes them.
        Some(owner) => {
            let here =
                ring.instances().iter().filter(|instance| instance.state == InstanceState::Active).map(|instance| &instance.id).min();
            owner.state != InstanceState::Active && here.is_none_or(|first| first == me)
        }
    }
}
