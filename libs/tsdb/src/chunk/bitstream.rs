//! Bits in bytes, most significant bit first.

use super::ChunkError;

/// Appends the low `n` (0 to 64) bits of `value` to `bytes`, of whose last byte `used` bits are taken (0: it is full).
/// Bits of `value` above `n` are ignored. The unused bits of the last byte are zero before and after.
#[inline]
pub(super) fn put_bits(bytes: &mut Vec<u8>, used: &mut u8, value: u64, n: u32) {
    if n > 56 {
        put_short(bytes, used, value >> 32, n - 32);
        put_short(bytes, used, value, 32);
    } else if n > 0 {
        put_short(bytes, used, value, n);
    }
}

/// [`put_bits`] for 1 to 56 bits: together with the bits in the last byte they fit one word, so one fixed-size store does.
#[inline]
pub(super) fn put_short(bytes: &mut Vec<u8>, used: &mut u8, value: u64, n: u32) {
    debug_assert!((1..=56).contains(&n) && *used < 8);
    let taken = u32::from(*used);
    let mut word = (value << (64 - n)) >> taken;
    if taken != 0 {
        word |= u64::from(bytes.pop().unwrap_or_default()) << 56;
    }
    if bytes.capacity() - bytes.len() < 8 {
        grow(bytes);
    }
    let len = bytes.len();
    bytes.extend_from_slice(&word.to_be_bytes());
    let bits = taken + n;
    bytes.truncate(len + bits.div_ceil(8) as usize);
    *used = (bits % 8) as u8;
}

/// What allocators with steps of 16 bytes and a word before each allocation give at least: the first buffer, and the smallest step.
pub(super) const FIRST_BYTES: usize = 40;

/// Grows by a quarter, not to the double: a head holds one such buffer per active series and most stay below 300 bytes. Sizes are 8 more than a
/// multiple of 16, which is what the system's allocator has to give anyway.
#[cold]
fn grow(bytes: &mut Vec<u8>) {
    let wanted = bytes.len() + (bytes.len() / 4).max(24);
    let size = (wanted + 7) / 16 * 16 + 8;
    bytes.reserve_exact(size - bytes.len());
}

/// Bytes under construction, for writers that are not counted in millions.
#[derive(Debug, Clone, Default)]
pub(super) struct BitWriter {
    pub(super) bytes: Vec<u8>,
    pub(super) used: u8,
}

impl BitWriter {
    #[inline]
    pub(super) fn put(&mut self, value: u64, n: u32) {
        put_bits(&mut self.bytes, &mut self.used, value, n);
    }
}

/// Reads bits. Reads beyond the end yield zeros and move on; the caller asks [`BitReader::check`] once for many reads.
///
/// It keeps a position and no word of its own: where branch prediction guesses the lengths, as it does in most chunks, the
/// loads of several samples overlap, which a shift register that is refilled would chain one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct BitReader<'a> {
    data: &'a [u8],
    /// In bits; beyond the end by at most what one sample takes.
    pos: usize,
    /// The length in bits.
    end: usize,
}

impl<'a> BitReader<'a> {
    /// A reader of `data` that begins at byte `at`.
    #[inline]
    pub(super) fn new(data: &'a [u8], at: usize) -> Self {
        Self { data, pos: at * 8, end: data.len() * 8 }
    }

    /// The next bits at the top of a word: at least 57 of them, then zeros or more bits.
    #[inline(always)]
    pub(super) fn peek(&self) -> u64 {
        let at = self.pos >> 3;
        let word = match self.data.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            Some(bytes) => u64::from_be_bytes(*bytes),
            None => tail(self.data, at),
        };
        word << (self.pos & 7)
    }

    /// Skips bits.
    #[inline(always)]
    pub(super) fn skip(&mut self, bits: u32) {
        self.pos = self.pos.wrapping_add(bits as usize);
    }

    /// Reads 1 to 64 bits. (Shifts and sums wrap where they are in the way of millions of samples per second; the bounds of
    /// `n` are the caller's constants or were just checked.)
    #[inline(always)]
    pub(super) fn take(&mut self, n: u32) -> u64 {
        if n <= 57 {
            let value = self.peek().wrapping_shr(64_u32.wrapping_sub(n));
            self.skip(n);
            value
        } else {
            let high = self.peek() >> 32;
            self.skip(32);
            let low = self.peek().wrapping_shr(96_u32.wrapping_sub(n));
            self.skip(n.wrapping_sub(32));
            high.wrapping_shl(n.wrapping_sub(32)) | low
        }
    }

    /// Bits that are left; 0 at and beyond the end.
    #[inline]
    pub(super) fn left(&self) -> usize {
        self.end.saturating_sub(self.pos)
    }

    /// Whether all that was read was there.
    #[inline(always)]
    pub(super) fn check(&self) -> Result<(), ChunkError> {
        if self.pos <= self.end { Ok(()) } else { Err(ChunkError::Truncated) }
    }

    /// The position in bits.
    #[inline]
    pub(super) fn position(&self) -> usize {
        self.pos
    }
}

/// The word at `at`, within eight bytes of the end or beyond it; zeros stand for what is not there. Short chunks are read this
/// way in good part, so it takes what is there from the last whole word.
#[inline(always)]
fn tail(data: &[u8], at: usize) -> u64 {
    match data.last_chunk::<8>() {
        Some(bytes) => {
            let missing = at.wrapping_add(8).wrapping_sub(data.len());
            if missing < 8 { u64::from_be_bytes(*bytes) << (8 * missing) } else { 0 }
        }
        None => short(data, at),
    }
}

/// [`tail`] of less than eight bytes. By value, so that readers can live in registers.
#[cold]
#[inline(never)]
fn short(data: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    for (to, from) in word.iter_mut().zip(data.get(at..).unwrap_or_default()) {
        *to = *from;
    }
    u64::from_be_bytes(word)
}

/// The bytes up to a position in bits, as an appender wants them: nothing behind, zeros in the rest of the last byte. Also how
/// many bits of the last byte are used.
pub(super) fn cut_at(data: &[u8], bits: usize) -> (Vec<u8>, u8) {
    let mut bytes = data.get(..bits.div_ceil(8)).unwrap_or(data).to_vec();
    let used = (bits % 8) as u8;
    if let Some(last) = bytes.last_mut()
        && used != 0
    {
        *last &= !(0xff >> used);
    }
    (bytes, used)
}

/// Sign of a number that was written in `n` bits: 2^(n-1) is positive, all above is negative (Prometheus's `bitRange`).
#[inline(always)]
pub(super) fn signed(bits: u64, n: u32) -> i64 {
    if bits > 1 << (n - 1) { bits.wrapping_sub(1 << n) as i64 } else { bits as i64 }
}

/// Whether `value` fits `n` bits as [`signed`] reads them: -(2^(n-1) - 1) to 2^(n-1).
#[inline(always)]
pub(super) fn fits(value: i64, n: u32) -> bool {
    let half = 1_i64 << (n - 1);
    -half < value && value <= half
}
