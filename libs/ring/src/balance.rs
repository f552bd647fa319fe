//! Moves tokens a little, so that all instances of a domain own the same. Pure, and the same on every machine: sums, products and quotients of IEEE numbers in a fixed order.
//!
//! Numbered instances without gaps own the same anyway ([`crate::spread`]), and nothing is moved. Where numbers are missing or ids have none, shares vary by some
//! percent. Then each instance gets a weight, and each boundary between two of them moves towards the one with the lower weight, by the difference of the weights
//! times the length of the interval that is shortened. Who has too little gets more weight, until all have about the same.
//!
//! When an instance comes or goes, all shares change by nearly the same factor, so weights hardly change: what moves in addition to the newcomer's share is a small part of it.

use crate::replication::{Member, replica_sets};

/// How far shares may be from the mean; only what is beyond is corrected.
const TOLERATED: f64 = 0.005;

/// The same where keys do not have one replica in each domain. There a join changes shares unevenly, and evening out moves more.
const TOLERATED_IN_ALL: f64 = 0.05;

/// Each round takes away at least half of the deviation.
const ROUNDS: usize = 12;

/// A boundary moves by less than half of an interval, so that the order of tokens stays.
const MAX_SHIFT: f64 = 0.45;

/// Bounds a weight where shares cannot be equal: one instance in a zone beside ten in another.
const MAX_WEIGHT: f64 = 0.3;

/// Balances the virtual nodes of one domain, of which each key has one replica. They ascend by token and tie.
pub(crate) fn balance_domain(nodes: &mut [Member]) {
    let mut ring = Boundaries::of(nodes);
    let mean = ring.total() / ring.weights.len() as f64;
    ring.even_out(0.25, TOLERATED, |ring| ring.first_shares(mean));
    ring.apply(nodes);
}

/// Balances all virtual nodes where domains are too many for one replica in each: by the replicas that keys then have.
pub(crate) fn balance_all(nodes: &mut [Member], replication_factor: usize) {
    let mut ring = Boundaries::of(nodes);
    let mut shifted = nodes.to_vec();
    let replicas = replication_factor;
    let mean = ring.total() * replicas as f64 / ring.weights.len() as f64;
    // Of what an instance owns, a boundary of its own changes but the part that it holds as the first.
    ring.even_out(0.25 * replicas as f64, TOLERATED_IN_ALL, |ring| {
        shifted.copy_from_slice(nodes);
        ring.apply(&mut shifted);
        let mut shares = vec![-1.0; ring.weights.len()];
        let mut next = None;
        let mut add = |arc: f64, replicas: &[u32]| {
            for place in replicas.iter().filter_map(|replica| ring.instances.binary_search(replica).ok()) {
                shares[place] += arc / mean;
            }
        };
        // Descending: what lies between two tokens belongs to the replicas of the upper one.
        replica_sets(&shifted, replication_factor, |token, replicas| {
            if let Some((upper, of_upper)) = next.replace((token, replicas.to_vec())) {
                add(upper.wrapping_sub(token) as f64, &of_upper);
            }
        });
        if let (Some((lowest, replicas)), Some(highest)) = (next, shifted.last()) {
            add(lowest.wrapping_sub(highest.token) as f64, &replicas);
        }
        shares
    });
    ring.apply(nodes);
}

/// A ring whose boundaries follow weights.
struct Boundaries {
    /// Ascending.
    instances: Vec<u32>,
    /// Of each instance.
    weights: Vec<f64>,
    /// Of each node, a place in `instances`.
    owners: Vec<usize>,
    /// Keys that each node owns: those after the one before it.
    lengths: Vec<f64>,
}

impl Boundaries {
    fn of(nodes: &[Member]) -> Self {
        let mut instances: Vec<u32> = nodes.iter().map(|node| node.instance).collect();
        instances.sort_unstable();
        instances.dedup();
        let owners = nodes.iter().filter_map(|node| instances.binary_search(&node.instance).ok()).collect();
        let mut before = nodes.last().map_or(0, |node| node.token);
        let length = |node: &Member| node.token.wrapping_sub(std::mem::replace(&mut before, node.token)) as f64;
        let lengths = nodes.iter().map(length).collect();
        Self { weights: vec![0.0; instances.len()], instances, owners, lengths }
    }

    fn total(&self) -> f64 {
        self.lengths.iter().sum()
    }

    /// Sets the weights. `deviations` tells what each instance owns beyond the mean, as a part of the mean. `gain` is how much weight a deviation is worth: every
    /// unit of weight is worth two to four times what an instance owns first, because its intervals grow at both ends, and with two instances the other's shrink as well.
    fn even_out(&mut self, gain: f64, tolerated: f64, mut deviations: impl FnMut(&Self) -> Vec<f64>) {
        if self.instances.len() < 2 {
            return;
        }
        for _ in 0..ROUNDS {
            let beyond: Vec<f64> = deviations(self).into_iter().map(|d| d - d.clamp(-tolerated, tolerated)).collect();
            if beyond.iter().all(|deviation| *deviation == 0.0) {
                return;
            }
            for (weight, deviation) in self.weights.iter_mut().zip(beyond) {
                *weight = (*weight - deviation * gain).clamp(-MAX_WEIGHT, MAX_WEIGHT);
            }
        }
    }

    /// By how much the end of a node's interval moves.
    fn shift(&self, place: usize) -> f64 {
        let next = if place + 1 == self.owners.len() { 0 } else { place + 1 };
        let difference = (self.weights[self.owners[place]] - self.weights[self.owners[next]]).clamp(-MAX_SHIFT, MAX_SHIFT);
        difference * if difference > 0.0 { self.lengths[next] } else { self.lengths[place] }
    }

    /// What each instance owns as the first, beyond the mean.
    fn first_shares(&self, mean: f64) -> Vec<f64> {
        let mut shares = vec![-1.0; self.weights.len()];
        let mut before = self.shift(self.owners.len() - 1);
        for (place, owner) in self.owners.iter().enumerate() {
            let end = self.shift(place);
            shares[*owner] += (self.lengths[place] - before + end) / mean;
            before = end;
        }
        shares
    }

    /// Moves the tokens of the nodes that this was made of.
    fn apply(&self, nodes: &mut [Member]) {
        for (place, node) in nodes.iter_mut().enumerate() {
            let shift = self.shift(place);
            let by = shift.abs() as u64;
            node.token = if shift < 0.0 { node.token.wrapping_sub(by) } else { node.token.wrapping_add(by) };
        }
    }
}
