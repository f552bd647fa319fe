use std::sync::Arc;

use bytes::Bytes;
use limits::Limits;
use model::{RejectReason, SeriesHash, TenantId, WriteBatch};
use proptest::prelude::*;

use super::{Decoded, KnownSeries, Protocol, Rules, decode};
use crate::error::RequestError;
use crate::inflight::InflightBytes;

mod garbage;
mod messages;
mod round_trip;
mod symbols;

/// Decodes as a fresh process would; `known` carries verdicts from call to call.
fn decode_with(protocol: Protocol, body: &[u8], limits: &Limits, known: &KnownSeries) -> Result<Decoded, RequestError> {
    let limits = Arc::new(limits.clone());
    let key = known.key(&TenantId::anonymous(), &limits);
    let rules = Rules { limits, known: known.table(), key, max_batch_bytes: 8 << 20 };
    decode(protocol, &Bytes::copy_from_slice(body), &rules, InflightBytes::new(1 << 30).guard())
}

fn decode_once(protocol: Protocol, body: &[u8]) -> Result<Decoded, RequestError> {
    decode_with(protocol, body, &Limits::default(), &KnownSeries::new(1 << 12, 1))
}

/// The reasons for which something was refused, with the float samples concerned.
fn refused(decoded: &Decoded) -> Vec<(RejectReason, u64)> {
    decoded.refusals.by_reason().map(|(reason, counts)| (reason, counts.samples)).collect()
}

/// The series of a batch as text, with the number of their samples.
fn written(batch: &WriteBatch) -> Vec<(String, usize)> {
    let text = |series| {
        let block = batch.labels(series);
        assert_eq!(SeriesHash::of(block.as_bytes()), series.hash);
        assert!(model::LabelBlock::validate(block.as_bytes()).is_ok());
        (block.to_labels().to_string(), batch.samples_of(series).len())
    };
    batch.series.iter().map(text).collect()
}

/// A length-delimited field.
fn field(number: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    prost::encoding::encode_varint(u64::from(number << 3 | 2), &mut out);
    prost::encoding::encode_varint(payload.len() as u64, &mut out);
    out.extend_from_slice(payload);
    out
}

fn label(name: &[u8], value: &[u8]) -> Vec<u8> {
    field(1, &[field(1, name), field(2, value)].concat())
}

/// A 1.0 sample, as field 2 of its series.
fn sample(t: u8) -> Vec<u8> {
    field(2, &[&[0x09][..], &1.5_f64.to_le_bytes(), &[0x10, t]].concat())
}

/// A 1.0 series, as field 1 of its request.
fn series(parts: &[Vec<u8>]) -> Vec<u8> {
    field(1, &parts.concat())
}

fn metric(name: &str) -> Vec<u8> {
    label(b"__name__", name.as_bytes())
}

fn any_bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..max)
}
