//! The Raft log and the vote.

use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};

use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{AnyError, Entry, LogId, LogState, RaftLogReader, StorageError, StorageIOError, Vote};
use runtime::failpoint::{self, Failpoint};

use crate::raft::Types;
use crate::store::{Db, Durability, LOG, META, Op, StoreError, from_json, put};

const VOTE_KEY: &[u8] = b"vote";
const PURGED_KEY: &[u8] = b"purged";

/// Greater than every index.
const END: [u8; 9] = [0xff; 9];

/// Entries in one read for a follower; an entry is below 2 KiB.
const ENTRIES_PER_READ: u64 = 256;

/// The log in RocksDB. Clones read and write the same one; openraft lets only one of them write.
#[derive(Clone)]
pub(crate) struct LogStore {
    db: Db,
}

impl LogStore {
    pub(crate) fn new(db: Db) -> Self {
        Self { db }
    }

    fn entries(&self, from: u64, below: Option<u64>) -> Result<Vec<Entry<Types>>, StoreError> {
        let mut entries = Vec::new();
        self.db.scan(LOG, &from.to_be_bytes(), |key, value| {
            let index = index_of(key)?;
            if below.is_some_and(|below| index >= below) {
                return Ok(false);
            }
            entries.push(from_json(key, value)?);
            Ok(true)
        })?;
        Ok(entries)
    }

    fn state(&self) -> Result<LogState<Types>, StoreError> {
        let purged: Option<LogId<u64>> = self.db.get_json(META, PURGED_KEY)?;
        let last = self.db.last(LOG)?.map(|(key, value)| from_json::<Entry<Types>>(&key, &value)).transpose()?;
        Ok(LogState { last_purged_log_id: purged, last_log_id: last.map(|entry| entry.log_id).or(purged) })
    }
}

fn index_of(key: &[u8]) -> Result<u64, StoreError> {
    let bytes = key.try_into().map_err(|_| StoreError::Corrupt(format!("the key of a log entry has {} bytes, not 8", key.len())))?;
    Ok(u64::from_be_bytes(bytes))
}

fn write_error(error: &StoreError) -> StorageError<u64> {
    StorageIOError::write_logs(AnyError::new(error)).into()
}

fn read_error(error: &StoreError) -> StorageError<u64> {
    StorageIOError::read_logs(AnyError::new(error)).into()
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + Send>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry<Types>>, StorageError<u64>> {
        let from = match range.start_bound() {
            Bound::Included(&index) => index,
            Bound::Excluded(&index) => index.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let below = match range.end_bound() {
            Bound::Included(&index) => index.checked_add(1),
            Bound::Excluded(&index) => Some(index),
            Bound::Unbounded => None,
        };
        self.entries(from, below).map_err(|e| read_error(&e))
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry<Types>>, StorageError<u64>> {
        self.entries(start, Some(end.min(start.saturating_add(ENTRIES_PER_READ)))).map_err(|e| read_error(&e))
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError<u64>> {
        self.state().map_err(|e| read_error(&e))
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Result<(), StorageError<u64>> {
        let write = async {
            failpoint::hit(Failpoint::RaftVote).await?;
            self.db.write(vec![put(META, VOTE_KEY, vote)?], Durability::Synced).await
        };
        write.await.map_err(|e: StoreError| StorageIOError::write_vote(AnyError::new(&e)).into())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<u64>>, StorageError<u64>> {
        self.db.get_json(META, VOTE_KEY).map_err(|e| StorageIOError::read_vote(AnyError::new(&e)).into())
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Result<(), StorageError<u64>>
    where
        I: IntoIterator<Item = Entry<Types>> + Send,
        I::IntoIter: Send,
    {
        let ops = entries.into_iter().map(|entry| put(LOG, &entry.log_id.index.to_be_bytes(), &entry)).collect::<Result<Vec<_>, _>>();
        let write = async {
            failpoint::hit(Failpoint::RaftAppend).await?;
            self.db.write(ops?, Durability::Synced).await
        };
        let written = write.await;
        match written {
            Ok(()) => {
                callback.log_io_completed(Ok(()));
                Ok(())
            }
            Err(error) => {
                callback.log_io_completed(Err(std::io::Error::other(error.to_string())));
                Err(write_error(&error))
            }
        }
    }

    async fn truncate(&mut self, log_id: LogId<u64>) -> Result<(), StorageError<u64>> {
        let op = Op::DeleteRange(LOG, log_id.index.to_be_bytes().to_vec(), END.to_vec());
        self.db.write(vec![op], Durability::Synced).await.map_err(|e| write_error(&e))
    }

    async fn purge(&mut self, log_id: LogId<u64>) -> Result<(), StorageError<u64>> {
        // Not synced: entries that come back after a power cut are purged again.
        let write = async {
            let entries = Op::DeleteRange(LOG, 0u64.to_be_bytes().to_vec(), log_id.index.saturating_add(1).to_be_bytes().to_vec());
            self.db.write(vec![put(META, PURGED_KEY, &log_id)?, entries], Durability::Buffered).await
        };
        write.await.map_err(|e: StoreError| write_error(&e))
    }
}
