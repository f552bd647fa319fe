//! What may go wrong between roles.

use std::fmt;

/// Sorted by who can do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RpcErrorKind {
    /// The callee is not there, is starting or is stopping: try another one, or the same one later.
    Unavailable,
    /// The deadline passed.
    DeadlineExceeded,
    /// A limit: the message names it, its value and its setting. Trying again at once does not help.
    LimitExceeded,
    /// The request is wrong and always will be.
    InvalidRequest,
    /// The callee does not have the epoch or cluster that the caller believes in.
    Fenced,
    /// The callee failed; its log says why.
    Internal,
}

/// An error of a call to another role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcError {
    /// What kind.
    pub kind: RpcErrorKind,
    /// A lowercase phrase.
    pub message: String,
}

impl RpcError {
    /// An error of this kind.
    pub fn new(kind: RpcErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// [`RpcErrorKind::Unavailable`].
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(RpcErrorKind::Unavailable, message)
    }

    /// [`RpcErrorKind::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(RpcErrorKind::Internal, message)
    }

    /// Whether the callee gave no sign of life: it was not reached, or did not answer in time.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        matches!(self.kind, RpcErrorKind::Unavailable | RpcErrorKind::DeadlineExceeded)
    }

    /// Whether another replica may well answer.
    #[must_use]
    pub fn is_retriable_elsewhere(&self) -> bool {
        matches!(self.kind, RpcErrorKind::Unavailable | RpcErrorKind::DeadlineExceeded | RpcErrorKind::Internal | RpcErrorKind::Fenced)
    }
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for RpcError {}
