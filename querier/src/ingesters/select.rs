//! Streams of series from several ingesters, replicas merged.
//!
//! Each gives its series in ascending order of their hash, so one that is asked late, because another has broken off or keeps the others waiting, goes on where the merge is.

use futures::stream::FuturesUnordered;
use futures::{StreamExt, TryStreamExt};
use ring::InstanceIndex;
use rpc::{CallContext, RpcError, RpcErrorKind, SelectBatch, SelectStream, StreamSelectRequest};
use tokio::sync::mpsc;

use super::tally::{Tally, Waiting};
use super::{Asked, Ingesters, LEAST_PATIENCE};
use crate::merge::Merge;

/// What a stream gives next; `None` at its end.
type Item = Option<Result<SelectBatch, RpcError>>;

/// The streams of a select. Their places are those of the merge's sources.
struct Sources {
    streams: Vec<Source>,
    merge: Merge,
}

struct Source {
    index: InstanceIndex,
    /// `None` when it has ended.
    stream: Option<SelectStream>,
}

impl Ingesters {
    /// Streams the tenant's series, replicas merged, into `out` until the receiver is gone. Errors go there as well.
    pub async fn select_into(&self, ctx: &CallContext, mut request: StreamSelectRequest, out: mpsc::Sender<Result<SelectBatch, RpcError>>) {
        // One ingester has nothing to be merged with.
        request.sorted = false;
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
        let open = |index: InstanceIndex| self.open(&asked, ctx, &request, index);
        let (first, mut tally) = self.choose(&asked, self.enough());
        let mut sources = Sources { merge: Merge::new(first.len()), streams: first.into_iter().map(open).collect() };
        while !sources.merge.is_done() {
            let (items, is_stalled) = self.read_wanted(&mut sources, &tally).await;
            for (place, item) in items {
                self.take(&asked, &mut sources, &mut tally, place, item)?;
            }
            if is_stalled || tally.needs_reserve() {
                for index in self.take_reserve(&mut tally) {
                    sources.streams.push(open(index));
                    sources.merge.join();
                }
            }
            let ready = sources.merge.drain();
            if !ready.is_empty() && out.send(Ok(ready)).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The call is made when the stream is read for the first time.
    fn open(&self, asked: &Asked, ctx: &CallContext, request: &StreamSelectRequest, index: InstanceIndex) -> Source {
        let (client, ctx, request) = (self.client(&asked.ring, index), ctx.clone(), request.clone());
        let call = async move { client?.select(&ctx, request).await };
        Source { index, stream: Some(Box::pin(futures::stream::once(call).try_flatten())) }
    }

    /// A stream counts as an answer when it has ended well, not when it has begun.
    fn take(&self, asked: &Asked, sources: &mut Sources, tally: &mut Tally<'_>, place: usize, item: Item) -> Result<(), RpcError> {
        let Some(source) = sources.streams.get_mut(place) else { return Ok(()) };
        let silence = matches!(&item, Some(Err(error)) if error.is_silence());
        self.health.note(&asked.ring, source.index, silence, self.shards.clock.monotonic());
        match item {
            Some(Ok(batch)) => {
                sources.merge.feed(place, batch);
                return Ok(());
            }
            Some(Err(error)) => {
                self.metrics.ingesters_missed.inc();
                tally.failed(source.index, error)?;
            }
            None => tally.succeeded(source.index),
        }
        source.stream = None;
        sources.merge.end(place);
        Ok(())
    }

    /// The next item of every stream that the merge waits for, and whether the reserve must be asked because some of them stall. Streams that stall while the answer is complete without
    /// them are given up.
    async fn read_wanted(&self, sources: &mut Sources, tally: &Tally<'_>) -> (Vec<(usize, Item)>, bool) {
        let mut waiting: Vec<usize> = sources.merge.wants().collect();
        let indices: Vec<InstanceIndex> = sources.streams.iter().map(|source| source.index).collect();
        let mut reads: FuturesUnordered<_> = sources
            .streams
            .iter_mut()
            .enumerate()
            .filter(|(place, _)| waiting.contains(place))
            .map(|(place, source)| async move {
                let item = match &mut source.stream {
                    Some(stream) => stream.next().await,
                    None => None,
                };
                (place, item)
            })
            .collect();
        let mut items = Vec::with_capacity(waiting.len());
        let started = self.shards.clock.monotonic();
        while !waiting.is_empty() {
            let unheard: Vec<InstanceIndex> = waiting.iter().filter_map(|place| indices.get(*place).copied()).collect();
            let next = match tally.waiting_for(&unheard) {
                Waiting::Needless => tokio::time::timeout(self.patience(started), reads.next()).await.unwrap_or(None),
                Waiting::Replaceable => match tokio::time::timeout(self.patience(started).max(LEAST_PATIENCE), reads.next()).await {
                    Ok(next) => next,
                    Err(_) => return (items, true),
                },
                Waiting::Needed => reads.next().await,
            };
            let Some((place, item)) = next else { break };
            waiting.retain(|other| *other != place);
            let is_failure = matches!(&item, Some(Err(_)));
            items.push((place, item));
            if is_failure {
                // Others may have to be asked in its place, or the rest may be needed now.
                return (items, false);
            }
        }
        let stalled = || RpcError::new(RpcErrorKind::DeadlineExceeded, "its stream stalled");
        items.extend(waiting.into_iter().map(|place| (place, Some(Err(stalled())))));
        (items, false)
    }
}
