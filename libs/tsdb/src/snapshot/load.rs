//! Reading a snapshot.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::Bytes;
use hashbrown::HashSet;
use model::TenantId;
use parking_lot::Mutex;

use super::SnapshotError;
use super::format::{FRAME_BYTES, Frame, HEADER_BYTES, MAX_SECTION_BYTES, TRAILER_BYTES, Tag, open_frame, open_header, open_trailer};
use crate::fs::{Fs, ReadFile};
use crate::head::{Head, Restorer};
use crate::head_chunks::{ChunkFile, HeadChunks};
use crate::wal::Generation;
use crate::wal::record::Cursor;

/// Sections on their way to the workers.
const CHANNEL_SECTIONS: usize = 16;

/// Most workers that are of use.
const MAX_WORKERS: usize = 8;

/// Where the heads come from.
pub trait SnapshotSink {
    /// The empty head of a tenant. Asked once for each.
    fn head(&self, tenant: &TenantId) -> Arc<Head>;
}

impl<F: Fn(&TenantId) -> Arc<Head>> SnapshotSink for F {
    fn head(&self, tenant: &TenantId) -> Arc<Head> {
        self(tenant)
    }
}

/// What was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Tenants.
    pub tenants: u64,
    /// Series.
    pub series: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// When it was taken, wall time in milliseconds.
    pub taken_ms: i64,
}

/// A section of series for a worker.
struct Job {
    restorer: Arc<Restorer>,
    frame: Frame,
    content: Bytes,
    at: u64,
}

/// What the workers have found.
#[derive(Default)]
struct Found {
    series: AtomicU64,
    failed: AtomicBool,
    /// The first damage: where and what.
    damage: Mutex<Option<(u64, &'static str)>>,
}

impl Found {
    fn damaged(&self, at: u64, what: &'static str) {
        self.failed.store(true, Relaxed);
        self.damage.lock().get_or_insert((at, what));
    }
}

/// See [`super::Snapshots::load`].
pub(super) fn load(
    fs: &dyn Fs,
    path: &Path,
    generation: Generation,
    sink: &dyn SnapshotSink,
    files: &Arc<HeadChunks>,
    workers: usize,
) -> Result<LoadReport, SnapshotError> {
    let file = fs.open(path).map_err(SnapshotError::io("open", path))?;
    let len = file.len().map_err(SnapshotError::io("read", path))?;
    let files = Arc::clone(files);
    let mut reading =
        Reading { path, file, len, files, at: 0, chain: 0, sections: 0, report: LoadReport::default(), tenants: HashSet::new() };
    let header = reading.take(HEADER_BYTES)?;
    reading.report.taken_ms =
        open_header(&header, generation).ok_or_else(|| reading.damaged(0, "its header is not one of this version"))?;
    let found = Found::default();
    let (sender, receiver) = sync_channel(CHANNEL_SECTIONS);
    let receiver = Mutex::new(receiver);
    let mut end = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for _ in 0..workers.clamp(1, MAX_WORKERS) {
            let thread = std::thread::Builder::new().name("snapshot-load".to_owned()).spawn_scoped(scope, || work(&receiver, &found));
            threads.push(thread.map_err(|_| SnapshotError::Worker)?);
        }
        let end = reading.sections(sink, sender, &found);
        let mut joined = true;
        for thread in threads {
            joined &= thread.join().is_ok();
        }
        if joined { end } else { Err(SnapshotError::Worker) }
    });
    if let Some((at, what)) = found.damage.lock().take() {
        end = Err(reading.damaged(at, what));
    }
    if end? != found.series.load(Relaxed) {
        return Err(reading.damaged(reading.at, "the end section counts other series"));
    }
    reading.report.series = found.series.load(Relaxed);
    reading.report.bytes = len;
    Ok(reading.report)
}

/// Restores sections of series until there are no more.
fn work(jobs: &Mutex<Receiver<Job>>, found: &Found) {
    loop {
        let Ok(job) = jobs.lock().recv() else { return };
        if found.failed.load(Relaxed) {
            continue;
        }
        if !job.frame.fits(&job.content) {
            found.damaged(job.at, "a section of series has a wrong checksum");
            continue;
        }
        match job.restorer.series(&job.content) {
            Ok(series) => {
                found.series.fetch_add(series, Relaxed);
            }
            Err(_) => found.damaged(job.at, "a section of series does not decode"),
        }
    }
}

/// The reading side.
struct Reading<'a> {
    path: &'a Path,
    file: Box<dyn ReadFile>,
    len: u64,
    files: Arc<HeadChunks>,
    at: u64,
    chain: u32,
    sections: u64,
    report: LoadReport,
    tenants: HashSet<TenantId>,
}

impl Reading<'_> {
    fn damaged(&self, at: u64, what: &'static str) -> SnapshotError {
        SnapshotError::Damaged { path: self.path.to_owned(), at, what }
    }

    /// The next bytes, which must be there.
    fn take(&mut self, len: usize) -> Result<Bytes, SnapshotError> {
        if len as u64 > self.len.saturating_sub(self.at) {
            return Err(self.damaged(self.at, "it ends before its end section"));
        }
        let bytes = read_exact(&*self.file, self.at, len).map_err(SnapshotError::io("read", self.path))?;
        self.at += len as u64;
        Ok(bytes.into())
    }

    /// Reads all sections, and hands those of series on; the series that the end section counts.
    fn sections(&mut self, sink: &dyn SnapshotSink, jobs: SyncSender<Job>, found: &Found) -> Result<u64, SnapshotError> {
        let mut restorer: Option<Arc<Restorer>> = None;
        while !found.failed.load(Relaxed) {
            let at = self.at;
            let frame = self.take(FRAME_BYTES)?;
            let frame = open_frame(&frame).ok_or_else(|| self.damaged(at, "no section begins here"))?;
            let content = self.take(frame.len)?;
            if frame.tag != Tag::Series && !frame.fits(&content) {
                return Err(self.damaged(at, "a section has a wrong checksum"));
            }
            match (frame.tag, &restorer) {
                (Tag::End, _) => return self.end(at, &content),
                (Tag::Tenant, _) => restorer = Some(self.tenant(at, &content, sink)?),
                (_, None) => return Err(self.damaged(at, "a section comes before the first tenant")),
                (Tag::Series, Some(restorer)) => {
                    // The workers are gone only after a panic, which is noticed when they are joined.
                    let _ = jobs.send(Job { restorer: Arc::clone(restorer), frame, content, at });
                }
                (Tag::Symbols, Some(r)) => r.symbols(&content).map_err(|_| self.damaged(at, "a section of symbols does not decode"))?,
                (Tag::Exemplars, Some(r)) => {
                    r.exemplars(&content).map_err(|_| self.damaged(at, "a section of exemplars does not decode"))?;
                }
                (Tag::Metadata, Some(r)) => r.metadata(&content).map_err(|_| self.damaged(at, "a section of metadata does not decode"))?,
            }
            self.chain = crc32c::crc32c_append(self.chain, &frame.crc.to_le_bytes());
            self.sections += 1;
        }
        Ok(0)
    }

    fn tenant(&mut self, at: u64, content: &[u8], sink: &dyn SnapshotSink) -> Result<Arc<Restorer>, SnapshotError> {
        let tenant = std::str::from_utf8(content).ok().and_then(|name| TenantId::new(name).ok());
        let tenant = tenant.ok_or_else(|| self.damaged(at, "a tenant's name is not one"))?;
        if !self.tenants.insert(tenant.clone()) {
            return Err(self.damaged(at, "a tenant comes twice"));
        }
        self.report.tenants += 1;
        Ok(Arc::new(Restorer::new(sink.head(&tenant), Arc::clone(&self.files))))
    }

    fn end(&mut self, at: u64, content: &[u8]) -> Result<u64, SnapshotError> {
        let end = read_end(content).ok_or_else(|| self.damaged(at, "the end section does not decode"))?;
        if (end.sections, end.chain) != (self.sections, self.chain) {
            return Err(self.damaged(at, "the end section has other sums"));
        }
        let trailer = self.take(TRAILER_BYTES)?;
        if open_trailer(&trailer) != Some(at) || self.at != self.len {
            return Err(self.damaged(at, "the trailer is wrong"));
        }
        Ok(end.series)
    }
}

/// See [`super::Snapshots::files`].
pub(super) fn files(fs: &dyn Fs, path: &Path, files: &HeadChunks) -> Result<Vec<Arc<ChunkFile>>, SnapshotError> {
    let damaged = |at: u64, what| SnapshotError::Damaged { path: path.to_owned(), at, what };
    let file = fs.open(path).map_err(SnapshotError::io("open", path))?;
    let len = file.len().map_err(SnapshotError::io("read", path))?;
    let trailer_at = len.checked_sub(TRAILER_BYTES as u64).ok_or_else(|| damaged(0, "it has no trailer"))?;
    let trailer = read_exact(&*file, trailer_at, TRAILER_BYTES).map_err(SnapshotError::io("read", path))?;
    let end_at = open_trailer(&trailer).filter(|at| *at < trailer_at).ok_or_else(|| damaged(trailer_at, "the trailer is wrong"))?;
    let end_bytes = usize::try_from(trailer_at - end_at).ok().filter(|bytes| *bytes <= FRAME_BYTES + MAX_SECTION_BYTES);
    let end_bytes = end_bytes.ok_or_else(|| damaged(end_at, "the trailer is wrong"))?;
    let end = read_exact(&*file, end_at, end_bytes).map_err(SnapshotError::io("read", path))?;
    let content = end.get(FRAME_BYTES..).unwrap_or_default();
    let whole = open_frame(&end).is_some_and(|frame| frame.tag == Tag::End && frame.fits(content));
    let end = Some(content).filter(|_| whole).and_then(read_end).ok_or_else(|| damaged(end_at, "the end section does not decode"))?;
    end.files
        .iter()
        .map(|number| files.file(*number))
        .collect::<Result<_, _>>()
        .map_err(|_| damaged(end_at, "a head chunk file is missing"))
}

fn read_exact(file: &dyn ReadFile, at: u64, len: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let mut read = 0;
    while read < len {
        match file.read_at(at + read as u64, bytes.get_mut(read..).unwrap_or_default())? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            n => read += n,
        }
    }
    Ok(bytes)
}

/// What an end section says.
struct End {
    files: Vec<u32>,
    sections: u64,
    chain: u32,
    series: u64,
}

fn read_end(content: &[u8]) -> Option<End> {
    let mut cursor = Cursor::new(content);
    let count = cursor.count(1).ok()?;
    let mut files = Vec::with_capacity(count);
    let mut last = 0_u32;
    for _ in 0..count {
        last = last.checked_add(u32::try_from(cursor.varint().ok()?).ok()?)?;
        files.push(last);
    }
    let end = End { files, sections: cursor.varint().ok()?, chain: cursor.u32().ok()?, series: cursor.varint().ok()? };
    cursor.is_empty().then_some(end)
}
