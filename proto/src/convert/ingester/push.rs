//! Pushes: a write batch as columns.

use std::iter::Peekable;

use bytes::{Bytes, BytesMut};
use model::{BatchBuilder, BatchSeries, PushReport, RejectReason, RejectedSeries, Sample, SeriesHash, WriteBatch};
use prost::Message;

use super::histogram::{histogram_bytes, histogram_from_wire, histogram_to_wire};
use super::series::{exemplar_from_wire, exemplar_to_wire, metadata_from_wire, metadata_to_wire};
use crate::convert::InvalidMessage;
use crate::ingester as wire;

/// How much larger than on the wire the histograms of a push may become in memory, beside [`HISTOGRAM_SLACK`]. An honest histogram grows by
/// about 8 (a delta of one byte becomes eight); an empty one of four bytes would grow by 60.
const HISTOGRAM_GROWTH: usize = 24;
/// What is free of [`HISTOGRAM_GROWTH`]: a handful of small histograms.
const HISTOGRAM_SLACK: usize = 64 << 10;

/// The message for a part of a batch: the series at `indices` (ascending; `None` is all), and the metadata if it is wanted. An index outside
/// the batch is a mistake of the caller and is left out.
#[must_use]
pub fn push_to_wire(batch: &WriteBatch, indices: Option<&[u32]>, metadata: bool) -> wire::PushRequest {
    to_wire(Names::Labels, batch, indices, metadata)
}

/// The same without labels: series are named by their hashes, a tenth of the bytes. Exemplars are left out.
#[must_use]
pub fn push_by_hash_to_wire(batch: &WriteBatch, indices: Option<&[u32]>, metadata: bool) -> wire::PushRequest {
    to_wire(Names::Hashes, batch, indices, metadata)
}

fn to_wire(names: Names, batch: &WriteBatch, indices: Option<&[u32]>, metadata: bool) -> wire::PushRequest {
    let mut encoder = Encoder::new(names);
    let name_bytes = |series: &BatchSeries| match names {
        Names::Labels => batch.labels(series).as_bytes().len(),
        Names::Hashes => HASH_BYTES,
    };
    match indices {
        None => {
            encoder.reserve(batch.series.len(), batch.samples.len(), batch.series.iter().map(name_bytes).sum());
            batch.series.iter().for_each(|series| encoder.series(batch, series));
        }
        Some(indices) => {
            let series = || indices.iter().filter_map(|i| batch.series.get(*i as usize));
            let (samples, bytes) = series().fold((0, 0), |(samples, bytes), s| (samples + s.samples.len(), bytes + name_bytes(s)));
            encoder.reserve(indices.len(), samples, bytes);
            series().for_each(|series| encoder.series(batch, series));
        }
    }
    let metadata = if metadata { batch.metadata.iter().cloned().map(metadata_to_wire).collect() } else { Vec::new() };
    let bytes = encoder.bytes.freeze();
    match names {
        Names::Labels => wire::PushRequest { label_blocks: bytes, metadata, ..encoder.message },
        Names::Hashes => wire::PushRequest { series_hashes: bytes, metadata, ..encoder.message },
    }
}

/// What a hash takes in a message.
const HASH_BYTES: usize = 16;

/// What stands for a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    Labels,
    Hashes,
}

struct Encoder {
    names: Names,
    /// Label blocks, or hashes.
    bytes: BytesMut,
    series: u32,
    message: wire::PushRequest,
    previous_t: i64,
}

impl Encoder {
    fn new(names: Names) -> Self {
        Self { names, bytes: BytesMut::new(), series: 0, message: wire::PushRequest::default(), previous_t: 0 }
    }

    fn reserve(&mut self, series: usize, samples: usize, name_bytes: usize) {
        self.bytes.reserve(name_bytes);
        if self.names == Names::Labels {
            self.message.label_block_lengths.reserve(series);
        }
        self.message.timestamp_deltas.reserve(samples);
        self.message.values.reserve(samples);
    }

    fn series(&mut self, batch: &WriteBatch, series: &BatchSeries) {
        let index = self.series;
        self.series += 1;
        match self.names {
            Names::Labels => {
                let block = batch.labels(series).as_bytes();
                self.bytes.extend_from_slice(block);
                self.message.label_block_lengths.push(block.len() as u32);
            }
            Names::Hashes => self.bytes.extend_from_slice(&series.hash.0.to_le_bytes()),
        }
        let samples = batch.samples_of(series);
        self.sample_count(index, samples.len());
        for sample in samples {
            // Differences wrap, here and there: any two times can follow each other.
            self.message.timestamp_deltas.push(sample.t.wrapping_sub(self.previous_t));
            self.previous_t = sample.t;
            self.message.values.push(sample.v);
        }
        for histogram in batch.histograms_of(series) {
            let histogram = wire::SeriesHistogram { series: index, histogram: Some(histogram_to_wire(histogram)) };
            self.message.histograms.push(Bytes::from(histogram.encode_to_vec()));
        }
        let exemplars = if self.names == Names::Labels { batch.exemplars_of(series) } else { &[] };
        for exemplar in exemplars {
            self.message.exemplars.push(wire::SeriesExemplar { series: index, exemplar: Some(exemplar_to_wire(exemplar)) });
        }
    }

    /// Counts stay away as long as every series has exactly one sample.
    fn sample_count(&mut self, index: u32, count: usize) {
        let counts = &mut self.message.sample_counts;
        if counts.is_empty() && count != 1 {
            counts.resize(index as usize, 1);
            counts.push(count as u32);
        } else if !counts.is_empty() {
            counts.push(count as u32);
        }
    }
}

/// The batch of a message. Label blocks stay where they are in `request.label_blocks` and are hashed here.
///
/// Whether a block is canonical is *not* checked here but by the head, for the series that it does not know: the hash of one that it knows
/// says that these very bytes were checked before. That is three quarters of the cost (measured: 190 ns per series with the check, 50
/// without, ten labels each). The cost is linear in the message; memory is bounded by a small multiple of it.
pub fn push_from_wire(request: wire::PushRequest) -> Result<WriteBatch, InvalidMessage> {
    let count = series_count(&request)?;
    check_columns(&request, count)?;
    let hashes = request.series_hashes;
    let blocks = request.label_blocks;
    let mut histograms = Histograms::new(&request.histograms);
    let mut exemplars = request.exemplars.into_iter().peekable();
    let mut samples = request.timestamp_deltas.iter().zip(&request.values);
    let mut batch = BatchBuilder::new(blocks.clone());
    batch.reserve(count, request.values.len());
    let mut start = 0_usize;
    let mut t = 0_i64;
    let (hashes, _) = hashes.as_chunks::<HASH_BYTES>();
    for index in 0..count {
        let length = request.label_block_lengths.get(index).copied().unwrap_or_default();
        let range = start..start.saturating_add(length as usize);
        start = range.end;
        // Without counts, every series has one sample.
        let count = request.sample_counts.get(index).copied().unwrap_or(1) as usize;
        for (delta, value) in samples.by_ref().take(count) {
            t = t.wrapping_add(*delta);
            batch.sample(Sample { t, v: *value });
        }
        histograms.of_series(index, &mut batch)?;
        exemplars_of_series(index, &mut exemplars, &mut batch)?;
        if let Some(hash) = hashes.get(index) {
            batch.end_series_by_hash(SeriesHash(u128::from_le_bytes(*hash)));
        } else {
            let block = blocks.get(range.clone()).filter(|block| !block.is_empty());
            let hash = block.map(SeriesHash::of).ok_or_else(|| InvalidMessage::new(format!("series {index} has no labels")))?;
            batch.end_series_in_body(hash, range);
        }
    }
    if !histograms.is_done() || exemplars.peek().is_some() {
        return Err(InvalidMessage::new("histograms or exemplars are out of order or of a series that is not in the message"));
    }
    request.metadata.into_iter().for_each(|metadata| batch.metadata(metadata_from_wire(metadata)));
    Ok(batch.finish())
}

/// How many series the message has, which are named in one way.
fn series_count(request: &wire::PushRequest) -> Result<usize, InvalidMessage> {
    let hashes = request.series_hashes.len();
    if hashes == 0 {
        return Ok(request.label_block_lengths.len());
    }
    if !hashes.is_multiple_of(HASH_BYTES) {
        return Err(InvalidMessage::new(format!("series_hashes has {hashes} bytes, which is no multiple of {HASH_BYTES}")));
    }
    if !request.label_block_lengths.is_empty() || !request.exemplars.is_empty() {
        return Err(InvalidMessage::new("label blocks or exemplars beside series_hashes"));
    }
    Ok(hashes / HASH_BYTES)
}

/// Whether the columns add up for so many series. Sums are in u64: u32 lengths of a message below 4 GiB cannot overflow it.
fn check_columns(request: &wire::PushRequest, series: usize) -> Result<(), InvalidMessage> {
    let sum = |column: &[u32]| column.iter().map(|n| u64::from(*n)).sum::<u64>();
    let label_bytes = sum(&request.label_block_lengths);
    if label_bytes != request.label_blocks.len() as u64 {
        let got = request.label_blocks.len();
        return Err(InvalidMessage::new(format!("label_block_lengths add up to {label_bytes} bytes, label_blocks has {got}")));
    }
    let (times, values) = (request.timestamp_deltas.len(), request.values.len());
    if times != values {
        return Err(InvalidMessage::new(format!("{times} timestamps for {values} values")));
    }
    let counts = request.sample_counts.len();
    if counts != 0 && counts != series {
        return Err(InvalidMessage::new(format!("{counts} sample counts for {series} series")));
    }
    let samples = if counts == 0 { series as u64 } else { sum(&request.sample_counts) };
    if samples != values as u64 {
        return Err(InvalidMessage::new(format!("the series have {samples} samples together, the message has {values}")));
    }
    Ok(())
}

/// The histograms of a push, decoded one at a time against a budget.
struct Histograms<'a> {
    rest: std::slice::Iter<'a, Bytes>,
    next: Option<wire::SeriesHistogram>,
    budget: usize,
}

impl<'a> Histograms<'a> {
    fn new(column: &'a [Bytes]) -> Self {
        let on_wire: usize = column.iter().map(Bytes::len).sum();
        let budget = on_wire.saturating_mul(HISTOGRAM_GROWTH).saturating_add(HISTOGRAM_SLACK);
        Self { rest: column.iter(), next: None, budget }
    }

    fn of_series(&mut self, index: usize, batch: &mut BatchBuilder) -> Result<(), InvalidMessage> {
        loop {
            let next = match self.next.take() {
                Some(next) => next,
                None => match self.rest.next() {
                    Some(bytes) => wire::SeriesHistogram::decode(bytes.clone())
                        .map_err(|e| InvalidMessage::new(format!("a histogram of series {index} or after it: {e}")))?,
                    None => return Ok(()),
                },
            };
            if next.series as usize != index {
                self.next = Some(next);
                return Ok(());
            }
            let histogram = next.histogram.ok_or_else(|| InvalidMessage::new(format!("series {index}: empty histogram entry")))?;
            let histogram = histogram_from_wire(histogram).map_err(|why| InvalidMessage::new(format!("series {index}: {why}")))?;
            let grown = self.budget.checked_sub(histogram_bytes(&histogram));
            self.budget = grown.ok_or_else(|| InvalidMessage::new("histograms grow out of proportion to the message"))?;
            batch.histogram(histogram);
        }
    }

    fn is_done(&self) -> bool {
        self.next.is_none() && self.rest.len() == 0
    }
}

fn exemplars_of_series(
    index: usize,
    exemplars: &mut Peekable<impl Iterator<Item = wire::SeriesExemplar>>,
    batch: &mut BatchBuilder,
) -> Result<(), InvalidMessage> {
    while let Some(next) = exemplars.next_if(|next| next.series as usize == index) {
        let exemplar = next.exemplar.ok_or_else(|| InvalidMessage::new(format!("series {index}: empty exemplar entry")))?;
        batch.exemplar(exemplar_from_wire(&exemplar)?);
    }
    Ok(())
}

/// The message for a report.
#[must_use]
pub fn report_to_wire(report: PushReport) -> wire::PushResponse {
    let rejected = report.rejected.into_iter().map(|r| wire::RejectedSeries {
        series: r.series,
        reason: r.reason.as_str().to_owned(),
        samples: r.samples,
        histograms: r.histograms,
        exemplars: r.exemplars,
        detail: r.detail,
    });
    wire::PushResponse { rejected: rejected.collect(), unknown: report.unknown, takes_hashes: true }
}

/// The report of a message about a push of `indices` (as in [`push_to_wire`]) of a batch of `batch_series` series; indices become those of
/// the batch again.
pub fn report_from_wire(response: wire::PushResponse, indices: Option<&[u32]>, batch_series: usize) -> Result<PushReport, InvalidMessage> {
    let index = |series: u32| match indices {
        None => ((series as usize) < batch_series).then_some(series),
        Some(indices) => indices.get(series as usize).copied(),
    };
    let rejected = response.rejected.into_iter().map(|r| {
        let series =
            index(r.series).ok_or_else(|| InvalidMessage::new(format!("series {} of the report was not in the push", r.series)))?;
        let reason =
            RejectReason::from_id(&r.reason).ok_or_else(|| InvalidMessage::new(format!("unknown reason {:?} in the report", r.reason)))?;
        Ok(RejectedSeries { series, reason, samples: r.samples, histograms: r.histograms, exemplars: r.exemplars, detail: r.detail })
    });
    let rejected = rejected.collect::<Result<_, _>>()?;
    let unknown = response.unknown.iter().map(|series| {
        index(*series).ok_or_else(|| InvalidMessage::new(format!("series {series}, said to be unknown, was not in the push")))
    });
    Ok(PushReport { rejected, unknown: unknown.collect::<Result<_, _>>()? })
}
