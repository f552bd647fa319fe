//! Shards that were made already.

use std::collections::HashMap;
use std::sync::Arc;

use crate::ring::Ring;
use crate::topology::Topology;

/// Keeps the shards of tenants that write, as long as nobody joins or leaves. Bounded by what they occupy; shards that were not used for long go first.
#[derive(Debug)]
pub struct ShardCache {
    /// Virtual nodes that may be kept.
    max_nodes: usize,
    /// The ring that all of them were cut from.
    whole: Option<Arc<Topology>>,
    /// Used since `old` was last thrown away.
    young: Generation,
    old: Generation,
}

#[derive(Debug, Default)]
struct Generation {
    shards: HashMap<Arc<str>, Kept>,
    nodes: usize,
}

#[derive(Debug)]
struct Kept {
    size: usize,
    topology: Arc<Topology>,
    nodes: usize,
}

impl Generation {
    fn insert(&mut self, tenant: Arc<str>, kept: Kept) {
        self.nodes += kept.nodes;
        if let Some(replaced) = self.shards.insert(tenant, kept) {
            self.nodes -= replaced.nodes;
        }
    }

    fn remove(&mut self, tenant: &str) -> Option<(Arc<str>, Kept)> {
        let (name, kept) = self.shards.remove_entry(tenant)?;
        self.nodes -= kept.nodes;
        Some((name, kept))
    }
}

/// What an entry costs beside the nodes of its shard, as nodes.
const ENTRY_NODES: usize = 16;

impl ShardCache {
    /// An empty cache of at most `max_nodes` virtual nodes, 24 bytes each. A shard of nine instances in three zones has some 500.
    #[must_use]
    pub fn new(max_nodes: usize) -> Self {
        Self { max_nodes, whole: None, young: Generation::default(), old: Generation::default() }
    }

    /// [`Ring::shard_of`], if it is here. The states of the instances are those of `ring`, whatever they were when the shard was made.
    pub fn find(&mut self, ring: &Ring, tenant: &str, size: usize) -> Option<Ring> {
        if !self.is_of(ring) {
            return None;
        }
        let kept = match self.young.shards.get(tenant) {
            Some(kept) => kept,
            None => {
                let (name, kept) = self.old.remove(tenant)?;
                self.put(name, kept);
                self.young.shards.get(tenant)?
            }
        };
        (kept.size == size).then(|| ring.with_topology(&kept.topology))
    }

    /// Keeps a shard that was made of `ring`. It is made outside, so that no lock around this cache is held meanwhile.
    pub fn keep(&mut self, ring: &Ring, tenant: &str, size: usize, shard: &Ring) {
        if !self.is_of(ring) {
            self.whole = Some(Arc::clone(ring.topology()));
            (self.young, self.old) = (Generation::default(), Generation::default());
        }
        // A shard that is everything is the ring itself.
        let own = if Arc::ptr_eq(ring.topology(), shard.topology()) { 0 } else { shard.node_count() };
        self.put(tenant.into(), Kept { size, topology: Arc::clone(shard.topology()), nodes: own + ENTRY_NODES });
    }

    /// Virtual nodes that are kept, and some for every tenant.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.young.nodes + self.old.nodes
    }

    fn is_of(&self, ring: &Ring) -> bool {
        self.whole.as_ref().is_some_and(|whole| Arc::ptr_eq(whole, ring.topology()))
    }

    fn put(&mut self, tenant: Arc<str>, kept: Kept) {
        if kept.nodes > self.max_nodes / 2 {
            return;
        }
        if self.young.nodes + kept.nodes > self.max_nodes / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(tenant, kept);
    }
}
