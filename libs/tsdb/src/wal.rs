//! The write-ahead log: one per process, for all tenants. The bytes are described in `docs/formats/wal.md`.
//!
//! A writer thread takes all pushes that wait and writes them with one write(2); a push is answered after that write, and
//! with [`SyncPolicy::Always`] after an fsync. With [`SyncPolicy::Interval`] a second thread syncs.
//!
//! The log is divided into *generations*, each some segments long. A record may use only series definitions of its own
//! generation, so old generations are deleted as a whole when all their samples are older than any head needs, and nothing
//! is ever rewritten. A new generation starts at every start of the process, at every `generation_ms`, and when a segment
//! could not be synced (what it holds is then not to be relied on). A snapshot ([`crate::snapshot`]) begins one, too; replay begins at that of the
//! snapshot that the heads were restored from, and generations that no kept snapshot needs are deleted whatever their samples' age.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::TenantId;

use crate::fs::Fs;

mod files;
mod frame;
mod queue;
mod reader;
pub(crate) mod record;
mod replay;
mod segment;
mod state;
mod sync;
mod writer;

pub use replay::{Replay, ReplayReport, ReplaySink};
pub use state::{WalStats, WalTruncated};

/// When written records are brought to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncPolicy {
    /// This often. A kill of the process loses nothing that was acknowledged; a power cut at most about this much. After a sync that failed
    /// it is as with [`SyncPolicy::Always`] until one succeeds, so that a disk that takes nothing has nothing acknowledged.
    Interval(Duration),
    /// Before each acknowledgement. A power cut loses nothing that was acknowledged.
    Always,
}

/// Settings of the log.
#[derive(Debug, Clone)]
pub struct WalConfig {
    /// A segment is closed when it is this long, in bytes. The last group may reach beyond it.
    pub segment_bytes: u64,
    /// See [`SyncPolicy`].
    pub sync: SyncPolicy,
    /// Bytes of records that may wait for the writer; beyond that [`Wal::submit`] refuses and [`Wal::append`] waits.
    pub queue_bytes: usize,
    /// How long a generation lasts, in milliseconds. Shorter: old segments go earlier, series are defined more often
    /// (about 30 bytes each).
    pub generation_ms: i64,
    /// The log begins in this generation or a later one: above those of all snapshots, also when nothing is left of the log.
    pub first_generation: Generation,
    /// Any number that outsiders cannot know. It is mixed into checksums, so that nobody can hide a well-formed record
    /// inside a sample and have it found when a damaged segment is searched.
    pub salt: u64,
}

impl Default for WalConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 128 << 20,
            sync: SyncPolicy::Interval(Duration::from_secs(1)),
            queue_bytes: 64 << 20,
            generation_ms: 2 * 60 * 60 * 1000,
            first_generation: Generation(1),
            salt: 0,
        }
    }
}

/// A generation of the log; see the module's description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Generation(pub u32);

/// One push, encoded by [`crate::Head::append`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WalRecord {
    /// The generation whose definitions it uses.
    pub generation: Generation,
    /// The newest timestamp of its samples.
    pub max_t: i64,
    /// The encoded sections.
    pub body: Vec<u8>,
}

/// Why a record is not in the log.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WalError {
    /// The disk is full. Nothing was written; the log goes on when there is space again.
    #[error("no space left for the write-ahead log in {dir}")]
    Full {
        /// The log's folder.
        dir: PathBuf,
    },
    /// Reading, writing or syncing failed.
    #[error("could not {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: Arc<std::io::Error>,
    },
    /// More waits than `queue_bytes`.
    #[error("write-ahead log is behind: more than {limit} bytes wait (wal.queue_bytes)")]
    Overloaded {
        /// The limit.
        limit: usize,
    },
    /// The record is larger than a reader would accept.
    #[error("write-ahead log record of {len} bytes is larger than {max}")]
    TooLarge {
        /// Its length.
        len: usize,
        /// What a reader accepts, 64 MiB.
        max: usize,
    },
    /// The record uses definitions of a generation whose segment could not be synced. Repeat the push.
    #[error("write-ahead log lost the generation that this record was encoded for")]
    GenerationLost,
    /// The log is closed.
    #[error("write-ahead log is closed")]
    Closed,
}

/// Called once with the outcome of [`Wal::submit`], on the writer's thread: it must be short and must not block.
pub type Completion = Box<dyn FnOnce(Result<(), WalError>) + Send>;

/// The write-ahead log. Dropping it writes what waits, syncs, and ends its threads.
#[derive(Debug)]
pub struct Wal {
    shared: Arc<state::Shared>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Wal {
    /// Opens the log in `dir`, which is made if it is not there. It takes records at once, in a new generation and, with the
    /// first of them, a new segment; what earlier processes left is in the [`Replay`]. Nothing of that is deleted before it is replayed.
    pub fn open(dir: impl Into<PathBuf>, config: WalConfig, fs: Arc<dyn Fs>) -> Result<(Self, Replay), WalError> {
        state::open(dir.into(), config, fs)
    }

    /// The generation for [`crate::Head::append`].
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.shared.generation()
    }

    /// Writes a record; blocks until it is in the log (and on the disk, with [`SyncPolicy::Always`]).
    pub fn append(&self, tenant: &TenantId, record: WalRecord) -> Result<(), WalError> {
        queue::append(&self.shared, tenant, record)
    }

    /// Hands a record to the writer without waiting; `done` is called when it is in the log. On an error here, and only
    /// then, `done` is not called.
    pub fn submit(&self, tenant: &TenantId, record: WalRecord, done: Completion) -> Result<(), WalError> {
        queue::submit(&self.shared, tenant, record, done)
    }

    /// Deletes the generations of which no head needs a sample: those whose samples are all older than `before_ms` (the
    /// least `before_ms` of all tenants' [`crate::Head::truncate`]). Begins a new generation when the current one is older
    /// than `generation_ms`. Call it every few minutes.
    pub fn truncate(&self, now_ms: i64, before_ms: i64) -> Result<WalTruncated, WalError> {
        self.shared.truncate(now_ms, before_ms)
    }

    /// Begins a new generation for a snapshot. Records that are encoded from now on are of it or of later ones.
    pub fn begin_generation(&self) -> Generation {
        self.shared.begin_generation()
    }

    /// Deletes the segments of which a snapshot of generation `from` makes all records dispensable: those that have only records of generations before.
    /// Segments that have not been replayed count by their headers.
    pub fn release(&self, from: Generation) -> Result<WalTruncated, WalError> {
        self.shared.delete_before(from)
    }

    /// Makes everything written so far durable.
    pub fn sync(&self) -> Result<(), WalError> {
        self.shared.sync()
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> WalStats {
        self.shared.stats()
    }
}

impl Drop for Wal {
    fn drop(&mut self) {
        self.shared.close();
        for thread in self.threads.drain(..) {
            // A panic of the thread has been reported by the panic hook; there is nothing to add.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
