//! Writing a snapshot.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::TenantId;

use super::format::{FRAME_BYTES, HEADER_BYTES, MAX_SECTION_BYTES, Tag, frame, header, trailer};
use super::{SnapshotError, TMP_SUFFIX, path};
use crate::fs::{AppendFile, Fs};
use crate::head::{Head, HeadPart, HeadWalk};
use crate::head_chunks::ChunkFile;
use crate::wal::Generation;
use crate::wal::record::put_varint;

/// What was written.
#[derive(Debug, Default)]
pub struct SnapshotReport {
    /// Tenants.
    pub tenants: u64,
    /// Series.
    pub series: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// The head chunk files that it needs. Whoever keeps the snapshot keeps these.
    pub files: Vec<Arc<ChunkFile>>,
}

/// A snapshot under construction.
#[derive(Debug)]
pub struct SnapshotWriter {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    tmp: PathBuf,
    path: PathBuf,
    file: Arc<dyn AppendFile>,
    report: SnapshotReport,
    sections: u64,
    /// Over the checksums of the sections.
    chain: u32,
    /// Head chunk files that places are in.
    files: BTreeMap<u32, Arc<ChunkFile>>,
    finished: bool,
}

impl SnapshotWriter {
    pub(super) fn create(fs: Arc<dyn Fs>, dir: &Path, generation: Generation, now_ms: i64) -> Result<Self, SnapshotError> {
        let path = path(dir, generation);
        let mut tmp = path.clone().into_os_string();
        tmp.push(TMP_SUFFIX);
        let tmp = PathBuf::from(tmp);
        let file = fs.create(&tmp).map_err(SnapshotError::io("create", &tmp))?;
        let mut writer = Self {
            fs,
            dir: dir.to_owned(),
            tmp,
            path,
            file,
            report: SnapshotReport::default(),
            sections: 0,
            chain: 0,
            files: BTreeMap::new(),
            finished: false,
        };
        debug_assert_eq!(header(generation, now_ms).len(), HEADER_BYTES);
        writer.append(&header(generation, now_ms))?;
        Ok(writer)
    }

    /// Writes all that a head holds now. Pushes go on meanwhile; each of their series is in the snapshot with all of a push or nothing.
    pub fn tenant(&mut self, tenant: &TenantId, head: &Head) -> Result<(), SnapshotError> {
        self.section(Tag::Tenant, tenant.as_str().as_bytes())?;
        self.report.tenants += 1;
        let mut walk = HeadWalk::new(head);
        while let Some(part) = walk.next()? {
            match part {
                HeadPart::Series { symbols, series, count } => {
                    if !symbols.is_empty() {
                        self.section(Tag::Symbols, symbols)?;
                    }
                    self.section(Tag::Series, series)?;
                    self.report.series += u64::from(count);
                }
                HeadPart::Exemplars(content) => self.section(Tag::Exemplars, content)?,
                HeadPart::Metadata(content) => self.section(Tag::Metadata, content)?,
            }
        }
        self.files.append(&mut walk.files);
        Ok(())
    }

    fn section(&mut self, tag: Tag, content: &[u8]) -> Result<(), SnapshotError> {
        if content.len() > MAX_SECTION_BYTES {
            return Err(SnapshotError::SeriesTooLarge { bytes: content.len(), max: MAX_SECTION_BYTES });
        }
        let (frame, crc) = frame(tag, content);
        debug_assert_eq!(frame.len(), FRAME_BYTES);
        self.append(&frame)?;
        self.append(content)?;
        self.chain = crc32c::crc32c_append(self.chain, &crc.to_le_bytes());
        self.sections += 1;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        self.file.append(bytes).map_err(SnapshotError::io("write", &self.tmp))?;
        self.report.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Ends the snapshot and brings it to the disk under its name.
    pub fn finish(mut self) -> Result<SnapshotReport, SnapshotError> {
        let mut end = Vec::new();
        put_varint(&mut end, self.files.len() as u64);
        let mut last = 0;
        for file in self.files.keys() {
            put_varint(&mut end, u64::from(file - last));
            last = *file;
        }
        put_varint(&mut end, self.sections);
        end.extend_from_slice(&self.chain.to_le_bytes());
        put_varint(&mut end, self.report.series);
        let end_at = self.report.bytes;
        self.section(Tag::End, &end)?;
        self.append(&trailer(end_at))?;
        self.file.sync().map_err(SnapshotError::io("sync", &self.tmp))?;
        self.fs.rename(&self.tmp, &self.path).map_err(SnapshotError::io("rename", &self.tmp))?;
        self.finished = true;
        self.fs.sync_dir(&self.dir).map_err(SnapshotError::io("sync", &self.dir))?;
        self.report.files = std::mem::take(&mut self.files).into_values().collect();
        Ok(std::mem::take(&mut self.report))
    }
}

impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        if !self.finished
            && let Err(error) = self.fs.remove(&self.tmp)
        {
            tracing::warn!(path = %self.tmp.display(), %error, "an unfinished snapshot stays until the next start");
        }
    }
}
