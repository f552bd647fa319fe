//! The engine's view of the ingesters, for one query of one tenant.

use model::SeriesChunks;
use promql::{QueryError, Queryable, SelectRequest, SeriesSource};
use rpc::{CallContext, RpcError, RpcErrorKind, SelectBatch, StreamSelectRequest};
use runtime::Tasks;
use tokio::sync::mpsc;

use crate::ingesters::Ingesters;

/// Batches that may wait between the merge and the engine, per selector.
const CHANNEL_BATCHES: usize = 4;

/// Fetches from all ingesters for one query.
pub struct IngesterQueryable {
    /// Whom to ask.
    pub ingesters: Ingesters,
    /// Tenant and deadline.
    pub ctx: CallContext,
    /// Runs the fetches.
    pub tasks: Tasks,
    /// The async runtime, which the engine's thread is not part of.
    pub runtime: tokio::runtime::Handle,
}

impl Queryable for IngesterQueryable {
    fn select(&self, request: SelectRequest) -> Result<Box<dyn SeriesSource>, QueryError> {
        let (tx, rx) = mpsc::channel(CHANNEL_BATCHES);
        let (ingesters, ctx) = (self.ingesters.clone(), self.ctx.clone());
        let SelectRequest { matchers, min_t, max_t, hints } = request;
        let request = StreamSelectRequest { matchers, min_t, max_t, sorted: true, projection: hints.projection };
        let _guard = self.runtime.enter();
        self.tasks.spawn("select", async move {
            // The select ends by itself; when the query is dropped, so that a stalled ingester does not keep the task.
            tokio::select! {
                () = tx.closed() => {}
                () = ingesters.select_into(&ctx, request, tx.clone()) => {}
            }
        });
        Ok(Box::new(ChannelSource { batches: rx }))
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
