//! What a member keeps over restarts, and the log on it.
//!
//! As the coordinator's store does it: votes and entries are on disk before anyone hears of them, the applied state is not synced, and both are in one file that is written in order. So
//! when power is cut, the state may be as it was at any synced write; here it is as it was at the last.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::RangeBounds;
use std::sync::Arc;

use coordinator::machine::State;
use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{BasicNode, LogState, RaftLogReader, SnapshotMeta, StorageError, Vote};
use parking_lot::Mutex;

use crate::chance;
use crate::history::History;
use crate::types::{Entry, LogId, Membership, Types};

/// What a lying disk loses.
const ENTRIES_FORGOTTEN: usize = 8;

/// The applied state.
#[derive(Debug, Clone, Default)]
pub(crate) struct Applied {
    pub(crate) at: Option<LogId>,
    pub(crate) membership: Membership,
    pub(crate) state: State,
}

#[derive(Debug, Default)]
pub(crate) struct Content {
    /// Which start of the process may write: an earlier one is dead, whatever it still does.
    boot: u64,
    vote: Option<Vote<u64>>,
    log: BTreeMap<u64, Entry>,
    purged: Option<LogId>,
    pub(crate) applied: Applied,
    synced: Applied,
    pub(crate) snapshot: Option<(SnapshotMeta<u64, BasicNode>, Vec<u8>)>,
}

/// A disk. Clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<Content>>);

impl Disk {
    /// A process starts on it; any that was there is dead.
    pub(crate) fn boot(&self) -> Writer {
        let mut content = self.0.lock();
        content.boot += 1;
        Writer { disk: self.clone(), boot: content.boot }
    }

    /// The process that is on it dies; what it had not synced is lost as well if the power goes.
    pub(crate) fn crash(&self, power: bool) {
        let mut content = self.0.lock();
        content.boot += 1;
        if power {
            content.applied = content.synced.clone();
        }
    }

    /// A disk that lies: the vote and the last entries were never on it.
    pub(crate) fn forget(&self) {
        let mut content = self.0.lock();
        content.vote = None;
        let kept = content.log.len().saturating_sub(ENTRIES_FORGOTTEN);
        let first = content.log.keys().nth(kept).copied();
        if let Some(first) = first {
            content.log.split_off(&first);
        }
        content.applied = content.synced.clone();
    }
}

/// A process's hold on a disk.
#[derive(Clone)]
pub(crate) struct Writer {
    disk: Disk,
    boot: u64,
}

impl Writer {
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Content) -> T) -> T {
        read(&self.disk.0.lock())
    }

    /// Never returns in a process that is dead.
    async fn change<T>(&self, change: impl FnOnce(&mut Content) -> T) -> T {
        let done = {
            let mut content = self.disk.0.lock();
            (content.boot == self.boot).then(|| change(&mut content))
        };
        match done {
            Some(done) => done,
            None => std::future::pending().await,
        }
    }

    /// What need not be on disk yet.
    pub(crate) async fn write<T>(&self, change: impl FnOnce(&mut Content) -> T) -> T {
        self.change(change).await
    }

    /// On disk when it returns, and all that was written before.
    pub(crate) async fn sync<T>(&self, change: impl FnOnce(&mut Content) -> T) -> T {
        let slow = if chance::one_in(60) { 400 } else { 4 };
        tokio::time::sleep(chance::ms(0, slow)).await;
        self.change(|content| {
            let done = change(content);
            if content.synced.at != content.applied.at {
                content.synced = content.applied.clone();
            }
            done
        })
        .await
    }
}

/// The log.
#[derive(Clone)]
pub(crate) struct LogStore {
    pub(crate) disk: Writer,
    pub(crate) history: Arc<History>,
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + Send>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError<u64>> {
        Ok(self.disk.read(|content| content.log.range(range).map(|(_, entry)| entry.clone()).collect()))
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError<u64>> {
        Ok(self.disk.read(|content| {
            let last = content.log.values().next_back().map(|entry| entry.log_id);
            LogState { last_purged_log_id: content.purged, last_log_id: last.or(content.purged) }
        }))
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Result<(), StorageError<u64>> {
        self.disk.sync(|content| content.vote = Some(*vote)).await;
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<u64>>, StorageError<u64>> {
        Ok(self.disk.read(|content| content.vote))
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Result<(), StorageError<u64>>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        self.disk.sync(|content| content.log.extend(entries.into_iter().map(|entry| (entry.log_id.index, entry)))).await;
        callback.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError<u64>> {
        let gone = self.disk.sync(|content| content.log.split_off(&log_id.index)).await;
        self.history.truncated(gone.values());
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError<u64>> {
        // As they are in one file, what is purged is never gone without the state that was made of it.
        let purge = |content: &mut Content| {
            content.log = content.log.split_off(&(log_id.index + 1));
            content.purged = Some(log_id);
        };
        self.disk.sync(purge).await;
        Ok(())
    }
}
