//! The sidecar of a block: the hashes of its series, so that a select in order of hashes parses no labels (`docs/formats/block-sidecar.md`).

use std::path::Path;

use bytes::Bytes;
use model::SeriesHash;

use super::out_file::OutFile;
use super::{Block, BlockError, Ulid};
use crate::fs::Fs;

/// The file's name within a block. Others ignore it.
pub const SIDECAR_FILE: &str = "plimsoll-hashes";

/// Magic, version 1, padding.
const HEADER: [u8; 8] = [b'P', b'L', b'S', b'H', 1, 0, 0, 0];
/// Header, the block's name, the number of series.
const HEAD_BYTES: usize = HEADER.len() + 16 + 4;
const HASH_BYTES: usize = 16;
const ID_BYTES: usize = 4;
const CRC_BYTES: usize = 4;

/// The hashes of the series of a block, by position: the series' place in the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sidecar {
    bytes: Bytes,
    count: u32,
}

impl Sidecar {
    /// Reads the sidecar of the block `ulid` in a folder; its checksum is checked.
    pub fn read(fs: &dyn Fs, dir: &Path, ulid: Ulid) -> Result<Self, BlockError> {
        let path = dir.join(SIDECAR_FILE);
        Self::parse(fs.map(&path).map_err(BlockError::io(&path))?, ulid)
    }

    fn parse(bytes: Bytes, ulid: Ulid) -> Result<Self, BlockError> {
        let corrupt = |what| BlockError::corrupt(SIDECAR_FILE, 0, what);
        let (covered, sum) = bytes.split_last_chunk::<CRC_BYTES>().ok_or_else(|| corrupt("the file ends before its checksum"))?;
        if crc32c::crc32c(covered).to_le_bytes() != *sum {
            return Err(corrupt("the checksum is wrong"));
        }
        let rest = covered.strip_prefix(&HEADER).ok_or_else(|| corrupt("not a sidecar of version 1"))?;
        let (of, rest) = rest.split_first_chunk().ok_or_else(|| corrupt("the header is cut"))?;
        if u128::from_le_bytes(*of) != ulid.to_bits() {
            return Err(corrupt("it belongs to another block"));
        }
        let (count, rest) = rest.split_first_chunk().ok_or_else(|| corrupt("the header is cut"))?;
        let count = u32::from_le_bytes(*count);
        if rest.len() as u64 != u64::from(count) * (HASH_BYTES + ID_BYTES) as u64 {
            return Err(corrupt("it does not have the length that it says"));
        }
        let this = Self { bytes, count };
        if !(1..count).all(|n| this.id(n - 1) < this.id(n)) {
            return Err(corrupt("ids do not ascend"));
        }
        Ok(this)
    }

    /// The sidecar of a block that has none, from its labels. Reads all of the index.
    pub fn of(block: &Block) -> Result<Self, BlockError> {
        let ids = block.index().postings("", "")?;
        let mut cursor = block.index().series_cursor();
        let hashes: Vec<_> = ids.iter().map(|id| Ok(cursor.read(*id)?.labels.hash())).collect::<Result<_, BlockError>>()?;
        Self::parse(Bytes::from(encode(block.meta().ulid, &hashes, &ids)), block.meta().ulid)
    }

    /// Writes it into a block's folder and makes it durable. A file that is there is replaced.
    pub fn write(&self, fs: &dyn Fs, dir: &Path) -> Result<(), BlockError> {
        let (path, tmp) = (dir.join(SIDECAR_FILE), dir.join(format!("{SIDECAR_FILE}.tmp")));
        // What a crash left; that there is nothing is no error.
        let _ = fs.remove(&tmp);
        let mut out = OutFile::create(fs, &tmp)?;
        out.put(&self.bytes)?;
        out.finish()?;
        fs.rename(&tmp, &path).map_err(BlockError::io(&path))?;
        fs.sync_dir(dir).map_err(BlockError::io(dir))
    }

    /// The number of series.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The hash of the series at a position; that of no series beyond the last.
    #[must_use]
    pub fn hash(&self, position: u32) -> SeriesHash {
        SeriesHash(self.field(HEAD_BYTES, position, HASH_BYTES).and_then(|b| b.try_into().ok()).map_or(0, u128::from_le_bytes))
    }

    /// Its id in the index.
    pub(super) fn id(&self, position: u32) -> u32 {
        let ids = HEAD_BYTES + self.count as usize * HASH_BYTES;
        self.field(ids, position, ID_BYTES).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
    }

    fn field(&self, start: usize, position: u32, width: usize) -> Option<&[u8]> {
        let at = start + position as usize * width;
        (position < self.count).then(|| self.bytes.get(at..at + width)).flatten()
    }

    /// The positions of ids, which ascend. `None` if one of them is not there.
    pub(super) fn positions(&self, ids: &[u32]) -> Option<Vec<u32>> {
        let mut out = Vec::with_capacity(ids.len());
        let mut from = 0_u32;
        for id in ids {
            // The next one is usually near; otherwise at twice, four times, … the distance.
            let mut step = 1_u32;
            while from.checked_add(step).is_some_and(|at| at < self.count && self.id(at) < *id) {
                step = step.saturating_mul(2);
            }
            let (mut low, mut high) = (from, from.saturating_add(step).saturating_add(1).min(self.count));
            while low < high {
                let middle = low + (high - low) / 2;
                if self.id(middle) < *id {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            if low >= self.count || self.id(low) != *id {
                return None;
            }
            out.push(low);
            from = low;
        }
        Some(out)
    }
}

fn encode(ulid: Ulid, hashes: &[SeriesHash], ids: &[u32]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD_BYTES + ids.len() * (HASH_BYTES + ID_BYTES) + CRC_BYTES);
    out.extend_from_slice(&HEADER);
    out.extend_from_slice(&ulid.to_bits().to_le_bytes());
    out.extend_from_slice(&(ids.len() as u32).to_le_bytes());
    hashes.iter().for_each(|hash| out.extend_from_slice(&hash.0.to_le_bytes()));
    ids.iter().for_each(|id| out.extend_from_slice(&id.to_le_bytes()));
    let sum = crc32c::crc32c(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

/// Writes the sidecar of a block that is being written.
pub(super) fn write_sidecar(fs: &dyn Fs, dir: &Path, ulid: Ulid, hashes: &[SeriesHash], ids: &[u32]) -> Result<(), BlockError> {
    let mut out = OutFile::create(fs, &dir.join(SIDECAR_FILE))?;
    out.put(&encode(ulid, hashes, ids))?;
    out.finish()
}
