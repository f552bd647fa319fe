//! Numbers of one bit to nine bytes, by which histogram chunks are written: ones that say which width follows, a zero, and
//! the number. Small numbers are short.

use super::ChunkError;
use super::bitstream::{BitReader, BitWriter, fits, signed};

/// Widths after 1, 2, … 8 ones. Eight ones are not followed by a zero.
const WIDTHS: [u32; 8] = [3, 6, 9, 12, 18, 25, 56, 64];

/// Writes a signed number.
pub(super) fn put_int(out: &mut BitWriter, value: i64) {
    let class = if value == 0 { 0 } else { 1 + WIDTHS.iter().take(7).take_while(|width| !fits(value, **width)).count() };
    put_class(out, class, value as u64);
}

/// Writes an unsigned number.
pub(super) fn put_uint(out: &mut BitWriter, value: u64) {
    let class = if value == 0 { 0 } else { 1 + WIDTHS.iter().take(7).take_while(|width| value >> **width != 0).count() };
    put_class(out, class, value);
}

/// Writes `class` (0 to 8) ones and the number behind them.
fn put_class(out: &mut BitWriter, class: usize, value: u64) {
    match class {
        0 => out.put(0, 1),
        8 => out.put(0xff, 8),
        ones => out.put((1 << (ones + 1)) - 2, ones as u32 + 1),
    }
    if let Some(width) = class.checked_sub(1).and_then(|at| WIDTHS.get(at)) {
        out.put(value, *width);
    }
}

/// Reads a signed number. The caller checks the reader for the end.
pub(super) fn take_int(reader: &mut BitReader<'_>) -> i64 {
    match take_class(reader) {
        Some((bits, 64)) => bits as i64,
        Some((bits, width)) => signed(bits, width),
        None => 0,
    }
}

/// Reads an unsigned number. The caller checks the reader for the end.
pub(super) fn take_uint(reader: &mut BitReader<'_>) -> u64 {
    take_class(reader).map_or(0, |(bits, _)| bits)
}

/// The bits of a number and their width; `None` for zero, which has no bits.
#[inline]
fn take_class(reader: &mut BitReader<'_>) -> Option<(u64, u32)> {
    let word = reader.peek();
    let ones = word.leading_ones().min(8);
    reader.skip((ones + 1).min(8));
    let width = *WIDTHS.get((ones as usize).checked_sub(1)?)?;
    Some((reader.take(width), width))
}

/// Reads an unsigned number that has to fit 32 bits or less: at most `max`.
pub(super) fn take_length(reader: &mut BitReader<'_>, max: u32, error: ChunkError) -> Result<u32, ChunkError> {
    let value = take_uint(reader);
    reader.check()?;
    u32::try_from(value).ok().filter(|value| *value <= max).ok_or(error)
}

#[cfg(test)]
mod tests {
    use super::{BitReader, BitWriter, put_int, put_uint, take_int, take_uint};

    #[test]
    fn widths_are_prometheus_s() {
        let bits_of = |value: i64| {
            let mut out = BitWriter::default();
            put_int(&mut out, value);
            out.bytes.len() as u32 * 8 - (8 - u32::from(out.used)) % 8
        };
        let edges: [(i64, u32); 19] = [
            (0, 1),
            (1, 5),
            (4, 5),
            (-3, 5),
            (5, 9),
            (-4, 9),
            (32, 9),
            (33, 13),
            (256, 13),
            (257, 17),
            (2048, 17),
            (2049, 24),
            (131_072, 24),
            (131_073, 32),
            (16_777_216, 32),
            (16_777_217, 64),
            (1 << 55, 64),
            ((1 << 55) + 1, 72),
            (-(1 << 55), 72),
        ];
        for (value, bits) in edges {
            assert_eq!(bits_of(value), bits, "{value}");
        }
    }

    #[test]
    fn round_trips_at_every_edge() {
        let mut values = vec![0, u64::MAX, 1 << 63];
        for shift in 0..64 {
            values.extend([1_u64 << shift, (1 << shift) - 1, (1_u64 << shift).wrapping_add(1), (1_u64 << shift).wrapping_neg()]);
        }
        let mut out = BitWriter::default();
        for value in &values {
            put_uint(&mut out, *value);
            put_int(&mut out, *value as i64);
        }
        let mut reader = BitReader::new(&out.bytes, 0);
        for value in &values {
            assert_eq!(take_uint(&mut reader), *value);
            assert_eq!(take_int(&mut reader), *value as i64);
        }
        assert_eq!(reader.check(), Ok(()));
        assert!(reader.left() < 8);
    }
}
