//! Which ruler evaluates which group: a pure function of the cluster.

use model::TenantId;
use ring::{ClusterSnapshot, Instance, InstanceId, InstanceState, Ring, Role};
use xxhash_rust::xxh3::Xxh3;

#[cfg(test)]
mod tests;

/// The rulers that are there. Whoever is not active is not among them: its groups are needed now, and it has nothing that only it has.
pub(crate) fn rulers(snapshot: &ClusterSnapshot) -> Ring {
    let active = snapshot.of_role(Role::Ruler).filter(|instance| instance.state == InstanceState::Active);
    Ring::build(active.cloned().collect(), 1)
}

/// The group's place on the ring.
pub(crate) fn token(tenant: &TenantId, file: &str, group: &str) -> u64 {
    let mut hash = Xxh3::new();
    for part in [tenant.as_str(), file, group] {
        // With its length, so that no two groups read the same.
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.digest()
}

/// The one ruler that evaluates the group; `None` without rulers.
pub(crate) fn owner<'a>(ring: &'a Ring, tenant: &TenantId, file: &str, group: &str) -> Option<&'a Instance> {
    let index = ring.replicas(token(tenant, file, group)).instances.first()?;
    ring.instances().get(*index as usize)
}

/// Whether the same rulers are there: addresses and epochs do not matter.
pub(crate) fn same_rulers(a: &Ring, b: &Ring) -> bool {
    let ids = |ring: &'_ Ring| ring.instances().iter().map(|i| i.id.clone()).collect::<Vec<InstanceId>>();
    ids(a) == ids(b)
}
