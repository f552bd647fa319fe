//! The bytes of a head chunk file (`docs/formats/head-chunks.md`).

use model::{ChunkEncoding, SeriesHash};

use crate::block::MAX_CHUNK_BYTES;

/// Bytes of a file's header.
pub(super) const HEADER_BYTES: usize = 20;
/// Bytes of a record before its data.
pub(super) const RECORD_HEAD: usize = 8;

const MAGIC: [u8; 8] = *b"PLIMHCK\n";
const VERSION: u32 = 1;

/// What a chunk's checksum covers besides its data. It is not in the file, so that a place can only be read as what it was written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkKey {
    /// The series.
    pub series: SeriesHash,
    /// Time of the first sample, inclusive.
    pub min_t: i64,
    /// Time of the last sample, inclusive.
    pub max_t: i64,
    /// How the data is encoded.
    pub encoding: ChunkEncoding,
}

impl ChunkKey {
    fn checksum(&self, data: &[u8]) -> u32 {
        let mut bytes = [0; 33];
        let fields = self.series.0.to_le_bytes().into_iter().chain(self.min_t.to_le_bytes()).chain(self.max_t.to_le_bytes());
        bytes.iter_mut().zip(fields.chain([self.encoding as u8])).for_each(|(to, from)| *to = from);
        crc32c::crc32c_append(crc32c::crc32c(&bytes), data)
    }
}

/// The header of the file with this number.
pub(super) fn header(number: u32) -> [u8; HEADER_BYTES] {
    let mut out = [0; HEADER_BYTES];
    let fields = MAGIC.into_iter().chain(VERSION.to_le_bytes()).chain(number.to_le_bytes());
    out.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
    let sum = crc32c::crc32c(&out[..16]).to_le_bytes();
    out[16..].copy_from_slice(&sum);
    out
}

/// Appends a record.
pub(super) fn put(out: &mut Vec<u8>, key: &ChunkKey, data: &[u8]) {
    out.extend_from_slice(&key.checksum(data).to_le_bytes());
    out.extend_from_slice(&(data.len() as u32).to_le_bytes());
    out.extend_from_slice(data);
}

/// Where the data of the record at `at` lies in `file`.
pub(super) fn bounds(file: &[u8], at: u32) -> Result<std::ops::Range<usize>, &'static str> {
    let at = at as usize;
    if at < HEADER_BYTES {
        return Err("a place lies in the header");
    }
    let start = at.saturating_add(RECORD_HEAD);
    let head = file.get(at..start).ok_or("a place lies beyond the end")?;
    let len = head.last_chunk().map_or(0, |b| u32::from_le_bytes(*b)) as usize;
    if !(2..=MAX_CHUNK_BYTES).contains(&len) {
        return Err("a chunk's length is out of bounds");
    }
    let range = start..start.saturating_add(len);
    if range.end > file.len() { Err("a chunk reaches beyond the end") } else { Ok(range) }
}

/// Whether the record at `at`, whose data is `data`, is the chunk that the key says.
pub(super) fn check(file: &[u8], at: u32, data: &[u8], key: &ChunkKey) -> Result<(), &'static str> {
    let sum = file.get(at as usize..).and_then(<[u8]>::first_chunk).map(|b| u32::from_le_bytes(*b));
    if sum == Some(key.checksum(data)) { Ok(()) } else { Err("a chunk's checksum is wrong") }
}
