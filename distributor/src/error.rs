//! Why a request was refused as a whole. What was refused series by series is in [`crate::Refusals`].

use rpc::WriteError;

use crate::decode::wire::WireError;
use crate::inflight::Full;

/// Why nothing of a request was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The media type is not one of remote write.
    #[error(
        "content type {0:?} is not supported: send application/x-protobuf, with proto=prometheus.WriteRequest (1.0, the default) or \
         proto=io.prometheus.write.v2.Request (2.0)"
    )]
    ContentType(String),
    /// The body is compressed in a way that remote write does not have.
    #[error("content encoding {0:?} is not supported: send snappy (block format)")]
    ContentEncoding(String),
    /// A bound on the size of one request.
    #[error("{what} of {} is larger than the limit of {limit} bytes (distributor.{setting})", display_bytes(*.bytes))]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is, as far as that is known.
        bytes: Option<u64>,
        /// The limit, in bytes.
        limit: u64,
        /// The setting.
        setting: &'static str,
    },
    /// The body is not snappy.
    #[error("the body is not valid snappy: {0}")]
    Snappy(String),
    /// The body is not the message that the content type promises.
    #[error("the body is not a valid write request: {0}")]
    Malformed(#[from] WireError),
    /// The client went away or broke the transfer.
    #[error("reading the body failed: {0}")]
    Body(String),
    /// The body did not arrive.
    #[error("the body was not complete after {} s", .0.as_secs())]
    BodyTimeout(std::time::Duration),
    /// The request passed no authentication.
    #[error("no tenant: the request was not authenticated")]
    NoTenant,
    /// Too many bytes of other requests are in memory.
    #[error("requests in flight hold the {max} bytes that distributor.max_inflight_request_bytes allows; try again")]
    Overloaded {
        /// The limit, in bytes.
        max: u64,
    },
    /// The decoder ended without a result; the log says why.
    #[error("decoding the request failed")]
    Decoder,
    /// The batch was decoded but not written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl RequestError {
    pub(crate) fn overloaded(full: Full) -> Self {
        Self::Overloaded { max: full.max }
    }
}

fn display_bytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "unknown size".to_owned(), |n| format!("{n} bytes"))
}
