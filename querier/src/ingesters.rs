//! Asking every ingester side by side.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use ring::{ClusterSnapshot, InstanceState, Role};
use rpc::{CallContext, IngesterClient, IngesterPool, RpcError, RpcErrorKind, SelectBatch, SelectStream, StreamSelectRequest};
use tokio::sync::{mpsc, watch};

use crate::merge::Merge;
use crate::metrics::Metrics;

/// All ingesters of the cluster, as the last snapshot shows them.
#[derive(Clone)]
pub struct Ingesters {
    /// The cluster.
    pub snapshot: watch::Receiver<Arc<ClusterSnapshot>>,
    /// Clients.
    pub pool: Arc<dyn IngesterPool>,
    /// Copies of each series.
    pub replication_factor: usize,
    /// How long stragglers are waited for once the answer is complete without them.
    pub straggler_wait: Duration,
    /// Where missed ingesters are counted.
    pub metrics: Metrics,
}

/// One member to ask.
struct Member {
    client: Arc<dyn IngesterClient>,
    /// Its lease ran out: it is asked, but nobody waits for it.
    expected: bool,
    name: String,
}

impl Ingesters {
    /// A sample is acknowledged by `RF/2 + 1` of its replicas, so any `RF/2` ingesters may be missing.
    fn tolerated(&self) -> usize {
        self.replication_factor / 2
    }

    fn members(&self) -> Result<Vec<Member>, RpcError> {
        let snapshot = Arc::clone(&self.snapshot.borrow());
        let members: Vec<Member> = snapshot
            .of_role(Role::Ingester)
            .map(|instance| Member {
                client: self.pool.client(instance),
                expected: instance.state != InstanceState::Unhealthy,
                name: instance.id.to_string(),
            })
            .collect();
        if members.is_empty() {
            return Err(RpcError::unavailable("no ingester is registered in the cluster yet"));
        }
        Ok(members)
    }

    /// Asks every ingester the same and returns the answers of all but the tolerated number; with more failures, the first one.
    pub async fn ask<T, F, Fut>(&self, ask: F) -> Result<Vec<T>, RpcError>
    where
        F: Fn(Arc<dyn IngesterClient>) -> Fut,
        Fut: Future<Output = Result<T, RpcError>> + Send,
        T: Send,
    {
        let members = self.members()?;
        let answers = self.gather(&members, ask).await?;
        Ok(answers.into_iter().map(|(_, answer)| answer).collect())
    }

    /// The answers with the index of the member that gave them.
    async fn gather<T, F, Fut>(&self, members: &[Member], ask: F) -> Result<Vec<(usize, T)>, RpcError>
    where
        F: Fn(Arc<dyn IngesterClient>) -> Fut,
        Fut: Future<Output = Result<T, RpcError>> + Send,
        T: Send,
    {
        let mut pending: FuturesUnordered<_> = members
            .iter()
            .enumerate()
            .map(|(i, member)| {
                let call = ask(Arc::clone(&member.client));
                async move { (i, call.await) }
            })
            .collect();
        let mut failures = Failures::new(self.tolerated());
        let mut answers = Vec::with_capacity(members.len());
        loop {
            let complete_without = members.len() - answers.len() <= self.tolerated();
            let next = if complete_without {
                // Those whose lease ran out are not worth a wait.
                let late = pending.len();
                let gone = members.iter().filter(|m| !m.expected).count();
                let wait = if late <= gone { Duration::ZERO } else { self.straggler_wait };
                match tokio::time::timeout(wait, pending.next()).await {
                    Ok(next) => next,
                    Err(_) => {
                        self.metrics.ingesters_missed.inc_by(late as u64);
                        break;
                    }
                }
            } else {
                pending.next().await
            };
            match next {
                Some((i, Ok(answer))) => answers.push((i, answer)),
                Some((i, Err(error))) => {
                    self.metrics.ingesters_missed.inc();
                    failures.add(members.get(i).map_or("?", |m| m.name.as_str()), error)?;
                }
                None => break,
            }
        }
        Ok(answers)
    }

    /// Streams the series of all ingesters, replicas merged, into `out` until the receiver is gone. Errors go there as well.
    pub async fn select_into(&self, ctx: &CallContext, request: StreamSelectRequest, out: mpsc::Sender<Result<SelectBatch, RpcError>>) {
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
        let members = self.members()?;
        request.sorted = members.len() > 1;
        let started = self
            .gather(&members, |client| {
                let (ctx, request) = (ctx.clone(), request.clone());
                async move { client.select(&ctx, request).await }
            })
            .await?;
        let missing = members.len() - started.len();
        let mut failures = Failures { left: self.tolerated().saturating_sub(missing) };
        let mut streams: Vec<Option<SelectStream>> = Vec::with_capacity(started.len());
        let mut names = Vec::with_capacity(started.len());
        for (i, stream) in started {
            streams.push(Some(stream));
            names.push(members.get(i).map_or("?", |m| m.name.as_str()));
        }
        let mut merge = Merge::new(streams.len());
        while !merge.is_done() {
            for (source, item) in self.read_wanted(&merge, &mut streams, failures.left).await {
                match item {
                    Some(Ok(batch)) => merge.feed(source, batch),
                    Some(Err(error)) => {
                        self.metrics.ingesters_missed.inc();
                        failures.add(names.get(source).copied().unwrap_or("?"), error)?;
                        end(&mut merge, &mut streams, source);
                    }
                    None => end(&mut merge, &mut streams, source),
                }
            }
            let ready = merge.drain();
            if !ready.is_empty() && out.send(Ok(ready)).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The next item of every stream that the merge waits for. A stream that stalls while others could go on without it is given up.
    async fn read_wanted(
        &self,
        merge: &Merge,
        streams: &mut [Option<SelectStream>],
        may_fail: usize,
    ) -> Vec<(usize, Option<Result<SelectBatch, RpcError>>)> {
        let wanted: Vec<usize> = merge.wants().collect();
        let mut reads: FuturesUnordered<_> = streams
            .iter_mut()
            .enumerate()
            .filter(|(i, _)| wanted.contains(i))
            .map(|(i, stream)| async move {
                match stream {
                    Some(stream) => (i, stream.next().await),
                    None => (i, None),
                }
            })
            .collect();
        let mut items = Vec::with_capacity(wanted.len());
        loop {
            let next = if !items.is_empty() && reads.len() <= may_fail {
                match tokio::time::timeout(self.straggler_wait, reads.next()).await {
                    Ok(next) => next,
                    Err(_) => break,
                }
            } else {
                reads.next().await
            };
            match next {
                Some(item) => items.push(item),
                None => break,
            }
        }
        drop(reads);
        let stalled = wanted.into_iter().filter(|i| !items.iter().any(|(seen, _)| seen == i)).collect::<Vec<_>>();
        items.extend(stalled.into_iter().map(|i| (i, Some(Err(RpcError::new(RpcErrorKind::DeadlineExceeded, "the stream stalled"))))));
        items
    }
}

fn end(merge: &mut Merge, streams: &mut [Option<SelectStream>], source: usize) {
    merge.end(source);
    if let Some(stream) = streams.get_mut(source) {
        *stream = None;
    }
}

/// Counts failures against what a complete answer tolerates.
struct Failures {
    left: usize,
}

impl Failures {
    fn new(tolerated: usize) -> Self {
        Self { left: tolerated }
    }

    /// Errors that any ingester would give end the query; others do when there are too many.
    fn add(&mut self, ingester: &str, error: RpcError) -> Result<(), RpcError> {
        if !error.is_retriable_elsewhere() {
            return Err(error);
        }
        tracing::warn!(ingester, %error, "ingester did not answer a query");
        if self.left == 0 {
            return Err(RpcError::new(
                error.kind,
                format!("too many ingesters did not answer for the result to be complete; the last was {ingester}: {error}"),
            ));
        }
        self.left -= 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
