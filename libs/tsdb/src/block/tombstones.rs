//! Deleted intervals: the file `tombstones`, version 1.

use std::collections::BTreeMap;
use std::path::Path;

use super::cursor::{Cursor, put_uvarint, put_varint};
use super::out_file::OutFile;
use super::{BlockError, file};
use crate::fs::Fs;

/// The file's name within a block.
pub const TOMBSTONES_FILE: &str = "tombstones";

const MAGIC: [u8; 4] = 0x0130_BA30_u32.to_be_bytes();
const VERSION: u8 = 1;
const SUM_BYTES: usize = 4;
const TMP: &str = "tombstones.tmp";

/// The most bytes that are read.
const MAX_BYTES: u64 = 256 << 20;

/// Deleted intervals by series of a block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tombstones(BTreeMap<u32, Vec<(i64, i64)>>);

impl Tombstones {
    /// Deletes a series' samples from `min_t` to `max_t`, both inclusive.
    pub fn add(&mut self, series: u32, min_t: i64, max_t: i64) {
        if min_t > max_t {
            return;
        }
        self.0.entry(series).or_default().push((min_t, max_t));
        self.join(series);
    }

    /// Sorts the intervals of a series; those that touch become one.
    fn join(&mut self, series: u32) {
        let Some(intervals) = self.0.get_mut(&series) else { return };
        intervals.sort_unstable();
        let mut joined: Vec<(i64, i64)> = Vec::with_capacity(intervals.len());
        for (from, to) in intervals.drain(..) {
            match joined.last_mut() {
                Some(last) if from <= last.1.saturating_add(1) => last.1 = last.1.max(to),
                _ => joined.push((from, to)),
            }
        }
        *intervals = joined;
    }

    /// The intervals of a series: ascending, apart.
    #[must_use]
    pub fn of(&self, series: u32) -> &[(i64, i64)] {
        self.0.get(&series).map(Vec::as_slice).unwrap_or_default()
    }

    /// The number of intervals.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.values().map(|intervals| intervals.len() as u64).sum()
    }

    /// Reads the file of a block; a missing file is one without intervals.
    pub fn read(fs: &dyn Fs, dir: &Path) -> Result<Self, BlockError> {
        match file::read_all(fs, &dir.join(TOMBSTONES_FILE), MAX_BYTES) {
            Err(BlockError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            bytes => Self::parse(&bytes?),
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self, BlockError> {
        let corrupt = |what| BlockError::corrupt(TOMBSTONES_FILE, 0, what);
        let body = bytes.strip_prefix(&MAGIC).ok_or_else(|| corrupt("not a file of tombstones"))?;
        let at = body.len().checked_sub(SUM_BYTES).ok_or_else(|| corrupt("the file is cut"))?;
        let (body, sum) = body.split_at_checked(at).unwrap_or_default();
        let covered = body.strip_prefix(&[VERSION]).ok_or_else(|| corrupt("unknown version"))?;
        if crc32c::crc32c(covered).to_be_bytes() != *sum {
            return Err(corrupt("the checksum is wrong"));
        }
        let mut cursor = Cursor(covered);
        let mut out = Self::default();
        while !cursor.0.is_empty() {
            let entry = cursor.uvarint32().zip(cursor.varint()).zip(cursor.varint());
            let ((series, min_t), max_t) = entry.ok_or_else(|| corrupt("an interval is malformed"))?;
            if min_t <= max_t {
                out.0.entry(series).or_default().push((min_t, max_t));
            }
        }
        let series: Vec<u32> = out.0.keys().copied().collect();
        series.into_iter().for_each(|series| out.join(series));
        Ok(out)
    }

    /// Replaces the file of a block, atomically.
    pub fn write(&self, fs: &dyn Fs, dir: &Path) -> Result<(), BlockError> {
        let mut body = Vec::new();
        for (series, intervals) in &self.0 {
            for (min_t, max_t) in intervals {
                put_uvarint(&mut body, u64::from(*series));
                put_varint(&mut body, *min_t);
                put_varint(&mut body, *max_t);
            }
        }
        let (tmp, path) = (dir.join(TMP), dir.join(TOMBSTONES_FILE));
        match fs.remove(&tmp) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(BlockError::io(&tmp)(e)),
            _ => {}
        }
        let mut out = OutFile::create(fs, &tmp)?;
        out.put(&MAGIC)?;
        out.put(&[VERSION])?;
        out.put(&body)?;
        out.put_checksum(&body)?;
        out.finish()?;
        fs.rename(&tmp, &path).map_err(BlockError::io(&path))?;
        fs.sync_dir(dir).map_err(BlockError::io(dir))
    }
}
