//! Why a request was refused as a whole. What was refused series by series is in [`crate::Refusals`].

use std::time::Duration;

use rpc::WriteError;
use runtime::failpoint::Injected;

use crate::decode::wire::WireError;
use crate::inflight::Full;

/// An hour: limits may have changed by then.
const MAX_RETRY_AFTER_SECONDS: u128 = 3_600;

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
    BodyTimeout(Duration),
    /// The request passed no authentication.
    #[error("no tenant: the request was not authenticated")]
    NoTenant,
    /// Too many bytes of other requests are in memory.
    #[error("requests in flight hold the {max} bytes that distributor.max_inflight_request_bytes allows; try again")]
    Overloaded {
        /// The limit, in bytes.
        max: u64,
    },
    /// The tenant writes faster than it may. Nothing of the request was written; it passes after the time given.
    #[error("the tenant may not write {samples} samples now, but in {} s ({})", retry_after(*.wait), limits::named("ingestion_rate", .rate, "samples/s"))]
    RateLimited {
        /// Samples in the request; 0 if it was not looked into.
        samples: u64,
        /// The limit, in samples per second.
        rate: u64,
        /// Until when it will not pass.
        wait: Duration,
    },
    /// The request alone is more than the tenant may ever write at once.
    #[error("a request of {samples} samples can never pass: send fewer at a time ({})", limits::named("ingestion_burst_size", .burst, "samples"))]
    MoreThanBurst {
        /// Samples in the request.
        samples: u64,
        /// The limit, in samples.
        burst: u64,
    },
    /// The decoder ended without a result; the log says why.
    #[error("decoding the request failed")]
    Decoder,
    /// The batch was decoded but not written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<Injected> for RequestError {
    fn from(injected: Injected) -> Self {
        Self::Write(WriteError::Unavailable(injected.to_string()))
    }
}

impl RequestError {
    pub(crate) fn overloaded(full: Full) -> Self {
        Self::Overloaded { max: full.max }
    }
}

/// Whole seconds after which a sender may try again, at least one.
pub(crate) fn retry_after(wait: Duration) -> u64 {
    wait.as_millis().div_ceil(1_000).clamp(1, MAX_RETRY_AFTER_SECONDS) as u64
}

fn display_bytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "unknown size".to_owned(), |n| format!("{n} bytes"))
}
