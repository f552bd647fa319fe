//! The only conversions between generated messages and the model.
//!
//! What arrives was made by another process: every length, count, index and label block is checked here, once, and a message that does
//! not hold together is refused as a whole with [`InvalidMessage`]. What leaves was checked before and is not checked again.
//!
//! - [`coordinator`]: instances and snapshots of the cluster.
//! - [`ingester`]: pushes, label sets, chunks, matchers, metadata, exemplars.
//! - [`remote_read`]: requests and answers of Prometheus's remote read.
//! - [`rule_group`]: rule groups in object storage.

pub mod coordinator;
pub mod ingester;
pub mod remote_read;
pub mod rule_group;

/// A message of another process that cannot be what it claims to be. Answered with `INVALID_ARGUMENT`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid message: {0}")]
pub struct InvalidMessage(pub String);

impl InvalidMessage {
    fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }
}
