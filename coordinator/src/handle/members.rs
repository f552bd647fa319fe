//! The group's own members: adding, removing, and who leads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use openraft::error::{ClientWriteError, RaftError};
use openraft::{BasicNode, ChangeMembers};
use rpc::operator_grpc::{elect, group_status};
use rpc::{GroupMember, GroupStatus};

use super::Handle;
use crate::config::raft_config;
use crate::error::Error;

/// How long a new member may take to catch up.
const CATCH_UP: Duration = Duration::from_secs(45);
/// How long a member may take to say how it stands.
const ANSWER: Duration = Duration::from_secs(2);
/// How long an election may take.
const ELECTION: Duration = Duration::from_secs(5);
/// How often a member that shall lead stands for election.
const CANDIDACY: Duration = Duration::from_millis(300);

type Rejected = RaftError<u64, ClientWriteError<u64, BasicNode>>;

impl Handle {
    /// How this member stands.
    #[must_use]
    pub fn status(&self) -> GroupStatus {
        let metrics = self.inner.raft.metrics().borrow().clone();
        let matched: BTreeMap<u64, Option<u64>> =
            metrics.replication.iter().flatten().map(|(node, log)| (*node, log.map(|log| log.index))).collect();
        let voters: BTreeSet<u64> = metrics.membership_config.membership().voter_ids().collect();
        let member = |(node, info): (&u64, &BasicNode)| GroupMember {
            node: *node,
            address: if *node == self.inner.id { self.inner.address.clone() } else { info.addr.clone() },
            voter: voters.contains(node),
            matched: matched.get(node).copied().flatten(),
        };
        let state = self.inner.shared.state.read();
        GroupStatus {
            node: self.inner.id,
            address: self.inner.address.clone(),
            cluster_id: state.header().cluster_id.clone(),
            state: format!("{:?}", metrics.state),
            leader: self.leader(),
            term: metrics.current_term,
            last_log: metrics.last_log_index.unwrap_or(0),
            applied: metrics.last_applied.map_or(0, |id| id.index),
            members: metrics.membership_config.nodes().map(member).collect(),
            met: state.header().met.iter().copied().collect(),
            version: runtime::build_info::VERSION.to_owned(),
        }
    }

    /// Makes the coordinator at this address a learner, and a voter when it has caught up. Leader only; again is no error.
    pub async fn add_member(&self, address: &str) -> Result<(), Error> {
        self.check_leading()?;
        let asked = group_status(address, &self.inner.channels, &self.inner.cluster, ANSWER).await;
        let theirs = asked.map_err(|e| Error::Refused(format!("the coordinator at {address} does not say how it stands: {e}")))?;
        let ours = self.status();
        may_add(&ours, address, &theirs).map_err(Error::Refused)?;
        if ours.members.iter().any(|member| member.node == theirs.node && member.voter) {
            return Ok(());
        }
        let raft = &self.inner.raft;
        let node = BTreeMap::from([(theirs.node, BasicNode::new(address))]);
        let learner = tokio::time::timeout(CATCH_UP, raft.add_learner(theirs.node, BasicNode::new(address), true)).await;
        match learner {
            Ok(added) => added.map(|_| ()).map_err(rejected)?,
            Err(_) => {
                // A learner that nobody waits for any more would be sent the log for ever.
                let gone = raft.change_membership(ChangeMembers::RemoveNodes(node.into_keys().collect()), false).await;
                gone.map_err(rejected)?;
                return Err(Error::Refused(format!("{address} did not catch up within {CATCH_UP:?} and is no member")));
            }
        }
        let voters = ChangeMembers::AddVoterIds(BTreeSet::from([theirs.node]));
        raft.change_membership(voters, true).await.map_err(rejected)?;
        tracing::info!(address, node = theirs.node, "a coordinator joined the group");
        Ok(())
    }

    /// Takes the member at this address out of the group. Leader only. Without `force` only if most of those left answer now.
    pub async fn remove_member(&self, address: &str, force: bool) -> Result<(), Error> {
        self.check_leading()?;
        let status = self.status();
        let target = member_at(&status, address)?;
        if target.node == status.node {
            return Err(Error::Refused(format!("{address} leads the group: transfer that to another member first")));
        }
        let mut live = BTreeSet::from([status.node]);
        for member in status.members.iter().filter(|member| member.node != status.node && member.node != target.node) {
            if group_status(&member.address, &self.inner.channels, &self.inner.cluster, ANSWER).await.is_ok() {
                live.insert(member.node);
            }
        }
        may_remove(&status, target.node, &live, force).map_err(Error::Refused)?;
        let gone = BTreeSet::from([target.node]);
        let change = if target.voter { ChangeMembers::RemoveVoters(gone) } else { ChangeMembers::RemoveNodes(gone) };
        self.inner.raft.change_membership(change, false).await.map_err(rejected)?;
        tracing::info!(address, node = target.node, "a coordinator was taken out of the group");
        Ok(())
    }

    /// Makes the voter at this address the leader: this one falls silent until the others' patience with it is over, and that one is asked to stand for
    /// election first. Nothing is committed meanwhile, for some two seconds. Leader only.
    pub async fn transfer(&self, address: &str) -> Result<(), Error> {
        self.check_leading()?;
        let status = self.status();
        let target = member_at(&status, address)?;
        if target.node == status.node {
            return Ok(());
        }
        if !target.voter {
            return Err(Error::Refused(format!("{address} is a learner, and a learner cannot lead")));
        }
        if target.matched.is_none_or(|matched| matched < status.last_log) {
            return Err(Error::Refused(format!("{address} has entries up to {:?} of {}: try again", target.matched, status.last_log)));
        }
        if self.inner.transferring.swap(true, Relaxed) {
            return Err(Error::Refused("another transfer is in progress".to_owned()));
        }
        self.inner.raft.runtime_config().heartbeat(false);
        let result = self.hand_over(target.node, address).await;
        self.inner.raft.runtime_config().heartbeat(true);
        self.inner.transferring.store(false, Relaxed);
        result
    }

    async fn hand_over(&self, node: u64, address: &str) -> Result<(), Error> {
        // Voters refuse everybody for so long after they have last heard of their leader.
        tokio::time::sleep(Duration::from_millis(raft_config().election_timeout_max + 50)).await;
        let asked = elect(address, &self.inner.channels, &self.inner.cluster, ELECTION).await;
        let mut metrics = self.inner.raft.metrics();
        let other = |leader: Option<u64>| leader.filter(|leader| *leader != self.inner.id);
        let elected = metrics.wait_for(|metrics| other(metrics.current_leader).is_some());
        let leader = match tokio::time::timeout(ELECTION, elected).await {
            Ok(Ok(metrics)) => metrics.current_leader,
            _ => None,
        };
        match (leader, asked) {
            (Some(leader), _) if leader == node => Ok(()),
            (Some(_), _) => Err(Error::Refused(format!("another member than {address} was faster and leads now"))),
            (None, Err(error)) => Err(Error::Refused(format!("{address} was not elected: {error}"))),
            (None, Ok(())) => Err(Error::Refused(format!("{address} was not elected"))),
        }
    }

    /// Stands for election until this member leads, or somebody else does.
    pub async fn stand_for_election(&self) -> Result<(), Error> {
        let started = self.inner.clock.monotonic();
        let mut metrics = self.inner.raft.metrics();
        let before = metrics.borrow().current_leader;
        while self.inner.clock.monotonic().saturating_sub(started) < ELECTION {
            self.inner.raft.trigger().elect().await.map_err(|e| Error::Raft(e.to_string()))?;
            let decided = metrics.wait_for(|metrics| metrics.current_leader.is_some() && metrics.current_leader != before);
            if let Ok(Ok(_)) = tokio::time::timeout(CANDIDACY, decided).await {
                break;
            }
        }
        if self.is_leader() { Ok(()) } else { Err(Error::Refused(format!("{} was not elected", self.inner.address))) }
    }
}

fn member_at<'a>(status: &'a GroupStatus, address: &str) -> Result<&'a GroupMember, Error> {
    status
        .members
        .iter()
        .find(|member| member.address == address)
        .ok_or_else(|| Error::Invalid(format!("{address} is no member of the group")))
}

fn rejected(error: Rejected) -> Error {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => Error::NotLeader { leader: forward.leader_node.map(|n| n.addr) },
        error => Error::Refused(error.to_string()),
    }
}

/// Whether the coordinator that says this of itself may become a member.
fn may_add(ours: &GroupStatus, address: &str, theirs: &GroupStatus) -> Result<(), String> {
    if !theirs.cluster_id.is_empty() && theirs.cluster_id != ours.cluster_id {
        return Err(format!(
            "{address} belongs to cluster {}, and this is {}: start it with an empty data directory",
            theirs.cluster_id, ours.cluster_id
        ));
    }
    match ours.members.iter().find(|member| member.address == address) {
        Some(member) if member.node != theirs.node => Err(format!(
            "{address} is the address of a member whose store is gone (number {}, now {}): remove it first, then add it",
            member.node, theirs.node
        )),
        _ => Ok(()),
    }
}

/// Whether the group works without this member. `live` are those that answer.
fn may_remove(status: &GroupStatus, target: u64, live: &BTreeSet<u64>, force: bool) -> Result<(), String> {
    let left: BTreeSet<u64> = status.members.iter().filter(|m| m.voter && m.node != target).map(|m| m.node).collect();
    if left.is_empty() {
        return Err("it is the only voter".to_owned());
    }
    let answering = left.intersection(live).count();
    if !force && answering <= left.len() / 2 {
        return Err(format!("of the {} voters left only {answering} answer, which is no quorum; force does it all the same", left.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rpc::{GroupMember, GroupStatus};

    use super::{may_add, may_remove};

    fn status(node: u64, cluster: &str, voters: &[u64]) -> GroupStatus {
        let member = |node: &u64| GroupMember { node: *node, address: format!("h{node}:1"), voter: true, matched: None };
        GroupStatus {
            node,
            address: format!("h{node}:1"),
            cluster_id: cluster.to_owned(),
            state: String::new(),
            leader: None,
            term: 1,
            last_log: 1,
            applied: 1,
            members: voters.iter().map(member).collect(),
            met: Vec::new(),
            version: String::new(),
        }
    }

    #[test]
    fn a_member_goes_if_those_left_are_a_quorum() {
        let group = status(1, "c", &[1, 2, 3]);
        let live = |nodes: &[u64]| nodes.iter().copied().collect::<BTreeSet<_>>();
        assert_eq!(may_remove(&group, 3, &live(&[1, 2]), false), Ok(()));
        assert!(may_remove(&group, 3, &live(&[1]), false).is_err());
        assert_eq!(may_remove(&group, 3, &live(&[1]), true), Ok(()));
        assert!(may_remove(&status(1, "c", &[1]), 1, &live(&[1]), true).is_err(), "never the last one");
    }

    #[test]
    fn neither_another_cluster_nor_a_lost_memory_gets_in() {
        let ours = status(1, "c", &[1, 2]);
        assert_eq!(may_add(&ours, "h9:1", &status(9, "", &[])), Ok(()));
        assert_eq!(may_add(&ours, "h9:1", &status(9, "c", &[1, 2])), Ok(()));
        assert!(may_add(&ours, "h9:1", &status(9, "d", &[9])).unwrap_err().contains("cluster d"));
        assert!(may_add(&ours, "h2:1", &status(7, "", &[])).unwrap_err().contains("remove it first"));
    }
}
