//! Which instances hold which keys, computed once per change of members. Pure.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

use hashring::HashRing;
use xxhash_rust::xxh3::xxh3_64;

use crate::balance::{balance_all, balance_domain};
use crate::domain;
use crate::instance::{Instance, InstanceState};
use crate::replication::{Member, replica_sets};
use crate::ring::{InstanceIndex, ReplicaSet};
use crate::spread::Spread;
use crate::token::{TOKENS_PER_INSTANCE, TOKENS_PER_INSTANCE_OF_SHARD, ordinal, tie, tokens};

/// What depends on ids and zones alone and survives changes of state, address and epoch.
#[derive(Debug)]
pub(crate) struct Topology {
    pub(crate) replication_factor: usize,
    /// Those that hold keys, ascending.
    pub(crate) members: Arc<[InstanceIndex]>,
    nodes: HashRing<VirtualNode, BuildHasherDefault<PassThrough>>,
    pub(crate) sets: Vec<ReplicaSet>,
    nobody: ReplicaSet,
    /// By place in `members`.
    pub(crate) ownership: Vec<f64>,
    /// Kept for the next topology.
    spread: Arc<Spread>,
    tokens_of_each: usize,
}

impl Topology {
    /// All of the instances, which are in the order of their ids. `earlier` saves work.
    pub(crate) fn whole(instances: &[Instance], replication_factor: usize, earlier: Option<&Self>) -> Self {
        let rows = instances.iter().filter_map(|i| ordinal(&i.id)).max().map_or(0, |highest| highest + 1);
        let spread = match earlier {
            Some(earlier) if earlier.spread.len() >= rows => Arc::clone(&earlier.spread),
            _ => Arc::new(Spread::with_rows(rows)),
        };
        let members = (0..).zip(instances).map(|(index, _)| index).collect();
        Self::build(instances, members, replication_factor, spread, TOKENS_PER_INSTANCE)
    }

    /// Some of the instances of which this is the topology, ascending.
    pub(crate) fn shard(&self, instances: &[Instance], members: Arc<[InstanceIndex]>) -> Self {
        Self::build(instances, members, self.replication_factor, Arc::clone(&self.spread), TOKENS_PER_INSTANCE_OF_SHARD)
    }

    /// The topology without READ_ONLY instances, whose keys the next ones take; `None` if there are none of them, or if replicas would be fewer without them: then the others
    /// are the quorum.
    pub(crate) fn writable(&self, instances: &[Instance]) -> Option<Self> {
        let of = |index: &InstanceIndex| instances.get(*index as usize);
        let left: Arc<[InstanceIndex]> =
            self.members.iter().copied().filter(|i| of(i).is_some_and(|i| i.state != InstanceState::ReadOnly)).collect();
        let replicas = |members: &[InstanceIndex]| domain::count(members.iter().filter_map(of)).min(self.replication_factor);
        let too_few = || replicas(&left) < replicas(&self.members);
        if left.len() == self.members.len() || too_few() {
            return None;
        }
        Some(Self::build(instances, left, self.replication_factor, Arc::clone(&self.spread), self.tokens_of_each))
    }

    fn build(
        instances: &[Instance],
        members: Arc<[InstanceIndex]>,
        replication_factor: usize,
        spread: Arc<Spread>,
        tokens_of_each: usize,
    ) -> Self {
        let virtual_nodes = by_token(instances, &members, replication_factor, &spread, tokens_of_each);
        let mut interned: HashMap<Box<[InstanceIndex]>, u32> = HashMap::new();
        let mut sets = Vec::new();
        // Descending, and one node for neighbours with the same replicas: the one with the highest token.
        let mut nodes: Vec<VirtualNode> = Vec::with_capacity(virtual_nodes.len() / 2);
        replica_sets(&virtual_nodes, replication_factor, |token, replicas| {
            let set = match interned.get(replicas) {
                Some(set) => *set,
                None => {
                    let number = u32::try_from(sets.len()).expect("2^32 sets would need as many virtual nodes, and they are in memory");
                    sets.push(ReplicaSet { number, instances: replicas.into() });
                    interned.insert(replicas.into(), number);
                    number
                }
            };
            if nodes.last().is_none_or(|next| next.set != set) {
                nodes.push(VirtualNode { token, set });
            }
        });
        nodes.reverse();
        let ownership = ownership(&nodes, &sets, &members);
        let mut ring = HashRing::with_hasher(BuildHasherDefault::default());
        ring.batch_add(nodes);
        Self {
            replication_factor,
            members,
            nodes: ring,
            sets,
            nobody: ReplicaSet { number: 0, instances: Arc::default() },
            ownership,
            spread,
            tokens_of_each,
        }
    }

    #[inline]
    pub(crate) fn replicas(&self, token: u64) -> &ReplicaSet {
        self.nodes.get(&token).and_then(|node| self.sets.get(node.set as usize)).unwrap_or(&self.nobody)
    }

    /// Virtual nodes: 24 bytes each, and nearly all that a topology occupies.
    pub(crate) fn node_count(&self) -> usize {
        self.nodes.len()
    }
}

/// All virtual nodes, ascending by token, balanced. The order of several at one token is drawn for each token. If keys have one replica only, all is one domain.
pub(crate) fn by_token(
    instances: &[Instance],
    members: &[InstanceIndex],
    replication_factor: usize,
    spread: &Spread,
    tokens_of_each: usize,
) -> Vec<Member> {
    let domains = domain::distinct(members.iter().filter_map(|index| instances.get(*index as usize)));
    let mut nodes = Vec::with_capacity(members.len() * tokens_of_each);
    for &index in members {
        let Some(instance) = instances.get(index as usize) else { continue };
        let domain = if replication_factor == 1 { 0 } else { domains.partition_point(|domain| *domain < instance.domain()) as u32 };
        let id_hash = xxh3_64(instance.id.as_str().as_bytes());
        let own = tokens(&instance.id, spread);
        nodes.extend(own.iter().take(tokens_of_each).map(|&token| Member { token, tie: tie(token, id_hash), instance: index, domain }));
    }
    if domains.len() <= replication_factor || replication_factor == 1 {
        nodes.sort_unstable_by_key(|node| (node.domain, node.token, node.tie, node.instance));
        nodes.chunk_by_mut(|a, b| a.domain == b.domain).for_each(balance_domain);
        nodes.sort_unstable_by_key(|node| (node.token, node.tie, node.instance));
    } else {
        nodes.sort_unstable_by_key(|node| (node.token, node.tie, node.instance));
        balance_all(&mut nodes, replication_factor);
        // A token near 0 may have moved over it.
        nodes.sort_unstable_by_key(|node| (node.token, node.tie, node.instance));
    }
    nodes
}

fn ownership(nodes: &[VirtualNode], sets: &[ReplicaSet], members: &[InstanceIndex]) -> Vec<f64> {
    let mut shares = vec![0.0; members.len()];
    let Some(last) = nodes.last() else { return shares };
    let mut arc_of = vec![0.0; sets.len()];
    let mut previous = last.token;
    for node in nodes {
        // A single node has everything, not nothing.
        let arc = if nodes.len() == 1 { 1.0 } else { node.token.wrapping_sub(previous) as f64 };
        arc_of[node.set as usize] += arc;
        previous = node.token;
    }
    for (set, arc) in sets.iter().zip(arc_of) {
        for replica in &*set.instances {
            if let Ok(place) = members.binary_search(replica) {
                shares[place] += arc;
            }
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
