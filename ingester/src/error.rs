//! What the ingester refuses and where it fails.

use model::TenantId;
use rpc::{RpcError, RpcErrorKind};
use tsdb::WalError;
use tsdb::block::BlockError;
use tsdb::head::HeadError;
use tsdb::head_chunks::HeadChunkError;

/// Why a call failed. What is refused sample by sample is not an error but in the report.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The log is still being replayed, and the deadline passed: what is not there yet would be missing in an answer.
    #[error("the ingester is starting: it is still replaying its write-ahead log, and an answer would not be complete")]
    Starting,
    /// The ingester takes no more pushes.
    #[error("the ingester is stopping")]
    Stopping,
    /// No room for the push.
    #[error("pushes in progress hold {used} bytes and this one {wanted}, the limit is {max} (ingester.max_inflight_push_bytes)")]
    InflightFull {
        /// Held now.
        used: usize,
        /// Asked for.
        wanted: usize,
        /// The bound.
        max: usize,
    },
    /// One more tenant than allowed.
    #[error("the ingester holds samples of {max} tenants, the limit (ingester.max_tenants)")]
    TooManyTenants {
        /// The bound.
        max: usize,
    },
    /// One more query than allowed.
    #[error("the ingester has {max} queries open, the most that it serves at a time")]
    TooManyQueries {
        /// The bound.
        max: usize,
    },
    /// The answer is larger than the tenant's limit.
    #[error("the query reads more than {max} {what} ({})", limits::named("max_query_series", .max, .what))]
    TooLargeAnswer {
        /// Series, label values, …
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// The labels of the series take more than an answer may have.
    #[error("the labels that were to be counted take more than {max} bytes: ask for fewer of them, or of fewer series")]
    TooManyLabels {
        /// The bound.
        max: usize,
    },
    /// The deadline passed. A push may have been taken nevertheless.
    #[error("the deadline passed")]
    DeadlineExceeded,
    /// The log does not write as fast as pushes come.
    #[error("more than {max} bytes of pushes wait for the write-ahead log (ingester.max_inflight_push_bytes)")]
    LogBehind {
        /// The bound.
        max: usize,
    },
    /// The log did not take the push. It is not acknowledged; the sender tries again.
    #[error("the push is not in the write-ahead log: {0}")]
    Wal(#[source] WalError),
    /// Samples that are here cannot be read, so that there is no complete answer from here.
    #[error("{0}")]
    Unreadable(String),
    /// A block could not be written. What it should have had is in memory and in the log as before.
    #[error("a block could not be cut, and its samples stay where they are: tenant {tenant}: {cause}")]
    Cut {
        /// Whose block.
        tenant: TenantId,
        /// Why not.
        cause: String,
    },
    /// A block is not in the object store. It stays on the disk, and is tried again.
    #[error("a block is not in the object store yet, and stays here: tenant {tenant}: {cause}")]
    NotShipped {
        /// Whose block.
        tenant: TenantId,
        /// What the store, or the disk, said.
        cause: String,
    },
    /// It is to leave for good, or somebody made it READ_ONLY.
    #[error("this ingester is read-only: it is being prepared for removal")]
    ReadOnly,
    /// Whether it is to leave could not be remembered, and nothing was changed.
    #[error("what was asked for could not be written to the disk: {0}")]
    Marker(String),
    /// Flushes take turns.
    #[error("another flush is in progress")]
    FlushInProgress,
    /// Queries that began long ago still need what has been cut.
    #[error("queries still read what was cut before: try again when they have ended (querier.timeout_seconds)")]
    FlushBehindQueries,
    /// Work on the CPU pool panicked; the panic hook has logged why.
    #[error("the ingester failed inside; its log says why")]
    Panicked,
}

impl From<WalError> for Error {
    fn from(error: WalError) -> Self {
        match error {
            WalError::Overloaded { limit } => Self::LogBehind { max: limit },
            error => Self::Wal(error),
        }
    }
}

impl From<HeadError> for Error {
    fn from(error: HeadError) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl From<Error> for RpcError {
    fn from(error: Error) -> Self {
        let kind = match &error {
            // Will never fit: sending it again is of no use.
            Error::InflightFull { wanted, max, .. } if wanted > max => RpcErrorKind::LimitExceeded,
            Error::Starting
            | Error::Stopping
            | Error::ReadOnly
            | Error::Marker(_)
            | Error::InflightFull { .. }
            | Error::TooManyQueries { .. }
            | Error::LogBehind { .. }
            | Error::FlushInProgress
            | Error::FlushBehindQueries => RpcErrorKind::Unavailable,
            Error::TooManyTenants { .. } | Error::TooLargeAnswer { .. } | Error::TooManyLabels { .. } => RpcErrorKind::LimitExceeded,
            Error::DeadlineExceeded => RpcErrorKind::DeadlineExceeded,
            Error::Wal(WalError::TooLarge { .. }) => RpcErrorKind::LimitExceeded,
            // Another replica's disk may be well.
            Error::Wal(_) | Error::Unreadable(_) | Error::Cut { .. } | Error::NotShipped { .. } => RpcErrorKind::Unavailable,
            Error::Panicked => RpcErrorKind::Internal,
        };
        Self::new(kind, error.to_string())
    }
}

/// Why the ingester could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log could not be opened.
    #[error("cannot open the write-ahead log: {0}")]
    Open(#[source] WalError),
    /// The folder of head chunks could not be opened.
    #[error("cannot open the head chunk files: {0}")]
    HeadChunks(#[source] HeadChunkError),
    /// The folder of snapshots cannot be used.
    #[error("cannot open the snapshots: {0}")]
    Snapshots(#[source] tsdb::snapshot::SnapshotError),
    /// What was pushed during the replay could not be put together with what was restored.
    #[error("cannot put pushes together with what was restored: {0}")]
    Unite(#[source] HeadError),
    /// The log could not be read back.
    #[error("cannot replay the write-ahead log: {0}")]
    Replay(#[source] WalError),
    /// The folder of blocks could not be read.
    #[error("cannot open the blocks: {0}")]
    Blocks(#[source] BlockError),
    /// The replay panicked.
    #[error("the replay of the write-ahead log panicked")]
    Panicked,
}

#[cfg(test)]
mod tests {
    use rpc::{RpcError, RpcErrorKind};
    use tsdb::WalError;

    use super::Error;

    #[test]
    fn kinds_say_whether_to_try_again() {
        let kind = |error: Error| RpcError::from(error).kind;
        assert_eq!(kind(Error::InflightFull { used: 9, wanted: 2, max: 10 }), RpcErrorKind::Unavailable);
        assert_eq!(kind(Error::InflightFull { used: 0, wanted: 11, max: 10 }), RpcErrorKind::LimitExceeded);
        assert_eq!(kind(WalError::Closed.into()), RpcErrorKind::Unavailable);
        assert_eq!(kind(WalError::TooLarge { len: 2, max: 1 }.into()), RpcErrorKind::LimitExceeded);
        let behind = RpcError::from(Error::from(WalError::Overloaded { limit: 5 }));
        assert_eq!(behind.kind, RpcErrorKind::Unavailable);
        assert!(behind.message.contains("ingester.max_inflight_push_bytes"), "{behind}");
    }
}
