//! Float samples, XOR compressed.

mod window;

use model::Sample;
use model::labels::read_varint;

use super::bitstream::{BitReader, FIRST_BYTES, cut_at, fits, put_bits, put_short, signed};
use super::{ChunkError, sample_count};

pub(super) use window::XorWindow;

#[cfg(test)]
mod tests;

/// Writes a chunk of floats. 56 bytes and the buffer: a head holds one per active series.
#[derive(Debug, Clone)]
pub struct XorAppender {
    bytes: Vec<u8>,
    t: i64,
    t_delta: u64,
    v: u64,
    count: u16,
    /// Bits used in the last byte, 0 if it is full.
    used: u8,
    window: XorWindow,
}

const _: () = assert!(size_of::<XorAppender>() <= 56);

impl Default for XorAppender {
    fn default() -> Self {
        Self::new()
    }
}

impl XorAppender {
    /// An empty chunk. Nothing is allocated before the first sample.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), t: 0, t_delta: 0, v: 0, count: 0, used: 0, window: XorWindow::NONE }
    }

    /// Appends a sample. Any time and any value can be written; readers expect ascending times.
    ///
    /// # Panics
    /// At the 65,536th sample. Whoever appends cuts long before; see [`super::MAX_CHUNK_SAMPLES`].
    #[inline]
    pub fn append(&mut self, t: i64, v: f64) {
        let v = v.to_bits();
        match self.count {
            0 => self.append_first(t, v),
            1 => self.append_second(t, v),
            _ => self.append_next(t, v),
        }
        self.t = t;
        self.v = v;
        self.count = self.count.checked_add(1).expect("chunks are cut far below 65,535 samples");
        if let Some(count) = self.bytes.first_chunk_mut::<2>() {
            *count = self.count.to_be_bytes();
        }
    }

    fn append_first(&mut self, t: i64, v: u64) {
        self.bytes.reserve_exact(FIRST_BYTES);
        self.bytes.extend_from_slice(&[0, 0]);
        put_uvarint(&mut self.bytes, ((t << 1) ^ (t >> 63)) as u64);
        self.bytes.extend_from_slice(&v.to_be_bytes());
    }

    fn append_second(&mut self, t: i64, v: u64) {
        self.t_delta = t.wrapping_sub(self.t) as u64;
        put_uvarint(&mut self.bytes, self.t_delta);
        self.put_value(v, 0, 0);
    }

    #[inline]
    fn append_next(&mut self, t: i64, v: u64) {
        let t_delta = t.wrapping_sub(self.t) as u64;
        let dod = t_delta.wrapping_sub(self.t_delta) as i64;
        self.t_delta = t_delta;
        let low = |bits: u32| dod as u64 & ((1 << bits) - 1);
        match dod {
            0 => self.put_value(v, 0, 1),
            _ if fits(dod, 14) => self.put_value(v, 0b10 << 14 | low(14), 16),
            _ if fits(dod, 17) => self.put_value(v, 0b110 << 17 | low(17), 20),
            _ if fits(dod, 20) => self.put_value(v, 0b1110 << 20 | low(20), 24),
            _ => {
                put_short(&mut self.bytes, &mut self.used, 0b1111, 4);
                put_bits(&mut self.bytes, &mut self.used, dod as u64, 64);
                self.put_value(v, 0, 0);
            }
        }
    }

    /// Writes `n` (at most 24) bits that go before the value, and the value.
    #[inline]
    fn put_value(&mut self, v: u64, before: u64, n: u32) {
        self.window.put(&mut self.bytes, &mut self.used, self.v ^ v, before, n);
    }

    /// The number of samples.
    #[inline]
    #[must_use]
    pub fn count(&self) -> u16 {
        self.count
    }

    /// The chunk as it is now.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        if self.bytes.is_empty() { &[0, 0] } else { &self.bytes }
    }

    /// The chunk, in no more memory than it needs.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        if self.bytes.is_empty() {
            return vec![0, 0];
        }
        self.bytes.shrink_to_fit();
        self.bytes
    }

    /// The last sample.
    #[inline]
    #[must_use]
    pub fn last(&self) -> Option<(i64, f64)> {
        (self.count > 0).then_some((self.t, f64::from_bits(self.v)))
    }

    /// Bytes on the heap, for memory accounting.
    #[inline]
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// An appender that goes on where `bytes` end; what it writes then is what the first writer would have written. Bytes
    /// behind the last sample are dropped. No bytes, or a chunk of no samples, are an empty chunk.
    pub fn resume(bytes: &[u8]) -> Result<Self, ChunkError> {
        if bytes.is_empty() {
            return Ok(Self::new());
        }
        let mut it = XorIterator::new(bytes)?;
        while it.next()?.is_some() {}
        let state = it.state;
        if state.read == 0 {
            return Ok(Self::new());
        }
        let (bytes, used) = cut_at(bytes, state.reader.position());
        let XorState { t, t_delta, v, window, read, .. } = state;
        Ok(Self { bytes, t, t_delta, v, count: read, used, window })
    }
}

fn put_uvarint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Where a reader is in a chunk.
#[derive(Debug, Clone, Copy)]
struct XorState<'a> {
    reader: BitReader<'a>,
    t: i64,
    t_delta: u64,
    v: u64,
    read: u16,
    window: XorWindow,
}

impl<'a> XorState<'a> {
    fn new(data: &'a [u8]) -> Self {
        Self { reader: BitReader::new(data, 2), t: 0, t_delta: 0, v: 0, read: 0, window: XorWindow::NONE }
    }

    /// Reads the first or the second sample, which begin with bytes.
    fn head(&mut self, data: &[u8]) -> Result<(), ChunkError> {
        let rest = data.get(self.reader.position() / 8..).unwrap_or_default();
        let (number, len) = read_varint(rest).ok_or(if rest.len() < 10 { ChunkError::Truncated } else { ChunkError::Varint })?;
        self.reader.skip(len as u32 * 8);
        if self.read == 0 {
            self.t = (number >> 1) as i64 ^ -((number & 1) as i64);
            self.v = self.reader.take(64);
        } else {
            self.t_delta = number;
            self.t = self.t.wrapping_add(number as i64);
            self.v ^= self.window.take(&mut self.reader, 0)?;
        }
        self.reader.check()
    }

    /// Reads a sample that is not the first or the second.
    #[inline(always)]
    fn next(&mut self) -> Result<(), ChunkError> {
        let word = self.reader.peek();
        let (dod, skip) = if (word as i64) >= 0 { (0, 1) } else { self.take_dod(word) };
        self.t_delta = self.t_delta.wrapping_add(dod as u64);
        self.t = self.t.wrapping_add(self.t_delta as i64);
        self.v ^= self.window.take(&mut self.reader, skip)?;
        self.reader.check()
    }

    /// A delta of deltas that is not 0, and how many of the bits that it takes are not skipped yet.
    #[inline(always)]
    fn take_dod(&mut self, word: u64) -> (i64, u32) {
        let field = |prefix: u32, n: u32| (signed(word.wrapping_shl(prefix).wrapping_shr(64_u32.wrapping_sub(n)), n), prefix + n);
        match (!word).leading_zeros() {
            1 => field(2, 14),
            2 => field(3, 17),
            3 => field(4, 20),
            _ => {
                self.reader.skip(4);
                (self.reader.take(64) as i64, 0)
            }
        }
    }
}

/// Reads a chunk of floats sample by sample.
#[derive(Debug, Clone)]
pub struct XorIterator<'a> {
    data: &'a [u8],
    state: XorState<'a>,
    total: u16,
    failed: Option<ChunkError>,
}

impl<'a> XorIterator<'a> {
    /// A reader of `data`.
    pub fn new(data: &'a [u8]) -> Result<Self, ChunkError> {
        Ok(Self { data, state: XorState::new(data), total: sample_count(data)?, failed: None })
    }

    /// The next sample; `None` at the end. After an error every call gives that error again.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "an Iterator of Results would let a caller go on after an error")]
    pub fn next(&mut self) -> Result<Option<Sample>, ChunkError> {
        if self.state.read >= self.total {
            return Ok(None);
        }
        if let Some(e) = self.failed {
            return Err(e);
        }
        let step = if self.state.read < 2 { self.state.head(self.data) } else { self.state.next() };
        if let Err(e) = step {
            self.failed = Some(e);
            return Err(e);
        }
        self.state.read += 1;
        Ok(Some(Sample { t: self.state.t, v: f64::from_bits(self.state.v) }))
    }
}

/// Appends the samples from `min_t` to `max_t`, both inclusive, to the two columns; how many. It stops reading at the first
/// sample after `max_t`. On an error the columns are as they were.
pub fn decode_xor_into(data: &[u8], min_t: i64, max_t: i64, out_t: &mut Vec<i64>, out_v: &mut Vec<f64>) -> Result<usize, ChunkError> {
    let total = sample_count(data)?;
    // A sample takes at least two bits: a count that lies gets no more than 16 bytes per quarter of a byte that is there.
    let room = usize::from(total).min(data.len() * 4);
    let (base_t, base_v) = (out_t.len(), out_v.len());
    out_t.resize(base_t + room, 0);
    out_v.resize(base_v + room, 0.0);
    let times = out_t.get_mut(base_t..).unwrap_or_default();
    let values = out_v.get_mut(base_v..).unwrap_or_default();
    let result = decode(data, total, min_t, max_t, times.iter_mut().zip(values));
    let kept = result.unwrap_or_default();
    out_t.truncate(base_t + kept);
    out_v.truncate(base_v + kept);
    result
}

/// Puts the samples of a range into slots, which are not fewer than the samples of any sound chunk.
fn decode<'s>(
    data: &[u8],
    total: u16,
    min_t: i64,
    max_t: i64,
    mut slots: impl Iterator<Item = (&'s mut i64, &'s mut f64)>,
) -> Result<usize, ChunkError> {
    let mut state = XorState::new(data);
    let mut kept = 0;
    // Whether to go on.
    let mut keep = |t: i64, v: u64| -> Result<bool, ChunkError> {
        if t >= min_t && t <= max_t {
            let (out_t, out_v) = slots.next().ok_or(ChunkError::Truncated)?;
            *out_t = t;
            *out_v = f64::from_bits(v);
            kept += 1;
        }
        Ok(t <= max_t)
    };
    for read in 0..total.min(2) {
        state.read = read;
        state.head(data)?;
        if !keep(state.t, state.v)? {
            return Ok(kept);
        }
    }
    for _ in 2..total {
        state.next()?;
        if !keep(state.t, state.v)? {
            break;
        }
    }
    Ok(kept)
}
