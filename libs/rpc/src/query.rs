//! Queries, for the HTTP API and for the ruler.

use async_trait::async_trait;
use promql::{QueryError, QueryResult};

use crate::context::CallContext;

/// Runs PromQL for a tenant. Times are milliseconds since the epoch. An answer is complete or it is an error.
#[async_trait]
pub trait QueryRunner: Send + Sync + 'static {
    /// Evaluates at one time. `lookback_ms` overrides the engine's 5 minutes.
    async fn instant(&self, ctx: &CallContext, query: &str, t_ms: i64, lookback_ms: Option<i64>) -> Result<QueryResult, QueryError>;

    /// Evaluates at `start, start + step, … ≤ end`; `step_ms` > 0.
    async fn range(
        &self,
        ctx: &CallContext,
        query: &str,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
        lookback_ms: Option<i64>,
    ) -> Result<QueryResult, QueryError>;
}
