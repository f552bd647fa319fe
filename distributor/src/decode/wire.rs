//! Reading protobuf in place: bounded, without recursion and without allocation.

use std::ops::Range;

/// What is wrong with the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireFault {
    /// The message ends inside a field.
    #[error("the message ends inside a field")]
    Truncated,
    /// A varint of more than 64 bits.
    #[error("a varint has more than 64 bits")]
    Varint,
    /// A length that reaches over the end of the enclosing message.
    #[error("a length of {0} bytes reaches over the end of the message")]
    Length(u64),
    /// Field number 0, or one above 2²⁹ − 1.
    #[error("{0} is not a field number")]
    FieldNumber(u64),
    /// Wire types 3, 4 (groups, which no remote-write message has), 6 and 7.
    #[error("wire type {0} is not supported")]
    WireType(u8),
    /// A known field with a wire type that is not its own.
    #[error("field {0} has the wrong wire type")]
    Mismatch(u32),
    /// A reference to a symbol that is not in the table.
    #[error("reference {0} is beyond the symbol table")]
    Reference(u64),
    /// Label references come in pairs.
    #[error("an odd number of label references")]
    OddReferences,
    /// The first symbol is not the empty string.
    #[error("the first symbol is not the empty string")]
    FirstSymbol,
}

/// A fault and where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{fault} (byte {offset})")]
pub struct WireError {
    /// Offset into the decompressed body.
    pub offset: usize,
    /// What is wrong.
    pub fault: WireFault,
}

/// How a field's payload is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    Varint,
    Fixed64,
    Bytes,
    Fixed32,
}

/// The head of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) wire: Wire,
}

/// A position in one message. Offsets are those of the whole body, so that nested messages report faults where they are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walker<'a> {
    /// The body up to the end of the message.
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walker<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// A walker over the message at `range` of `body`; empty if the range is not inside.
    #[inline]
    pub(super) fn within(body: &'a [u8], range: Range<usize>) -> Self {
        Self { bytes: body.get(..range.end).unwrap_or_default(), at: range.start }
    }

    #[inline]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The rest of the message, if that is 16 bytes.
    #[inline]
    pub(super) fn rest_of_16(&self) -> Option<&'a [u8; 16]> {
        self.bytes.get(self.at..).and_then(|rest| rest.try_into().ok())
    }

    #[cold]
    pub(super) fn error(&self, fault: WireFault) -> WireError {
        WireError { offset: self.at, fault }
    }

    /// The next field's head; `None` at the end of the message.
    #[inline]
    pub(super) fn field(&mut self) -> Result<Option<Field>, WireError> {
        if self.at >= self.bytes.len() {
            return Ok(None);
        }
        let start = self.at;
        let tag = self.varint()?;
        let fail = |fault| Err(WireError { offset: start, fault });
        let wire = match tag & 7 {
            0 => Wire::Varint,
            1 => Wire::Fixed64,
            2 => Wire::Bytes,
            5 => Wire::Fixed32,
            other => return fail(WireFault::WireType(other as u8)),
        };
        match u32::try_from(tag >> 3) {
            Ok(number) if (1..1 << 29).contains(&number) => Ok(Some(Field { number, wire })),
            _ => fail(WireFault::FieldNumber(tag >> 3)),
        }
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, WireError> {
        match self.bytes.get(self.at) {
            Some(byte) if *byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, WireError> {
        if let Some(word) = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_le_bytes(*word);
            let ends = !word & 0x8080_8080_8080_8080;
            if ends != 0 {
                let bits = ends.trailing_zeros() + 1;
                self.at += bits as usize / 8;
                return Ok(compact_varint(word & (u64::MAX >> (64 - bits))));
            }
        }
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match model::labels::read_varint(rest) {
            Some((value, len)) => {
                self.at += len;
                Ok(value)
            }
            None => Err(self.error(if rest.len() < 10 { WireFault::Truncated } else { WireFault::Varint })),
        }
    }

    /// The payload of a length-delimited field, as a range of the body.
    #[inline]
    pub(super) fn span(&mut self) -> Result<Range<usize>, WireError> {
        let start = self.at;
        let len = self.varint()?;
        let left = self.bytes.len() - self.at;
        match usize::try_from(len) {
            Ok(len) if len <= left => {
                let range = self.at..self.at + len;
                self.at = range.end;
                Ok(range)
            }
            _ => Err(WireError { offset: start, fault: WireFault::Length(len) }),
        }
    }

    /// The payload of a length-delimited field.
    pub(super) fn slice(&mut self) -> Result<&'a [u8], WireError> {
        let range = self.span()?;
        Ok(self.bytes.get(range).unwrap_or_default())
    }

    /// A nested message.
    #[inline]
    pub(super) fn message(&mut self) -> Result<Walker<'a>, WireError> {
        let range = self.span()?;
        Ok(Walker::within(self.bytes, range))
    }

    #[inline]
    pub(super) fn fixed64(&mut self) -> Result<u64, WireError> {
        match self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            Some(bytes) => {
                self.at += 8;
                Ok(u64::from_le_bytes(*bytes))
            }
            None => Err(self.error(WireFault::Truncated)),
        }
    }

    /// Passes over a field whose head was read.
    pub(super) fn skip(&mut self, field: Field) -> Result<(), WireError> {
        match field.wire {
            Wire::Varint => self.varint().map(drop),
            Wire::Fixed64 => self.fixed64().map(drop),
            Wire::Bytes => self.span().map(drop),
            Wire::Fixed32 if self.bytes.len() - self.at >= 4 => {
                self.at += 4;
                Ok(())
            }
            Wire::Fixed32 => Err(self.error(WireFault::Truncated)),
        }
    }

    /// A known field with a wire type that is not its own.
    #[cold]
    pub(super) fn mismatch(&self, field: Field) -> WireError {
        self.error(WireFault::Mismatch(field.number))
    }

    /// The elements of a repeated varint field, packed or not, given its head.
    pub(super) fn each_varint(&mut self, field: Field, mut take: impl FnMut(u64)) -> Result<(), WireError> {
        match field.wire {
            Wire::Varint => take(self.varint()?),
            Wire::Bytes => {
                let mut packed = self.message()?;
                while packed.at < packed.bytes.len() {
                    take(packed.varint()?);
                }
            }
            Wire::Fixed64 | Wire::Fixed32 => return Err(self.mismatch(field)),
        }
        Ok(())
    }

    /// The elements of a repeated double field, packed or not, given its head.
    pub(super) fn each_double(&mut self, field: Field, mut take: impl FnMut(f64)) -> Result<(), WireError> {
        match field.wire {
            Wire::Fixed64 => take(f64::from_bits(self.fixed64()?)),
            Wire::Bytes => {
                let mut packed = self.message()?;
                while packed.at < packed.bytes.len() {
                    take(f64::from_bits(packed.fixed64()?));
                }
            }
            Wire::Varint | Wire::Fixed32 => return Err(self.mismatch(field)),
        }
        Ok(())
    }

    /// How many elements a repeated field may hold at most, given its head: what to charge before they are stored. Does not move.
    pub(super) fn at_most(&self, field: Field, element_bytes: usize) -> Result<usize, WireError> {
        if field.wire != Wire::Bytes {
            return Ok(1);
        }
        let mut ahead = *self;
        Ok(ahead.span()?.len().div_ceil(element_bytes.max(1)))
    }
}

/// Joins the 7-bit groups of up to eight varint bytes, least significant first, in three steps instead of eight.
#[inline]
pub(super) fn compact_varint(bytes: u64) -> u64 {
    let x = bytes & 0x7f7f_7f7f_7f7f_7f7f;
    let x = (x & 0x007f_007f_007f_007f) | ((x & 0x7f00_7f00_7f00_7f00) >> 1);
    let x = (x & 0x0000_3fff_0000_3fff) | ((x & 0x3fff_0000_3fff_0000) >> 2);
    (x & 0x0000_0000_0fff_ffff) | ((x & 0x0fff_ffff_0000_0000) >> 4)
}

/// The signed number of a zigzag varint.
#[inline]
pub(super) fn zigzag(n: u64) -> i64 {
    ((n >> 1) as i64) ^ -((n & 1) as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Field, Walker, Wire, WireFault, zigzag};

    proptest! {
        #[test]
        fn varints_read_back(value in any::<u64>(), shift in 0_u32..64, tail in proptest::collection::vec(any::<u8>(), 0..12)) {
            let value = value >> shift;
            let mut bytes = Vec::new();
            prost::encoding::encode_varint(value, &mut bytes);
            let len = bytes.len();
            bytes.extend(tail);
            let mut walker = Walker::new(&bytes);
            prop_assert_eq!(walker.varint(), Ok(value));
            prop_assert_eq!(walker.at(), len);
        }

        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut walker = Walker::new(&bytes);
            while let Ok(Some(field)) = walker.field() {
                if walker.skip(field).is_err() { break; }
            }
            prop_assert!(walker.at() <= bytes.len());
        }
    }

    #[test]
    fn faults_name_their_place() {
        let fault = |bytes: &[u8]| {
            let mut walker = Walker::new(bytes);
            loop {
                match walker.field().and_then(|f| f.map_or(Ok(false), |f| walker.skip(f).map(|()| true))) {
                    Ok(true) => {}
                    Ok(false) => return None,
                    Err(e) => return Some((e.offset, e.fault)),
                }
            }
        };
        assert_eq!(fault(&[0x08, 0x01]), None);
        assert_eq!(fault(&[0x08, 0x80]), Some((1, WireFault::Truncated)));
        assert_eq!(fault(&[[0x08].as_slice(), &[0xff; 11]].concat()), Some((1, WireFault::Varint)));
        assert_eq!(fault(&[0x0a, 0x05, 0, 0]), Some((1, WireFault::Length(5))));
        assert_eq!(fault(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]), Some((1, WireFault::Length(u64::from(u32::MAX)))));
        assert_eq!(fault(&[0x00, 0x00]), Some((0, WireFault::FieldNumber(0))));
        assert_eq!(fault(&[0x0b, 0x0c]), Some((0, WireFault::WireType(3))));
        assert_eq!(fault(&[0x0d, 0, 0, 0]), Some((1, WireFault::Truncated)));
    }

    #[test]
    fn signs_and_packing() {
        assert_eq!([0, 1, 2, 3, u64::MAX].map(zigzag), [0, -1, 1, -2, i64::MIN]);
        let mut got = Vec::new();
        let mut walker = Walker::new(&[3, 1, 0x96, 0x01]);
        walker.each_varint(Field { number: 1, wire: Wire::Bytes }, |n| got.push(n)).unwrap();
        assert_eq!(got, [1, 150]);
    }
}
