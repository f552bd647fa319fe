//! Reading.

use model::{ChunkEncoding, CounterResetHint, HistogramSample, is_stale_nan};

use super::super::bitstream::BitReader;
use super::super::{ChunkError, sample_count};
use super::appender::HEADER_BYTES;
use super::kind::{Counts, Float, Int, Kind};
use super::layout::Layout;
use super::state::State;
use super::{MAX_HISTOGRAM_DECODED_BYTES, ResetHeader};

/// The samples of a chunk of histograms, in order. See [`visit_histograms`].
pub fn decode_histograms(encoding: ChunkEncoding, data: &[u8]) -> Result<Vec<HistogramSample>, ChunkError> {
    let mut out = Vec::new();
    visit_histograms(encoding, data, |sample| out.push(sample))?;
    Ok(out)
}

/// Calls `visit` for each sample of a chunk of histograms, in order; on an error, for those before the damage.
///
/// Of a counter's samples all but the first are known not to be resets. Of the first nothing is, whatever the header says:
/// the chunk that came before may be gone, or another one may have come between them, so whoever needs to know compares.
/// Stale markers have a sum and nothing else.
pub fn visit_histograms(encoding: ChunkEncoding, data: &[u8], visit: impl FnMut(HistogramSample)) -> Result<(), ChunkError> {
    match encoding {
        ChunkEncoding::Histogram => visit_kind::<Int>(data, visit),
        ChunkEncoding::FloatHistogram => visit_kind::<Float>(data, visit),
        ChunkEncoding::Xor => Err(ChunkError::NotHistograms),
    }
}

/// Calls `visit` with the time of each sample, in order; on an error, of those before the damage. Makes no histograms.
pub fn visit_histogram_times(encoding: ChunkEncoding, data: &[u8], visit: impl FnMut(i64)) -> Result<(), ChunkError> {
    match encoding {
        ChunkEncoding::Histogram => visit_times::<Int>(data, visit),
        ChunkEncoding::FloatHistogram => visit_times::<Float>(data, visit),
        ChunkEncoding::Xor => Err(ChunkError::NotHistograms),
    }
}

fn visit_times<K: Kind>(data: &[u8], mut visit: impl FnMut(i64)) -> Result<(), ChunkError> {
    let mut decoder = Decoder::<K>::new(data)?;
    while let Some(state) = decoder.next()? {
        visit(state.t);
    }
    Ok(())
}

/// The sample of a time, if there is one. Makes only that histogram. Of counter resets it says nothing.
pub fn find_histogram(encoding: ChunkEncoding, data: &[u8], t: i64) -> Result<Option<HistogramSample>, ChunkError> {
    match encoding {
        ChunkEncoding::Histogram => find::<Int>(data, t),
        ChunkEncoding::FloatHistogram => find::<Float>(data, t),
        ChunkEncoding::Xor => Err(ChunkError::NotHistograms),
    }
}

fn find<K: Kind>(data: &[u8], t: i64) -> Result<Option<HistogramSample>, ChunkError> {
    let mut decoder = Decoder::<K>::new(data)?;
    let hint = if decoder.header == ResetHeader::Gauge { CounterResetHint::Gauge } else { CounterResetHint::Unknown };
    while let Some(state) = decoder.next()? {
        if state.t >= t {
            let value = (state.t == t).then(|| match state.sum() {
                sum if is_stale_nan(sum) => K::build(&Layout::default(), CounterResetHint::Unknown, sum, &Counts::default()),
                sum => K::build(&state.layout, hint, sum, &state.counts()),
            });
            return Ok(value.map(|value| HistogramSample { t, value }));
        }
    }
    Ok(None)
}

fn visit_kind<K: Kind>(data: &[u8], mut visit: impl FnMut(HistogramSample)) -> Result<(), ChunkError> {
    let mut decoder = Decoder::<K>::new(data)?;
    let gauge = decoder.header == ResetHeader::Gauge;
    let mut room = MAX_HISTOGRAM_DECODED_BYTES;
    while let Some(state) = decoder.next()? {
        let (t, sum) = (state.t, state.sum());
        let stale = is_stale_nan(sum);
        let bytes = size_of::<HistogramSample>() + if stale { size_of::<K::Histogram>() } else { state.layout.decoded_bytes() };
        room = room.checked_sub(bytes).ok_or(ChunkError::TooLarge)?;
        let value = if stale {
            K::build(&Layout::default(), CounterResetHint::Unknown, sum, &Counts::default())
        } else {
            let hint = match state.samples {
                _ if gauge => CounterResetHint::Gauge,
                1 => CounterResetHint::Unknown,
                _ => CounterResetHint::NotReset,
            };
            K::build(&state.layout, hint, sum, &state.counts())
        };
        visit(HistogramSample { t, value });
    }
    Ok(())
}

/// Reads a chunk sample by sample.
#[derive(Debug)]
pub(super) struct Decoder<'a, K: Kind> {
    reader: BitReader<'a>,
    total: u16,
    header: ResetHeader,
    state: Option<State<K>>,
}

impl<'a, K: Kind> Decoder<'a, K> {
    pub(super) fn new(data: &'a [u8]) -> Result<Self, ChunkError> {
        let total = sample_count(data)?;
        let flags = *data.get(HEADER_BYTES - 1).ok_or(ChunkError::Truncated)?;
        let header = ResetHeader::from_flags(flags);
        Ok(Self { reader: BitReader::new(data, HEADER_BYTES), total, header, state: None })
    }

    /// The state after the next sample; `None` at the end. Not to be called again after an error.
    pub(super) fn next(&mut self) -> Result<Option<&State<K>>, ChunkError> {
        match &mut self.state {
            None if self.total == 0 => return Ok(None),
            None => self.state = Some(State::take_first(&mut self.reader)?),
            Some(state) if state.samples >= self.total => return Ok(None),
            Some(state) => state.take_next(&mut self.reader)?,
        }
        Ok(self.state.as_ref())
    }

    /// The position in bits.
    pub(super) fn position(&self) -> usize {
        self.reader.position()
    }

    pub(super) fn into_state(self) -> Option<State<K>> {
        self.state
    }
}
