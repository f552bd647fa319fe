//! The sections of a push (`docs/formats/wal.md`): what the head writes and reads, without its data structures.

mod cursor;
mod exemplar;
mod floats;
mod histogram;
mod metadata;
mod series;

pub(crate) use cursor::Cursor;
pub(crate) use exemplar::{ExemplarOwner, ExemplarReader, ExemplarWriter};
pub(crate) use floats::{FloatReader, FloatWriter};
pub(crate) use histogram::{HistogramReader, HistogramWriter};
pub(crate) use metadata::{read_metadata, write_metadata};
pub(crate) use series::{Dictionary, SeriesReader, write_series};

/// What a section holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Tag {
    Series = 1,
    Floats = 2,
    Histograms = 3,
    Exemplars = 4,
    Metadata = 5,
}

impl Tag {
    fn from_wire(n: u8) -> Option<Self> {
        Some(match n {
            1 => Self::Series,
            2 => Self::Floats,
            3 => Self::Histograms,
            4 => Self::Exemplars,
            5 => Self::Metadata,
            _ => return None,
        })
    }
}

/// Bytes of a section before its entries: tag, length, count.
const SECTION_HEADER: usize = 9;

/// A section under construction.
#[derive(Debug)]
pub(crate) struct Section {
    start: usize,
    count: u32,
}

impl Section {
    pub(crate) fn begin(out: &mut Vec<u8>, tag: Tag) -> Self {
        let start = out.len();
        out.push(tag as u8);
        out.extend_from_slice(&[0; SECTION_HEADER - 1]);
        Self { start, count: 0 }
    }

    /// Counts an entry that has been written.
    #[inline]
    pub(crate) fn add(&mut self) {
        self.count += 1;
    }

    /// Writes length and count; a section without entries is taken away.
    pub(crate) fn end(self, out: &mut Vec<u8>) {
        if self.count == 0 {
            out.truncate(self.start);
            return;
        }
        // A record is bounded far below 4 GiB by the batch that it is made from.
        let len = (out.len() - self.start - 5) as u32;
        if let Some(header) = out.get_mut(self.start + 1..self.start + SECTION_HEADER) {
            header[..4].copy_from_slice(&len.to_le_bytes());
            header[4..].copy_from_slice(&self.count.to_le_bytes());
        }
    }
}

/// The next section of a record: its tag, its count of entries and the entries. `Ok(None)` at the end, `Err` on damage. Sections
/// of unknown tags are skipped.
pub(crate) fn next_section<'a>(body: &mut Cursor<'a>) -> Result<Option<(Tag, u32, Cursor<'a>)>, Malformed> {
    while !body.is_empty() {
        let tag = body.u8()?;
        let len = body.u32()? as usize;
        let mut content = Cursor::new(body.take(len)?);
        if let Some(tag) = Tag::from_wire(tag) {
            let count = content.u32()?;
            return Ok(Some((tag, count, content)));
        }
    }
    Ok(None)
}

/// The bytes are not what they should be, although their checksum is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Appends a LEB128 number.
#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed number.
#[inline]
pub(crate) fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, zigzag(value));
}

#[inline]
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[inline]
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Appends bytes with their length.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// The difference of two references, the short way around 32 bits.
#[inline]
pub(crate) fn reference_delta(from: u32, to: u32) -> i64 {
    i64::from(to.wrapping_sub(from) as i32)
}

#[cfg(test)]
mod tests;
