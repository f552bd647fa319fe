//! Series of blocks as a stream of batches, ascending by hash.

use model::{Labels, SeriesChunks, SeriesHash};
use rpc::{RpcError, RpcErrorKind, SelectStream};
use runtime::CpuPool;
use tsdb::block::{BlockUnion, UnreadableBlock};

use super::find::too_many_series;

/// A batch ends when it has this many bytes.
const BATCH_BYTES: usize = 1 << 20;
/// Series that are read at a time.
const READ_SERIES: usize = 64;

struct Reading {
    union: BlockUnion,
    sent: usize,
    max_series: usize,
    pool: CpuPool,
}

/// Reads what was found, batch by batch as the caller goes on.
pub(super) fn read(union: BlockUnion, max_series: usize, pool: CpuPool) -> SelectStream {
    let reading = Reading { union, sent: 0, max_series, pool };
    // After an error the state is gone, so nothing follows it.
    Box::pin(futures::stream::unfold(Some(reading), |reading| async move {
        let mut reading = reading?;
        if reading.union.is_done() {
            return None;
        }
        let pool = reading.pool.clone();
        let read = pool.run(move || (reading.next_batch(), reading)).await;
        match read {
            Some((Ok(batch), reading)) => Some((Ok(batch), Some(reading))),
            Some((Err(error), _)) => Some((Err(error), None)),
            None => Some((Err(RpcError::internal("reading blocks panicked; the log says where")), None)),
        }
    }))
}

impl Reading {
    fn next_batch(&mut self) -> Result<Vec<SeriesChunks>, RpcError> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH_BYTES && !self.union.is_done() {
            let before = batch.len();
            self.read(&mut batch).map_err(|error| RpcError::new(RpcErrorKind::Internal, error.to_string()))?;
            bytes += batch.iter().skip(before).map(SeriesChunks::heap_bytes).sum::<usize>();
        }
        self.sent += batch.len();
        if self.sent > self.max_series { Err(too_many_series(self.max_series)) } else { Ok(batch) }
    }

    fn read(&mut self, out: &mut Vec<SeriesChunks>) -> Result<(), UnreadableBlock> {
        let mut entries: Vec<(SeriesHash, Option<SeriesChunks>)> = Vec::with_capacity(READ_SERIES);
        let mut parts = Vec::with_capacity(READ_SERIES);
        while let Some(hash) = self.union.peek().filter(|_| entries.len() < READ_SERIES) {
            self.union.take(hash, entries.len(), &mut parts);
            entries.push((hash, None));
        }
        self.union.read(parts, |entry, _, labels: Labels, chunks| {
            let Some((hash, series)) = entries.get_mut(entry) else { return };
            let hash = *hash;
            series.get_or_insert_with(|| SeriesChunks { labels, hash, chunks: Vec::new(), newest: None }).chunks.extend(chunks);
        })?;
        for mut series in entries.into_iter().filter_map(|(_, series)| series).filter(|series| !series.chunks.is_empty()) {
            series.chunks.sort_by_key(|chunk| chunk.min_t);
            out.push(series);
        }
        Ok(())
    }
}
