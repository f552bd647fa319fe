//! Two equal senders and the distributors that agree on one of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use coordinator::machine::{Command, Reply};
use distributor::ha::tracker::{Election, Group as Senders, Rules, Tracker, Verdict};
use model::TenantId;
use rpc::{Swap, Swapped};

use crate::group::Group;

const KEY: &str = "ha/t/c";
const RULES: Rules = Rules { failover: Duration::from_secs(30), max_groups: 0 };

/// What one distributor knows, and what all have agreed on.
#[derive(Debug, Default)]
pub(crate) struct Agreement {
    by_version: BTreeMap<u64, String>,
}

/// A distributor's side of it.
#[derive(Debug, Default)]
pub(crate) struct Side {
    tracker: Tracker,
    known: u64,
    pub(crate) taken: u64,
}

fn senders() -> Senders {
    Senders { tenant: TenantId::anonymous(), cluster: "c".into() }
}

impl Side {
    fn learn(&mut self, version: u64, replica: &str, now: Duration) {
        let election = Election { tenant: String::new(), cluster: "c".to_owned(), replica: replica.to_owned(), elected_ms: 0, heard_ms: 0 };
        self.tracker.stored(&senders(), &election, version, RULES.failover, version, now);
        self.known = self.known.max(version);
    }

    /// What a member that may be behind says.
    pub(crate) fn follow(&mut self, group: &Group, member: usize, now: Duration) {
        let entry = group.members[member].state.keys().get(KEY).cloned();
        if let Some((version, Some(replica))) = entry.map(|entry| (entry.version, entry.value)) {
            self.learn(version, &replica, now);
        }
    }

    /// A sample of this replica comes in. What is taken is the elected one's, by the version that this side knows.
    pub(crate) fn send(&mut self, agreement: &mut Agreement, group: Option<&mut Group>, replica: &str, now: Duration) {
        let taken = match self.tracker.check(&senders(), replica, RULES, now) {
            Verdict::Take => true,
            Verdict::Drop | Verdict::TooMany => false,
            Verdict::Propose { expected } => match group.and_then(|group| agreement.swap(group, expected, replica)) {
                Some((version, elected)) => {
                    self.learn(version, &elected, now);
                    self.tracker.check(&senders(), replica, RULES, now) == Verdict::Take
                }
                None => self.tracker.unreachable(&senders(), &Arc::from(replica), RULES, now, 0),
            },
        };
        self.taken += u64::from(taken);
        if let Some(elected) = agreement.by_version.get(&self.known) {
            assert_eq!(taken, elected == replica, "of version {} {elected} is elected, and {replica} was taken: {taken}", self.known);
        }
    }

    /// Renews what is due.
    pub(crate) fn renew(&mut self, agreement: &mut Agreement, group: &mut Group, now: Duration) {
        for renewal in self.tracker.renewals(10, now, 0) {
            let Some(election) = renewal.election else { continue };
            if let Some((version, elected)) = agreement.swap(group, renewal.expected, &election.replica) {
                self.learn(version, &elected, now);
            }
        }
    }
}

impl Agreement {
    /// Through the log; the version and who is elected by it, be it this one or not.
    fn swap(&mut self, group: &mut Group, expected: u64, replica: &str) -> Option<(u64, String)> {
        let swap = Swap { key: KEY.to_owned(), expected, value: Some(replica.to_owned()) };
        let Some(Reply::Swapped { outcomes }) = group.propose(Command::Swap { swaps: vec![swap] }) else { return None };
        match outcomes.into_iter().next()? {
            Swapped::Done { version } => {
                assert!(self.by_version.insert(version, replica.to_owned()).is_none(), "two are elected by version {version}");
                Some((version, replica.to_owned()))
            }
            Swapped::Conflict { current } => Some((current.version, current.value?)),
            Swapped::Full => None,
        }
    }
}
