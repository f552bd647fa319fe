//! Which instances hold a key.
//!
//! The ring is the crate `hashring` with virtual nodes: the node at or after a key's token owns it. The set of replicas of every
//! virtual node is computed when the members change and its number is kept in the node, so that a lookup is one binary search.

use std::sync::Arc;

use crate::domain::{self, Domain};
use crate::instance::{Instance, InstanceState, Role};
use crate::shard;
use crate::snapshot::ClusterSnapshot;
use crate::topology::Topology;

/// A place in [`Ring::instances`].
pub type InstanceIndex = u32;

/// The instances that hold a key, ascending by index; which of them comes first means nothing.
///
/// They are in different failure domains ([`crate::Domain`]); fewer than the replication factor only if there are fewer domains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaSet {
    /// Equal sets of one ring have equal numbers, from 0 to [`Ring::set_count`] (exclusive).
    pub number: u32,
    /// The replicas.
    pub instances: Arc<[InstanceIndex]>,
}

/// The instances of a role and which of them hold which keys. Immutable; made anew when the cluster changes.
///
/// Every instance keeps its place whatever its state: one that is down is expected back with its data, and a reader must know that
/// it is missing. Only one that is GONE has none, for nobody needs it. States matter to who is written to ([`Ring::plan_write`]) only.
#[derive(Debug, Clone)]
pub struct Ring {
    version: u64,
    instances: Arc<[Instance]>,
    topology: Arc<Topology>,
    /// Without the READ_ONLY instances, whose keys the next ones take; `None` if there are none of them, or too few others.
    writable: Option<Arc<Topology>>,
}

impl Ring {
    /// The ring of a role in a snapshot. `replication_factor` is at least 1.
    #[must_use]
    pub fn of_role(snapshot: &ClusterSnapshot, role: Role, replication_factor: usize) -> Self {
        let mut ring = Self::build(places(snapshot, role), replication_factor);
        ring.version = snapshot.version;
        ring
    }

    /// The ring of these instances; of several with one id the first counts. `replication_factor` is at least 1.
    #[must_use]
    pub fn build(instances: Vec<Instance>, replication_factor: usize) -> Self {
        let instances = in_order(instances);
        let topology = Arc::new(Topology::whole(&instances, replication_factor.max(1), None));
        Self::of(0, instances.into(), topology)
    }

    /// The ring of this role in a newer snapshot. Costs next to nothing if nobody joined, left or changed zone.
    #[must_use]
    pub fn updated(&self, snapshot: &ClusterSnapshot, role: Role) -> Self {
        let instances = in_order(places(snapshot, role));
        let same = self.instances.iter().map(|i| (&i.id, &i.zone)).eq(instances.iter().map(|i| (&i.id, &i.zone)));
        let topology = match same {
            true => Arc::clone(&self.topology),
            false => Arc::new(Topology::whole(&instances, self.topology.replication_factor, Some(&self.topology))),
        };
        let read_only = |i: &Instance| i.state == InstanceState::ReadOnly;
        if same && self.instances.iter().map(read_only).eq(instances.iter().map(read_only)) {
            return Self { version: snapshot.version, instances: instances.into(), topology, writable: self.writable.clone() };
        }
        Self::of(snapshot.version, instances.into(), topology)
    }

    fn of(version: u64, instances: Arc<[Instance]>, topology: Arc<Topology>) -> Self {
        let writable = topology.writable(&instances).map(Arc::new);
        Self { version, instances, topology, writable }
    }

    /// The ring of those instances only that hold a tenant's series if each tenant has `size` of them (0: all), or this ring if that is all of
    /// them. Indices remain those of this ring's [`Ring::instances`].
    ///
    /// The size is rounded up to the replication factor and to a multiple of the zones: every zone gives the same number, as long as it has them.
    /// Which ones is a function of tenant, ids and zones. With a larger size come more, and none goes; when an instance joins or
    /// leaves, at most one in its zone changes.
    #[must_use]
    pub fn shard_of(&self, tenant: &str, size: usize) -> Self {
        match shard::writers(self, tenant, size) {
            None => self.clone(),
            Some(members) => self.with_topology(&Arc::new(self.topology.shard(&self.instances, members.into()))),
        }
    }

    /// Who must be asked for what was written to the tenant's shard of `size` (0: all) at any time since `since_ms`, a wall time: the instances of
    /// the shard, and those that were in it before others joined. Ascending; a superset of [`Ring::shard_of`].
    ///
    /// Instances that have left are not among them: what they had is in the object store. Of those that are here, the ones that registered after
    /// `since_ms` are taken in addition to the number that the size asks for; a restart registers, too, and then costs a read one more to ask.
    #[must_use]
    pub fn readers_of(&self, tenant: &str, size: usize, since_ms: i64) -> Arc<[InstanceIndex]> {
        shard::readers(self, tenant, size, since_ms).map_or_else(|| Arc::clone(&self.topology.members), Into::into)
    }

    /// The instances that hold keys, ascending: all, unless this is a shard.
    #[must_use]
    pub fn members(&self) -> &Arc<[InstanceIndex]> {
        &self.topology.members
    }

    /// A shard that was cut from an earlier state of this ring, if nobody has joined, left or changed zone since.
    pub(crate) fn with_topology(&self, topology: &Arc<Topology>) -> Self {
        Self::of(self.version, Arc::clone(&self.instances), Arc::clone(topology))
    }

    pub(crate) fn topology(&self) -> &Arc<Topology> {
        &self.topology
    }

    /// The version of the snapshot that this ring was made of; 0 if of none.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// All instances, ascending by id.
    #[must_use]
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// How many replicas a key should have.
    #[must_use]
    pub fn replication_factor(&self) -> usize {
        self.topology.replication_factor
    }

    /// The replicas of a key; empty on an empty ring.
    #[inline]
    #[must_use]
    pub fn replicas(&self, token: u64) -> &ReplicaSet {
        self.topology.replicas(token)
    }

    /// The instances that a key is written to: its replicas as if there were no READ_ONLY ones, if the others are enough. Numbers of these sets
    /// are those of each other only.
    #[inline]
    pub(crate) fn write_replicas(&self, token: u64) -> &ReplicaSet {
        self.writable.as_ref().unwrap_or(&self.topology).replicas(token)
    }

    /// The different replica sets, by number.
    #[must_use]
    pub fn replica_sets(&self) -> &[ReplicaSet] {
        &self.topology.sets
    }

    /// How many different replica sets there are.
    #[must_use]
    pub fn set_count(&self) -> usize {
        self.topology.sets.len()
    }

    /// Each member's share of all replicas of all keys, in the order of [`Ring::members`]; sums to 1.
    #[must_use]
    pub fn ownership(&self) -> &[f64] {
        &self.topology.ownership
    }

    /// Virtual nodes, neighbours with the same replicas being one: 24 bytes each, nearly all that a ring occupies.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.topology.node_count()
    }

    /// The failure domains that the instances are in, ascending.
    #[must_use]
    pub fn domains(&self) -> Vec<Domain<'_>> {
        domain::distinct(self.instances.iter())
    }
}

/// The instances of a role that have a place.
fn places(snapshot: &ClusterSnapshot, role: Role) -> Vec<Instance> {
    snapshot.of_role(role).filter(|instance| instance.state != InstanceState::Gone).cloned().collect()
}

fn in_order(mut instances: Vec<Instance>) -> Vec<Instance> {
    instances.sort_by(|a, b| a.id.cmp(&b.id));
    instances.dedup_by(|a, b| a.id == b.id);
    instances
}

#[cfg(test)]
pub(crate) mod tests;
