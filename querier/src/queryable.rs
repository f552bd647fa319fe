//! The engine's view of ingesters and object store, for one query of one tenant.

use futures::StreamExt;
use model::{Projection, SeriesChunks};
use promql::{QueryError, Queryable, SelectRequest, SeriesSource};
use rpc::{CallContext, RpcError, RpcErrorKind, SelectBatch, SelectStream, StreamSelectRequest};
use runtime::Tasks;
use tokio::sync::mpsc;

use crate::blocks::Store;
use crate::ingesters::Ingesters;
use crate::merge::Merge;

/// Batches that may wait between the merge and the engine, per selector.
const CHANNEL_BATCHES: usize = 4;

/// Where samples come from. Cheap to clone.
#[derive(Clone)]
pub struct Sources {
    /// The recent ones.
    pub ingesters: Ingesters,
    /// What ingesters do not have; `None` without an object store.
    pub store: Option<Store>,
    /// Runs the fetches.
    pub tasks: Tasks,
}

/// Fetches for one query.
pub struct ClusterQueryable {
    /// From where.
    pub sources: Sources,
    /// Tenant and deadline.
    pub ctx: CallContext,
    /// The async runtime, which the engine's thread is not part of.
    pub runtime: tokio::runtime::Handle,
}

impl Queryable for ClusterQueryable {
    fn select(&self, request: SelectRequest) -> Result<Box<dyn SeriesSource>, QueryError> {
        let (tx, rx) = mpsc::channel(CHANNEL_BATCHES);
        let (sources, ctx) = (self.sources.clone(), self.ctx.clone());
        let SelectRequest { matchers, min_t, max_t, hints } = request;
        let request = StreamSelectRequest { matchers, min_t, max_t, sorted: true, projection: hints.projection };
        let _guard = self.runtime.enter();
        self.sources.tasks.spawn("select", async move {
            // The select ends by itself; when the query is dropped, so that a stalled ingester does not keep the task.
            tokio::select! {
                () = tx.closed() => {}
                () = sources.select_into(&ctx, request, tx.clone()) => {}
            }
        });
        Ok(Box::new(ChannelSource { batches: rx }))
    }
}

impl Sources {
    /// Streams the series of all sources into `out` until the receiver is gone. Errors go there as well.
    async fn select_into(&self, ctx: &CallContext, mut request: StreamSelectRequest, out: mpsc::Sender<Result<SelectBatch, RpcError>>) {
        let stored = match &self.store {
            Some(store) => store.select(ctx, &self.ingesters, &request).await,
            None => Ok(None),
        };
        match stored {
            Ok(None) => self.ingesters.select_into(ctx, request, out).await,
            Ok(Some(stored)) => {
                // The newest sample may be in either, and whether there are labels that forbid to leave labels out would have to be known of both before the first series.
                request.projection = Projection::WHOLE;
                let merged = self.merge(ctx, request, stored, &out).await;
                // The receiver may be gone: then nobody wants the error either.
                if let Err(error) = merged {
                    let _ = out.send(Err(error)).await;
                }
            }
            Err(error) => {
                let _ = out.send(Err(error)).await;
            }
        }
    }

    async fn merge(
        &self,
        ctx: &CallContext,
        request: StreamSelectRequest,
        mut stored: SelectStream,
        out: &mpsc::Sender<Result<SelectBatch, RpcError>>,
    ) -> Result<(), RpcError> {
        let (tx, mut recent) = mpsc::channel(1);
        let (ingesters, own_ctx) = (self.ingesters.clone(), ctx.clone());
        self.tasks.spawn("select from ingesters", async move {
            tokio::select! {
                () = tx.closed() => {}
                () = ingesters.select_ordered_into(&own_ctx, request, tx.clone()) => {}
            }
        });
        let mut merge = Merge::new(2);
        while !merge.is_done() {
            let wanted: Vec<usize> = merge.wants().collect();
            for source in wanted {
                match if source == 0 { recent.recv().await } else { stored.next().await } {
                    Some(batch) => merge.feed(source, batch?),
                    None => merge.end(source),
                }
            }
            let ready = merge.drain();
            if !ready.is_empty() && out.send(Ok(ready)).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Blocks the engine's thread until the next batch is there.
struct ChannelSource {
    batches: mpsc::Receiver<Result<SelectBatch, RpcError>>,
}

impl SeriesSource for ChannelSource {
    fn next_batch(&mut self) -> Result<Option<Vec<SeriesChunks>>, QueryError> {
        match self.batches.blocking_recv() {
            None => Ok(None),
            Some(Ok(batch)) => Ok(Some(batch)),
            Some(Err(error)) => Err(to_query_error(error)),
        }
    }
}

/// What a failed fetch means for the query.
#[must_use]
pub fn to_query_error(error: RpcError) -> QueryError {
    match error.kind {
        RpcErrorKind::DeadlineExceeded => QueryError::Timeout("fetching series"),
        RpcErrorKind::LimitExceeded => QueryError::Execution(error.message),
        RpcErrorKind::InvalidRequest => QueryError::BadData(error.message),
        RpcErrorKind::Unavailable | RpcErrorKind::Fenced | RpcErrorKind::Internal => QueryError::Storage(error.message),
    }
}
