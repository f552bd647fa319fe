//! The coordinators: one log, and members that have applied some of it.

use std::collections::BTreeSet;
use std::time::Duration;

use coordinator::forget::Dead;
use coordinator::lease::Leases;
use coordinator::machine::{Command, MemberKey, Reply, State};
use ring::InstanceState;

pub(crate) const LEASE: Duration = Duration::from_secs(10);
/// Longer than it takes until what is everywhere else has been shipped, and than any network is divided.
pub(crate) const AUTO_FORGET: Duration = Duration::from_secs(40);
pub(crate) const COPIES: usize = 3;

/// A member.
#[derive(Debug)]
pub(crate) struct Coordinator {
    pub(crate) state: State,
    applied: usize,
    pub(crate) leases: Leases,
    pub(crate) dead: Dead,
    /// How far its clock is from the others', and how fast it runs, in thousandths.
    offset: u64,
    rate: u64,
}

/// The group.
#[derive(Debug)]
pub(crate) struct Group {
    log: Vec<Command>,
    pub(crate) members: Vec<Coordinator>,
    pub(crate) leader: Option<usize>,
    pub(crate) term: u64,
    epochs: BTreeSet<u64>,
}

impl Group {
    pub(crate) fn new(clocks: &[(u64, u64)]) -> Self {
        let member = |(offset, rate): &(u64, u64)| Coordinator {
            state: State::default(),
            applied: 0,
            leases: Leases::new(LEASE),
            dead: Dead::default(),
            offset: *offset,
            rate: *rate,
        };
        Self { log: Vec::new(), members: clocks.iter().map(member).collect(), leader: None, term: 0, epochs: BTreeSet::new() }
    }

    /// A member leads: it has everything that was committed, and has heard of nobody.
    pub(crate) fn elect(&mut self, member: usize) {
        (self.leader, self.term) = (Some(member), self.term + 1);
        self.apply(member, usize::MAX);
        self.members[member].leases.clear();
        self.members[member].dead.clear();
        if self.members[member].state.header().cluster_id.is_empty() {
            self.propose(Command::Bootstrap { cluster_id: "sim".to_owned() });
        }
    }

    /// Commits and applies at the leader. The answer, and what must hold of it: an epoch is given once, and versions only grow.
    pub(crate) fn propose(&mut self, command: Command) -> Option<Reply> {
        let leader = self.leader?;
        self.log.push(command.clone());
        let member = &mut self.members[leader];
        let before = member.state.header().version;
        let reply = member.state.apply(command).reply;
        member.applied = self.log.len();
        assert!(member.state.header().version >= before, "versions do not go back");
        if let Reply::Registered { epoch } = reply {
            assert!(self.epochs.insert(epoch), "epoch {epoch} was given twice");
        }
        Some(reply)
    }

    /// A member catches up by at most so many entries.
    pub(crate) fn apply(&mut self, member: usize, entries: usize) {
        let member = &mut self.members[member];
        let upto = member.applied.saturating_add(entries).min(self.log.len());
        for command in &self.log[member.applied..upto] {
            member.state.apply(command.clone());
        }
        member.applied = upto;
    }

    pub(crate) fn clock(&self, member: usize, now_ms: u64) -> Duration {
        let member = &self.members[member];
        Duration::from_millis(member.offset + now_ms * member.rate / 1_000)
    }

    /// What the leader's loop does: lets leases run out, and forgets who may be. Who was forgotten.
    pub(crate) fn look(&mut self, now_ms: u64) -> Vec<MemberKey> {
        let Some(leader) = self.leader else { return Vec::new() };
        let now = self.clock(leader, now_ms);
        let member = &mut self.members[leader];
        let healthy = member.state.records().filter(|(_, record)| record.instance.state != InstanceState::Unhealthy);
        member.leases.reconcile(healthy.map(|(key, record)| (key, record.instance.epoch)), now);
        let expired = member.leases.expired(now);
        let forgettable = member.dead.due(&member.state, COPIES, AUTO_FORGET, now);
        for (member, epoch) in expired {
            self.propose(Command::Expire { member, epoch });
        }
        let mut forgotten = Vec::new();
        for (member, epoch) in forgettable {
            let command = Command::Forget { member: member.clone(), epoch, replication_factor: COPIES, force: false };
            if self.propose(command) == Some(Reply::Done) {
                forgotten.push(member);
            }
        }
        forgotten
    }

    /// A renewal at the leader; `false` if it is fenced.
    pub(crate) fn renew(&mut self, key: &MemberKey, epoch: u64, now_ms: u64) -> Option<bool> {
        let leader = self.leader?;
        let now = self.clock(leader, now_ms);
        let known = self.members[leader].state.get(key).map(|record| (record.instance.epoch, record.instance.state));
        match known {
            Some((current, state)) if current == epoch => {
                if state == InstanceState::Unhealthy {
                    self.propose(Command::Revive { member: key.clone(), epoch });
                }
                self.members[leader].leases.renew(key, epoch, now);
                Some(true)
            }
            _ => Some(false),
        }
    }
}
