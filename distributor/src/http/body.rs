//! Reading a request's body without trusting what it says about its size.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;

use crate::error::RequestError;
use crate::inflight::InflightGuard;

/// How long a body may take. A sender on a slow line needs seconds; one that trickles bytes to hold a connection shall not.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// The most that is allocated on the word of `Content-Length` alone.
const MAX_PROMISE: u64 = 256 << 10;

/// Reads the body, at most `max` bytes, each taken from the bytes in flight before the next is asked for.
pub(super) async fn read(body: Body, promised: Option<u64>, max: usize, inflight: &mut InflightGuard) -> Result<Bytes, RequestError> {
    if promised.is_some_and(|n| n > max as u64) {
        return Err(too_large(promised, max));
    }
    let reading = collect(body.into_data_stream(), promised.unwrap_or(0), max, inflight);
    match tokio::time::timeout(BODY_TIMEOUT, reading).await {
        Ok(result) => result,
        Err(_) => Err(RequestError::BodyTimeout(BODY_TIMEOUT)),
    }
}

async fn collect(mut frames: BodyDataStream, promised: u64, max: usize, inflight: &mut InflightGuard) -> Result<Bytes, RequestError> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = frames.next().await {
        let frame = frame.map_err(|e| RequestError::Body(e.to_string()))?;
        if first.len() + rest.len() + frame.len() > max {
            return Err(too_large(None, max));
        }
        inflight.grow(frame.len() as u64).map_err(RequestError::overloaded)?;
        if first.is_empty() && rest.is_empty() {
            // A body of one frame is not copied.
            first = frame;
            continue;
        }
        if rest.is_empty() {
            rest.reserve(promised.min(MAX_PROMISE) as usize);
            rest.extend_from_slice(&std::mem::take(&mut first));
        }
        rest.extend_from_slice(&frame);
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

fn too_large(bytes: Option<u64>, max: usize) -> RequestError {
    RequestError::TooLarge { what: "compressed body", bytes, limit: max as u64, setting: "max_request_bytes_compressed" }
}
