//! The engine: an expression, a time and a store in, a complete answer out.

use std::sync::Arc;

use crate::cancel::CancelToken;
use crate::error::QueryError;
use crate::eval::{self, QueryState};
use crate::explain::ExplainClock;
use crate::limits::QueryLimits;
use crate::parallel::Workers;
use crate::parser::ast::Expr;
use crate::plan::{Plan, PlanOptions, Planner, QueryTime, optimise};
use crate::storage::Queryable;
use crate::value::QueryResult;

/// Prometheus's lookback.
pub const DEFAULT_LOOKBACK_MS: i64 = 5 * 60 * 1000;

/// Prometheus's subquery step where none is written (its `evaluation_interval`).
pub const DEFAULT_SUBQUERY_STEP_MS: i64 = 60 * 1000;

/// How expressions are evaluated where Prometheus leaves a choice; all off by default, as there. What expressions may say is decided when
/// they are parsed ([`crate::ParseOptions`]).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Features {
    /// `promql-delayed-name-removal`: `__name__`, `__type__` and `__unit__` are dropped at the end rather than by each function.
    pub delayed_name_removal: bool,
    /// `use-start-timestamps`: `rate`, `increase`, `irate` and `resets` look at when counters began, where the store knows it.
    pub start_timestamps: bool,
    /// `type-and-unit-labels`: whether a metric is a counter is told by its label `__type__` rather than by the end of its name.
    pub type_and_unit_labels: bool,
}

/// Settings of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineOptions {
    /// How old a sample may be and still count at a step: it must be younger than this. Milliseconds, > 0.
    pub lookback_ms: i64,
    /// The step of subqueries that name none. Milliseconds, > 0.
    pub default_subquery_step_ms: i64,
    /// What Prometheus has behind flags.
    pub features: Features,
    /// Limits of each query.
    pub limits: QueryLimits,
    /// Whether plans are optimised. The answers are the same; without, a fault of the optimiser can be told from others.
    pub optimise: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            lookback_ms: DEFAULT_LOOKBACK_MS,
            default_subquery_step_ms: DEFAULT_SUBQUERY_STEP_MS,
            features: Features::default(),
            limits: QueryLimits::default(),
            optimise: true,
        }
    }
}

/// What one query brings along.
#[derive(Clone)]
pub struct QueryContext {
    /// The tenant's series.
    pub storage: Arc<dyn Queryable>,
    /// Cancellation and deadline.
    pub cancel: CancelToken,
    /// Overrides [`EngineOptions::lookback_ms`] (`lookback_delta` of the HTTP API).
    pub lookback_ms: Option<i64>,
    /// Overrides [`EngineOptions::limits`], for limits per tenant.
    pub limits: Option<QueryLimits>,
    /// Overrides [`EngineOptions::features`], for settings per tenant.
    pub features: Option<Features>,
    /// The text that the expression was parsed from, for the line and column of annotations. Without it columns count from
    /// the start of the expression.
    pub text: Option<Arc<str>>,
    /// With a clock, the answer comes with [`QueryResult::explain`].
    pub explain: Option<ExplainClock>,
    /// Whether the answer comes with [`QueryResult::samples`]. The plan is then evaluated as it stands, without optimisation, so that the
    /// figures are Prometheus's.
    pub count_samples: bool,
    /// Threads that may help with the series of selectors. The answer is the same without.
    pub workers: Option<Arc<dyn Workers>>,
}

impl QueryContext {
    /// A context without cancellation and overrides.
    #[must_use]
    pub fn new(storage: Arc<dyn Queryable>) -> Self {
        Self {
            storage,
            cancel: CancelToken::new(),
            lookback_ms: None,
            limits: None,
            features: None,
            text: None,
            explain: None,
            count_samples: false,
            workers: None,
        }
    }
}

/// Evaluates expressions. Stateless between queries and cheap to clone; synchronous: call it from a CPU pool.
#[derive(Debug, Clone, Default)]
pub struct Engine {
    options: EngineOptions,
}

impl Engine {
    /// An engine.
    #[must_use]
    pub fn new(options: EngineOptions) -> Self {
        Self { options }
    }

    /// Its settings.
    #[must_use]
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Evaluates `expr` at one time. A range vector expression yields the raw samples of its window.
    pub fn instant(&self, expr: &Expr, t_ms: i64, ctx: &QueryContext) -> Result<QueryResult, QueryError> {
        self.run(expr, QueryTime::instant(t_ms), ctx)
    }

    /// Evaluates `expr` at `start_ms`, `start_ms + step_ms`, … up to and including `end_ms`.
    pub fn range(&self, expr: &Expr, start_ms: i64, end_ms: i64, step_ms: i64, ctx: &QueryContext) -> Result<QueryResult, QueryError> {
        self.run(expr, QueryTime::range(start_ms, end_ms, step_ms)?, ctx)
    }

    fn run(&self, expr: &Expr, time: QueryTime, ctx: &QueryContext) -> Result<QueryResult, QueryError> {
        ctx.cancel.check("query preparation")?;
        let features = ctx.features.unwrap_or(self.options.features);
        let mut state = QueryState::new(ctx, self.options.limits, features, time)?;
        let options = PlanOptions {
            lookback_ms: ctx.lookback_ms.unwrap_or(self.options.lookback_ms),
            default_subquery_step_ms: self.options.default_subquery_step_ms,
            start_timestamps: features.start_timestamps,
        };
        let mut plan: Plan = Planner::new(options, time, &state.budget).plan(expr)?;
        state.ordered = plan.orders();
        if self.options.optimise && !ctx.count_samples {
            optimise(&mut plan);
        }
        let state = Arc::new(state);
        let value = eval::run(&plan, time, &state, &ctx.storage)?;
        let grid = time.grid(&state.budget)?;
        let samples = state.sample_counts.as_ref().map(|counts| counts.figures(grid));
        let (warnings, infos) = state.annotations.render(ctx.text.as_deref());
        let explain = state.explain.as_ref().map(|recorder| recorder.finish());
        Ok(QueryResult { value, warnings, infos, stats: state.budget.stats(), samples, explain })
    }
}

#[cfg(test)]
mod tests;
