use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use parking_lot::Mutex;
use ring::{ClusterSnapshot, InstanceId, InstanceState, Role};
use runtime::{ManualClock, ShutdownTrigger, Tasks};

use super::ClusterWatch;
use crate::coordinator::{CoordinatorClient, Lease, Registration, SnapshotStream};
use crate::error::RpcError;
use crate::metadata::ClusterIdentity;

/// Plays one prepared stream per call; then cannot be reached.
struct Streams(Mutex<VecDeque<(Vec<ClusterSnapshot>, bool)>>);

#[async_trait]
impl CoordinatorClient for Streams {
    async fn register(&self, _: Registration) -> Result<Lease, RpcError> {
        Err(RpcError::unavailable("not here"))
    }
    async fn renew(&self, _: Role, _: &InstanceId, _: u64) -> Result<(), RpcError> {
        Err(RpcError::unavailable("not here"))
    }
    async fn set_state(&self, _: Role, _: &InstanceId, _: u64, _: InstanceState) -> Result<(), RpcError> {
        Err(RpcError::unavailable("not here"))
    }
    async fn deregister(&self, _: Role, _: &InstanceId, _: u64) -> Result<(), RpcError> {
        Err(RpcError::unavailable("not here"))
    }
    async fn watch(&self) -> Result<SnapshotStream, RpcError> {
        let (snapshots, stays_open) = self.0.lock().pop_front().ok_or_else(|| RpcError::unavailable("nobody there"))?;
        let stream = futures::stream::iter(snapshots.into_iter().map(Ok));
        Ok(if stays_open { stream.chain(futures::stream::pending()).boxed() } else { stream.boxed() })
    }
}

fn snapshot(cluster: &str, version: u64) -> ClusterSnapshot {
    ClusterSnapshot { cluster_id: cluster.to_owned(), version, instances: Vec::new() }
}

#[tokio::test(start_paused = true)]
async fn keeps_the_newest_of_its_own_cluster() {
    let streams = VecDeque::from([
        (vec![snapshot("c", 3), snapshot("c", 5)], false),
        // A lagging member, then one of a foreign cluster, then a good one that stays.
        (vec![snapshot("c", 4)], false),
        (vec![snapshot("other", 99)], false),
        (vec![snapshot("c", 6)], true),
    ]);
    let clock = ManualClock::at(0);
    let (tasks, (trigger, shutdown)) = (Tasks::new(), ShutdownTrigger::new());
    let identity = ClusterIdentity::new();
    let client = Arc::new(Streams(Mutex::new(streams)));
    let watch = ClusterWatch::start(client, identity.clone(), Arc::new(clock.clone()), &tasks, shutdown);
    clock.advance(Duration::from_secs(7));
    assert_eq!(watch.current().version, 0);
    assert_eq!(watch.age(), Duration::from_secs(7), "never seen");
    let mut versions = Vec::new();
    let mut receiver = watch.receiver();
    while versions.last() != Some(&6) {
        receiver.changed().await.unwrap();
        versions.push(receiver.borrow_and_update().version);
    }
    assert_eq!(versions.iter().copied().filter(|v| *v < 5 && *v != 3).count(), 0, "{versions:?}");
    assert!(versions.is_sorted());
    assert_eq!(identity.get(), Some("c"));
    assert_eq!(watch.age(), Duration::ZERO);
    trigger.fire();
    tasks.drain(Duration::from_secs(1)).await.unwrap();
    assert_eq!(watch.current().version, 6, "the last snapshot outlives the watch");
}

#[tokio::test(start_paused = true)]
async fn keeps_the_last_snapshot_when_the_group_is_gone() {
    let clock = ManualClock::at(0);
    let (tasks, (_trigger, shutdown)) = (Tasks::new(), ShutdownTrigger::new());
    let client = Arc::new(Streams(Mutex::new(VecDeque::from([(vec![snapshot("c", 1)], false)]))));
    let watch = ClusterWatch::start(client, ClusterIdentity::new(), Arc::new(clock.clone()), &tasks, shutdown);
    watch.receiver().changed().await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    clock.advance(Duration::from_secs(60));
    assert_eq!(watch.current().version, 1);
    assert_eq!(watch.age(), Duration::from_secs(60));
}
