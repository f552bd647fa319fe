//! The product's pure state behind openraft's trait, as `coordinator::store` has it.

use std::io::Cursor;
use std::sync::Arc;

use coordinator::machine::{Reply, State};
use openraft::storage::RaftStateMachine;
use openraft::{AnyError, BasicNode, EntryPayload, RaftSnapshotBuilder, Snapshot, SnapshotMeta, StorageError, StorageIOError};

use crate::disk::{Applied, Content, Writer};
use crate::history::History;
use crate::types::{Entry, LogId, Membership, Types};

type Meta = SnapshotMeta<u64, BasicNode>;

/// The state machine of a member.
#[derive(Clone)]
pub(crate) struct StateMachine {
    pub(crate) member: u64,
    pub(crate) disk: Writer,
    pub(crate) history: Arc<History>,
}

fn step(applied: &mut Applied, entry: &Entry) -> Reply {
    applied.at = Some(entry.log_id);
    match &entry.payload {
        EntryPayload::Blank => Reply::Done,
        EntryPayload::Membership(membership) => {
            applied.membership = Membership::new(Some(entry.log_id), membership.clone());
            Reply::Done
        }
        EntryPayload::Normal(command) => applied.state.apply(command.clone()).reply,
    }
}

impl RaftStateMachine<Types> for StateMachine {
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, Membership), StorageError<u64>> {
        Ok(self.disk.read(|content| (content.applied.at, content.applied.membership.clone())))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Reply>, StorageError<u64>>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let (entries, history, member): (Vec<Entry>, _, _) = (entries.into_iter().collect(), Arc::clone(&self.history), self.member);
        let apply = |content: &mut Content| {
            let one = |entry: &Entry| {
                let reply = step(&mut content.applied, entry);
                history.applied(member, entry, &reply, &content.applied.state);
                reply
            };
            entries.iter().map(one).collect()
        };
        Ok(self.disk.write(apply).await)
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError<u64>> {
        Ok(Box::default())
    }

    async fn install_snapshot(&mut self, meta: &Meta, snapshot: Box<Cursor<Vec<u8>>>) -> Result<(), StorageError<u64>> {
        let bytes = snapshot.into_inner();
        let broken = |e: serde_json::Error| StorageIOError::write_snapshot(Some(meta.signature()), AnyError::new(&e));
        let state: State = serde_json::from_slice(&bytes).map_err(broken)?;
        self.history.installed(self.member, meta.last_log_id, &state);
        let install = |content: &mut Content| {
            content.applied = Applied { at: meta.last_log_id, membership: meta.last_membership.clone(), state };
            content.snapshot = Some((meta.clone(), bytes));
        };
        self.disk.sync(install).await;
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError<u64>> {
        let current = self.disk.read(|content| content.snapshot.clone());
        Ok(current.map(|(meta, bytes)| Snapshot { meta, snapshot: Box::new(Cursor::new(bytes)) }))
    }
}

impl RaftSnapshotBuilder<Types> for StateMachine {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, StorageError<u64>> {
        let Applied { at, membership, state } = self.disk.read(|content| content.applied.clone());
        let failed = |e: serde_json::Error| StorageIOError::write_snapshot(None, AnyError::new(&e));
        let bytes = serde_json::to_vec(&state).map_err(failed)?;
        let snapshot_id = at.map_or_else(|| "empty".to_owned(), |id| format!("{}-{}", id.leader_id, id.index));
        let meta = Meta { last_log_id: at, last_membership: membership, snapshot_id };
        self.disk.sync(|content| content.snapshot = Some((meta.clone(), bytes.clone()))).await;
        Ok(Snapshot { meta, snapshot: Box::new(Cursor::new(bytes)) })
    }
}
