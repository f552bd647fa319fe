//! Which instances hold a key.
//!
//! The ring is the crate `hashring` with virtual nodes: the node at or after a key's token owns it. The set of replicas of every
//! virtual node is computed when the members change and its number is kept in the node, so that a lookup is one binary search.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

use hashring::HashRing;

use crate::instance::{Instance, InstanceState, Role};
use crate::replication::{Member, replica_sets};
use crate::snapshot::ClusterSnapshot;
use crate::token::tokens;

/// A place in [`Ring::instances`].
pub type InstanceIndex = u32;

/// The instances that hold a key, ascending by index; which of them comes first means nothing.
///
/// Fewer than the replication factor only if there are fewer instances. Their zones differ if there are at least as many zones.
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

/// What depends on ids and zones alone and survives changes of state, address and epoch.
#[derive(Debug)]
struct Topology {
    replication_factor: usize,
    nodes: HashRing<VirtualNode, BuildHasherDefault<PassThrough>>,
    sets: Vec<ReplicaSet>,
    nobody: ReplicaSet,
    ownership: Vec<f64>,
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
        let topology = Arc::new(Topology::build(&instances, replication_factor.max(1)));
        let writable = Topology::writable(&instances, topology.replication_factor).map(Arc::new);
        Self { version: 0, instances: instances.into(), topology, writable }
    }

    /// The ring of this role in a newer snapshot. Costs next to nothing if nobody joined, left or changed zone.
    #[must_use]
    pub fn updated(&self, snapshot: &ClusterSnapshot, role: Role) -> Self {
        let instances = in_order(places(snapshot, role));
        let same = self.instances.iter().map(|i| (&i.id, &i.zone)).eq(instances.iter().map(|i| (&i.id, &i.zone)));
        let read_only = |i: &Instance| i.state == InstanceState::ReadOnly;
        let writable = match same && self.instances.iter().map(read_only).eq(instances.iter().map(read_only)) {
            true => self.writable.clone(),
            false => Topology::writable(&instances, self.topology.replication_factor).map(Arc::new),
        };
        let topology = match same {
            true => Arc::clone(&self.topology),
            false => Arc::new(Topology::build(&instances, self.topology.replication_factor)),
        };
        Self { version: snapshot.version, instances: instances.into(), topology, writable }
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

    /// How many different replica sets there are.
    #[must_use]
    pub fn set_count(&self) -> usize {
        self.topology.sets.len()
    }

    /// Each instance's share of all replicas of all keys; sums to 1.
    #[must_use]
    pub fn ownership(&self) -> &[f64] {
        &self.topology.ownership
    }

    /// How many failure domains the instances are in.
    #[must_use]
    pub fn zone_count(&self) -> usize {
        let mut zones: Vec<&str> = self.instances.iter().map(|i| i.zone.as_str()).collect();
        zones.sort_unstable();
        zones.dedup();
        zones.len()
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

impl Topology {
    fn build(instances: &[Instance], replication_factor: usize) -> Self {
        Self::of_members(members_by_token(instances), instances.len(), replication_factor)
    }

    /// The topology without READ_ONLY instances, where that is another one. A read may do without whole zones where there are as many as replicas
    /// ([`crate::ReadQuorum`]), so what remains must be spread over as many, too; and it must be enough for all replicas.
    fn writable(instances: &[Instance], replication_factor: usize) -> Option<Self> {
        let takes = |instance: &Instance| instance.state != InstanceState::ReadOnly;
        let left = instances.iter().filter(|i| takes(i)).count();
        let zones =
            |all: &mut dyn Iterator<Item = &Instance>| all.map(|i| i.zone.as_str()).collect::<std::collections::BTreeSet<_>>().len();
        let needed = zones(&mut instances.iter()).min(replication_factor);
        if left == instances.len() || left < replication_factor || zones(&mut instances.iter().filter(|i| takes(i))) < needed {
            return None;
        }
        let mut members = members_by_token(instances);
        members.retain(|member| instances.get(member.instance as usize).is_some_and(takes));
        Some(Self::of_members(members, instances.len(), replication_factor))
    }

    #[inline]
    fn replicas(&self, token: u64) -> &ReplicaSet {
        self.nodes.get(&token).and_then(|node| self.sets.get(node.set as usize)).unwrap_or(&self.nobody)
    }

    fn of_members(members: Vec<Member>, instances: usize, replication_factor: usize) -> Self {
        let mut interned: HashMap<Box<[InstanceIndex]>, u32> = HashMap::new();
        let mut sets = Vec::new();
        let mut numbers = vec![0; members.len()];
        replica_sets(&members, replication_factor, |place, replicas| {
            numbers[place] = *interned.entry(replicas.into()).or_insert_with(|| {
                let number = u32::try_from(sets.len()).expect("2^32 sets would need as many virtual nodes, and they are in memory");
                sets.push(ReplicaSet { number, instances: replicas.into() });
                number
            });
        });
        let ownership = ownership(&members, &numbers, &sets, instances);
        let mut nodes = HashRing::with_hasher(BuildHasherDefault::default());
        nodes.batch_add(members.iter().zip(&numbers).map(|(member, &set)| VirtualNode { token: member.token, set }).collect());
        Self { replication_factor, nodes, sets, nobody: ReplicaSet { number: 0, instances: Arc::default() }, ownership }
    }
}

/// All virtual nodes, ascending by token. If two instances share a token, the one with the lower id has it.
fn members_by_token(instances: &[Instance]) -> Vec<Member> {
    let mut zones: Vec<&str> = instances.iter().map(|i| i.zone.as_str()).collect();
    zones.sort_unstable();
    zones.dedup();
    let mut members = Vec::with_capacity(instances.len() * crate::token::TOKENS_PER_INSTANCE);
    for (index, instance) in (0..).zip(instances) {
        let zone = zones.partition_point(|zone| *zone < instance.zone.as_str()) as u32;
        members.extend(tokens(&instance.id).map(|token| Member { token, instance: index, zone }));
    }
    members.sort_unstable_by_key(|member| (member.token, member.instance));
    members.dedup_by_key(|member| member.token);
    members
}

fn ownership(members: &[Member], numbers: &[u32], sets: &[ReplicaSet], instances: usize) -> Vec<f64> {
    let mut shares = vec![0.0; instances];
    let mut previous = members.last().map_or(0, |member| member.token);
    for (member, &number) in members.iter().zip(numbers) {
        let arc = member.token.wrapping_sub(previous) as f64;
        previous = member.token;
        for &replica in &*sets[number as usize].instances {
            shares[replica as usize] += arc;
        }
    }
    let total: f64 = shares.iter().sum();
    if total > 0.0 {
        shares.iter_mut().for_each(|share| *share /= total);
    }
    shares
}

/// A virtual node as `hashring` holds it: its key is its token, its value the number of its replica set.
#[derive(Debug, Clone, Copy)]
struct VirtualNode {
    token: u64,
    set: u32,
}

impl Hash for VirtualNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.token);
    }
}

/// Tokens are hashes already.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct PassThrough(u64);

impl Hasher for PassThrough {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only `write_u64` and `write_u32` are ever called; anything else still has to be a function of all bytes.
        self.0 = bytes.iter().fold(self.0, |hash, &byte| hash.rotate_left(8) ^ u64::from(byte));
    }

    fn write_u64(&mut self, token: u64) {
        self.0 = token;
    }

    /// Small numbers as keys of a `HashMap`, whose buckets look at the high bits, too.
    fn write_u32(&mut self, number: u32) {
        self.0 = u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

#[cfg(test)]
pub(crate) mod tests;
