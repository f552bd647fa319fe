//! Label sets, chunks, exemplars, metadata.

use bytes::Bytes;
use model::{Chunk, ChunkEncoding, Exemplar, LabelBlock, Labels, Metadata, MetricType, Sample, SeriesChunks, SeriesHash};

use crate::convert::InvalidMessage;
use crate::ingester as wire;

/// The bytes of a label set.
#[must_use]
pub fn labels_to_wire(labels: &Labels) -> Bytes {
    Bytes::copy_from_slice(labels.as_bytes())
}

/// The label set of canonical bytes; the empty one is allowed.
pub fn labels_from_wire(bytes: &[u8]) -> Result<Labels, InvalidMessage> {
    let block = LabelBlock::validate(bytes).map_err(|reason| InvalidMessage::new(format!("label block is not canonical: {reason}")))?;
    Ok(block.to_labels())
}

/// The message for a series with its chunks. Chunk data is shared, not copied. `some_labels`: it may lack labels, so its identity is told.
#[must_use]
pub fn chunks_to_wire(series: SeriesChunks, some_labels: bool) -> wire::Series {
    let chunks = series.chunks.into_iter().map(|chunk| wire::Chunk {
        encoding: chunk.encoding as u32,
        min_t: chunk.min_t,
        length_ms: chunk.max_t.wrapping_sub(chunk.min_t) as u64,
        data: chunk.data,
    });
    let hash = if some_labels { Bytes::copy_from_slice(&series.hash.0.to_be_bytes()) } else { Bytes::new() };
    let newest = series.newest.map(|s| wire::Sample { timestamp: s.t, value: Some(s.v) });
    wire::Series { labels: labels_to_wire(&series.labels), chunks: chunks.collect(), hash, newest }
}

/// The series of a message. Chunk data stays a slice of the received bytes and is not looked into: decoders check every read.
pub fn chunks_from_wire(series: wire::Series) -> Result<SeriesChunks, InvalidMessage> {
    let labels = labels_from_wire(&series.labels)?;
    let hash = match series.hash.as_ref() {
        [] => labels.hash(),
        bytes => SeriesHash(u128::from_be_bytes(bytes.try_into().map_err(|_| InvalidMessage::new("a series hash is not 16 bytes"))?)),
    };
    let chunks = series.chunks.into_iter().map(chunk_from_wire).collect::<Result<_, _>>()?;
    let newest = series.newest.map(|s| Sample { t: s.timestamp, v: s.value.unwrap_or_default() });
    Ok(SeriesChunks { labels, hash, chunks, newest })
}

fn chunk_from_wire(chunk: wire::Chunk) -> Result<Chunk, InvalidMessage> {
    let encoding = u8::try_from(chunk.encoding).ok().and_then(ChunkEncoding::from_wire);
    let encoding = encoding.ok_or_else(|| InvalidMessage::new(format!("unknown chunk encoding {}", chunk.encoding)))?;
    let max_t = chunk.min_t.checked_add_unsigned(chunk.length_ms);
    let max_t = max_t.ok_or_else(|| InvalidMessage::new("a chunk ends after the end of time"))?;
    Ok(Chunk { encoding, min_t: chunk.min_t, max_t, data: chunk.data })
}

/// The message for an exemplar.
#[must_use]
pub fn exemplar_to_wire(exemplar: &Exemplar) -> wire::Exemplar {
    wire::Exemplar { labels: labels_to_wire(&exemplar.labels), value: exemplar.value, timestamp: exemplar.t }
}

/// The exemplar of a message.
pub fn exemplar_from_wire(exemplar: &wire::Exemplar) -> Result<Exemplar, InvalidMessage> {
    Ok(Exemplar { labels: labels_from_wire(&exemplar.labels)?, value: exemplar.value, t: exemplar.timestamp })
}

/// The message for metadata.
#[must_use]
pub fn metadata_to_wire(metadata: Metadata) -> wire::Metadata {
    wire::Metadata { family: metadata.family, metric_type: metadata.metric_type.to_wire(), help: metadata.help, unit: metadata.unit }
}

/// The metadata of a message; a type of a later version is unknown.
#[must_use]
pub fn metadata_from_wire(metadata: wire::Metadata) -> Metadata {
    Metadata { family: metadata.family, metric_type: MetricType::from_wire(metadata.metric_type), help: metadata.help, unit: metadata.unit }
}
