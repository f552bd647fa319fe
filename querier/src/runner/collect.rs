//! Whole series, for readers that evaluate by themselves.

use std::sync::Arc;

use limits::Limits;
use model::SeriesChunks;
use promql::cancel::CancelToken;
use promql::{QueryError, Queryable, SelectHints, SelectRequest};
use proto::convert::remote_read::ReadQuery;
use rpc::CallContext;
use tsdb::block::recode::{OverlapStats, merge_overlaps};

use super::reach::check_length;
use super::{CancelOnDrop, Runner, When};
use crate::metrics::GaugeGuard;

/// What an error says was being done.
const STAGE: &str = "reading series";

impl Runner {
    /// Reads the series of each query, ascending by labels, their chunks ascending in time without overlaps, and gives them to `finish`, which
    /// runs on the CPU pool as well. The tenant's limits count for all queries together; all series are in memory at a time.
    pub(crate) async fn collect<T: Send + 'static>(
        &self,
        ctx: &CallContext,
        queries: Vec<ReadQuery>,
        finish: impl FnOnce(Vec<Vec<SeriesChunks>>, &Limits) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, QueryError> {
        let inner = &self.inner;
        let limits = inner.limits.of(&ctx.tenant);
        for query in &queries {
            check_length(&limits, When::Range { start: query.min_t, end: query.max_t, step: 1 })?;
        }
        let _running = GaugeGuard::new(&inner.metrics.inflight);
        let place = inner.admission.admit(&ctx.tenant, limits.max_concurrent_queries, ctx.deadline.remaining(inner.clock.as_ref())).await?;
        let cancel = inner.cancel_token(ctx);
        let _cancel_on_drop = CancelOnDrop(cancel.clone());
        let storage = inner.storage(ctx);
        let work = move || {
            let _place = place;
            let mut budget = Budget { limits: Arc::clone(&limits), series: 0, samples: 0, bytes: 0 };
            let all = queries.into_iter().map(|query| read(&storage, query, &cancel, &mut budget));
            finish(all.collect::<Result<_, _>>()?, &limits)
        };
        match tokio::time::timeout(ctx.deadline.remaining(inner.clock.as_ref()), inner.cpu.run(work)).await {
            Ok(Some(result)) => result,
            Ok(None) => Err(QueryError::Storage("reading series failed; the server's log says why".to_owned())),
            Err(_) => Err(QueryError::Timeout(STAGE)),
        }
    }
}

fn read(storage: &dyn Queryable, query: ReadQuery, cancel: &CancelToken, budget: &mut Budget) -> Result<Vec<SeriesChunks>, QueryError> {
    let ReadQuery { matchers, min_t, max_t } = query;
    let mut all = Vec::new();
    if min_t > max_t {
        return Ok(all);
    }
    let mut source = storage.select(SelectRequest { matchers, min_t, max_t, hints: SelectHints::default() })?;
    while let Some(batch) = source.next_batch()? {
        cancel.check(STAGE)?;
        for mut series in batch {
            series.chunks.retain(|chunk| chunk.max_t >= min_t && chunk.min_t <= max_t);
            if series.chunks.is_empty() {
                continue;
            }
            budget.take(&series)?;
            let chunks = std::mem::take(&mut series.chunks).into_iter().enumerate().collect();
            series.chunks = merge_overlaps(chunks, &mut OverlapStats::default())
                .map_err(|e| QueryError::Storage(format!("a chunk of series {} cannot be read: {e}", series.labels)))?;
            all.push(series);
        }
    }
    all.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
    Ok(all)
}

/// What has been read so far, all queries of a request together.
struct Budget {
    limits: Arc<Limits>,
    series: u64,
    samples: u64,
    bytes: u64,
}

impl Budget {
    fn take(&mut self, series: &SeriesChunks) -> Result<(), QueryError> {
        let samples = series.chunks.iter().map(|chunk| u64::from(tsdb::chunk::sample_count(&chunk.data).unwrap_or(0)));
        self.series += 1;
        self.samples = self.samples.saturating_add(samples.sum());
        self.bytes = self.bytes.saturating_add(series.heap_bytes() as u64);
        within(self.series, self.limits.max_query_series as u64, "series", "max_query_series")?;
        within(self.samples, self.limits.max_query_samples, "samples", "max_query_samples")?;
        within(self.bytes, self.limits.max_query_memory_bytes, "bytes in memory", "max_query_memory_bytes")
    }
}

/// Checks a limit of a read; 0 is none.
pub(crate) fn within(now: u64, max: u64, what: &str, setting: &str) -> Result<(), QueryError> {
    if max == 0 || now <= max {
        return Ok(());
    }
    Err(QueryError::Execution(format!(
        "the read would have more than {max} {what} ({}); narrow the matchers or the time range",
        limits::named(setting, max, what)
    )))
}
