//! The frames of a snapshot: header, section, trailer.

use crate::wal::Generation;
use crate::wal::record::Cursor;

const MAGIC: &[u8; 8] = b"PLIMSNP\n";
const VERSION: u32 = 1;

/// Bytes of the header.
pub(super) const HEADER_BYTES: usize = 28;

/// Bytes of a section before its content.
pub(super) const FRAME_BYTES: usize = 9;

/// Bytes of the trailer.
pub(super) const TRAILER_BYTES: usize = 12;

/// The longest content of a section: what a reader allocates at most for one.
pub(super) const MAX_SECTION_BYTES: usize = 64 << 20;

/// What a section holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Tag {
    Tenant = 1,
    Symbols = 2,
    Series = 3,
    Exemplars = 4,
    Metadata = 5,
    End = 6,
}

impl Tag {
    fn from_wire(n: u8) -> Option<Self> {
        [Self::Tenant, Self::Symbols, Self::Series, Self::Exemplars, Self::Metadata, Self::End].into_iter().find(|tag| *tag as u8 == n)
    }
}

pub(super) fn header(generation: Generation, now_ms: i64) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&generation.0.to_le_bytes());
    out.extend_from_slice(&now_ms.to_le_bytes());
    let crc = crc32c::crc32c(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

/// Whether these bytes are the header of a snapshot of this version and generation; when it was taken.
pub(super) fn open_header(bytes: &[u8], generation: Generation) -> Option<i64> {
    let checked = bytes.get(..HEADER_BYTES - 4)?;
    let mut cursor = Cursor::new(bytes);
    let magic = cursor.take(8).ok()?;
    let (version, of) = (cursor.u32().ok()?, cursor.u32().ok()?);
    let taken = cursor.u64().ok()? as i64;
    let right = magic == MAGIC && version == VERSION && of == generation.0 && cursor.u32().ok()? == crc32c::crc32c(checked);
    right.then_some(taken)
}

/// The frame of a section.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) tag: Tag,
    pub(super) len: usize,
    pub(super) crc: u32,
}

/// The frame for a content, which is at most [`MAX_SECTION_BYTES`] long.
pub(super) fn frame(tag: Tag, content: &[u8]) -> ([u8; FRAME_BYTES], u32) {
    let mut out = [0; FRAME_BYTES];
    out[0] = tag as u8;
    out[1..5].copy_from_slice(&(content.len() as u32).to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&out[..5]), content);
    out[5..].copy_from_slice(&crc.to_le_bytes());
    (out, crc)
}

/// `None` for an unknown tag or a length that no section has.
pub(super) fn open_frame(bytes: &[u8]) -> Option<Frame> {
    let mut cursor = Cursor::new(bytes);
    let tag = Tag::from_wire(cursor.u8().ok()?)?;
    let len = cursor.u32().ok()? as usize;
    (len <= MAX_SECTION_BYTES).then_some(Frame { tag, len, crc: cursor.u32().ok()? })
}

impl Frame {
    /// Whether the content is what was written.
    pub(super) fn fits(&self, content: &[u8]) -> bool {
        frame(self.tag, content).1 == self.crc
    }
}

pub(super) fn trailer(end_at: u64) -> Vec<u8> {
    let offset = end_at.to_le_bytes();
    [&offset[..], &crc32c::crc32c(&offset).to_le_bytes()].concat()
}

/// The offset of the end section.
pub(super) fn open_trailer(bytes: &[u8]) -> Option<u64> {
    let mut cursor = Cursor::new(bytes);
    let offset = cursor.u64().ok()?;
    (cursor.u32().ok()? == crc32c::crc32c(&offset.to_le_bytes())).then_some(offset)
}
