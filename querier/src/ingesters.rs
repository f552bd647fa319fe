//! Asking ingesters side by side: all to which the tenant's series may have been written.

mod health;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use limits::LimitsProvider;
use model::TenantId;
use parking_lot::Mutex;
use ring::{ClusterSnapshot, InstanceIndex, ReadQuorum, Ring, Role, Verdict};
use rpc::{CallContext, IngesterClient, IngesterPool, RpcError, RpcErrorKind, SelectBatch, SelectStream, StreamSelectRequest};
use runtime::clock::SharedClock;
use tokio::sync::{mpsc, watch};

use crate::merge::Merge;
use crate::metrics::Metrics;
use health::Health;

/// The least time that is left to those who are not needed: replicas of one answer come within some milliseconds of each other.
const LEAST_PATIENCE: Duration = Duration::from_millis(50);

/// What a stream gives next; `None` at its end.
type Item = Option<Result<SelectBatch, RpcError>>;

/// All ingesters of the cluster, as the last snapshot shows them.
#[derive(Clone)]
pub struct Ingesters {
    snapshot: watch::Receiver<Arc<ClusterSnapshot>>,
    /// Made anew when the snapshot changes; held for that and for a clone of some pointers.
    ring: Arc<Mutex<Ring>>,
    pool: Arc<dyn IngesterPool>,
    shards: Shards,
    health: Health,
    straggler_wait: Duration,
    metrics: Metrics,
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
    fn readers(&self, ring: &Ring, tenant: &TenantId) -> Arc<[InstanceIndex]> {
        if self.lookback_ms == 0 {
            return Arc::clone(ring.members());
        }
        let now = self.clock.now_ms();
        let size = self.limits.shard_size_for_reads(tenant, now, self.lookback_ms);
        ring.readers_of(tenant.as_str(), size, now.saturating_sub(self.lookback_ms))
    }
}

/// Whom a read asks.
struct Asked {
    ring: Ring,
    /// Who may have some of the tenant's series.
    members: Arc<[InstanceIndex]>,
}

impl Ingesters {
    /// `straggler_wait` is how long the others are waited for once the answer is complete without them.
    #[must_use]
    pub fn new(
        snapshot: watch::Receiver<Arc<ClusterSnapshot>>,
        pool: Arc<dyn IngesterPool>,
        replication_factor: usize,
        shards: Shards,
        straggler_wait: Duration,
        metrics: Metrics,
    ) -> Self {
        let ring = Ring::of_role(&snapshot.borrow(), Role::Ingester, replication_factor);
        Self { snapshot, ring: Arc::new(Mutex::new(ring)), pool, health: Health::default(), shards, straggler_wait, metrics }
    }

    fn asked(&self, tenant: &TenantId) -> Result<Asked, RpcError> {
        let ring = self.ring()?;
        let members = self.shards.readers(&ring, tenant);
        Ok(Asked { ring, members })
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

    /// Asks the ingesters the same and returns the answers of as many as a complete result needs, or more; else the last failure.
    pub async fn ask<T, F, Fut>(&self, tenant: &TenantId, ask: F) -> Result<Vec<T>, RpcError>
    where
        F: Fn(Arc<dyn IngesterClient>) -> Fut,
        Fut: Future<Output = Result<T, RpcError>> + Send,
        T: Send,
    {
        let answers = self.gather(&self.asked(tenant)?, ask).await?;
        Ok(answers.into_iter().map(|(_, answer)| answer).collect())
    }

    /// The answers with the index of the instance that gave them. Those that are not worth asking at first are asked when one of the
    /// others fails.
    async fn gather<T, F, Fut>(&self, who: &Asked, ask: F) -> Result<Vec<(u32, T)>, RpcError>
    where
        F: Fn(Arc<dyn IngesterClient>) -> Fut,
        Fut: Future<Output = Result<T, RpcError>> + Send,
        T: Send,
    {
        let Asked { ring, members } = who;
        let asked = ReadQuorum::first_choice(ring, members, |index| !self.health.is_trusted(ring, index, self.shards.clock.monotonic()));
        let mut reserve: Vec<u32> = members.iter().copied().filter(|index| !asked.contains(index)).collect();
        let mut tally = Tally { ring, quorum: ReadQuorum::among(ring, members) };
        let call = |index: u32| {
            let call = ring.instances().get(index as usize).map(|instance| ask(self.pool.client(instance)));
            async move {
                let answer = match call {
                    Some(call) => call.await,
                    None => Err(RpcError::internal("asked an instance that is not in the ring")),
                };
                (index, answer)
            }
        };
        let mut pending: FuturesUnordered<_> = asked.iter().map(|index| call(*index)).collect();
        let mut answers = Vec::with_capacity(asked.len());
        let started = self.shards.clock.monotonic();
        let mut unheard = asked.clone();
        loop {
            let next = if tally.quorum.verdict() == Verdict::Reached {
                // Complete; what comes soon makes replicas that are behind count as well.
                let patience = self.patience(started);
                tokio::time::timeout(patience, pending.next()).await.unwrap_or(None)
            } else {
                pending.next().await
            };
            let Some((index, answer)) = next else { break };
            unheard.retain(|other| *other != index);
            self.health.note(ring, index, answer.as_ref().is_err_and(RpcError::is_silence), self.shards.clock.monotonic());
            match answer {
                Ok(answer) => {
                    tally.quorum.succeeded(index);
                    answers.push((index, answer));
                }
                Err(error) => {
                    tally.failed(index, error)?;
                    unheard.extend(&reserve);
                    pending.extend(reserve.drain(..).map(&call));
                }
            }
        }
        for index in unheard {
            self.health.note(ring, index, true, self.shards.clock.monotonic());
        }
        self.metrics.ingesters_missed.inc_by(members.len().saturating_sub(answers.len()) as u64);
        Ok(answers)
    }

    /// How long to wait for those who are not needed: as long as the others took, within bounds.
    fn patience(&self, started: Duration) -> Duration {
        let took = self.shards.clock.monotonic().saturating_sub(started);
        took.max(LEAST_PATIENCE).min(self.straggler_wait)
    }

    /// Streams the series of all ingesters, replicas merged, into `out` until the receiver is gone. Errors go there as well.
    pub async fn select_into(&self, ctx: &CallContext, mut request: StreamSelectRequest, out: mpsc::Sender<Result<SelectBatch, RpcError>>) {
        // One ingester has nothing to be merged with.
        request.sorted = self.asked(&ctx.tenant).is_ok_and(|asked| asked.members.len() > 1);
        self.select_ordered_into(ctx, request, out).await;
    }

    /// The same, ascending by hash if the request says so, also if there is one ingester only.
    pub async fn select_ordered_into(
        &self,
        ctx: &CallContext,
        request: StreamSelectRequest,
        out: mpsc::Sender<Result<SelectBatch, RpcError>>,
    ) {
        if let Err(error) = self.try_select(ctx, request, &out).await {
            // The receiver may be gone: then nobody wants the error either.
            let _ = out.send(Err(error)).await;
        }
    }

    async fn try_select(
        &self,
        ctx: &CallContext,
        mut request: StreamSelectRequest,
        out: &mpsc::Sender<Result<SelectBatch, RpcError>>,
    ) -> Result<(), RpcError> {
        let asked = self.asked(&ctx.tenant)?;
        request.sorted |= asked.members.len() > 1;
        let started = self
            .gather(&asked, |client| {
                let (ctx, request) = (ctx.clone(), request.clone());
                async move { client.select(&ctx, request).await }
            })
            .await?;
        let (indices, streams): (Vec<u32>, Vec<SelectStream>) = started.into_iter().unzip();
        // A stream counts as an answer when it has ended well, not when it has begun.
        let mut tally = Tally::without(&asked, &indices);
        let mut streams: Vec<Option<SelectStream>> = streams.into_iter().map(Some).collect();
        let mut merge = Merge::new(streams.len());
        while !merge.is_done() {
            for (source, item) in self.read_wanted(&merge, &mut streams, &indices, &tally).await {
                let index = indices.get(source).copied().unwrap_or(u32::MAX);
                match item {
                    Some(Ok(batch)) => {
                        merge.feed(source, batch);
                        continue;
                    }
                    Some(Err(error)) => {
                        self.metrics.ingesters_missed.inc();
                        self.health.note(&asked.ring, index, error.is_silence(), self.shards.clock.monotonic());
                        tally.failed(index, error)?;
                    }
                    None => {
                        tally.quorum.succeeded(index);
                    }
                }
                merge.end(source);
                if let Some(stream) = streams.get_mut(source) {
                    *stream = None;
                }
            }
            let ready = merge.drain();
            if !ready.is_empty() && out.send(Ok(ready)).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The next item of every stream that the merge waits for. Streams that stall while the answer is complete without them are given up.
    async fn read_wanted(
        &self,
        merge: &Merge,
        streams: &mut [Option<SelectStream>],
        indices: &[u32],
        tally: &Tally<'_>,
    ) -> Vec<(usize, Item)> {
        let mut waiting: Vec<usize> = merge.wants().collect();
        let mut reads: FuturesUnordered<_> = streams
            .iter_mut()
            .enumerate()
            .filter(|(source, _)| waiting.contains(source))
            .map(|(source, stream)| async move {
                let item = match stream {
                    Some(stream) => stream.next().await,
                    None => None,
                };
                (source, item)
            })
            .collect();
        let mut items = Vec::with_capacity(waiting.len());
        let started = self.shards.clock.monotonic();
        while !waiting.is_empty() {
            let stalled = waiting.iter().filter_map(|source| indices.get(*source).copied());
            let next = if tally.can_do_without(stalled) {
                let patience = self.patience(started);
                tokio::time::timeout(patience, reads.next()).await.unwrap_or(None)
            } else {
                reads.next().await
            };
            let Some((source, item)) = next else { break };
            waiting.retain(|other| *other != source);
            items.push((source, item));
        }
        let stalled = || RpcError::new(RpcErrorKind::DeadlineExceeded, "its stream stalled");
        items.extend(waiting.into_iter().map(|source| (source, Some(Err(stalled())))));
        items
    }
}

/// Who has answered, and what the others said.
struct Tally<'a> {
    ring: &'a Ring,
    quorum: ReadQuorum,
}

impl<'a> Tally<'a> {
    /// All but `asked` count as failed.
    fn without(who: &'a Asked, asked: &[u32]) -> Self {
        let mut quorum = ReadQuorum::among(&who.ring, &who.members);
        for index in who.members.iter().filter(|index| !asked.contains(index)) {
            quorum.failed(*index);
        }
        Self { ring: &who.ring, quorum }
    }

    /// Counts a failure. Errors that any ingester would give end the query; others do when too many are missing.
    fn failed(&mut self, index: u32, error: RpcError) -> Result<(), RpcError> {
        if !error.is_retriable_elsewhere() {
            return Err(error);
        }
        let name = self.ring.instances().get(index as usize).map_or("?", |instance| instance.id.as_str());
        tracing::warn!(ingester = name, %error, "ingester did not answer a query");
        match self.quorum.failed(index) {
            Verdict::Impossible => Err(RpcError::new(
                error.kind,
                format!("too many ingesters did not answer for the result to be complete; the last was {name}: {error}"),
            )),
            Verdict::Reached | Verdict::Pending => Ok(()),
        }
    }

    /// Whether the answer would be complete if these failed as well.
    fn can_do_without(&self, instances: impl Iterator<Item = u32>) -> bool {
        let mut quorum = self.quorum.clone();
        for index in instances {
            quorum.failed(index);
        }
        quorum.verdict() != Verdict::Impossible
    }
}

#[cfg(test)]
mod tests;
