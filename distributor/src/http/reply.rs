//! What a sender is told: status, headers, text.

use axum::response::{IntoResponse, Response};
use http::header::RETRY_AFTER;
use http::{HeaderName, HeaderValue, StatusCode};
use rpc::WriteError;

use crate::decode::Protocol;
use crate::error::{RequestError, retry_after};
use crate::refusals::{Counts, Refusals};

/// The headers by which a 2.0 receiver says what it wrote.
const WRITTEN: [HeaderName; 3] = [
    HeaderName::from_static("x-prometheus-remote-write-samples-written"),
    HeaderName::from_static("x-prometheus-remote-write-histograms-written"),
    HeaderName::from_static("x-prometheus-remote-write-exemplars-written"),
];

/// Seconds after which a sender may try again what was refused for lack of room.
const RETRY_AFTER_SECONDS: u64 = 1;

/// The answer to a request that was decoded and written, in part or in full.
///
/// In 1.0 exemplars are an extra that a sender does not expect to hear about, as in Prometheus's receiver; in 2.0 they are told.
///
/// What was dropped because an equal sender is written counts as written: to this sender it is done.
pub(super) fn written(protocol: Protocol, received: Counts, refusals: &Refusals, deduped: Counts) -> Response {
    let refused = refusals.total();
    let told = match protocol {
        Protocol::V1 => refused.samples > 0 || refused.histograms > 0,
        Protocol::V2 => !refused.is_zero() || refusals.has(model::RejectReason::EmptySeries),
    };
    let response = match told {
        false if !deduped.is_zero() && deduped == received => StatusCode::ACCEPTED.into_response(),
        false => StatusCode::NO_CONTENT.into_response(),
        true => (StatusCode::BAD_REQUEST, refusals.to_text(received)).into_response(),
    };
    with_written(response, Some(protocol), received.minus(refused))
}

/// The answer to a request of which nothing was acknowledged.
pub(super) fn failed(protocol: Option<Protocol>, error: &RequestError) -> Response {
    let mut response = (status_of(error), error.to_string()).into_response();
    let seconds = match error {
        RequestError::RateLimited { wait, .. } => Some(retry_after(*wait)),
        error => is_for_lack_of_room(error).then_some(RETRY_AFTER_SECONDS),
    };
    if let Some(seconds) = seconds {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    with_written(response, protocol, Counts::default())
}

/// The status that tells a sender whether to try again (5xx, 429) or not (other 4xx).
pub(crate) fn status_of(error: &RequestError) -> StatusCode {
    match error {
        RequestError::ContentType(_) | RequestError::ContentEncoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        RequestError::TooLarge { .. } | RequestError::MoreThanBurst { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        RequestError::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
        RequestError::Snappy(_) | RequestError::Malformed(_) | RequestError::Body(_) => StatusCode::BAD_REQUEST,
        RequestError::BodyTimeout(_) => StatusCode::REQUEST_TIMEOUT,
        RequestError::Overloaded { .. } => StatusCode::SERVICE_UNAVAILABLE,
        RequestError::NoTenant => StatusCode::UNAUTHORIZED,
        RequestError::Decoder => StatusCode::INTERNAL_SERVER_ERROR,
        RequestError::Write(WriteError::Unavailable(_) | WriteError::Timeout(_)) => StatusCode::SERVICE_UNAVAILABLE,
        RequestError::Write(WriteError::LimitExceeded(_)) => StatusCode::TOO_MANY_REQUESTS,
        RequestError::Write(WriteError::Internal(_)) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn is_for_lack_of_room(error: &RequestError) -> bool {
    matches!(status_of(error), StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS)
}

fn with_written(mut response: Response, protocol: Option<Protocol>, written: Counts) -> Response {
    if protocol == Some(Protocol::V2) {
        let counts = [written.samples, written.histograms, written.exemplars];
        for (name, count) in WRITTEN.into_iter().zip(counts) {
            response.headers_mut().insert(name, HeaderValue::from(count));
        }
    }
    response
}
