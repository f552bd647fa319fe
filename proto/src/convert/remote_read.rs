//! Remote read: what is asked for, and series as the two kinds of answers have them.
//!
//! Answers are encoded series by series rather than as one tree of messages: a label block is the encoding of a message's labels (docs/formats/label-block.md), so it
//! is copied, and an answer is never there twice.

use std::sync::Arc;

use model::{Chunk, FloatHistogram, Histogram, HistogramSample, HistogramValue, LabelBlock, Matcher, Sample, Span};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};

use super::InvalidMessage;
use super::ingester::matchers_from_wire;
use crate::ingester::Matcher as WireMatcher;
use crate::remote_read as wire;
use crate::remote_write_v1 as v1;

/// The most that a sample takes: a key and eight bytes, a key and a varint.
const SAMPLE_BYTES: usize = 1 + 8 + 1 + 10;

/// The most queries of one request. Prometheus sends one.
pub const MAX_QUERIES: usize = 64;

/// One query of a request.
#[derive(Debug, Clone)]
pub struct ReadQuery {
    /// All must match; there is at least one.
    pub matchers: Arc<[Matcher]>,
    /// First millisecond, inclusive.
    pub min_t: i64,
    /// Last millisecond, inclusive.
    pub max_t: i64,
}

/// A request.
#[derive(Debug, Clone)]
pub struct ReadRequest {
    /// At most [`MAX_QUERIES`].
    pub queries: Vec<ReadQuery>,
    /// Whether chunks are wanted rather than samples.
    pub chunks: bool,
}

/// Reads a request. Its memory is in proportion to its bytes, some 50 to one at worst: the caller bounds these.
pub fn request_from_bytes(bytes: &[u8]) -> Result<ReadRequest, InvalidMessage> {
    let message = wire::ReadRequest::decode(bytes).map_err(|e| InvalidMessage::new(e.to_string()))?;
    if message.queries.len() > MAX_QUERIES {
        return Err(InvalidMessage::new(format!("{} queries, at most {MAX_QUERIES} are allowed", message.queries.len())));
    }
    let known = |kind: &i32| wire::read_request::ResponseType::try_from(*kind).ok();
    let chunks = match message.accepted_response_types.as_slice() {
        [] => false,
        accepted => match accepted.iter().find_map(known) {
            Some(kind) => kind == wire::read_request::ResponseType::StreamedXorChunks,
            None => return Err(InvalidMessage::new("none of the accepted response types is known")),
        },
    };
    let queries = message.queries.into_iter().map(query).collect::<Result<_, _>>()?;
    Ok(ReadRequest { queries, chunks })
}

fn query(query: wire::Query) -> Result<ReadQuery, InvalidMessage> {
    let op = |kind| u32::try_from(kind).unwrap_or(u32::MAX);
    let matchers: Vec<WireMatcher> =
        query.matchers.into_iter().map(|m| WireMatcher { op: op(m.r#type), name: m.name, value: m.value }).collect();
    if matchers.is_empty() {
        return Err(InvalidMessage::new("a query without matchers"));
    }
    let matchers = matchers_from_wire(&matchers)?;
    Ok(ReadQuery { matchers, min_t: query.start_timestamp_ms, max_t: query.end_timestamp_ms })
}

/// A `TimeSeries` that is being encoded.
#[derive(Debug)]
pub struct SamplesSeries(Vec<u8>);

impl SamplesSeries {
    /// A series without samples.
    #[must_use]
    pub fn new(labels: LabelBlock<'_>) -> Self {
        Self(labels.as_bytes().to_vec())
    }

    /// Adds a float. They ascend in time.
    pub fn sample(&mut self, sample: Sample) {
        let mut message = Vec::with_capacity(SAMPLE_BYTES);
        // Generated code leaves out what equals zero, and minus zero does: it would become zero.
        if sample.v.to_bits() != 0 {
            encode_key(1, WireType::SixtyFourBit, &mut message);
            message.extend_from_slice(&sample.v.to_le_bytes());
        }
        prost::encoding::int64::encode(2, &sample.t, &mut message);
        put_bytes(&mut self.0, 2, &message);
    }

    /// Adds a histogram. They ascend in time.
    pub fn histogram(&mut self, sample: &HistogramSample) {
        put_message(&mut self.0, 4, &histogram(sample));
    }

    /// Bytes so far.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.0.len()
    }
}

/// A `ReadResponse`: for each query its series.
#[must_use]
pub fn read_response(results: Vec<Vec<SamplesSeries>>) -> Vec<u8> {
    let mut out = Vec::new();
    for series in results {
        let mut result = Vec::new();
        for one in series {
            put_bytes(&mut result, 1, &one.0);
        }
        put_bytes(&mut out, 1, &result);
    }
    out
}

/// A `ChunkedReadResponse` with one series (readers look at one only) and some of its chunks.
#[must_use]
pub fn chunked_response(query: usize, labels: LabelBlock<'_>, chunks: &[Chunk]) -> Vec<u8> {
    let mut series = labels.as_bytes().to_vec();
    for chunk in chunks {
        let data = chunk.data.clone();
        put_message(
            &mut series,
            2,
            &wire::Chunk { min_time_ms: chunk.min_t, max_time_ms: chunk.max_t, r#type: chunk.encoding as i32, data },
        );
    }
    let mut out = Vec::with_capacity(series.len() + 16);
    put_bytes(&mut out, 1, &series);
    if query > 0 {
        encode_key(2, WireType::Varint, &mut out);
        encode_varint(query as u64, &mut out);
    }
    out
}

fn put_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn put_message<M: Message>(out: &mut Vec<u8>, field: u32, message: &M) {
    prost::encoding::message::encode(field, message, out);
}

fn histogram(sample: &HistogramSample) -> v1::Histogram {
    match &sample.value {
        HistogramValue::Int(h) => int(sample.t, h),
        HistogramValue::Float(h) => float(sample.t, h),
    }
}

fn int(t: i64, h: &Histogram) -> v1::Histogram {
    v1::Histogram {
        count: Some(v1::histogram::Count::CountInt(h.count)),
        sum: h.sum,
        schema: h.schema,
        zero_threshold: h.zero_threshold,
        zero_count: Some(v1::histogram::ZeroCount::ZeroCountInt(h.zero_count)),
        negative_spans: spans(&h.negative_spans),
        negative_deltas: h.negative_deltas.clone(),
        positive_spans: spans(&h.positive_spans),
        positive_deltas: h.positive_deltas.clone(),
        reset_hint: h.counter_reset_hint as i32,
        timestamp: t,
        custom_values: h.custom_values.clone(),
        ..v1::Histogram::default()
    }
}

fn float(t: i64, h: &FloatHistogram) -> v1::Histogram {
    v1::Histogram {
        count: Some(v1::histogram::Count::CountFloat(h.count)),
        sum: h.sum,
        schema: h.schema,
        zero_threshold: h.zero_threshold,
        zero_count: Some(v1::histogram::ZeroCount::ZeroCountFloat(h.zero_count)),
        negative_spans: spans(&h.negative_spans),
        negative_counts: h.negative_buckets.clone(),
        positive_spans: spans(&h.positive_spans),
        positive_counts: h.positive_buckets.clone(),
        reset_hint: h.counter_reset_hint as i32,
        timestamp: t,
        custom_values: h.custom_values.clone(),
        ..v1::Histogram::default()
    }
}

fn spans(spans: &[Span]) -> Vec<v1::BucketSpan> {
    spans.iter().map(|span| v1::BucketSpan { offset: span.offset, length: span.length }).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use model::{Chunk, ChunkEncoding, CounterResetHint, Histogram, HistogramSample, HistogramValue, Labels, Sample};
    use prost::Message;

    use super::{MAX_QUERIES, SamplesSeries, chunked_response, read_response, request_from_bytes};
    use crate::remote_read as wire;

    fn matcher(value: &str) -> wire::LabelMatcher {
        wire::LabelMatcher { r#type: 2, name: "job".to_owned(), value: value.to_owned() }
    }

    fn request(queries: usize, matchers: Vec<wire::LabelMatcher>, accepted: &[i32]) -> Vec<u8> {
        let query = wire::Query { start_timestamp_ms: 1, end_timestamp_ms: 2, matchers };
        wire::ReadRequest { queries: vec![query; queries], accepted_response_types: accepted.to_vec() }.encode_to_vec()
    }

    #[test]
    fn every_bit_of_a_value_is_answered() {
        let values = [0.0, -0.0, 1.5, f64::INFINITY, f64::from_bits(0x7ff8_0000_dead_beef), model::stale_nan(), f64::from_bits(1)];
        let mut series = SamplesSeries::new(Labels::from_pairs([("__name__", "m")]).as_block());
        (0..).zip(values).for_each(|(t, v)| series.sample(Sample { t: t - 1, v }));
        let bytes = read_response(vec![vec![series]]);
        let read = wire::ReadResponse::decode(bytes.as_slice()).unwrap();
        let samples = &read.results[0].timeseries[0].samples;
        assert!(samples.iter().map(|sample| sample.value.to_bits()).eq(values.map(f64::to_bits)), "{samples:?}");
        assert!(samples.iter().map(|sample| sample.timestamp).eq(-1..6));
    }

    #[test]
    fn requests_are_read_and_wrong_ones_are_refused() {
        let good = request_from_bytes(&request(2, vec![matcher("a.*")], &[1, 0])).unwrap();
        assert_eq!((good.queries.len(), good.chunks, good.queries[0].min_t, good.queries[0].max_t), (2, true, 1, 2));
        assert!(good.queries[0].matchers[0].matches("abc"));
        assert!(!request_from_bytes(&request(1, vec![matcher("a")], &[])).unwrap().chunks);
        assert!(!request_from_bytes(&request(1, vec![matcher("a")], &[7, 0, 1])).unwrap().chunks);
        for (bytes, problem) in [
            (request(1, vec![matcher("(")], &[]), ""),
            (request(1, Vec::new(), &[]), "without matchers"),
            (request(MAX_QUERIES + 1, vec![matcher("a")], &[]), "at most 64"),
            (request(1, vec![matcher("a")], &[9]), "response types"),
            (request(1, vec![wire::LabelMatcher { r#type: -1, ..matcher("a") }], &[]), ""),
            (vec![0xff, 0xff], ""),
        ] {
            let error = request_from_bytes(&bytes).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn answers_are_the_messages_that_readers_expect() {
        let labels = Labels::from_pairs([("__name__", "up"), ("job", "x")]);
        let mut series = SamplesSeries::new(labels.as_block());
        series.sample(Sample { t: 5, v: 1.5 });
        let h = Histogram { count: 3, sum: 4.0, counter_reset_hint: CounterResetHint::Gauge, ..Histogram::default() };
        series.histogram(&HistogramSample { t: 6, value: HistogramValue::Int(Box::new(h)) });
        let answer = wire::ReadResponse::decode(read_response(vec![Vec::new(), vec![series]]).as_slice()).unwrap();
        assert_eq!((answer.results.len(), answer.results[0].timeseries.len()), (2, 0));
        let series = &answer.results[1].timeseries[0];
        let pairs: Vec<(&str, &str)> = series.labels.iter().map(|l| (l.name.as_str(), l.value.as_str())).collect();
        assert_eq!(pairs, [("__name__", "up"), ("job", "x")]);
        assert_eq!((series.samples[0].timestamp, series.samples[0].value), (5, 1.5));
        assert_eq!((series.histograms[0].timestamp, series.histograms[0].sum, series.histograms[0].reset_hint), (6, 4.0, 3));

        let chunk = Chunk { encoding: ChunkEncoding::Xor, min_t: 1, max_t: 9, data: Bytes::from_static(b"data") };
        let part = wire::ChunkedReadResponse::decode(chunked_response(2, labels.as_block(), &[chunk]).as_slice()).unwrap();
        assert_eq!((part.query_index, part.chunked_series.len()), (2, 1));
        let chunk = &part.chunked_series[0].chunks[0];
        assert_eq!((chunk.min_time_ms, chunk.max_time_ms, chunk.r#type, &chunk.data[..]), (1, 9, 1, &b"data"[..]));
    }
}
