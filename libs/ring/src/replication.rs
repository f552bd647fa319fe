//! Which instances hold the keys of a virtual node. Pure.

use crate::ring::InstanceIndex;

/// A virtual node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) token: u64,
    /// Who comes first at one token: the lowest.
    pub(crate) tie: u64,
    pub(crate) instance: InstanceIndex,
    pub(crate) zone: u32,
}

/// Calls `emit` with every token and the replicas of the keys that end there, descending by token. `members` ascend by token, then by `tie`.
///
/// Clockwise from the token: the first instance of each zone, until there are as many as the replication factor asks for; if there are too
/// few zones, then the next instances of any zone. Therefore a join adds the joined instance to some sets and changes nothing else, and
/// a leave puts one other in its place.
///
/// Going counter-clockwise instead, the nearest zones and instances are two short lists in which the node just met moves to the front:
/// the cost per node is O(replication factor), however unevenly instances are spread over zones.
pub(crate) fn replica_sets(members: &[Member], replication_factor: usize, mut emit: impl FnMut(u64, &[InstanceIndex])) {
    let mut sweep = Sweep { replication_factor, by_zone: Vec::new(), by_instance: Vec::new(), replicas: Vec::new() };
    // The first turn only learns what lies beyond the end of the list: the ring has no end.
    for member in members.iter().rev() {
        sweep.meet(*member);
    }
    for (place, member) in members.iter().enumerate().rev() {
        sweep.meet(*member);
        let is_first_at_token =
            place.checked_sub(1).and_then(|before| members.get(before)).is_none_or(|before| before.token != member.token);
        if is_first_at_token {
            emit(member.token, sweep.replicas());
        }
    }
}

struct Sweep {
    replication_factor: usize,
    /// The nearest instance of each of the nearest zones, nearest first.
    by_zone: Vec<Member>,
    /// The nearest instances, nearest first.
    by_instance: Vec<Member>,
    replicas: Vec<InstanceIndex>,
}

impl Sweep {
    fn meet(&mut self, member: Member) {
        to_front(&mut self.by_zone, member, self.replication_factor, |other| other.zone == member.zone);
        to_front(&mut self.by_instance, member, self.replication_factor, |other| other.instance == member.instance);
    }

    fn replicas(&mut self) -> &[InstanceIndex] {
        self.replicas.clear();
        self.replicas.extend(self.by_zone.iter().map(|nearest| nearest.instance));
        for nearest in &self.by_instance {
            if self.replicas.len() < self.replication_factor && !self.replicas.contains(&nearest.instance) {
                self.replicas.push(nearest.instance);
            }
        }
        self.replicas.sort_unstable();
        &self.replicas
    }
}

fn to_front(nearest: &mut Vec<Member>, member: Member, limit: usize, same: impl Fn(&Member) -> bool) {
    if let Some(place) = nearest.iter().position(same) {
        nearest.remove(place);
    }
    nearest.insert(0, member);
    nearest.truncate(limit);
}
