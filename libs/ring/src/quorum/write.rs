//! Whom a batch of series is written to, and when it is acknowledged.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use crate::instance::InstanceState;
use crate::quorum::{Verdict, write_quorum};
use crate::ring::{InstanceIndex, ReplicaSet, Ring};
use crate::topology::PassThrough;

/// One request of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteTarget {
    /// To whom, an index into [`Ring::instances`].
    pub instance: InstanceIndex,
    /// Which series of the batch, ascending; `None` is all of them.
    pub series: Option<Arc<[u32]>>,
}

/// A batch of series, split by who holds them.
#[derive(Debug, Clone)]
pub struct WritePlan {
    /// One request per instance, each to be sent once; ascending by instance.
    pub targets: Vec<WriteTarget>,
    /// Told of the outcome of each target.
    pub quorum: WriteQuorum,
}

/// Follows a write until every series has its quorum, or one cannot get it any more.
///
/// Series with the same replicas share their fate, so the cost of an outcome does not depend on the number of series.
#[derive(Debug, Clone)]
pub struct WriteQuorum {
    quorum: usize,
    groups: Vec<Group>,
    /// Groups without a quorum so far.
    open: usize,
    impossible: bool,
    /// Groups of each target.
    groups_of: Vec<Vec<u32>>,
    /// Targets whose outcome is known; a second outcome changes nothing.
    heard: Vec<bool>,
}

#[derive(Debug, Clone)]
struct Group {
    acked: usize,
    /// Replicas that may still take it or have taken it.
    possible: usize,
}

impl Ring {
    /// Splits a batch of series, given by their tokens in the order of the batch.
    ///
    /// A series goes to all its replicas, with the next instance of the zone in the place of one that is READ_ONLY, but not to those that are LEAVING (they are to take no more writes) or UNHEALTHY (their lease
    /// ran out) as long as the others are a quorum. If they are not, everyone is asked: an instance that has lost its
    /// coordinator is better than a refused write. Those left out are replicas nonetheless: the quorum remains that of the
    /// replication factor, so a read finds what was acknowledged.
    #[must_use]
    pub fn plan_write(&self, tokens: impl IntoIterator<Item = u64>) -> WritePlan {
        self.plan_write_sparing(tokens, |_| false)
    }

    /// The same, and those that `spare` names are left out as well, for what the caller has learned of them, as long as the others are a quorum.
    #[must_use]
    pub fn plan_write_sparing(&self, tokens: impl IntoIterator<Item = u64>, spare: impl FnMut(InstanceIndex) -> bool) -> WritePlan {
        let quorum = write_quorum(self.replication_factor());
        let mut plan = Planner::new(self, quorum, spare);
        for (series, token) in (0..).zip(tokens) {
            plan.add(series, self.write_replicas(token));
        }
        plan.finish()
    }
}

struct Planner<'a, S> {
    ring: &'a Ring,
    spare: S,
    quorum: usize,
    group_of_set: HashMap<u32, u32, BuildHasherDefault<PassThrough>>,
    groups: Vec<Group>,
    /// Targets of each group, as indices into `targets`.
    targets_of: Vec<Vec<u32>>,
    target_of_instance: HashMap<InstanceIndex, u32, BuildHasherDefault<PassThrough>>,
    targets: Vec<(InstanceIndex, Vec<u32>)>,
    series: usize,
}

impl<'a, S: FnMut(InstanceIndex) -> bool> Planner<'a, S> {
    fn new(ring: &'a Ring, quorum: usize, spare: S) -> Self {
        Self {
            ring,
            spare,
            quorum,
            group_of_set: HashMap::default(),
            groups: Vec::new(),
            targets_of: Vec::new(),
            target_of_instance: HashMap::default(),
            targets: Vec::new(),
            series: 0,
        }
    }

    fn add(&mut self, series: u32, set: &ReplicaSet) {
        self.series += 1;
        let group = match self.group_of_set.get(&set.number) {
            Some(&group) => group,
            None => self.new_group(set),
        };
        for &target in &self.targets_of[group as usize] {
            self.targets[target as usize].1.push(series);
        }
    }

    fn new_group(&mut self, set: &ReplicaSet) -> u32 {
        let instances = self.ring.instances();
        let takes_writes =
            |replica: &InstanceIndex| matches!(instances[*replica as usize].state, InstanceState::Active | InstanceState::Joining);
        let in_state: Vec<InstanceIndex> = set.instances.iter().copied().filter(takes_writes).collect();
        let mut asked: Vec<InstanceIndex> = in_state.iter().copied().filter(|replica| !(self.spare)(*replica)).collect();
        if asked.len() < self.quorum {
            asked = if in_state.len() < self.quorum { set.instances.to_vec() } else { in_state };
        }
        let number = index(self.groups.len());
        self.groups.push(Group { acked: 0, possible: asked.len() });
        let targets = asked.into_iter().map(|instance| self.target(instance)).collect();
        self.targets_of.push(targets);
        self.group_of_set.insert(set.number, number);
        number
    }

    fn target(&mut self, instance: InstanceIndex) -> u32 {
        let targets = &mut self.targets;
        *self.target_of_instance.entry(instance).or_insert_with(|| {
            targets.push((instance, Vec::new()));
            index(targets.len() - 1)
        })
    }

    fn finish(self) -> WritePlan {
        let mut order: Vec<usize> = (0..self.targets.len()).collect();
        order.sort_unstable_by_key(|&target| self.targets[target].0);
        let mut place = vec![0; order.len()];
        for (new, &old) in order.iter().enumerate() {
            place[old] = new;
        }
        let mut groups_of = vec![Vec::new(); order.len()];
        for (group, targets) in (0..).zip(&self.targets_of) {
            for &target in targets {
                groups_of[place[target as usize]].push(group);
            }
        }
        let all = self.series;
        let mut lists: Vec<Option<(InstanceIndex, Vec<u32>)>> = self.targets.into_iter().map(Some).collect();
        let targets = order
            .iter()
            .filter_map(|&old| lists[old].take())
            .map(|(instance, series)| WriteTarget { instance, series: if series.len() == all { None } else { Some(series.into()) } });
        let targets: Vec<WriteTarget> = targets.collect();
        let impossible = self.groups.iter().any(|group| group.possible < self.quorum);
        let quorum = WriteQuorum {
            quorum: self.quorum,
            open: self.groups.len(),
            groups: self.groups,
            impossible,
            groups_of,
            heard: vec![false; targets.len()],
        };
        WritePlan { targets, quorum }
    }
}

/// Series, sets and instances of one batch are counted in 32 bits everywhere.
fn index(n: usize) -> u32 {
    u32::try_from(n).expect("a batch has fewer than 2^32 series, and a ring fewer instances")
}

impl WriteQuorum {
    /// The verdict so far. A batch without series is acknowledged; one whose series have fewer replicas than a quorum is impossible at once.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match (self.impossible, self.open) {
            (true, _) => Verdict::Impossible,
            (false, 0) => Verdict::Reached,
            (false, _) => Verdict::Pending,
        }
    }

    /// The target (by its place in [`WritePlan::targets`]) has everything it was sent.
    pub fn succeeded(&mut self, target: usize) -> Verdict {
        self.outcome(target, true)
    }

    /// The target failed, or will not answer in time.
    pub fn failed(&mut self, target: usize) -> Verdict {
        self.outcome(target, false)
    }

    fn outcome(&mut self, target: usize, success: bool) -> Verdict {
        let Some(heard) = self.heard.get_mut(target) else { return self.verdict() };
        if !std::mem::replace(heard, true) {
            for &group in &self.groups_of[target] {
                let group = &mut self.groups[group as usize];
                if success {
                    group.acked += 1;
                    self.open -= usize::from(group.acked == self.quorum);
                } else {
                    group.possible -= 1;
                    self.impossible |= group.possible < self.quorum;
                }
            }
        }
        self.verdict()
    }
}

#[cfg(test)]
mod tests;
