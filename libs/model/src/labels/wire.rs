//! Reading and writing the bytes of label blocks.

use crate::rejection::RejectReason;

/// Protobuf tag of field 1, length-delimited: a label in a series, and a name in a label.
pub(super) const TAG_FIRST: u8 = 0x0A;
/// Protobuf tag of field 2, length-delimited: a value in a label.
pub(super) const TAG_SECOND: u8 = 0x12;

/// Reads a protobuf varint of at most 64 bits from the front of `bytes`: its value and its length. `None` when the bytes
/// end first or when it is longer than ten bytes.
#[inline]
#[must_use]
pub fn read_varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (i, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return (i < 9 || *byte <= 1).then_some((value, i + 1));
        }
    }
    None
}

/// Appends `value` as a varint.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Length of `value` as a varint.
fn varint_len(value: usize) -> usize {
    let bits = usize::BITS - (value | 1).leading_zeros();
    (bits as usize).div_ceil(7)
}

/// Splits a length-delimited field with this tag off the front; only minimal length varints.
#[inline]
fn field(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    if *first != tag {
        return None;
    }
    // Almost every length fits one byte.
    let (len, at) = match rest.first() {
        Some(b) if *b < 0x80 => (usize::from(*b), 1),
        _ => {
            let (len, at) = read_varint(rest)?;
            let len = usize::try_from(len).ok()?;
            if varint_len(len) != at {
                return None;
            }
            (len, at)
        }
    };
    rest.get(at..)?.split_at_checked(len)
}

/// The first label of a block and the rest of the block.
#[inline]
pub(super) fn next_pair(block: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (pair, rest) = field(block, TAG_FIRST)?;
    let (name, value) = field(pair, TAG_FIRST)?;
    let (value, end) = field(value, TAG_SECOND)?;
    end.is_empty().then_some((name, value, rest))
}

/// Appends one label.
pub(super) fn put_pair(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    let inner = 2 + varint_len(name.len()) + name.len() + varint_len(value.len()) + value.len();
    out.reserve(1 + varint_len(inner) + inner);
    out.push(TAG_FIRST);
    put_varint(out, inner);
    out.push(TAG_FIRST);
    put_varint(out, name.len());
    out.extend_from_slice(name);
    out.push(TAG_SECOND);
    put_varint(out, value.len());
    out.extend_from_slice(value);
}

/// See [`super::LabelBlock::validate`].
pub(super) fn validate(block: &[u8]) -> Result<(), RejectReason> {
    let mut rest = block;
    let mut previous: Option<&[u8]> = None;
    while !rest.is_empty() {
        let (name, value, next) = next_pair(rest).ok_or(RejectReason::LabelsNotSorted)?;
        if name.is_empty() {
            return Err(RejectReason::InvalidLabelName);
        }
        // An empty value means "no such label": the canonical form leaves it out.
        if value.is_empty() {
            return Err(RejectReason::LabelsNotSorted);
        }
        if std::str::from_utf8(name).is_err() || std::str::from_utf8(value).is_err() {
            return Err(RejectReason::InvalidUtf8);
        }
        match previous {
            Some(p) if p == name => return Err(RejectReason::DuplicateLabelName),
            Some(p) if p > name => return Err(RejectReason::LabelsNotSorted),
            _ => {}
        }
        previous = Some(name);
        rest = next;
    }
    Ok(())
}

/// The block of the labels that `keep` wants; `None` if that is all of them.
pub(super) fn filter(block: &[u8], mut keep: impl FnMut(&str) -> bool) -> Option<Vec<u8>> {
    let mut out: Option<Vec<u8>> = None;
    let mut rest = block;
    while let Some((name, _, next)) = next_pair(rest) {
        let kept = std::str::from_utf8(name).is_ok_and(&mut keep);
        match (&mut out, kept) {
            (Some(out), true) => out.extend_from_slice(&rest[..rest.len() - next.len()]),
            (None, false) => {
                let mut copy = Vec::with_capacity(block.len());
                copy.extend_from_slice(&block[..block.len() - rest.len()]);
                out = Some(copy);
            }
            _ => {}
        }
        rest = next;
    }
    out
}
