//! Float samples: a token, and what the token says.

use model::{STALE_NAN_BITS, Sample};

use super::{Cursor, Malformed, Section, Tag, reference_delta, unzigzag, zigzag};

const REFERENCE_SAME: u8 = 0;
const REFERENCE_NEXT: u8 = 1;
const REFERENCE_DELTA: u8 = 2;
const TIME_DELTA: u8 = 1 << 2;
const KIND_SHIFT: u32 = 3;

/// Kinds of values; see the format page.
const ZERO: u8 = 0;
const INTEGER: u8 = 0;
const HUNDREDTHS: u8 = 7;
const THOUSANDTHS: u8 = 14;
const BITS: u8 = 21;
const STALE: u8 = 30;

/// Integers beyond this are not all floats.
const MAX_INTEGER: u64 = 1 << 53;

/// Writes a section of floats.
#[derive(Debug)]
pub(crate) struct FloatWriter {
    section: Section,
    reference: u32,
    t: i64,
}

impl FloatWriter {
    pub(crate) fn begin(out: &mut Vec<u8>) -> Self {
        Self { section: Section::begin(out, Tag::Floats), reference: 0, t: 0 }
    }

    #[inline]
    pub(crate) fn put(&mut self, out: &mut Vec<u8>, reference: u32, sample: Sample) {
        let (kind, word, len) = encode(sample.v);
        let mut token = kind << KIND_SHIFT;
        let at = out.len();
        out.push(0);
        match reference.wrapping_sub(self.reference) {
            0 => token |= REFERENCE_SAME,
            1 => token |= REFERENCE_NEXT,
            _ => {
                token |= REFERENCE_DELTA;
                super::put_zigzag(out, reference_delta(self.reference, reference));
            }
        }
        if sample.t != self.t {
            token |= TIME_DELTA;
            super::put_zigzag(out, sample.t.wrapping_sub(self.t));
        }
        // All eight bytes, then back: a copy of fixed length is a store.
        out.extend_from_slice(&word.to_le_bytes());
        out.truncate(out.len() - 8 + len);
        out[at] = token;
        (self.reference, self.t) = (reference, sample.t);
        self.section.add();
    }

    pub(crate) fn end(self, out: &mut Vec<u8>) {
        self.section.end(out);
    }
}

/// The kind of a value, and the bytes behind the token, first byte lowest.
#[inline]
fn encode(v: f64) -> (u8, u64, usize) {
    let bits = v.to_bits();
    if bits == 0 {
        return (ZERO, 0, 0);
    }
    if let Some((word, len)) = decimal(v, bits, 1.0) {
        return (INTEGER + len as u8, word, len);
    }
    if bits == STALE_NAN_BITS {
        return (STALE, 0, 0);
    }
    let significant = 8 - bits.trailing_zeros() as usize / 8;
    if significant > 3 {
        if let Some((word, len)) = decimal(v, bits, 100.0) {
            return (HUNDREDTHS + len as u8, word, len);
        }
        if let Some((word, len)) = decimal(v, bits, 1000.0) {
            return (THOUSANDTHS + len as u8, word, len);
        }
    }
    (BITS + significant as u8, bits.swap_bytes(), significant)
}

/// `v` as a whole number of `1 / scale`, if dividing it again gives the same bits.
#[inline]
fn decimal(v: f64, bits: u64, scale: f64) -> Option<(u64, usize)> {
    let scaled = v * scale;
    // The conversion saturates, and takes NaN to 0; neither survives the comparison.
    let whole = if scale == 1.0 { v as i64 } else { (scaled + 0.5_f64.copysign(scaled)) as i64 };
    if whole.unsigned_abs() >= MAX_INTEGER || (whole as f64 / scale).to_bits() != bits {
        return None;
    }
    let word = zigzag(whole);
    Some((word, (8 - word.leading_zeros() as usize / 8).max(1)))
}

/// Reads a section of floats.
#[derive(Debug)]
pub(crate) struct FloatReader<'a> {
    content: Cursor<'a>,
    left: u32,
    reference: u32,
    t: i64,
}

impl<'a> FloatReader<'a> {
    pub(crate) fn new(count: u32, content: Cursor<'a>) -> Self {
        Self { content, left: count, reference: 0, t: 0 }
    }

    /// The next sample with its reference.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Sample)>, Malformed> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let token = self.content.u8()?;
        match token & 3 {
            REFERENCE_SAME => {}
            REFERENCE_NEXT => self.reference = self.reference.wrapping_add(1),
            REFERENCE_DELTA => self.reference = self.reference.wrapping_add(self.content.zigzag()? as u32),
            _ => return Err(Malformed),
        }
        if token & TIME_DELTA != 0 {
            self.t = self.t.wrapping_add(self.content.zigzag()?);
        }
        let v = decode(token >> KIND_SHIFT, &mut self.content)?;
        Ok(Some((self.reference, Sample { t: self.t, v })))
    }
}

#[inline]
fn decode(kind: u8, content: &mut Cursor<'_>) -> Result<f64, Malformed> {
    let mut word = |base: u8| -> Result<u64, Malformed> {
        let bytes = content.take(usize::from(kind - base))?;
        Ok(bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)))
    };
    Ok(match kind {
        ZERO => 0.0,
        1..=7 => unzigzag(word(INTEGER)?) as f64,
        8..=14 => unzigzag(word(HUNDREDTHS)?) as f64 / 100.0,
        15..=21 => unzigzag(word(THOUSANDTHS)?) as f64 / 1000.0,
        22..=29 => f64::from_bits(word(BITS)?.swap_bytes()),
        STALE => f64::from_bits(STALE_NAN_BITS),
        _ => return Err(Malformed),
    })
}
