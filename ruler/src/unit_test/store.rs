//! A store in memory behind the traits through which rules query and write.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use model::{PushReport, RejectReason, RejectedSeries, Sample, SeriesHash, WriteBatch};
use parking_lot::{Mutex, RwLock};
use promql::limits::QueryLimits;
use promql::{
    Engine, EngineOptions, MemoryStorage, ParseOptions, Point, PointValue, QueryContext, QueryError, QueryResult, Queryable, SelectRequest,
    SeriesSource, parse,
};
use rpc::{CallContext, QueryRunner, WriteError, WritePath};

/// What one query of a test may use: a slip of the pen must not take the machine.
const LIMITS: QueryLimits = QueryLimits { max_samples: 50_000_000, max_series: 1_000_000, max_memory_bytes: 1 << 30, max_steps: 1_000_000 };

/// The store of one test. Clones share it.
#[derive(Clone)]
pub(crate) struct Store {
    engine: Engine,
    data: Arc<Data>,
}

#[derive(Default)]
struct Data {
    storage: RwLock<MemoryStorage>,
    /// The last sample of every series: to write it again is harmless.
    last: Mutex<HashMap<SeriesHash, Sample>>,
}

impl Store {
    /// An empty store; subqueries without a step take `interval_ms`.
    pub(crate) fn new(interval_ms: i64) -> Self {
        let options = EngineOptions { default_subquery_step_ms: interval_ms, limits: LIMITS, ..EngineOptions::default() };
        Self { engine: Engine::new(options), data: Arc::default() }
    }

    /// Appends one sample; why not, if it was refused.
    pub(crate) fn append(&self, labels: &model::Labels, point: &Point) -> Result<(), (RejectReason, String)> {
        let bits = if let PointValue::Float(v) = point.value { Some(v) } else { None };
        let mut last = self.data.last.lock();
        if let (Some(known), Some(v)) = (last.get(&labels.hash()), bits) {
            let sample = Sample { t: point.t, v };
            if *known == sample {
                return Ok(());
            }
            if known.t == point.t {
                return Err((RejectReason::DuplicateTimestamp, "duplicate sample for timestamp".to_owned()));
            }
            if known.t > point.t {
                return Err((RejectReason::OutOfOrder, "out of order sample".to_owned()));
            }
        }
        let appended = self.data.storage.write().append(labels, std::slice::from_ref(point));
        appended.map_err(|e| (RejectReason::OutOfOrder, e.to_string()))?;
        last.insert(labels.hash(), Sample { t: point.t, v: bits.unwrap_or(f64::NAN) });
        Ok(())
    }
}

impl Queryable for Data {
    fn select(&self, request: SelectRequest) -> Result<Box<dyn SeriesSource>, QueryError> {
        self.storage.read().select(request)
    }
}

#[async_trait]
impl QueryRunner for Store {
    async fn instant(&self, _: &CallContext, query: &str, t_ms: i64, lookback_ms: Option<i64>) -> Result<QueryResult, QueryError> {
        let expr = parse(query, &ParseOptions::default()).map_err(|e| QueryError::BadData(e.to_string()))?;
        let context = QueryContext { lookback_ms, text: Some(query.into()), ..QueryContext::new(Arc::clone(&self.data) as _) };
        self.engine.instant(&expr, t_ms, &context)
    }

    async fn range(
        &self,
        _: &CallContext,
        query: &str,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
        lookback_ms: Option<i64>,
    ) -> Result<QueryResult, QueryError> {
        let expr = parse(query, &ParseOptions::default()).map_err(|e| QueryError::BadData(e.to_string()))?;
        let context = QueryContext { lookback_ms, text: Some(query.into()), ..QueryContext::new(Arc::clone(&self.data) as _) };
        self.engine.range(&expr, start_ms, end_ms, step_ms, &context)
    }
}

#[async_trait]
impl WritePath for Store {
    async fn write(&self, _: &CallContext, batch: WriteBatch) -> Result<PushReport, WriteError> {
        let mut report = PushReport::default();
        for (i, series) in batch.series.iter().enumerate() {
            let labels = batch.labels(series).to_labels();
            let floats = batch.samples_of(series).iter().map(|s| Point { t: s.t, value: PointValue::Float(s.v) });
            let histograms = batch.histograms_of(series).iter();
            let histograms = histograms.map(|h| Point { t: h.t, value: PointValue::Histogram(Arc::new(h.value.to_float())) });
            for point in floats.chain(histograms) {
                if let Err((reason, detail)) = self.append(&labels, &point) {
                    let series = u32::try_from(i).unwrap_or(u32::MAX);
                    report.rejected.push(RejectedSeries { series, reason, samples: 1, histograms: 0, exemplars: 0, detail });
                }
            }
        }
        Ok(report)
    }
}
