//! The bytes of segments: header, record, and the content of a push. See `docs/formats/wal.md`.

use model::TenantId;

use super::record::Cursor;
use super::{Generation, WalRecord};

const MAGIC: &[u8; 8] = b"PLIMWAL\n";
const VERSION: u32 = 1;

/// Bytes of a segment's header.
pub(super) const HEADER_BYTES: usize = 36;

/// What a record begins with; never part of UTF-8 text.
pub(super) const MARKER: [u8; 4] = [0xF5, b'P', b'L', b'R'];

/// Bytes of a record before its type.
pub(super) const FRAME_BYTES: usize = 12;

/// The longest record behind its checksum, in bytes: what a reader allocates at most.
pub(super) const MAX_RECORD_BYTES: usize = 64 << 20;

const TYPE_PUSH: u8 = 1;

/// A segment's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) generation: Generation,
    pub(super) number: u64,
    pub(super) salt: u64,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.generation.0.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.salt.to_le_bytes());
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// `None` for anything that is not a header of this version.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let checked = bytes.get(..HEADER_BYTES - 4)?;
        let mut cursor = Cursor::new(bytes);
        let magic = cursor.take(8).ok()?;
        let version = cursor.u32().ok()?;
        let generation = Generation(cursor.u32().ok()?);
        let header = Self { generation, number: cursor.u64().ok()?, salt: cursor.u64().ok()? };
        (magic == MAGIC && version == VERSION && cursor.u32().ok()? == crc32c::crc32c(checked)).then_some(header)
    }

    /// The checksum that those of the segment's records begin with.
    pub(super) fn seed(&self) -> u32 {
        crc32c::crc32c(&self.salt.to_le_bytes())
    }
}

/// The checksum of a record of which `len` and the rest are given.
fn checksum(seed: u32, len: [u8; 4], rest: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(seed, &len), rest)
}

/// The length of the rest of a push's record.
pub(super) fn push_len(tenant: &TenantId, record: &WalRecord) -> usize {
    1 + 1 + tenant.as_str().len() + 4 + 8 + record.body.len()
}

/// Appends the record of a push, which is at most [`MAX_RECORD_BYTES`] long.
pub(super) fn put_push(out: &mut Vec<u8>, seed: u32, tenant: &TenantId, record: &WalRecord) {
    let len = (push_len(tenant, record) as u32).to_le_bytes();
    out.extend_from_slice(&MARKER);
    out.extend_from_slice(&len);
    let crc_at = out.len();
    out.extend_from_slice(&[0; 4]);
    out.push(TYPE_PUSH);
    // A tenant's name has at most 150 bytes.
    out.push(tenant.as_str().len() as u8);
    out.extend_from_slice(tenant.as_str().as_bytes());
    out.extend_from_slice(&record.generation.0.to_le_bytes());
    out.extend_from_slice(&record.max_t.to_le_bytes());
    out.extend_from_slice(&record.body);
    let crc = checksum(seed, len, &out[crc_at + 4..]);
    out[crc_at..crc_at + 4].copy_from_slice(&crc.to_le_bytes());
}

/// The length of the record that begins with these twelve bytes, if they can begin one.
pub(super) fn record_len(frame: &[u8]) -> Option<usize> {
    let mut cursor = Cursor::new(frame);
    let marker = cursor.take(4).ok()?;
    let len = cursor.u32().ok()? as usize;
    (marker == MARKER && (1..=MAX_RECORD_BYTES).contains(&len)).then_some(FRAME_BYTES + len)
}

/// The type and content of a whole record, if its checksum is right.
pub(super) fn open_record(seed: u32, record: &[u8]) -> Option<&[u8]> {
    let (frame, rest) = record.split_at_checked(FRAME_BYTES)?;
    let mut cursor = Cursor::new(frame.get(4..)?);
    let len = cursor.u32().ok()?;
    (checksum(seed, len.to_le_bytes(), rest) == cursor.u32().ok()?).then_some(rest)
}

/// What the rest of a record says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content<'a> {
    /// A push.
    Push { tenant: &'a str, generation: Generation, max_t: i64, body: &'a [u8] },
    /// Of a type that a later version writes.
    Unknown,
}

pub(super) fn content(rest: &[u8]) -> Option<Content<'_>> {
    let mut cursor = Cursor::new(rest);
    if cursor.u8().ok()? != TYPE_PUSH {
        return Some(Content::Unknown);
    }
    let len = usize::from(cursor.u8().ok()?);
    let tenant = std::str::from_utf8(cursor.take(len).ok()?).ok()?;
    let generation = Generation(cursor.u32().ok()?);
    let max_t = cursor.u64().ok()? as i64;
    Some(Content::Push { tenant, generation, max_t, body: cursor.take(cursor.len()).ok()? })
}
