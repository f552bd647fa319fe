//! The wire: generated messages and services, and the only conversions between them and the model.
//!
//! The `.proto` files are in `proto/`; their comments are the contracts. Only `grpc.rs` of a role, `libs/rpc`, and senders of remote
//! write (tests, the load generator) see generated types. [`convert`] has the conversions.

pub mod convert;

#[allow(missing_docs, clippy::all, clippy::cast_lossless, unreachable_pub, unused_qualifications, reason = "generated")]
mod generated {
    pub(super) mod ingester {
        tonic::include_proto!("plimsoll.ingester.v1");
    }
    pub(super) mod coordinator {
        tonic::include_proto!("plimsoll.coordinator.v1");
    }
    pub(super) mod ruler {
        tonic::include_proto!("plimsoll.ruler.v1");
    }
    pub(super) mod rule_group {
        tonic::include_proto!("cortex.rules");
    }
    pub(super) mod remote_write_v1 {
        tonic::include_proto!("prometheus.v1");
    }
    pub(super) mod remote_write_v2 {
        tonic::include_proto!("io.prometheus.write.v2");
    }
}

/// Calls to ingesters.
pub mod ingester {
    pub use super::generated::ingester::*;
}

/// The coordinator group.
pub mod coordinator {
    pub use super::generated::coordinator::*;
}

/// Calls between rulers.
pub mod ruler {
    pub use super::generated::ruler::*;
}

/// Remote write 1.0.
pub mod remote_write_v1 {
    pub use super::generated::remote_write_v1::*;
}

/// Remote read.
pub mod remote_read {
    pub use super::generated::remote_write_v1::{
        Chunk, ChunkedReadResponse, ChunkedSeries, Label, LabelMatcher, Query, QueryResult, ReadRequest, ReadResponse, TimeSeries, chunk,
        label_matcher, read_request,
    };
}

/// Remote write 2.0.
pub mod remote_write_v2 {
    pub use super::generated::remote_write_v2::*;
}
