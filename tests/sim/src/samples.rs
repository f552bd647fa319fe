//! Samples: where they are, which were acknowledged, and what a complete read must find.

use std::collections::{BTreeMap, BTreeSet};

use ring::{ClusterSnapshot, ReadQuorum, Ring, Role, Verdict, WriteQuorum};

use crate::member::COPIES;

/// How long after it was shipped every querier finds a block.
pub(crate) const INDEX_LAG_MS: u64 = 5_000;

/// A process that follows the cluster.
#[derive(Debug)]
pub(crate) struct Watcher {
    pub(crate) ring: Ring,
}

impl Watcher {
    pub(crate) fn new() -> Self {
        Self { ring: Ring::of_role(&ClusterSnapshot::default(), Role::Ingester, COPIES) }
    }

    /// As `ClusterWatch` has it: what is not newer is not taken.
    pub(crate) fn see(&mut self, ring: Ring) {
        if ring.version() > self.ring.version() {
            self.ring = ring;
        }
    }
}

/// A write on its way.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) quorum: WriteQuorum,
    pub(crate) samples: Vec<u64>,
    pub(crate) version: u64,
    pub(crate) acked: bool,
}

/// A read on its way.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) quorum: ReadQuorum,
    pub(crate) version: u64,
    /// What was acknowledged before it began, by writers that knew no newer ring than this reader.
    pub(crate) owed: BTreeSet<u64>,
    pub(crate) found: BTreeSet<u64>,
}

/// All samples.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    next: u64,
    /// Acknowledged, and not known to be in the store: with the version of the ring by which they were written.
    acked: BTreeMap<u64, u64>,
    /// In the object store, since when.
    store: BTreeMap<u64, u64>,
    pub(crate) complete_reads: u64,
    /// How many were acknowledged.
    pub(crate) count: usize,
}

impl Samples {
    pub(crate) fn make(&mut self, count: u64) -> Vec<u64> {
        self.next += count;
        (self.next - count..self.next).collect()
    }

    pub(crate) fn acknowledged(&mut self, write: &Write) {
        self.count += write.samples.len();
        self.acked.extend(write.samples.iter().map(|sample| (*sample, write.version)));
    }

    pub(crate) fn ship(&mut self, samples: impl Iterator<Item = u64>, now: u64) {
        for sample in samples {
            self.store.entry(sample).or_insert(now);
        }
    }

    /// What a reader at this version must find, but for what it finds in the store anyhow.
    pub(crate) fn owed_to(&mut self, version: u64, now: u64) -> BTreeSet<u64> {
        let store = &self.store;
        // What is found in the store stays there.
        self.acked.retain(|sample, _| store.get(sample).is_none_or(|at| at + INDEX_LAG_MS > now));
        self.acked.iter().filter(|(_, by)| **by <= version).map(|(sample, _)| *sample).collect()
    }

    pub(crate) fn is_stored(&self, sample: u64, now: u64) -> bool {
        self.store.get(&sample).is_some_and(|at| at + INDEX_LAG_MS <= now)
    }

    /// The invariant: a read that is complete has everything that it is owed.
    pub(crate) fn check(&mut self, read: &Read, now: u64) {
        if read.quorum.verdict() != Verdict::Reached {
            return;
        }
        self.complete_reads += 1;
        let missing: Vec<&u64> = read.owed.difference(&read.found).filter(|sample| !self.is_stored(**sample, now)).collect();
        assert!(missing.is_empty(), "a complete read at version {} lacks acknowledged samples {missing:?}", read.version);
    }
}
