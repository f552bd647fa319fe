//! The state machine as openraft drives it: applies commands to the pure [`State`], writes what changed, tells watchers.

use std::io::Cursor;
use std::sync::Arc;

use openraft::storage::RaftStateMachine;
use openraft::{
    AnyError, BasicNode, Entry, EntryPayload, LogId, RaftSnapshotBuilder, Snapshot, SnapshotMeta, StorageError, StorageIOError,
    StoredMembership,
};
use parking_lot::RwLock;
use ring::ClusterSnapshot;
use runtime::failpoint::{self, Failpoint};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::machine::{Applied, Header, MemberKey, Record, Reply, State};
use crate::raft::Types;
use crate::store::snapshot::{decode, encode};
use crate::store::{Db, Durability, Op, SNAPSHOT, STATE, StoreError, from_json, put};
use rpc::KeyEntry;

const HEAD_KEY: &[u8] = b"head";
const MEMBER_PREFIX: &[u8] = b"member/";
/// Greater than every key of an instance.
const MEMBER_END: &[u8] = b"member0";
const VALUE_PREFIX: &[u8] = b"value/";
/// Greater than the key of every small value.
const VALUE_END: &[u8] = b"value0";
const META_KEY: &[u8] = b"meta";
const DATA_KEY: &[u8] = b"data";

type Meta = SnapshotMeta<u64, BasicNode>;

/// What the rest of the role sees of the state. Cheap to clone.
#[derive(Clone)]
pub(crate) struct SharedState {
    /// Written by the state machine only; held for moments, never across an await.
    pub(crate) state: Arc<RwLock<State>>,
    snapshots: Arc<watch::Sender<Arc<ClusterSnapshot>>>,
    /// The last version of the small values.
    keys: Arc<watch::Sender<u64>>,
}

impl SharedState {
    fn new(state: State) -> Self {
        let (snapshots, _) = watch::channel(Arc::new(state.snapshot()));
        let keys = watch::Sender::new(state.header().keys.last);
        Self { state: Arc::new(RwLock::new(state)), snapshots: Arc::new(snapshots), keys: Arc::new(keys) }
    }

    /// Follows the last version of the small values; the current one counts as seen.
    pub(crate) fn subscribe_keys(&self) -> watch::Receiver<u64> {
        self.keys.subscribe()
    }

    /// Follows the snapshots; the current one counts as seen.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<ClusterSnapshot>> {
        self.snapshots.subscribe()
    }

    fn publish(&self) {
        let state = self.state.read();
        self.keys.send_if_modified(|last| std::mem::replace(last, state.header().keys.last) != state.header().keys.last);
        // Whatever a watcher sees changes the version, and most changes of small values are none of it.
        let header = state.header();
        let known = |current: &ClusterSnapshot| current.version == header.version && current.cluster_id == header.cluster_id;
        if known(&self.snapshots.borrow()) {
            return;
        }
        let snapshot = Arc::new(state.snapshot());
        drop(state);
        self.snapshots.send_replace(snapshot);
    }
}

/// What is written beside the instances, together with them: how far the log is applied.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Head {
    applied: Option<LogId<u64>>,
    membership: StoredMembership<u64, BasicNode>,
    #[serde(flatten)]
    header: Header,
}

/// The state machine in RocksDB.
pub(crate) struct StateMachine {
    db: Db,
    shared: SharedState,
    applied: Option<LogId<u64>>,
    membership: StoredMembership<u64, BasicNode>,
}

impl StateMachine {
    /// Reads the state that was applied last.
    pub(crate) fn open(db: Db) -> Result<Self, StoreError> {
        let head: Head = db.get_json(STATE, HEAD_KEY)?.unwrap_or_default();
        let mut records: Vec<Record> = Vec::new();
        db.scan(STATE, MEMBER_PREFIX, |key, value| {
            let ours = key.starts_with(MEMBER_PREFIX);
            if ours {
                records.push(from_json(key, value)?);
            }
            Ok(ours)
        })?;
        let mut values: Vec<(String, KeyEntry)> = Vec::new();
        db.scan(STATE, VALUE_PREFIX, |key, value| {
            let name = key.strip_prefix(VALUE_PREFIX);
            if let Some(name) = name {
                values.push((String::from_utf8_lossy(name).into_owned(), from_json(key, value)?));
            }
            Ok(name.is_some())
        })?;
        let shared = SharedState::new(State::of(head.header, records, values));
        Ok(Self { db, shared, applied: head.applied, membership: head.membership })
    }

    pub(crate) fn shared(&self) -> SharedState {
        self.shared.clone()
    }

    /// Applies one entry in memory; what has to be written is added to `ops`.
    fn step(&mut self, entry: Entry<Types>, ops: &mut Vec<Op>) -> Result<Reply, StoreError> {
        self.applied = Some(entry.log_id);
        match entry.payload {
            EntryPayload::Blank => Ok(Reply::Done),
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(entry.log_id), membership);
                Ok(Reply::Done)
            }
            EntryPayload::Normal(command) => {
                let mut state = self.shared.state.write();
                let Applied { reply, member, keys } = state.apply(command);
                for key in keys {
                    ops.push(match state.keys().get(&key) {
                        Some(entry) => put(STATE, &value_key(&key), entry)?,
                        None => Op::Delete(STATE, value_key(&key)),
                    });
                }
                if let Some(member) = member {
                    ops.push(match state.get(&member) {
                        Some(record) => put(STATE, &member_key(&member), record)?,
                        None => Op::Delete(STATE, member_key(&member)),
                    });
                }
                Ok(reply)
            }
        }
    }

    fn head(&self) -> Result<Op, StoreError> {
        let header = self.shared.state.read().header().clone();
        put(STATE, HEAD_KEY, &Head { applied: self.applied, membership: self.membership.clone(), header })
    }

    async fn apply_all(&mut self, entries: impl Iterator<Item = Entry<Types>> + Send) -> Result<Vec<Reply>, StoreError> {
        let mut ops = Vec::new();
        let mut replies = Vec::new();
        for entry in entries {
            replies.push(self.step(entry, &mut ops)?);
        }
        ops.push(self.head()?);
        self.db.write(ops, Durability::Buffered).await?;
        self.shared.publish();
        Ok(replies)
    }

    async fn install(&mut self, meta: &Meta, bytes: Vec<u8>) -> Result<(), StoreError> {
        let state = decode(&bytes)?;
        let mut ops = vec![
            Op::DeleteRange(STATE, MEMBER_PREFIX.to_vec(), MEMBER_END.to_vec()),
            Op::DeleteRange(STATE, VALUE_PREFIX.to_vec(), VALUE_END.to_vec()),
        ];
        for (key, entry) in state.keys().rows() {
            ops.push(put(STATE, &value_key(key), entry)?);
        }
        for (member, record) in state.records() {
            ops.push(put(STATE, &member_key(member), record)?);
        }
        *self.shared.state.write() = state;
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        ops.push(self.head()?);
        ops.push(put(SNAPSHOT, META_KEY, meta)?);
        ops.push(Op::Put(SNAPSHOT, DATA_KEY.to_vec(), bytes));
        // Synced: entries that the snapshot replaces may never come again.
        self.db.write(ops, Durability::Synced).await?;
        self.shared.publish();
        Ok(())
    }

    fn current_snapshot(&self) -> Result<Option<Snapshot<Types>>, StoreError> {
        let meta: Option<Meta> = self.db.get_json(SNAPSHOT, META_KEY)?;
        let data = self.db.get(SNAPSHOT, DATA_KEY)?;
        Ok(meta.zip(data).map(|(meta, data)| Snapshot { meta, snapshot: Box::new(Cursor::new(data)) }))
    }
}

fn value_key(key: &str) -> Vec<u8> {
    [VALUE_PREFIX, key.as_bytes()].concat()
}

fn member_key((role, id): &MemberKey) -> Vec<u8> {
    [MEMBER_PREFIX, role.as_str().as_bytes(), b"/", id.as_str().as_bytes()].concat()
}

impl RaftStateMachine<Types> for StateMachine {
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId<u64>>, StoredMembership<u64, BasicNode>), StorageError<u64>> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Reply>, StorageError<u64>>
    where
        I: IntoIterator<Item = Entry<Types>> + Send,
        I::IntoIter: Send,
    {
        self.apply_all(entries.into_iter()).await.map_err(|e| StorageIOError::write_state_machine(AnyError::new(&e)).into())
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        let state = self.shared.state.read().clone();
        SnapshotBuilder { db: self.db.clone(), state, applied: self.applied, membership: self.membership.clone() }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError<u64>> {
        Ok(Box::default())
    }

    async fn install_snapshot(&mut self, meta: &Meta, snapshot: Box<Cursor<Vec<u8>>>) -> Result<(), StorageError<u64>> {
        let installed = self.install(meta, snapshot.into_inner()).await;
        installed.map_err(|e| StorageIOError::write_snapshot(Some(meta.signature()), AnyError::new(&e)).into())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError<u64>> {
        self.current_snapshot().map_err(|e| StorageIOError::read_snapshot(None, AnyError::new(&e)).into())
    }
}

/// A view of the state at one moment.
pub(crate) struct SnapshotBuilder {
    db: Db,
    state: State,
    applied: Option<LogId<u64>>,
    membership: StoredMembership<u64, BasicNode>,
}

impl SnapshotBuilder {
    async fn build(&self) -> Result<Snapshot<Types>, StoreError> {
        failpoint::hit(Failpoint::RaftSnapshot).await?;
        let data = encode(&self.state)?;
        // Two snapshots of one log position hold the same bytes, so the position is name enough.
        let snapshot_id = self.applied.map_or_else(|| "empty".to_owned(), |id| format!("{}-{}", id.leader_id, id.index));
        let meta = Meta { last_log_id: self.applied, last_membership: self.membership.clone(), snapshot_id };
        let ops = vec![put(SNAPSHOT, META_KEY, &meta)?, Op::Put(SNAPSHOT, DATA_KEY.to_vec(), data.clone())];
        self.db.write(ops, Durability::Buffered).await?;
        Ok(Snapshot { meta, snapshot: Box::new(Cursor::new(data)) })
    }
}

impl RaftSnapshotBuilder<Types> for SnapshotBuilder {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, StorageError<u64>> {
        self.build().await.map_err(|e| StorageIOError::write_snapshot(None, AnyError::new(&e)).into())
    }
}
