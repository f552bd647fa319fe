//! Which instances hold the keys of a virtual node. Pure.

use crate::ring::InstanceIndex;

/// A virtual node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) token: u64,
    /// Who comes first at one token: the lowest.
    pub(crate) tie: u64,
    pub(crate) instance: InstanceIndex,
    pub(crate) domain: u32,
}

/// Calls `emit` with every token and the replicas of the keys that end there, descending by token. `members` ascend by token, then by `tie`.
///
/// Clockwise from the token: the first instance of each failure domain, until there are as many as the replication factor asks for. Therefore a join
/// adds the joined instance to some sets and changes nothing else, and a leave puts one other in its place.
///
/// Where there are fewer domains, sets are smaller: a second replica in one domain would count for a quorum, and a read that does without that domain would miss
/// what was acknowledged.
///
/// Going counter-clockwise instead, the nearest domains are a short list in which the node just met moves to the front: the cost per node is
/// O(replication factor), however unevenly instances are spread over domains.
pub(crate) fn replica_sets(members: &[Member], replication_factor: usize, mut emit: impl FnMut(u64, &[InstanceIndex])) {
    let mut sweep = Sweep { replication_factor, nearest: Vec::new(), replicas: Vec::new() };
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
    /// The nearest instance of each of the nearest domains, nearest first.
    nearest: Vec<Member>,
    replicas: Vec<InstanceIndex>,
}

impl Sweep {
    fn meet(&mut self, member: Member) {
        if let Some(place) = self.nearest.iter().position(|other| other.domain == member.domain) {
            self.nearest.remove(place);
        }
        self.nearest.insert(0, member);
        self.nearest.truncate(self.replication_factor);
    }

    fn replicas(&mut self) -> &[InstanceIndex] {
        self.replicas.clear();
        self.replicas.extend(self.nearest.iter().map(|nearest| nearest.instance));
        self.replicas.sort_unstable();
        &self.replicas
    }
}
