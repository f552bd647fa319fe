use openraft::storage::{RaftLogStorage, RaftStateMachine};
use openraft::testing::{StoreBuilder, Suite};
use openraft::{CommittedLeaderId, Entry, EntryPayload, LogId, RaftLogReader, RaftSnapshotBuilder, StorageError, Vote};
use ring::{InstanceId, InstanceState, Role};
use runtime::Tasks;
use tempfile::TempDir;

use super::log::LogStore;
use super::state_machine::StateMachine;
use super::{Db, FORMAT_KEY, META, Op};
use crate::machine::Command;
use crate::raft::Types;

struct Builder;

fn open(dir: &TempDir) -> (LogStore, StateMachine) {
    let db = Db::open(dir.path(), Tasks::new()).unwrap();
    (LogStore::new(db.clone()), StateMachine::open(db).unwrap())
}

impl StoreBuilder<Types, LogStore, StateMachine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, StateMachine), StorageError<u64>> {
        let dir = tempfile::tempdir().unwrap();
        let (log, machine) = open(&dir);
        Ok((dir, log, machine))
    }
}

/// openraft's own conformance suite.
#[test]
fn the_store_does_what_openraft_asks() {
    Suite::test_all(Builder).unwrap();
}

fn id(index: u64) -> LogId<u64> {
    LogId::new(CommittedLeaderId::new(1, 1), index)
}

fn register(index: u64, name: &str) -> Entry<Types> {
    let command = Command::Register {
        id: InstanceId::new(name).unwrap(),
        role: Role::Ingester,
        address: "127.0.0.1:9095".to_owned(),
        zone: "a".to_owned(),
        state: InstanceState::Joining,
        empty: false,
        now_ms: 5,
        version: String::new(),
    };
    Entry { log_id: id(index), payload: EntryPayload::Normal(command) }
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let before = {
        let (mut log, mut machine) = open(&dir);
        log.save_vote(&Vote::new_committed(7, 1)).await.unwrap();
        machine.apply([register(1, "a"), register(2, "b"), register(3, "a")]).await.unwrap();
        let gone = Command::Deregister { member: (Role::Ingester, InstanceId::new("b").unwrap()), epoch: 2 };
        machine.apply([Entry { log_id: id(4), payload: EntryPayload::Normal(gone) }]).await.unwrap();
        machine.shared().state.read().clone()
    };
    let (mut log, mut machine) = open(&dir);
    assert_eq!(log.read_vote().await.unwrap(), Some(Vote::new_committed(7, 1)));
    assert_eq!(*machine.shared().state.read(), before);
    assert_eq!(before.snapshot().instances.len(), 1);
    assert_eq!(before.snapshot().instances[0].epoch, 3);
    assert_eq!(machine.applied_state().await.unwrap().0, Some(id(4)));
}

#[tokio::test]
async fn a_snapshot_replaces_what_was_there_and_is_announced() {
    let (leader_dir, follower_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (_, mut leader) = open(&leader_dir);
    leader.apply([register(1, "a"), register(2, "b")]).await.unwrap();
    let snapshot = leader.get_snapshot_builder().await.build_snapshot().await.unwrap();
    {
        let (_, mut follower) = open(&follower_dir);
        follower.apply([register(1, "stale")]).await.unwrap();
        let mut watch = follower.shared().subscribe();
        follower.install_snapshot(&snapshot.meta, snapshot.snapshot).await.unwrap();
        assert!(watch.has_changed().unwrap());
        assert_eq!(watch.borrow_and_update().instances.len(), 2);
        assert_eq!(*follower.shared().state.read(), *leader.shared().state.read());
    }
    let (_, mut again) = open(&follower_dir);
    assert_eq!(*again.shared().state.read(), *leader.shared().state.read());
    assert_eq!(again.get_current_snapshot().await.unwrap().unwrap().meta, snapshot.meta);
    let broken = Box::new(std::io::Cursor::new(b"PLCOORD\x01nonsense".to_vec()));
    assert!(again.install_snapshot(&snapshot.meta, broken).await.is_err());
    assert_eq!(*again.shared().state.read(), *leader.shared().state.read(), "a broken snapshot changes nothing");
}

#[tokio::test]
async fn truncate_and_purge_leave_the_rest() {
    use openraft::storage::RaftLogStorageExt;
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _machine) = open(&dir);
    log.blocking_append((1..=10).map(|i| register(i, "a"))).await.unwrap();
    log.truncate(id(9)).await.unwrap();
    log.purge(id(3)).await.unwrap();
    let kept: Vec<u64> = log.try_get_log_entries(..).await.unwrap().iter().map(|entry| entry.log_id.index).collect();
    assert_eq!(kept, [4, 5, 6, 7, 8]);
    let state = log.get_log_state().await.unwrap();
    assert_eq!((state.last_purged_log_id, state.last_log_id), (Some(id(3)), Some(id(8))));
}

#[test]
fn a_store_of_another_format_and_an_open_one_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(dir.path(), Tasks::new()).unwrap();
    assert_eq!(db.node_id(17).unwrap(), 17);
    assert_eq!(db.node_id(18).unwrap(), 17, "a member keeps its number");
    assert!(Db::open(dir.path(), Tasks::new()).is_err(), "two processes on one store");
    db.write_blocking(vec![Op::Put(META, FORMAT_KEY.to_vec(), b"plimsoll-raft/9".to_vec())], super::Durability::Synced).unwrap();
    drop(db);
    let problem = Db::open(dir.path(), Tasks::new()).err().unwrap().to_string();
    assert!(problem.contains("plimsoll-raft/9"), "{problem}");
}
