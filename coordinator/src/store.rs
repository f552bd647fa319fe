//! The Raft log and the state, in one RocksDB. The layout is in `docs/formats/raft.md`.
//!
//! Votes, log entries and installed snapshots are on disk before anyone hears of them (RocksDB's WAL, with fsync). Applied commands are not
//! synced: they are in the log, and what was lost of the state is applied again. As both are in one WAL, a purge of the log can
//! never be on disk without the state that makes the purged entries superfluous.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rocksdb::{ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, Options, WriteBatch, WriteOptions};
use runtime::Tasks;
use runtime::failpoint::Injected;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::error::Error;

pub(crate) mod log;
pub(crate) mod snapshot;
pub(crate) mod state_machine;

/// Vote, purge mark, format and node number.
pub(crate) const META: &str = "meta";
/// Entries by index, big-endian.
pub(crate) const LOG: &str = "log";
/// The applied state: its head and one row per instance.
pub(crate) const STATE: &str = "state";
/// The last snapshot.
pub(crate) const SNAPSHOT: &str = "snapshot";

const FORMAT_KEY: &[u8] = b"format";
const FORMAT: &[u8] = b"plimsoll-raft/1";
const NODE_KEY: &[u8] = b"node";

/// The store holds a few megabytes at most; RocksDB's defaults are for gigabytes.
const WRITE_BUFFER_BYTES: usize = 4 << 20;
const MAX_WAL_BYTES: u64 = 16 << 20;

/// What went wrong in the store.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error(transparent)]
    Rocks(#[from] rocksdb::Error),
    #[error("what is stored under {key:?} is not what it should be: {source}")]
    Json { key: String, source: serde_json::Error },
    #[error("{0}")]
    Corrupt(String),
    #[error(transparent)]
    Injected(#[from] Injected),
}

/// One change of the store.
pub(crate) enum Op {
    Put(&'static str, Vec<u8>, Vec<u8>),
    Delete(&'static str, Vec<u8>),
    /// From the first key (inclusive) to the second (exclusive).
    DeleteRange(&'static str, Vec<u8>, Vec<u8>),
}

/// A key and its value.
pub(crate) type Row = (Box<[u8]>, Box<[u8]>);

/// Whether a write is on disk when it returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    Synced,
    Buffered,
}

/// The open database. Closed when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Db {
    open: Arc<Open>,
    tasks: Tasks,
}

/// Fields are dropped in this order: the database is closed when the sender goes.
struct Open {
    rocks: DB,
    closed: watch::Sender<()>,
}

impl Db {
    /// Opens the store, or makes it.
    pub(crate) fn open(path: &Path, tasks: Tasks) -> Result<Self, Error> {
        let failed = |problem: String| Error::Store { path: PathBuf::from(path), problem };
        std::fs::create_dir_all(path).map_err(|e| failed(e.to_string()))?;
        let families = [META, LOG, STATE, SNAPSHOT].map(|name| ColumnFamilyDescriptor::new(name, options()));
        let rocks = DB::open_cf_descriptors(&options(), path, families).map_err(|e| failed(e.to_string()))?;
        let db = Self { open: Arc::new(Open { rocks, closed: watch::Sender::new(()) }), tasks };
        match db.get(META, FORMAT_KEY).map_err(|e| failed(e.to_string()))? {
            Some(format) if format == FORMAT => {}
            Some(other) => return Err(failed(format!("its format is {:?}, not {FORMAT:?}", String::from_utf8_lossy(&other)))),
            None => {
                let mark = Op::Put(META, FORMAT_KEY.to_vec(), FORMAT.to_vec());
                db.write_blocking(vec![mark], Durability::Synced).map_err(|e| failed(e.to_string()))?;
            }
        }
        Ok(db)
    }

    /// Tells when the store is closed.
    pub(crate) fn watch_close(&self) -> StoreCloses {
        StoreCloses(self.open.closed.subscribe())
    }

    /// The number of this member: the one that was taken when the store was made, else `proposed`, from now on.
    pub(crate) fn node_id(&self, proposed: u64) -> Result<u64, StoreError> {
        if let Some(id) = self.stored_node_id()? {
            return Ok(id);
        }
        self.set_node_id(proposed)?;
        Ok(proposed)
    }

    /// The number of this member, if the store has one.
    pub(crate) fn stored_node_id(&self) -> Result<Option<u64>, StoreError> {
        self.get_json(META, NODE_KEY)
    }

    /// Takes a number for the next start. Only while the store has neither log nor vote.
    pub(crate) fn set_node_id(&self, id: u64) -> Result<(), StoreError> {
        self.write_blocking(vec![put(META, NODE_KEY, &id)?], Durability::Synced)
    }

    pub(crate) fn get(&self, family: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.open.rocks.get_cf(self.family(family)?, key)?)
    }

    pub(crate) fn get_json<T: DeserializeOwned>(&self, family: &str, key: &[u8]) -> Result<Option<T>, StoreError> {
        self.get(family, key)?.map(|value| from_json(key, &value)).transpose()
    }

    /// Calls `visit` with entries from `start` on, ascending, until it says false.
    pub(crate) fn scan(
        &self,
        family: &str,
        start: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let mode = rocksdb::IteratorMode::From(start, rocksdb::Direction::Forward);
        for entry in self.open.rocks.iterator_cf(self.family(family)?, mode) {
            let (key, value) = entry?;
            if !visit(&key, &value)? {
                break;
            }
        }
        Ok(())
    }

    /// Key and value with the greatest key.
    pub(crate) fn last(&self, family: &str) -> Result<Option<Row>, StoreError> {
        Ok(self.open.rocks.iterator_cf(self.family(family)?, rocksdb::IteratorMode::End).next().transpose()?)
    }

    /// Writes all or nothing, away from the I/O threads: an fsync takes milliseconds, and a busy disk makes it seconds.
    pub(crate) async fn write(&self, ops: Vec<Op>, durability: Durability) -> Result<(), StoreError> {
        let db = self.clone();
        let written = self.tasks.spawn_blocking(move || db.write_blocking(ops, durability)).await;
        written.map_err(|e| StoreError::Corrupt(format!("the write did not end: {e}")))?
    }

    fn write_blocking(&self, ops: Vec<Op>, durability: Durability) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        for op in ops {
            match op {
                Op::Put(family, key, value) => batch.put_cf(self.family(family)?, key, value),
                Op::Delete(family, key) => batch.delete_cf(self.family(family)?, key),
                Op::DeleteRange(family, from, to) => batch.delete_range_cf(self.family(family)?, from, to),
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(durability == Durability::Synced);
        Ok(self.open.rocks.write_opt(batch, &options)?)
    }

    fn family(&self, name: &str) -> Result<&ColumnFamily, StoreError> {
        self.open.rocks.cf_handle(name).ok_or_else(|| StoreError::Corrupt(format!("there is no column family {name:?}")))
    }
}

/// Outlives the store.
pub(crate) struct StoreCloses(watch::Receiver<()>);

impl StoreCloses {
    /// Waits until the last user of the store has let go of it and it is closed, at most `timeout`; whether that has happened. Openraft's
    /// tasks end some time after its shutdown, without telling.
    pub(crate) async fn wait(mut self, timeout: Duration) -> bool {
        // Nothing is ever sent: the only change is that the sender is gone.
        tokio::time::timeout(timeout, self.0.changed()).await.is_ok()
    }
}

/// A value as JSON.
pub(crate) fn put<T: Serialize>(family: &'static str, key: &[u8], value: &T) -> Result<Op, StoreError> {
    let json = serde_json::to_vec(value).map_err(|source| StoreError::Json { key: name_of(key), source })?;
    Ok(Op::Put(family, key.to_vec(), json))
}

pub(crate) fn from_json<T: DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(value).map_err(|source| StoreError::Json { key: name_of(key), source })
}

fn name_of(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}

fn options() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_write_buffer_size(WRITE_BUFFER_BYTES);
    options.set_max_total_wal_size(MAX_WAL_BYTES);
    options.set_compression_type(DBCompressionType::None);
    options.set_keep_log_file_num(2);
    options.set_max_open_files(64);
    options.set_max_background_jobs(2);
    // A write that was cut off by a power cut at the end of the WAL was never acknowledged; anything else that is wrong is an error.
    options.set_wal_recovery_mode(rocksdb::DBRecoveryMode::TolerateCorruptedTailRecords);
    options
}

#[cfg(test)]
mod tests;
