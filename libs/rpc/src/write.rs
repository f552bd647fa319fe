//! The way of samples into the cluster, for the HTTP door and for the ruler.

use async_trait::async_trait;
use model::{PushReport, WriteBatch};

use crate::context::CallContext;

/// Why a batch was not written. What was refused sample by sample is not an error but in the report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Fewer replicas than the quorum took a series; some may have. The sender should try again.
    #[error("{0}")]
    Unavailable(String),
    /// The deadline passed before the quorum answered. The sender should try again.
    #[error("the write was not acknowledged by a quorum of ingesters within {0}")]
    Timeout(String),
    /// A limit of the tenant; the text names it.
    #[error("{0}")]
    LimitExceeded(String),
    /// The ingesters failed.
    #[error("{0}")]
    Internal(String),
}

/// Writes batches.
#[async_trait]
pub trait WritePath: Send + Sync + 'static {
    /// Writes a batch to a quorum of every series' replicas. Indices in the report are those of `batch.series`.
    async fn write(&self, ctx: &CallContext, batch: WriteBatch) -> Result<PushReport, WriteError>;
}
