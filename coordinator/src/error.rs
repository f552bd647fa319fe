//! What may go wrong in the coordinator.

use std::path::PathBuf;

use rpc::{RpcError, RpcErrorKind};

/// An error of the coordinator role.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is out of bounds.
    #[error("{0}")]
    Config(String),
    /// The Raft store cannot be opened or does not hold what it should.
    #[error("the raft store in {path} cannot be used: {problem}")]
    Store {
        /// Where it is.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// Another member leads; it is named if it is known.
    #[error("this coordinator is not the leader ({})", leader.as_deref().map_or_else(|| "there is none now".to_owned(), |leader| format!("{leader} is")))]
    NotLeader {
        /// The leader's gRPC address.
        leader: Option<String>,
    },
    /// The epoch is not the current one.
    #[error("{0}")]
    Fenced(String),
    /// The request is not valid.
    #[error("{0}")]
    Invalid(String),
    /// A limit or rule of the cluster's state.
    #[error("{0}")]
    Refused(String),
    /// No quorum within the time allowed.
    #[error("no quorum of coordinators answered within {0:?}")]
    NoQuorum(std::time::Duration),
    /// Raft itself failed, or is stopping.
    #[error("raft: {0}")]
    Raft(String),
}

impl From<Error> for RpcError {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Config(_) | Error::Store { .. } => RpcErrorKind::Internal,
            Error::NotLeader { .. } | Error::NoQuorum(_) | Error::Raft(_) => RpcErrorKind::Unavailable,
            Error::Fenced(_) => RpcErrorKind::Fenced,
            Error::Invalid(_) => RpcErrorKind::InvalidRequest,
            Error::Refused(_) => RpcErrorKind::LimitExceeded,
        };
        Self::new(kind, error.to_string())
    }
}
