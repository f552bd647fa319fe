//! Series as a stream of batches.

use std::sync::Arc;

use model::SeriesChunks;
use rpc::{CallContext, RpcError, SelectBatch, SelectStream, StreamSelectRequest};
use runtime::Deadline;
use tokio::sync::OwnedSemaphorePermit;

use super::merged::Merged;
use super::sources::Sources;
use crate::error::Error;
use crate::service::Shared;
use crate::tenants::Tenant;

/// Queries open at a time. Each holds 32 bytes per series that it has found in the head, 4 per series of each block, and one batch; queriers admit far fewer.
pub(crate) const MAX_OPEN_QUERIES: usize = 512;

/// A batch ends when it has this many bytes: large enough for the cost of a message not to count, small enough for flow control to work.
const BATCH_BYTES: usize = 1 << 20;
/// Series read at a time at first, before it is known how large they are, and at most.
const FIRST_READ: usize = 16;
const MAX_READ: usize = 256;

/// A query in progress.
struct Open {
    shared: Arc<Shared>,
    reader: Reader,
    deadline: Deadline,
    _permit: OwnedSemaphorePermit,
}

/// Reads the series that were found, batch by batch.
struct Reader {
    series: Merged,
    sent: usize,
    max_series: usize,
    /// Average of what was read so far.
    series_bytes: usize,
}

/// A place among the open queries.
pub(super) fn admit(shared: &Shared) -> Result<OwnedSemaphorePermit, Error> {
    Arc::clone(&shared.open_queries).try_acquire_owned().map_err(|_| Error::TooManyQueries { max: MAX_OPEN_QUERIES })
}

/// Finds the series and returns the stream that reads them.
pub(super) async fn open(
    shared: &Arc<Shared>,
    ctx: &CallContext,
    tenant: &Tenant,
    request: StreamSelectRequest,
) -> Result<SelectStream, Error> {
    let permit = admit(shared)?;
    let max_series = shared.limits.of(&ctx.tenant).max_query_series;
    let sources = Sources::of(shared, tenant);
    let find = shared.query_pool.run(move || Merged::find(sources, request));
    let series = match tokio::time::timeout(ctx.deadline.remaining(&*shared.clock), find).await {
        Ok(found) => found.ok_or(Error::Panicked)??,
        Err(_) => return Err(Error::DeadlineExceeded),
    };
    let reader = Reader { series, sent: 0, max_series, series_bytes: 0 };
    let open = Open { shared: Arc::clone(shared), reader, deadline: ctx.deadline, _permit: permit };
    // After an error the state is gone, so nothing follows it.
    Ok(Box::pin(futures::stream::unfold(Some(open), |open| async move {
        match next(open?).await {
            Ok(Some((batch, open))) => Some((Ok(batch), Some(open))),
            Ok(None) => None,
            Err(error) => Some((Err(RpcError::from(error)), None)),
        }
    })))
}

async fn next(open: Open) -> Result<Option<(SelectBatch, Open)>, Error> {
    let Open { shared, mut reader, deadline, _permit } = open;
    let time_left = deadline.remaining(&*shared.clock);
    if time_left.is_zero() {
        return Err(Error::DeadlineExceeded);
    }
    if reader.series.is_done() {
        return Ok(None);
    }
    let read = shared.query_pool.run(move || {
        let batch = reader.next_batch();
        (batch, reader)
    });
    let (batch, reader) = match tokio::time::timeout(time_left, read).await {
        Ok(read) => read.ok_or(Error::Panicked)?,
        Err(_) => return Err(Error::DeadlineExceeded),
    };
    let batch = batch?;
    if batch.is_empty() {
        return Ok(None);
    }
    shared.metrics.read(batch.len());
    Ok(Some((batch, Open { shared, reader, deadline, _permit })))
}

impl Reader {
    /// The next batch; empty at the end.
    fn next_batch(&mut self) -> Result<Vec<SeriesChunks>, Error> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH_BYTES && !self.series.is_done() {
            let before = batch.len();
            self.series.read(self.read_size(BATCH_BYTES - bytes), &mut batch)?;
            let read: usize = batch.iter().skip(before).map(SeriesChunks::heap_bytes).sum();
            bytes += read;
            if let Some(average) = read.checked_div(batch.len() - before) {
                self.series_bytes = average;
            }
        }
        self.sent += batch.len();
        if self.sent > self.max_series {
            return Err(Error::TooLargeAnswer { what: "series", max: self.max_series });
        }
        Ok(batch)
    }

    /// So many series as will fill `room` if they are like the last ones.
    fn read_size(&self, room: usize) -> usize {
        room.checked_div(self.series_bytes).map_or(FIRST_READ, |n| n.clamp(1, MAX_READ))
    }
}
