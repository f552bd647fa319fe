//! Leaving for good.

use std::time::Duration;

use ring::InstanceState;
use rpc::{IngesterClient, RpcErrorKind};
use runtime::Clock;

use super::rig::{Options, Rig, many, one};
use super::shipping::start_with;
use super::store::FaultyStore;
use crate::Config;
use crate::departure::Phase;

fn config() -> Config {
    Config { shutdown_settle_seconds: 60, ..Config::default() }
}

impl Rig {
    /// Steps until it has come so far; the loop of the ingester itself steps as well.
    async fn comes_to(&self, wanted: Phase) {
        for _ in 0..500 {
            if self.ingester.departure().phase == wanted {
                return;
            }
            self.ingester.shared.departure_step().await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{:?}, not {wanted:?}", self.ingester.departure());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_safe_when_the_index_shows_everything_and_has_settled() {
    let store = FaultyStore::default();
    let rig = start_with(&store, Options { config: config(), ..Options::default() }).await;
    rig.push("a", many("up", 50, 0)).await.unwrap();
    rig.push("b", one("up", [0, 15])).await.unwrap();
    let before = (rig.all("a").await, rig.all("b").await);
    assert_eq!(rig.ingester.departure().phase, Phase::NotRequested);

    rig.ingester.prepare_shutdown().await.unwrap();
    assert_eq!(rig.ingester.state(), InstanceState::ReadOnly);
    let refused = rig.push("a", one("up", [30])).await.unwrap_err();
    assert_eq!(refused.kind, RpcErrorKind::Unavailable, "another one takes it");
    assert!(refused.message.contains("read-only"), "{refused}");
    rig.comes_to(Phase::Indexing).await;
    let status = rig.ingester.departure();
    assert_eq!((status.blocks_to_ship, status.blocks_not_indexed, status.safe_to_remove), (0, 2, false));
    assert_eq!((rig.all("a").await, rig.all("b").await), before, "queries go on");

    store.show("a", rig.clock.now_ms()).await;
    rig.ingester.shared.departure_step().await;
    assert_eq!(rig.ingester.departure().blocks_not_indexed, 1);
    store.show("b", rig.clock.now_ms()).await;
    rig.comes_to(Phase::Settling).await;
    assert_eq!(rig.ingester.state(), InstanceState::ReadOnly);
    rig.clock.advance(Duration::from_secs(61));
    rig.comes_to(Phase::Safe).await;
    rig.ingester.shared.departure_step().await;
    assert_eq!(rig.ingester.state(), InstanceState::Gone);
    assert!(rig.ingester.departure().safe_to_remove);
    assert_eq!(rig.all("a").await, before.0, "who still asks is answered");

    rig.ingester.cancel_shutdown().await.unwrap();
    assert_eq!(rig.ingester.state(), InstanceState::Active);
    rig.push("a", one("up", [30])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_for_survives_a_kill_and_can_be_taken_back() {
    let store = FaultyStore::default();
    let rig = start_with(&store, Options { config: config(), ..Options::default() }).await;
    rig.push("a", one("up", [0])).await.unwrap();
    rig.ingester.prepare_shutdown().await.unwrap();
    rig.ingester.prepare_shutdown().await.unwrap();
    let options = || Options { config: config(), fs: rig.fs.after_kill(), bucket: Some(rig.bucket.clone()), ..Options::default() };
    let second = Rig::with(options()).await;
    assert_eq!(second.ingester.state(), InstanceState::ReadOnly);
    let ctx = second.ctx("a");
    assert!(second.ingester.push(&ctx, super::rig::slice(one("up", [15]))).await.is_err());
    second.comes_to(Phase::Indexing).await;
    second.ingester.cancel_shutdown().await.unwrap();
    assert_eq!(second.ingester.departure().phase, Phase::NotRequested);
    let third =
        Rig::with(Options { config: config(), fs: second.fs.after_kill(), bucket: Some(rig.bucket.clone()), ..Options::default() }).await;
    assert_eq!(third.ingester.state(), InstanceState::Active);
    third.push("a", one("up", [15])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_store_is_down_it_is_not_safe_and_says_why() {
    let store = FaultyStore::default();
    let rig = start_with(&store, Options { config: config(), ..Options::default() }).await;
    rig.push("a", one("up", [0])).await.unwrap();
    store.down_after(0);
    rig.ingester.prepare_shutdown().await.unwrap();
    for _ in 0..5 {
        rig.ingester.shared.departure_step().await;
    }
    let status = rig.ingester.departure();
    assert!(!status.safe_to_remove && status.last_error.is_some(), "{status:?}");
    store.heal();
    rig.comes_to(Phase::Indexing).await;
    assert_eq!(rig.ingester.departure().last_error, None);
}
