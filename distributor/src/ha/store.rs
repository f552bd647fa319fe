//! Elections as small values of the coordinator group.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use model::TenantId;
use rpc::{KeyEntry, KeysUpdate, RpcError, Swap, Swapped};
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128};

use super::tracker::{Election, Group, Renewal};
use super::{ELECTION_TIMEOUT, Ha, PAUSE, rules};

const PREFIX: &str = "ha/";
/// Longer names of groups are replaced by their hash in keys, which are short.
const MAX_NAME: usize = 256;
/// How often it is looked whether elections are to be renewed, and how many are in one change: less than 64 KiB, if names are not very long.
const RENEW_EVERY: Duration = Duration::from_secs(1);
const RENEWALS: usize = 200;
/// Bytes of one change, below the coordinator's bound.
const CHANGE_BYTES: usize = 48 << 10;

fn key_of(group: &Group) -> String {
    let (tenant, cluster) = (group.tenant.as_str(), &*group.cluster);
    if cluster.len() <= MAX_NAME {
        return format!("{PREFIX}{tenant}/{cluster}");
    }
    format!("{PREFIX}{tenant}/#{:032x}", xxh3_128(cluster.as_bytes()))
}

fn parse(entry: &KeyEntry) -> Option<(Group, Election)> {
    let election: Election = serde_json::from_str(entry.value.as_ref()?).ok()?;
    let tenant = TenantId::new(&election.tenant).ok()?;
    Some((Group { tenant, cluster: election.cluster.as_str().into() }, election))
}

impl Ha {
    /// Follows the elections and renews those of whom samples come in. Runs until it is dropped.
    pub async fn run(&self) {
        tokio::join!(self.follow(), self.renew());
    }

    async fn follow(&self) {
        let mut keys = Known::default();
        loop {
            match self.inner.keys.watch_keys(PREFIX).await {
                Ok(mut updates) => {
                    while let Some(Ok(update)) = updates.next().await {
                        self.apply(&mut keys, update);
                    }
                }
                Err(error) => tracing::warn!(%error, "elections of replicas cannot be followed; the last ones hold"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn apply(&self, keys: &mut Known, update: KeysUpdate) {
        if update.reset {
            *keys = Known { anew: Some(HashSet::new()), ..Known::default() };
        }
        for (key, entry) in update.entries {
            match parse(&entry) {
                Some((group, election)) => {
                    self.learn(&group, &election, entry.version);
                    keys.anew.iter_mut().for_each(|all| all.extend([group.clone()]));
                    keys.groups.insert(key, group);
                }
                None => {
                    if let Some(group) = keys.groups.remove(&key) {
                        self.inner.tracker.lock().removed(&group, entry.version);
                    }
                }
            }
        }
        if update.version > 0
            && let Some(all) = keys.anew.take()
        {
            self.inner.tracker.lock().only(&all);
        }
    }

    fn learn(&self, group: &Group, election: &Election, version: u64) {
        let spread = xxh3_64_with_seed(group.cluster.as_bytes(), self.inner.secret ^ version);
        let failover = rules(&self.inner.limits.of(&group.tenant)).failover;
        self.inner.tracker.lock().stored(group, election, version, failover, spread, self.inner.clock.monotonic());
    }

    /// Proposes a replica and learns what became of it.
    pub(super) async fn elect(&self, group: Group, replica: Arc<str>, expected: u64) {
        let inner = &self.inner;
        let now_ms = inner.clock.now_ms();
        let election = Election {
            tenant: group.tenant.as_str().to_owned(),
            cluster: group.cluster.to_string(),
            replica: replica.to_string(),
            elected_ms: now_ms,
            heard_ms: now_ms,
        };
        inner.proposed.inc();
        let renewal = Renewal { group, expected, election: Some(election) };
        let swapped = tokio::time::timeout(ELECTION_TIMEOUT, self.swap(std::slice::from_ref(&renewal))).await;
        match swapped.unwrap_or_else(|_| Err(RpcError::unavailable("no answer in time"))) {
            Ok(outcomes) => {
                for outcome in outcomes {
                    self.done(&renewal, outcome);
                }
            }
            Err(error) => {
                inner.failed.inc();
                tracing::warn!(tenant = %renewal.group.tenant, cluster = %renewal.group.cluster, %error, "no replica could be elected; the last one stays");
                *inner.away_until.lock() = inner.clock.monotonic().saturating_add(PAUSE);
            }
        }
    }

    async fn renew(&self) {
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            let wishes = self.inner.tracker.lock().renewals(RENEWALS, self.inner.clock.monotonic(), self.inner.clock.now_ms());
            for wishes in in_changes(&wishes) {
                match self.swap(wishes).await {
                    Ok(outcomes) => wishes.iter().zip(outcomes).for_each(|(wish, outcome)| self.done(wish, outcome)),
                    Err(error) => {
                        self.inner.failed.inc();
                        tracing::warn!(%error, "elections of replicas could not be renewed; trying again");
                        tokio::time::sleep(PAUSE).await;
                        break;
                    }
                }
            }
        }
    }

    async fn swap(&self, wishes: &[Renewal]) -> Result<Vec<Swapped>, RpcError> {
        let swap = |wish: &Renewal| Swap {
            key: key_of(&wish.group),
            expected: wish.expected,
            value: wish.election.as_ref().and_then(|election| serde_json::to_string(election).ok()),
        };
        self.inner.keys.swap(wishes.iter().map(swap).collect()).await
    }

    fn done(&self, wish: &Renewal, outcome: Swapped) {
        let gone = || self.inner.tracker.lock().removed(&wish.group, u64::MAX);
        match (outcome, &wish.election) {
            (Swapped::Done { version }, Some(election)) => self.learn(&wish.group, election, version),
            (Swapped::Done { .. }, None) => gone(),
            (Swapped::Conflict { current }, _) => match parse(&current) {
                // Should two names have one hash, the group of the first keeps it.
                Some((group, election)) if group == wish.group => self.learn(&group, &election, current.version),
                _ => gone(),
            },
            (Swapped::Full, _) => {
                self.inner.failed.inc();
                tracing::error!(tenant = %wish.group.tenant, "the coordinator has no room for another election of replicas");
            }
        }
    }
}

/// Cuts renewals into changes that the coordinator takes.
fn in_changes(wishes: &[Renewal]) -> Vec<&[Renewal]> {
    let weight = |wish: &Renewal| 512 + wish.election.as_ref().map_or(0, |e| e.tenant.len() + 2 * (e.cluster.len() + e.replica.len()));
    let mut changes = Vec::new();
    let mut rest = wishes;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |wish: &&Renewal| {
            bytes += weight(wish);
            bytes <= CHANGE_BYTES
        };
        let (change, after) = rest.split_at(rest.iter().take_while(fits).count().max(1));
        changes.push(change);
        rest = after;
    }
    changes
}

/// What the follower knows of keys.
#[derive(Debug, Default)]
struct Known {
    groups: HashMap<String, Group>,
    /// While everything is being told anew.
    anew: Option<HashSet<Group>>,
}

#[cfg(test)]
mod tests {
    use model::TenantId;

    use super::super::tracker::{Election, Group, Renewal};
    use super::{in_changes, key_of};

    #[test]
    fn keys_are_short_and_changes_are_small() {
        let group = |cluster: &str| Group { tenant: TenantId::new("team").unwrap(), cluster: cluster.into() };
        assert_eq!(key_of(&group("eu-1")), "ha/team/eu-1");
        assert!(key_of(&group(&"x".repeat(2_000))).len() < 60);
        assert_ne!(key_of(&group(&"x".repeat(2_000))), key_of(&group(&"x".repeat(2_001))));
        let renewal = |n: usize| {
            let (tenant, cluster, replica) = ("team".to_owned(), "c".repeat(n), "r".to_owned());
            let election = Election { tenant, cluster: cluster.clone(), replica, elected_ms: 0, heard_ms: 0 };
            Renewal { group: group(&cluster), expected: 1, election: Some(election) }
        };
        let wishes: Vec<Renewal> = (0..200).map(|_| renewal(10)).chain([renewal(40_000), renewal(10)]).collect();
        let changes = in_changes(&wishes);
        assert!(changes.len() >= 4 && changes.iter().map(|c| c.len()).sum::<usize>() == 202, "{}", changes.len());
    }
}
