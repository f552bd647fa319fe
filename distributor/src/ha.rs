//! Samples of equal senders, taken from one of them at a time (`limits.accept_ha_samples`).
//!
//! In reading order: [`tracker`] (who is elected, purely), `dedupe` (a batch without the others' samples and without the replica's label), `store` (elections in the
//! coordinator group: proposed, renewed, followed), `page` (`/distributor/ha_tracker`).
//!
//! While the coordinator cannot be asked the last elections hold, and where there is none the first replica is taken: nothing is refused.

mod dedupe;
mod page;
mod store;
pub mod tracker;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use limits::{Limits, LimitsProvider};
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use rpc::KeyStore;
use runtime::clock::SharedClock;

use tracker::{Group, Rules, Tracker, Verdict};

pub(crate) use page::router;

/// How long a sender waits for an election.
const ELECTION_TIMEOUT: Duration = Duration::from_secs(2);
/// How long nobody is proposed after the coordinator could not be asked.
const PAUSE: Duration = Duration::from_secs(2);

/// Elections of all tenants. Cheap to clone.
#[derive(Clone)]
pub struct Ha {
    inner: Arc<Inner>,
}

struct Inner {
    tracker: Mutex<Tracker>,
    keys: Arc<dyn KeyStore>,
    clock: SharedClock,
    limits: LimitsProvider,
    /// Spreads the renewals of distributors and groups.
    secret: u64,
    /// Proposals that are on their way; whoever needs the outcome waits for the same one.
    proposals: Mutex<HashMap<Group, Proposal>>,
    /// Until when (monotonic) the coordinator is not asked.
    away_until: Mutex<Duration>,
    proposed: Counter,
    failed: Counter,
}

type Proposal = Shared<BoxFuture<'static, ()>>;

/// What is done with a replica's samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Take,
    Drop,
    Refuse,
}

fn rules(limits: &Limits) -> Rules {
    Rules { failover: Duration::from_millis(u64::try_from(limits.ha_failover_timeout_ms).unwrap_or(0)), max_groups: limits.ha_max_clusters }
}

impl Ha {
    /// No elections yet; [`Ha::run`] brings those of the coordinator group.
    #[must_use]
    pub fn new(keys: Arc<dyn KeyStore>, limits: LimitsProvider, clock: SharedClock, secret: u64, registry: &mut Registry) -> Self {
        let (proposed, failed) = (Counter::default(), Counter::default());
        let metrics = registry.sub_registry_with_prefix("plimsoll_distributor");
        metrics.register(
            "ha_proposals",
            "Replicas proposed for election, because none was elected or the elected one was silent",
            proposed.clone(),
        );
        metrics.register("ha_store_failures", "Elections and renewals for which the coordinator could not be asked", failed.clone());
        let inner = Inner {
            tracker: Mutex::default(),
            keys,
            clock,
            limits,
            secret,
            proposals: Mutex::default(),
            away_until: Mutex::default(),
            proposed,
            failed,
        };
        Self { inner: Arc::new(inner) }
    }

    /// What is done with samples of this replica; waits for an election, if one is needed.
    async fn fate(&self, group: &Group, replica: &Arc<str>, rules: Rules) -> Fate {
        let check = |now| self.inner.tracker.lock().check(group, replica, rules, now);
        match check(self.inner.clock.monotonic()) {
            Verdict::Take => return Fate::Take,
            Verdict::Drop => return Fate::Drop,
            Verdict::TooMany => return Fate::Refuse,
            Verdict::Propose { expected } => self.propose(group, replica, expected).await,
        }
        let now = self.inner.clock.monotonic();
        match check(now) {
            Verdict::Take => Fate::Take,
            Verdict::Drop | Verdict::TooMany => Fate::Drop,
            // Nobody could be asked.
            Verdict::Propose { .. } => match self.inner.tracker.lock().unreachable(group, replica, rules, now, self.inner.clock.now_ms()) {
                true => Fate::Take,
                false => Fate::Drop,
            },
        }
    }

    /// Proposes the replica, or waits for the proposal that is on its way.
    async fn propose(&self, group: &Group, replica: &Arc<str>, expected: u64) {
        let inner = &self.inner;
        if inner.clock.monotonic() < *inner.away_until.lock() {
            return;
        }
        let start = || {
            let (ha, group, replica) = (self.clone(), group.clone(), Arc::clone(replica));
            async move { ha.elect(group, replica, expected).await }.boxed().shared()
        };
        let proposal = inner.proposals.lock().entry(group.clone()).or_insert_with(start).clone();
        proposal.clone().await;
        let mut proposals = inner.proposals.lock();
        if proposals.get(group).is_some_and(|current| current.ptr_eq(&proposal)) {
            proposals.remove(group);
        }
    }
}

impl std::fmt::Debug for Ha {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ha").finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;
