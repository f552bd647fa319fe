//! Asking ingesters side by side, among those to which the tenant's series may have been written.
//!
//! No more zones are asked than make the answer complete, the querier's own among them; the others are the reserve. They are asked when one of the first fails,
//! or keeps the others waiting ([`tally`]); a stream of series that has begun goes on with them ([`select`]).

mod health;
mod select;
mod tally;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use limits::LimitsProvider;
use model::TenantId;
use parking_lot::Mutex;
use ring::{ClusterSnapshot, Domain, InstanceIndex, Reach, ReadQuorum, Ring, Role};
use rpc::{IngesterClient, IngesterPool, RpcError};
use runtime::clock::SharedClock;
use tokio::sync::watch;

use crate::metrics::{AskedLabels, Metrics};
use health::Health;
use tally::{Tally, Waiting};

/// The least time that is left to those who are not needed: replicas of one answer come within some milliseconds of each other.
const LEAST_PATIENCE: Duration = Duration::from_millis(50);

/// All ingesters of the cluster, as the last snapshot shows them.
#[derive(Clone)]
pub struct Ingesters {
    snapshot: watch::Receiver<Arc<ClusterSnapshot>>,
    /// Made anew when the snapshot changes; held for that and for a clone of some pointers.
    ring: Arc<Mutex<Ring>>,
    pool: Arc<dyn IngesterPool>,
    shards: Shards,
    health: Health,
    home: Home,
    /// Goes round, so that every zone but the own one is spared as often as the others.
    turn: Arc<AtomicUsize>,
    straggler_wait: Duration,
    metrics: Metrics,
}

/// Where the querier runs: who is in the same failure domain is near.
#[derive(Debug, Clone)]
pub struct Home {
    /// Its zone.
    pub zone: String,
    /// Its id, which an ingester of the same process has as well.
    pub id: String,
}

impl Home {
    fn domain(&self) -> Domain<'_> {
        Domain::of(&self.zone, &self.id)
    }
}

/// What tells which ingesters may have a tenant's series.
#[derive(Clone)]
pub struct Shards {
    /// Sizes of shards.
    pub limits: LimitsProvider,
    /// Time.
    pub clock: SharedClock,
    /// How far back an ingester may be the only one that has what it took; 0: for ever, so that all are asked.
    pub lookback_ms: i64,
}

impl Shards {
    /// Those who may have series of the tenant, and since when that counts.
    fn readers(&self, ring: &Ring, tenant: &TenantId) -> (Arc<[InstanceIndex]>, i64) {
        if self.lookback_ms == 0 {
            return (Arc::clone(ring.members()), 0);
        }
        let now = self.clock.now_ms();
        let (since, size) = (now.saturating_sub(self.lookback_ms), self.limits.shard_size_for_reads(tenant, now, self.lookback_ms));
        (ring.readers_of(tenant.as_str(), size, since), since)
    }
}

/// Whom a read may ask.
struct Asked {
    ring: Ring,
    /// Who may have some of the tenant's series.
    members: Arc<[InstanceIndex]>,
    /// What was written before this wall time is in the object store.
    since_ms: i64,
}

impl Asked {
    fn quorum(&self) -> ReadQuorum {
        ReadQuorum::among(&self.ring, &self.members, self.since_ms)
    }
}

impl Ingesters {
    /// `straggler_wait` is how long the others are waited for once the answer is complete without them.
    #[must_use]
    pub fn new(
        snapshot: watch::Receiver<Arc<ClusterSnapshot>>,
        pool: Arc<dyn IngesterPool>,
        replication_factor: usize,
        shards: Shards,
        home: Home,
        straggler_wait: Duration,
        metrics: Metrics,
    ) -> Self {
        let ring = Ring::of_role(&snapshot.borrow(), Role::Ingester, replication_factor);
        let (ring, health, turn) = (Arc::new(Mutex::new(ring)), Health::new(metrics.suspended_ingesters.clone()), Arc::default());
        Self { snapshot, ring, pool, shards, health, home, turn, straggler_wait, metrics }
    }

    fn asked(&self, tenant: &TenantId) -> Result<Asked, RpcError> {
        let ring = self.ring()?;
        let (members, since_ms) = self.shards.readers(&ring, tenant);
        Ok(Asked { ring, members, since_ms })
    }

    fn ring(&self) -> Result<Ring, RpcError> {
        let snapshot = Arc::clone(&self.snapshot.borrow());
        let mut ring = self.ring.lock();
        if ring.version() < snapshot.version {
            *ring = ring.updated(&snapshot, Role::Ingester);
            self.health.keep_those_of(&ring);
        }
        if ring.instances().is_empty() {
            return Err(RpcError::unavailable("no ingester is registered in the cluster yet"));
        }
        Ok(ring.clone())
    }

    /// Asks as many ingesters as a complete result needs the same, the nearest ones first, and returns the answers; else the last failure.
    pub async fn ask<T, F, Fut>(&self, tenant: &TenantId, ask: F) -> Result<Vec<T>, RpcError>
    where
        F: Fn(Arc<dyn IngesterClient>) -> Fut,
        Fut: Future<Output = Result<T, RpcError>> + Send,
        T: Send,
    {
        self.gather(&self.asked(tenant)?, self.enough(), ask).await
    }

    /// Asks all ingesters the same and returns the answers of at least as many as a complete result needs; else the last failure. For what each of them
    /// says of itself.
    pub async fn ask_everyone<T, F, Fut>(&self, tenant: &TenantId, ask: F) -> Result<Vec<T>, RpcError>
    where
        F: Fn(Arc<dyn IngesterClient>) -> Fut,
        Fut: Future<Output = Result<T, RpcError>> + Send,
        T: Send,
    {
        self.gather(&self.asked(tenant)?, Reach::Everyone, ask).await
    }

    async fn gather<T, F, Fut>(&self, who: &Asked, reach: Reach<'_>, ask: F) -> Result<Vec<T>, RpcError>
    where
        F: Fn(Arc<dyn IngesterClient>) -> Fut,
        Fut: Future<Output = Result<T, RpcError>> + Send,
        T: Send,
    {
        let (mut unheard, mut tally) = self.choose(who, reach);
        let call = |index: u32| {
            let call = self.client(&who.ring, index).map(&ask);
            async move {
                let answer = match call {
                    Ok(call) => call.await,
                    Err(error) => Err(error),
                };
                (index, answer)
            }
        };
        let mut pending: FuturesUnordered<_> = unheard.iter().map(|index| call(*index)).collect();
        let mut answers = Vec::with_capacity(unheard.len());
        let started = self.shards.clock.monotonic();
        loop {
            let next = match tally.waiting_for(&unheard) {
                Waiting::Needless => tokio::time::timeout(self.patience(started), pending.next()).await.unwrap_or(None),
                Waiting::Replaceable => match tokio::time::timeout(self.patience(started).max(LEAST_PATIENCE), pending.next()).await {
                    Ok(next) => next,
                    Err(_) => {
                        let late = self.take_reserve(&mut tally);
                        unheard.extend(&late);
                        pending.extend(late.into_iter().map(&call));
                        continue;
                    }
                },
                Waiting::Needed => pending.next().await,
            };
            let Some((index, answer)) = next else { break };
            unheard.retain(|other| *other != index);
            self.health.note(&who.ring, index, answer.as_ref().is_err_and(RpcError::is_silence), self.shards.clock.monotonic());
            match answer {
                Ok(answer) => {
                    tally.succeeded(index);
                    answers.push(answer);
                }
                Err(error) => {
                    self.metrics.ingesters_missed.inc();
                    tally.failed(index, error)?;
                    if tally.needs_reserve() {
                        let late = self.take_reserve(&mut tally);
                        unheard.extend(&late);
                        pending.extend(late.into_iter().map(&call));
                    }
                }
            }
        }
        for index in unheard {
            self.metrics.ingesters_missed.inc();
            self.health.note(&who.ring, index, true, self.shards.clock.monotonic());
        }
        Ok(answers)
    }

    fn enough(&self) -> Reach<'_> {
        Reach::Enough { home: Some(self.home.domain()), turn: self.turn.fetch_add(1, Ordering::Relaxed) }
    }

    /// Who is asked first, and what is noted of the answers.
    fn choose<'a>(&self, who: &'a Asked, reach: Reach<'_>) -> (Vec<InstanceIndex>, Tally<'a>) {
        let (quorum, now) = (who.quorum(), self.shards.clock.monotonic());
        let first = quorum.first_choice(&who.ring, &who.members, reach, |index| !self.health.is_trusted(&who.ring, index, now));
        self.count(&who.ring, &first);
        let reserve = who.members.iter().copied().filter(|index| !first.contains(index)).collect();
        (first, Tally::new(&who.ring, quorum, reserve))
    }

    fn take_reserve(&self, tally: &mut Tally<'_>) -> Vec<InstanceIndex> {
        let late = tally.take_reserve();
        self.count(tally.ring(), &late);
        self.metrics.ingesters_asked_late.inc_by(late.len() as u64);
        late
    }

    fn count(&self, ring: &Ring, asked: &[InstanceIndex]) {
        let home = self.home.domain();
        let instances = || asked.iter().filter_map(|index| ring.instances().get(*index as usize));
        let near = instances().filter(|instance| instance.domain() == home).count();
        for (place, asked) in [("own", near), ("other", instances().count() - near)] {
            self.metrics.ingesters_asked.get_or_create(&AskedLabels { zone: place }).inc_by(asked as u64);
        }
    }

    fn client(&self, ring: &Ring, index: InstanceIndex) -> Result<Arc<dyn IngesterClient>, RpcError> {
        let instance =
            ring.instances().get(index as usize).ok_or_else(|| RpcError::internal("asked an instance that is not in the ring"))?;
        Ok(self.pool.client(instance))
    }

    /// How long to wait for those who are not needed: as long as the others took, within bounds.
    fn patience(&self, started: Duration) -> Duration {
        let took = self.shards.clock.monotonic().saturating_sub(started);
        took.max(LEAST_PATIENCE).min(self.straggler_wait)
    }
}

#[cfg(test)]
mod tests;
