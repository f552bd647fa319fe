//! `read`: Prometheus's remote read. A request is snappy-compressed protobuf; the answer is samples, or chunks as they are stored.

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use limits::Limits;
use model::SeriesChunks;
use promql::QueryError;
use proto::convert::remote_read::{ReadQuery, ReadRequest, SamplesSeries, chunked_response, read_response, request_from_bytes};
use tsdb::block::recode::{Point, decode};

use super::{ApiError, Call, Querying, Tenant};
use crate::runner::collect::within;

/// A request is a few matchers. Checked before anything is decompressed, against what the snappy header claims.
const MAX_REQUEST_BYTES: usize = 256 << 10;

/// A frame's chunks end when they have this many bytes, as Prometheus's do by default.
const FRAME_BYTES: usize = 1 << 20;

const PROTOBUF: &str = "application/x-protobuf";
const STREAMED: &str = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";

pub(super) async fn read(State(querier): Querying, Extension(tenant): Tenant, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let call = match Call::read(querier, tenant, Request::from_parts(parts, Body::empty())).await {
        Ok(call) => call,
        Err(error) => return error.response(),
    };
    match answer(&call, body).await {
        Ok(response) => {
            call.count("read", "success");
            response
        }
        Err(error) => {
            call.count("read", error.kind);
            error.response()
        }
    }
}

async fn answer(call: &Call, body: Body) -> Result<Response, ApiError> {
    let ReadRequest { queries, chunks } = decode_request(body).await?;
    let ctx = call.context()?;
    if chunks {
        let series = call.querier.runner.collect(&ctx, queries, |series, _| Ok(series)).await?;
        return Ok(respond(STREAMED, None, frames(series)));
    }
    let ranges: Vec<(i64, i64)> = queries.iter().map(|ReadQuery { min_t, max_t, .. }| (*min_t, *max_t)).collect();
    let body = call.querier.runner.collect(&ctx, queries, move |series, limits| samples(series, &ranges, limits)).await?;
    Ok(respond(PROTOBUF, Some("snappy"), Body::from(body)))
}

async fn decode_request(body: Body) -> Result<ReadRequest, ApiError> {
    let too_large = || ApiError {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        kind: "bad_data",
        message: format!("a read request may have {MAX_REQUEST_BYTES} bytes"),
    };
    let wrong = |problem: String| ApiError::bad_data(format!("the read request cannot be read: {problem}"));
    let compressed = axum::body::to_bytes(body, MAX_REQUEST_BYTES).await.map_err(|_| too_large())?;
    if compressed.is_empty() {
        return Err(wrong("it is empty".to_owned()));
    }
    let claimed = snap::raw::decompress_len(&compressed).map_err(|e| wrong(e.to_string()))?;
    if claimed > MAX_REQUEST_BYTES {
        return Err(too_large());
    }
    let bytes = snap::raw::Decoder::new().decompress_vec(&compressed).map_err(|e| wrong(e.to_string()))?;
    request_from_bytes(&bytes).map_err(|e| wrong(e.to_string()))
}

/// All samples within the ranges, one for each query, compressed. Runs on the CPU pool.
fn samples(results: Vec<Vec<SeriesChunks>>, ranges: &[(i64, i64)], limits: &Limits) -> Result<Vec<u8>, QueryError> {
    let mut bytes = 0;
    let mut encoded = Vec::with_capacity(results.len());
    for (series, (min_t, max_t)) in results.into_iter().zip(ranges) {
        let mut of_query = Vec::with_capacity(series.len());
        for one in series {
            if let Some(one) = samples_of(&one, *min_t, *max_t)? {
                bytes += one.encoded_len() as u64;
                within(bytes, limits.max_query_memory_bytes, "bytes in memory", "max_query_memory_bytes")?;
                of_query.push(one);
            }
        }
        encoded.push(of_query);
    }
    let failed = |e: snap::Error| QueryError::Execution(format!("the answer cannot be compressed: {e}"));
    snap::raw::Encoder::new().compress_vec(&read_response(encoded)).map_err(failed)
}

fn samples_of(series: &SeriesChunks, min_t: i64, max_t: i64) -> Result<Option<SamplesSeries>, QueryError> {
    let mut out = SamplesSeries::new(series.labels.as_block());
    let mut any = false;
    for chunk in &series.chunks {
        let points = decode(chunk).map_err(|e| QueryError::Storage(format!("a chunk of series {} cannot be read: {e}", series.labels)))?;
        for point in points.iter().filter(|point| (min_t..=max_t).contains(&point.t())) {
            any = true;
            match point {
                Point::Float(sample) => out.sample(*sample),
                Point::Histogram(sample) => out.histogram(sample),
            }
        }
    }
    Ok(any.then_some(out))
}

/// The frames of all series, each made when it is sent.
fn frames(results: Vec<Vec<SeriesChunks>>) -> Body {
    let series = results.into_iter().enumerate().flat_map(|(query, series)| series.into_iter().map(move |one| (query, one)));
    let frames = series.map(|(query, one)| {
        let mut out = Vec::new();
        for part in parts(&one) {
            frame(&mut out, &chunked_response(query, one.labels.as_block(), part));
        }
        Ok::<_, std::convert::Infallible>(Bytes::from(out))
    });
    Body::from_stream(futures::stream::iter(frames))
}

/// A series' chunks in runs that fit a frame; a run has at least one.
fn parts(series: &SeriesChunks) -> impl Iterator<Item = &[model::Chunk]> {
    let mut rest = series.chunks.as_slice();
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = rest.iter().take_while(|chunk| {
            bytes += chunk.data.len();
            bytes <= FRAME_BYTES
        });
        let (part, after) = rest.split_at_checked(fits.count().max(1))?;
        rest = after;
        Some(part)
    })
}

/// Length, checksum, message.
fn frame(out: &mut Vec<u8>, message: &[u8]) {
    let mut length = message.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(&crc32c::crc32c(message).to_be_bytes());
    out.extend_from_slice(message);
}

fn respond(content_type: &'static str, encoding: Option<&'static str>, body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(encoding) = encoding {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use model::{Chunk, ChunkEncoding, Labels, SeriesChunks};

    use super::{FRAME_BYTES, frame, parts};

    #[test]
    fn a_frame_is_length_checksum_and_message() {
        let mut out = Vec::new();
        frame(&mut out, &[b'x'; 300]);
        assert_eq!((&out[..2], out.len()), (&[0xac, 0x02][..], 2 + 4 + 300));
        assert_eq!(out[2..6], crc32c::crc32c(&[b'x'; 300]).to_be_bytes());
    }

    #[test]
    fn chunks_are_cut_into_frames_and_none_is_lost() {
        let chunk = |n: usize| Chunk { encoding: ChunkEncoding::Xor, min_t: 0, max_t: 0, data: Bytes::from(vec![0; n]) };
        let labels = Labels::from_pairs([("a", "b")]);
        let sizes = [FRAME_BYTES / 2, FRAME_BYTES / 2, 1, FRAME_BYTES + 1, FRAME_BYTES, 5];
        let series = SeriesChunks { hash: labels.hash(), labels, chunks: sizes.map(chunk).to_vec(), newest: None };
        let lengths: Vec<usize> = parts(&series).map(<[Chunk]>::len).collect();
        assert_eq!(lengths, [2, 1, 1, 1, 1]);
    }
}
