//! What rulers ask each other, so that each can answer for all.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use ring::Instance;

use crate::context::CallContext;
use crate::error::RpcError;

/// What is wanted of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RulesPart {
    /// The group with its rules.
    Rules,
    /// Its alerts.
    Alerts,
}

/// Which groups are wanted, and what of them.
#[derive(Debug, Clone)]
pub struct RulesRequest {
    /// What.
    pub part: RulesPart,
    /// The parameters of the request to the HTTP API, name and value.
    pub parameters: Vec<(String, String)>,
}

/// One group of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesGroup {
    /// The rule file, or the namespace of a stored group.
    pub file: String,
    /// The group's name.
    pub name: String,
    /// The slot of its last evaluation, in milliseconds; 0 if there was none.
    pub evaluated_at_ms: i64,
    /// The group, or a list of its alerts, as the HTTP API shows it.
    pub json: Bytes,
}

/// One ruler.
#[async_trait]
pub trait RulerClient: Send + Sync + 'static {
    /// The tenant's groups that this ruler evaluates, ordered by file and name.
    async fn rules(&self, ctx: &CallContext, request: RulesRequest) -> Result<Vec<RulesGroup>, RpcError>;

    /// Tells it that rule groups in object storage have changed.
    async fn sync(&self, ctx: &CallContext) -> Result<(), RpcError>;
}

/// Hands out clients.
pub trait RulerPool: Send + Sync + 'static {
    /// The client of a ruler.
    fn client(&self, instance: &Instance) -> Arc<dyn RulerClient>;
}
