//! From text to answer: parse, check, wait for a turn, evaluate.

use std::sync::Arc;

use async_trait::async_trait;
use limits::{Limits, LimitsProvider};
use model::TenantId;
use promql::cancel::CancelToken;
use promql::limits::QueryLimits;
use promql::parser::{self, Expr, ParseOptions};
use promql::{Engine, EngineOptions, ExplainClock, Features, QueryContext, QueryError, QueryResult, QueryTimings};
use rpc::{CallContext, QueryRunner};
use runtime::CpuPool;
use runtime::clock::SharedClock;

use crate::admission::Admission;
use crate::config::Config;
use crate::metrics::{GaugeGuard, Metrics};
use crate::queryable::{ClusterQueryable, Sources};

pub(crate) mod collect;

mod reach;

use reach::Reach;

/// Runs queries. Cheap to clone.
#[derive(Clone)]
pub struct Runner {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    sources: Sources,
    limits: LimitsProvider,
    cpu: CpuPool,
    /// Threads that help queries.
    helpers: CpuPool,
    clock: SharedClock,
    metrics: Metrics,
    admission: Admission,
}

/// When a query is evaluated. Milliseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Once.
    At(i64),
    /// At `start, start + step, … ≤ end`.
    Range { start: i64, end: i64, step: i64 },
}

/// What a caller may ask for besides.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RunOptions {
    /// Instead of the configured lookback, in milliseconds.
    pub(crate) lookback_ms: Option<i64>,
    /// Whether the answer comes with [`QueryResult::explain`].
    pub(crate) explain: bool,
    /// Whether the answer comes with [`QueryResult::samples`].
    pub(crate) count_samples: bool,
}

impl Runner {
    /// A runner.
    #[must_use]
    pub fn new(config: Config, sources: Sources, limits: LimitsProvider, clock: SharedClock, metrics: Metrics) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let concurrent = if config.max_concurrent == 0 { cores * 2 } else { config.max_concurrent };
        let engine = Engine::new(EngineOptions {
            lookback_ms: seconds_to_ms(config.lookback_seconds),
            default_subquery_step_ms: seconds_to_ms(config.default_subquery_step_seconds),
            ..EngineOptions::default()
        });
        let admission = Admission::new(concurrent, config.max_queued);
        // Who is admitted finds a thread.
        let cpu = CpuPool::new(concurrent, sources.tasks.clone());
        let helpers = CpuPool::new(cores.saturating_sub(1), sources.tasks.clone());
        Self { inner: Arc::new(Inner { engine, sources, limits, cpu, helpers, clock, metrics, admission }) }
    }

    /// Reads an expression of a tenant.
    pub(crate) fn parse(&self, tenant: &TenantId, query: &str) -> Result<Expr, QueryError> {
        parse(&self.inner.limits.of(tenant), query)
    }

    /// What expressions of a tenant may say.
    pub(crate) fn parse_options(&self, tenant: &TenantId) -> ParseOptions {
        parse_options(&self.inner.limits.of(tenant))
    }

    /// Runs a query.
    pub(crate) async fn run(&self, ctx: &CallContext, query: &str, when: When, options: RunOptions) -> Result<QueryResult, QueryError> {
        let inner = &self.inner;
        let received = inner.clock.monotonic();
        let limits = inner.limits.of(&ctx.tenant);
        reach::check_length(&limits, when)?;
        let expr = parse(&limits, query)?;
        let (when, left_out) = match reach::within_lookback(&limits, when, inner.clock.now_ms(), &expr) {
            Reach::All => (when, None),
            Reach::From(later) => (later, Some(reach::warning(&limits))),
            Reach::Nothing => return Ok(QueryResult { warnings: vec![reach::warning(&limits)], ..reach::nothing(when, &expr) }),
        };
        let _running = GaugeGuard::new(&inner.metrics.inflight);
        let queued = inner.clock.monotonic();
        let place = inner.admission.admit(&ctx.tenant, limits.max_concurrent_queries, ctx.deadline.remaining(inner.clock.as_ref())).await?;
        let cancel = inner.cancel_token(ctx);
        let _cancel_on_drop = CancelOnDrop(cancel.clone());
        let query_ctx = QueryContext {
            storage: Arc::new(inner.storage(ctx)),
            cancel,
            lookback_ms: options.lookback_ms,
            limits: Some(query_limits(&limits)),
            features: Some(Features {
                delayed_name_removal: limits.promql.delayed_name_removal,
                start_timestamps: limits.promql.start_timestamps,
                type_and_unit_labels: limits.promql.type_and_unit_labels,
            }),
            text: Some(query.into()),
            explain: options.explain.then(|| explain_clock(&inner.clock)),
            count_samples: options.count_samples,
            workers: Some(Arc::new(Helpers(inner.helpers.clone()))),
        };
        let engine = inner.engine.clone();
        let clock = Arc::clone(&inner.clock);
        let work = move || {
            // Given back when the thread is free, also if nobody waits for the answer any more.
            let _place = place;
            let begun = clock.monotonic();
            let mut result = match when {
                When::At(t) => engine.instant(&expr, t, &query_ctx),
                When::Range { start, end, step } => engine.range(&expr, start, end, step, &query_ctx),
            };
            if let Ok(result) = &mut result {
                result.stats.timings = QueryTimings {
                    preparation_us: as_us(queued.saturating_sub(received)),
                    queue_us: as_us(begun.saturating_sub(queued)),
                    evaluation_us: as_us(clock.monotonic().saturating_sub(begun)),
                };
            }
            result
        };
        let answer = inner.cpu.run(work);
        let remaining = ctx.deadline.remaining(inner.clock.as_ref());
        let result = match tokio::time::timeout(remaining, answer).await {
            Ok(Some(result)) => result,
            Ok(None) => Err(QueryError::Storage("the query engine failed; the server's log says why".to_owned())),
            Err(_) => Err(QueryError::Timeout("expression evaluation")),
        };
        // What the engine finds wrong before it evaluates is wrong with the expression.
        let mut result = result.map_err(|e| if let QueryError::BadData(text) = e { wrong_query(&text) } else { e });
        inner.metrics.duration.observe((inner.clock.monotonic() - queued).as_secs_f64());
        if let Ok(result) = &mut result {
            result.warnings.extend(left_out);
            inner.metrics.samples.inc_by(result.stats.samples_read);
            inner.metrics.series.inc_by(result.stats.series_read);
        }
        result
    }
}

/// One query's way to other threads.
struct Helpers(CpuPool);

impl promql::Workers for Helpers {
    fn most(&self) -> usize {
        self.0.idle()
    }

    fn help(&self, helpers: usize, work: &Arc<dyn Fn() + Send + Sync>) {
        for _ in 0..helpers {
            let work = Arc::clone(work);
            if !self.0.try_run(move || work()) {
                return;
            }
        }
    }
}

impl Inner {
    /// Where the samples of a call come from. Called on a thread of the async runtime.
    fn storage(&self, ctx: &CallContext) -> ClusterQueryable {
        ClusterQueryable { sources: self.sources.clone(), ctx: ctx.clone(), runtime: tokio::runtime::Handle::current() }
    }

    /// A token that expires with the call.
    fn cancel_token(&self, ctx: &CallContext) -> CancelToken {
        let deadline = self.clock.monotonic() + ctx.deadline.remaining(self.clock.as_ref());
        let clock = Arc::clone(&self.clock);
        CancelToken::with_deadline(as_ms(deadline), move || as_ms(clock.monotonic()))
    }
}

#[async_trait]
impl QueryRunner for Runner {
    async fn instant(&self, ctx: &CallContext, query: &str, t_ms: i64, lookback_ms: Option<i64>) -> Result<QueryResult, QueryError> {
        self.run(ctx, query, When::At(t_ms), RunOptions { lookback_ms, ..RunOptions::default() }).await
    }

    async fn range(
        &self,
        ctx: &CallContext,
        query: &str,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
        lookback_ms: Option<i64>,
    ) -> Result<QueryResult, QueryError> {
        let options = RunOptions { lookback_ms, ..RunOptions::default() };
        self.run(ctx, query, When::Range { start: start_ms, end: end_ms, step: step_ms }, options).await
    }
}

fn parse(limits: &Limits, query: &str) -> Result<Expr, QueryError> {
    parser::parse(query, &parse_options(limits)).map_err(|e| wrong_query(&e.to_string()))
}

fn parse_options(limits: &Limits) -> ParseOptions {
    ParseOptions {
        experimental_functions: limits.promql.experimental_functions,
        duration_expressions: limits.promql.duration_expressions,
        extended_range_selectors: limits.promql.extended_range_selectors,
        fill_modifiers: limits.promql.binop_fill_modifiers,
        max_length: limits.max_query_expression_bytes,
        max_depth: limits.max_query_expression_depth,
    }
}

fn wrong_query(problem: &str) -> QueryError {
    QueryError::BadData(format!("invalid parameter \"query\": {problem}"))
}

fn query_limits(limits: &Limits) -> QueryLimits {
    QueryLimits {
        max_samples: limits.max_query_samples,
        max_series: limits.max_query_series as u64,
        max_memory_bytes: limits.max_query_memory_bytes,
        max_steps: limits.max_query_steps,
    }
}

fn explain_clock(clock: &SharedClock) -> ExplainClock {
    let clock = Arc::clone(clock);
    ExplainClock::new(move || u64::try_from(clock.monotonic().as_nanos()).unwrap_or(u64::MAX))
}

fn as_us(d: std::time::Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}

fn as_ms(d: std::time::Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX)
}

fn seconds_to_ms(seconds: u64) -> i64 {
    i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX)
}

/// Stops the engine when the caller goes away.
struct CancelOnDrop(CancelToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
