//! What the threads of the log share, and the ledger of segments.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex};
use smallvec::{SmallVec, smallvec};

use super::queue::Queue;
use super::reader::read_header;
use super::replay::{OldSegment, Replay};
use super::segment::Segment;
use super::{Generation, SyncPolicy, Wal, WalConfig, WalError, files, sync, writer};
use crate::fs::Fs;

/// Everything that is shared. The locks are leaves: none is held while another is taken, or during I/O.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) dir: PathBuf,
    pub(super) config: WalConfig,
    pub(super) fs: Arc<dyn Fs>,
    /// The generation that is written.
    generation: AtomicU32,
    /// Records of generations below are refused.
    oldest_valid: AtomicU32,
    /// The last sync failed: until one succeeds, nothing is answered before it is on the disk, whatever [`SyncPolicy`] says.
    failing: AtomicBool,
    pub(super) queue: Mutex<Queue>,
    /// Told when records come or the log is closed.
    pub(super) work: Condvar,
    /// Told when the log is closed.
    pub(super) closing: Condvar,
    /// Told when the queue became shorter.
    pub(super) room: Condvar,
    pub(super) ledger: Mutex<Ledger>,
    /// Segments that may have unsynced bytes; the last may be still written.
    pub(super) unsynced: Mutex<Vec<Arc<Segment>>>,
    /// Segments of earlier processes, which may have ended before they synced them; filled when they have been replayed.
    pub(super) unsynced_old: Mutex<Vec<PathBuf>>,
    pub(super) counters: Counters,
}

/// Counters of the log.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) records: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) groups: AtomicU64,
    pub(super) write_errors: AtomicU64,
    pub(super) syncs: AtomicU64,
    pub(super) sync_errors: AtomicU64,
    pub(super) refused: AtomicU64,
}

/// What is on the disk.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) segments: BTreeMap<u64, Entry>,
    /// The newest sample of each generation.
    max_t: BTreeMap<Generation, i64>,
    /// When the generation that is written began, or was first seen by [`Wal::truncate`], and which it was.
    started: Option<(Generation, i64)>,
}

/// A segment on the disk.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) bytes: u64,
    /// The generations of its records and of its header.
    generations: SmallVec<[Generation; 2]>,
    /// It was written by this process or read by the replay.
    known: bool,
}

/// What a [`Wal::truncate`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WalTruncated {
    /// Segments deleted.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether a new generation began.
    pub new_generation: bool,
}

/// Counters of a log since it was opened, and its size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WalStats {
    /// Records written.
    pub records: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Groups, that is calls of write(2).
    pub groups: u64,
    /// Groups that could not be written.
    pub write_errors: u64,
    /// Syncs of segments.
    pub syncs: u64,
    /// Syncs that failed; each cost a generation.
    pub sync_errors: u64,
    /// Records refused because the queue was full.
    pub refused: u64,
    /// Bytes that wait to be written now.
    pub queued_bytes: u64,
    /// Segments on the disk now.
    pub segments: u64,
    /// Their bytes.
    pub disk_bytes: u64,
    /// The generation that is written.
    pub generation: u32,
}

impl Ledger {
    /// Notes records in a segment.
    pub(super) fn note(&mut self, segment: u64, bytes: u64, generation: Generation, max_t: i64) {
        let newest = self.max_t.entry(generation).or_insert(i64::MIN);
        *newest = max_t.max(*newest);
        let entry = self.segments.entry(segment).or_insert_with(|| Entry::new(smallvec![generation]));
        entry.bytes += bytes;
        if !entry.generations.contains(&generation) {
            entry.generations.push(generation);
        }
    }

    /// Segments without records of generation `from` or later.
    fn dispensable(&self, from: Generation) -> Vec<u64> {
        self.whole_from_the_front(|entry| entry.generations.iter().all(|g| *g < from))
    }

    /// Segments of which nothing is needed: all their generations are over and older than `before`.
    fn expired(&self, current: Generation, before: i64) -> Vec<u64> {
        let expired = |g: &Generation| *g < current && self.max_t.get(g).is_none_or(|t| *t < before);
        self.whole_from_the_front(|entry| entry.known && entry.generations.iter().all(expired))
    }

    /// Segments that may go. One without a readable header names no generation; it goes with the last older one.
    fn whole_from_the_front(&self, may_go: impl Fn(&Entry) -> bool) -> Vec<u64> {
        let mut out = Vec::new();
        let mut older_left = false;
        for (number, entry) in &self.segments {
            if may_go(entry) && !(entry.generations.is_empty() && older_left) {
                out.push(*number);
            } else {
                older_left = true;
            }
        }
        out
    }
}

impl Entry {
    pub(super) fn new(generations: SmallVec<[Generation; 2]>) -> Self {
        Self { bytes: 0, generations, known: true }
    }

    /// Notes that the replay has read it.
    pub(super) fn set_known(&mut self) {
        self.known = true;
    }
}

/// An error of the system as one of the log.
pub(super) fn io_error(dir: &Path, action: &'static str, path: &Path, source: io::Error) -> WalError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => WalError::Full { dir: dir.to_owned() },
        _ => WalError::Io { action, path: path.to_owned(), source: Arc::new(source) },
    }
}

/// See [`Wal::open`].
pub(super) fn open(dir: PathBuf, config: WalConfig, fs: Arc<dyn Fs>) -> Result<(Wal, Replay), WalError> {
    fs.create_dir_all(&dir).map_err(|e| io_error(&dir, "create", &dir, e))?;
    let mut ledger = Ledger::default();
    let old = old_segments(&dir, &*fs, &mut ledger)?;
    let newest = old.iter().filter_map(|s| s.header.map(|h| h.generation.0)).max().unwrap_or(0);
    let first_number = old.last().map_or(1, |s| s.number + 1);
    let generation = newest.saturating_add(1).max(config.first_generation.0);
    let shared = Arc::new(Shared {
        dir,
        config,
        fs,
        generation: AtomicU32::new(generation),
        oldest_valid: AtomicU32::new(0),
        failing: AtomicBool::new(false),
        queue: Mutex::default(),
        work: Condvar::new(),
        closing: Condvar::new(),
        room: Condvar::new(),
        ledger: Mutex::new(ledger),
        unsynced: Mutex::default(),
        unsynced_old: Mutex::default(),
        counters: Counters::default(),
    });
    let mut threads = vec![spawn("wal-write", &shared, move |shared| writer::run(shared, first_number))?];
    if let SyncPolicy::Interval(interval) = shared.config.sync {
        threads.push(spawn("wal-sync", &shared, move |shared| sync::run(shared, interval))?);
    }
    let replay = Replay::new(Arc::clone(&shared), old);
    Ok((Wal { shared, threads }, replay))
}

fn spawn(
    name: &'static str,
    shared: &Arc<Shared>,
    run: impl FnOnce(&Shared) + Send + 'static,
) -> Result<std::thread::JoinHandle<()>, WalError> {
    let (dir, shared) = (shared.dir.clone(), Arc::clone(shared));
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || run(&shared));
    thread.map_err(|e| io_error(&dir, "start a thread for", &dir, e))
}

/// The segments of earlier processes, ascending. Those that hold nothing are deleted.
fn old_segments(dir: &Path, fs: &dyn Fs, ledger: &mut Ledger) -> Result<Vec<OldSegment>, WalError> {
    let names = fs.list(dir).map_err(|e| io_error(dir, "list", dir, e))?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| files::number(name)).collect();
    numbers.sort_unstable();
    let mut old = Vec::new();
    for number in numbers {
        let path = files::path(dir, number);
        let opened = fs.open(&path).and_then(|file| Ok((file.len()?, read_header(&*file)?)));
        let (bytes, header) = opened.map_err(|e| io_error(dir, "open", &path, e))?;
        if bytes == 0 {
            fs.remove(&path).map_err(|e| io_error(dir, "remove", &path, e))?;
            continue;
        }
        let header = header.filter(|h| h.number == number);
        let generations = header.iter().map(|h| h.generation).collect();
        ledger.segments.insert(number, Entry { bytes, generations, known: false });
        old.push(OldSegment { number, path, bytes, header });
    }
    Ok(old)
}

impl Shared {
    pub(super) fn generation(&self) -> Generation {
        Generation(self.generation.load(Ordering::Acquire))
    }

    pub(super) fn oldest_valid(&self) -> Generation {
        Generation(self.oldest_valid.load(Ordering::Acquire))
    }

    /// See [`Wal::begin_generation`].
    pub(super) fn begin_generation(&self) -> Generation {
        while !self.end_generation(self.generation()) {}
        self.generation()
    }

    /// Ends a generation, if it is still the one that is written; the writer then begins a new segment.
    fn end_generation(&self, generation: Generation) -> bool {
        let next = generation.0.saturating_add(1);
        self.generation.compare_exchange(generation.0, next, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Whether records are synced before they are answered.
    pub(super) fn syncs_first(&self) -> bool {
        self.config.sync == SyncPolicy::Always || self.failing.load(Ordering::Acquire)
    }

    /// A group of records is on the disk.
    pub(super) fn synced_first(&self) {
        if self.failing.swap(false, Ordering::AcqRel) {
            tracing::info!("the write-ahead log reaches the disk again");
        }
    }

    /// Gives a generation up because a segment of it could not be synced: definitions in it are not to be relied on.
    pub(super) fn give_up(&self, segment: &Segment, error: &io::Error) {
        self.counters.sync_errors.fetch_add(1, Ordering::Relaxed);
        self.failing.store(true, Ordering::Release);
        tracing::error!(
            path = %segment.path.display(), %error,
            "segment of the write-ahead log could not be synced: a power cut may lose what was written since the last sync; going on in a new one, and answering only what is on the disk until a sync succeeds"
        );
        self.end_generation(segment.generation);
        self.oldest_valid.fetch_max(segment.generation.0.saturating_add(1), Ordering::AcqRel);
    }

    /// See [`Wal::truncate`].
    pub(super) fn truncate(&self, now_ms: i64, before_ms: i64) -> Result<WalTruncated, WalError> {
        let new_generation = self.age(now_ms);
        let expired = self.ledger.lock().expired(self.generation(), before_ms);
        Ok(WalTruncated { new_generation, ..self.delete(expired)? })
    }

    /// See [`Wal::release`].
    pub(super) fn delete_before(&self, from: Generation) -> Result<WalTruncated, WalError> {
        let dispensable = self.ledger.lock().dispensable(from.min(self.generation()));
        self.delete(dispensable)
    }

    fn delete(&self, segments: Vec<u64>) -> Result<WalTruncated, WalError> {
        let mut done = WalTruncated::default();
        for number in segments {
            let path = files::path(&self.dir, number);
            match self.fs.remove(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(io_error(&self.dir, "remove", &path, e)),
                _ => {}
            }
            if let Some(entry) = self.ledger.lock().segments.remove(&number) {
                done.segments += 1;
                done.bytes += entry.bytes;
            }
        }
        let mut ledger = self.ledger.lock();
        let Ledger { segments, max_t, .. } = &mut *ledger;
        max_t.retain(|generation, _| segments.values().any(|entry| entry.generations.contains(generation)));
        Ok(done)
    }

    /// Ends the generation that is written if something is in it and it is old enough.
    fn age(&self, now_ms: i64) -> bool {
        let generation = self.generation();
        let mut ledger = self.ledger.lock();
        if !ledger.max_t.contains_key(&generation) {
            return false;
        }
        match ledger.started {
            Some((of, started)) if of == generation => {
                let old = now_ms.saturating_sub(started) >= self.config.generation_ms;
                if old {
                    ledger.started = Some((Generation(generation.0.saturating_add(1)), now_ms));
                }
                old && self.end_generation(generation)
            }
            _ => {
                ledger.started = Some((generation, now_ms));
                false
            }
        }
    }

    pub(super) fn stats(&self) -> WalStats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let queued_bytes = self.queue.lock().bytes as u64;
        let ledger = self.ledger.lock();
        WalStats {
            records: count(&self.counters.records),
            bytes: count(&self.counters.bytes),
            groups: count(&self.counters.groups),
            write_errors: count(&self.counters.write_errors),
            syncs: count(&self.counters.syncs),
            sync_errors: count(&self.counters.sync_errors),
            refused: count(&self.counters.refused),
            queued_bytes,
            segments: ledger.segments.len() as u64,
            disk_bytes: ledger.segments.values().map(|entry| entry.bytes).sum(),
            generation: self.generation().0,
        }
    }

    /// Lets the threads end: the writer after it has written what waits.
    pub(super) fn close(&self) {
        self.queue.lock().closed = true;
        self.work.notify_all();
        self.closing.notify_all();
        self.room.notify_all();
    }
}
