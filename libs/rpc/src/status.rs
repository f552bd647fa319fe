//! [`RpcError`] as a gRPC status and back. The codes are part of the wire contract.

use std::error::Error as _;

use tonic::{Code, Status};

use crate::error::{RpcError, RpcErrorKind};

impl From<RpcError> for Status {
    fn from(error: RpcError) -> Self {
        let code = match error.kind {
            RpcErrorKind::Unavailable => Code::Unavailable,
            RpcErrorKind::DeadlineExceeded => Code::DeadlineExceeded,
            RpcErrorKind::LimitExceeded => Code::ResourceExhausted,
            RpcErrorKind::InvalidRequest => Code::InvalidArgument,
            RpcErrorKind::Fenced => Code::FailedPrecondition,
            RpcErrorKind::Internal => Code::Internal,
        };
        Self::new(code, error.message)
    }
}

impl From<Status> for RpcError {
    fn from(status: Status) -> Self {
        let kind = match status.code() {
            Code::Unavailable => RpcErrorKind::Unavailable,
            // `Cancelled` is how a timeout of the transport shows.
            Code::DeadlineExceeded | Code::Cancelled => RpcErrorKind::DeadlineExceeded,
            Code::ResourceExhausted => RpcErrorKind::LimitExceeded,
            Code::InvalidArgument | Code::OutOfRange | Code::NotFound | Code::Unimplemented => RpcErrorKind::InvalidRequest,
            Code::FailedPrecondition => RpcErrorKind::Fenced,
            // A status with a source was made on this side: the connection broke, the callee said nothing.
            _ if status.source().is_some() => RpcErrorKind::Unavailable,
            _ => RpcErrorKind::Internal,
        };
        Self::new(kind, status.message())
    }
}

#[cfg(test)]
mod tests {
    use tonic::Status;

    use crate::error::{RpcError, RpcErrorKind};

    #[test]
    fn every_kind_survives_the_wire() {
        for kind in [
            RpcErrorKind::Unavailable,
            RpcErrorKind::DeadlineExceeded,
            RpcErrorKind::LimitExceeded,
            RpcErrorKind::InvalidRequest,
            RpcErrorKind::Fenced,
            RpcErrorKind::Internal,
        ] {
            let error = RpcError::new(kind, "why");
            assert_eq!(RpcError::from(Status::from(error.clone())), error);
        }
    }
}
