//! The XOR of a value and the one before it, as chunks of floats and of histograms write it.

use super::super::ChunkError;
use super::super::bitstream::{BitReader, put_bits, put_short};

/// The run of bits that was last written in full; the next XOR is written within it if it fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct XorWindow {
    /// Zeros before the run, at most 31 because they are written in five bits; [`NO_WINDOW`] before the first run.
    leading: u8,
    /// Zeros behind the run.
    trailing: u8,
}

const NO_WINDOW: u8 = 0xff;

impl Default for XorWindow {
    fn default() -> Self {
        Self::NONE
    }
}

impl XorWindow {
    /// No run was written yet.
    pub(in super::super) const NONE: Self = Self { leading: NO_WINDOW, trailing: 0 };

    /// Writes the low `n` (at most 24) bits of `before`, then `xor`.
    #[inline]
    pub(in super::super) fn put(&mut self, bytes: &mut Vec<u8>, used: &mut u8, xor: u64, before: u64, n: u32) {
        if xor == 0 {
            put_short(bytes, used, before << 1, n + 1);
            return;
        }
        let leading = (xor.leading_zeros() as u8).min(31);
        let trailing = xor.trailing_zeros() as u8;
        if self.leading != NO_WINDOW && leading >= self.leading && trailing >= self.trailing {
            let size = 64 - u32::from(self.leading) - u32::from(self.trailing);
            Self::put_both(bytes, used, before << 2 | 0b10, n + 2, xor >> self.trailing, size);
        } else {
            *self = Self { leading, trailing };
            let size = 64 - u32::from(leading) - u32::from(trailing);
            // 64 significant bits do not fit the six bits of their number and are written as 0, which never occurs.
            let control = 0b11 << 11 | u64::from(leading) << 6 | u64::from(size & 63);
            Self::put_both(bytes, used, before << 13 | control, n + 13, xor >> trailing, size);
        }
    }

    /// Writes at most 37 bits and up to 64 more, in one go where they fit one word.
    #[inline(always)]
    fn put_both(bytes: &mut Vec<u8>, used: &mut u8, control: u64, n: u32, run: u64, size: u32) {
        if n + size <= 56 {
            put_short(bytes, used, control << size | run, n + size);
        } else {
            put_short(bytes, used, control, n);
            put_bits(bytes, used, run, size);
        }
    }

    /// Skips `skip` (at most 24) bits and reads a XOR. What wraps here has bounds: all shifts are below 64.
    #[inline(always)]
    pub(in super::super) fn take(&mut self, reader: &mut BitReader<'_>, skip: u32) -> Result<u64, ChunkError> {
        let word = reader.peek().wrapping_shl(skip);
        if (word as i64) >= 0 {
            reader.skip(skip.wrapping_add(1));
            return Ok(0);
        }
        let (head, size) = if word & (1 << 62) == 0 { (2, self.size()) } else { (13, self.take_window(reader, word, skip)?) };
        let before = skip.wrapping_add(head);
        let all = before.wrapping_add(size);
        let run = if all <= 57 {
            reader.skip(all);
            word.wrapping_shl(head).wrapping_shr(64_u32.wrapping_sub(size))
        } else {
            reader.skip(before);
            reader.take(size)
        };
        Ok(run.wrapping_shl(self.trailing.into()))
    }

    /// The size of a new run, whose description is at the top of `word`.
    #[inline(always)]
    fn take_window(&mut self, reader: &mut BitReader<'_>, word: u64, skip: u32) -> Result<u32, ChunkError> {
        let leading = (word >> 57) as u8 & 31;
        let size = match (word >> 51) as u8 & 63 {
            0 => 64,
            size => size,
        };
        let trailing = 64_u8.wrapping_sub(leading).wrapping_sub(size);
        if trailing > 64 {
            // Zeros that stand for bits beyond the end may look like this.
            reader.skip(skip.wrapping_add(13));
            reader.check()?;
            return Err(ChunkError::Window);
        }
        *self = Self { leading, trailing };
        Ok(size.into())
    }

    /// Significant bits. A reference to a run where none was written yet means all 64: so writes Prometheus when it goes on
    /// with a chunk that it had read.
    #[inline(always)]
    fn size(self) -> u32 {
        if self.leading == NO_WINDOW { 64 } else { u32::from(64_u8.wrapping_sub(self.leading).wrapping_sub(self.trailing)) }
    }
}
