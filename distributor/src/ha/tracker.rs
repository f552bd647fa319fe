//! Which replica of a group of equal senders is taken. Pure: time and what the store says come in, verdicts and wishes go out.
//!
//! Two Prometheus servers that scrape the same targets send the same series, each with its name in a label. Of each group ("cluster") one is elected and written, the
//! others are dropped. The election is a small value in the coordinator group, changed only by who knows its last version, so that all distributors elect the same.
//!
//! No clock of another machine is compared: the elected one was heard of when it sent something here, or when the store's value changed, both by the clock of this
//! process. Who takes its samples changes the value every half of the failover timeout, so every distributor hears of it often enough.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use model::TenantId;
use serde::{Deserialize, Serialize};

/// An election of which nothing was heard for so long is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(1_800);

/// A group of senders of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Group {
    /// Whose.
    pub tenant: TenantId,
    /// The value of the label that names the group.
    pub cluster: Arc<str>,
}

/// What is stored of an election; times are for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Election {
    /// Whose group.
    pub tenant: String,
    /// The group.
    pub cluster: String,
    /// Who is elected.
    pub replica: String,
    /// Since when, milliseconds since the epoch.
    pub elected_ms: i64,
    /// When it was last heard of by the one who wrote this.
    pub heard_ms: i64,
}

/// What is done with samples of a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the elected one.
    Take,
    /// Another one is.
    Drop,
    /// Nobody is, or who is has been silent for too long: this one is proposed, with the version that the store's value has now.
    Propose {
        /// 0 if there is none.
        expected: u64,
    },
    /// The tenant has as many groups as it may have.
    TooMany,
}

/// What a tenant may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How long the elected one may be silent before another one is.
    pub failover: Duration,
    /// Groups of the tenant; 0 is no limit.
    pub max_groups: usize,
}

#[derive(Debug, Clone)]
struct Entry {
    replica: Arc<str>,
    elected_ms: i64,
    /// Of the store's value; 0 while there is none, because the store could not be asked.
    version: u64,
    /// When the elected one was last heard of.
    heard: Duration,
    /// When the store's value was last seen to change.
    stored: Duration,
    /// After how long it is changed again, if the elected one is heard of here: between a third and a half of the failover timeout.
    renew_after: Duration,
    /// Heard of here since the store's value changed.
    news: bool,
}

/// A change that is wished for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// Of which group.
    pub group: Group,
    /// The version that the store's value must have.
    pub expected: u64,
    /// The new value; `None` removes it.
    pub election: Option<Election>,
}

/// All elections, as this process knows them.
#[derive(Debug, Default)]
pub struct Tracker {
    tenants: HashMap<TenantId, HashMap<Arc<str>, Entry>>,
}

impl Tracker {
    /// What is done with samples of this replica now.
    pub fn check(&mut self, group: &Group, replica: &str, rules: Rules, now: Duration) -> Verdict {
        let groups = self.tenants.entry(group.tenant.clone()).or_default();
        let count = groups.len();
        match groups.get_mut(&group.cluster) {
            Some(entry) if *entry.replica == *replica => {
                (entry.heard, entry.news) = (now, true);
                Verdict::Take
            }
            Some(entry) if now.saturating_sub(entry.heard) < rules.failover => Verdict::Drop,
            Some(entry) => Verdict::Propose { expected: entry.version },
            None if rules.max_groups > 0 && count >= rules.max_groups => Verdict::TooMany,
            None => Verdict::Propose { expected: 0 },
        }
    }

    /// The store could not be asked. Who was elected stays; where nobody was, this replica is for now. Whether it is taken.
    pub fn unreachable(&mut self, group: &Group, replica: &Arc<str>, rules: Rules, now: Duration, now_ms: i64) -> bool {
        let groups = self.tenants.entry(group.tenant.clone()).or_default();
        let entry = groups.entry(Arc::clone(&group.cluster)).or_insert_with(|| Entry {
            replica: Arc::clone(replica),
            elected_ms: now_ms,
            version: 0,
            heard: now,
            stored: now,
            renew_after: rules.failover / 3,
            news: true,
        });
        *entry.replica == **replica
    }

    /// The store has this value, by its own word or as the outcome of a proposal. `spread` is any number; it spreads renewals.
    pub fn stored(&mut self, group: &Group, election: &Election, version: u64, failover: Duration, spread: u64, now: Duration) {
        let groups = self.tenants.entry(group.tenant.clone()).or_default();
        let known = groups.get(&group.cluster);
        if known.is_some_and(|entry| entry.version >= version) {
            return;
        }
        let same = known.filter(|entry| *entry.replica == *election.replica);
        let entry = Entry {
            replica: same.map_or_else(|| election.replica.as_str().into(), |entry| Arc::clone(&entry.replica)),
            elected_ms: election.elected_ms,
            version,
            heard: now,
            stored: now,
            renew_after: failover / 3 + (failover / 6).mul_f64((spread % 1_000) as f64 / 1_000.0),
            news: false,
        };
        groups.insert(Arc::clone(&group.cluster), entry);
    }

    /// The store has no value for this group any more.
    pub fn removed(&mut self, group: &Group, version: u64) {
        if let Some(groups) = self.tenants.get_mut(&group.tenant) {
            if groups.get(&group.cluster).is_some_and(|entry| entry.version < version) {
                groups.remove(&group.cluster);
            }
            if groups.is_empty() {
                self.tenants.remove(&group.tenant);
            }
        }
    }

    /// The store has no values but these. What was never stored stays.
    pub fn only(&mut self, groups: &std::collections::HashSet<Group>) {
        self.tenants.retain(|tenant, entries| {
            entries.retain(|cluster, entry| {
                entry.version == 0 || groups.contains(&Group { tenant: tenant.clone(), cluster: Arc::clone(cluster) })
            });
            !entries.is_empty()
        });
    }

    /// What should be written to the store now, at most `limit` changes: that the elected ones were heard of, and that others were not for long.
    #[must_use]
    pub fn renewals(&self, limit: usize, now: Duration, now_ms: i64) -> Vec<Renewal> {
        let entries = self.tenants.iter().flat_map(|(tenant, groups)| groups.iter().map(move |(cluster, entry)| (tenant, cluster, entry)));
        let wish = |(tenant, cluster, entry): (&TenantId, &Arc<str>, &Entry)| {
            let forgotten = now.saturating_sub(entry.heard) >= FORGOTTEN_AFTER;
            let due = entry.version == 0 || (entry.news && now.saturating_sub(entry.stored) >= entry.renew_after);
            let ago = i64::try_from(now.saturating_sub(entry.heard).as_millis()).unwrap_or(i64::MAX);
            let election = || Election {
                tenant: tenant.as_str().to_owned(),
                cluster: cluster.to_string(),
                replica: entry.replica.to_string(),
                elected_ms: entry.elected_ms,
                heard_ms: now_ms.saturating_sub(ago),
            };
            (forgotten || due).then(|| Renewal {
                group: Group { tenant: tenant.clone(), cluster: Arc::clone(cluster) },
                expected: entry.version,
                election: (!forgotten).then(election),
            })
        };
        entries.filter_map(wish).take(limit).collect()
    }

    /// All elections, for people, in order: the value, its version and the seconds since the elected one was heard of.
    #[must_use]
    pub fn elections(&self, now: Duration) -> Vec<(Group, String, u64, f64, i64)> {
        let mut all: Vec<_> = self
            .tenants
            .iter()
            .flat_map(|(tenant, groups)| groups.iter().map(move |(cluster, entry)| (tenant, cluster, entry)))
            .map(|(tenant, cluster, entry)| {
                let group = Group { tenant: tenant.clone(), cluster: Arc::clone(cluster) };
                (group, entry.replica.to_string(), entry.version, now.saturating_sub(entry.heard).as_secs_f64(), entry.elected_ms)
            })
            .collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }
}

#[cfg(test)]
mod tests;
