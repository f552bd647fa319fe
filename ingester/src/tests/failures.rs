use rpc::{IngesterClient, RpcErrorKind};

use super::rig::{Options, Rig, many, offsets, one, slice};
use crate::Config;
use crate::config::{SyncMode, WalSettings};

#[tokio::test]
async fn a_push_that_the_log_refuses_is_not_acknowledged_and_its_repetition_is_logged() {
    let rig = Rig::start().await;
    rig.push("a", one("up", [0])).await.unwrap();
    rig.fs.set_space(Some(0));
    let refused = rig.push("a", one("up", [15])).await.unwrap_err();
    assert_eq!(refused.kind, RpcErrorKind::Unavailable);
    assert!(refused.message.contains("no space left"), "{refused}");
    let refused = rig.push("a", many("new", 3, 0)).await.unwrap_err();
    assert_eq!(refused.kind, RpcErrorKind::Unavailable);
    let killed = rig.after_kill().await;
    assert_eq!(offsets(&killed.all("a").await, "up"), [0], "not acknowledged, not there");
    rig.fs.set_space(None);
    assert!(rig.push("a", one("up", [15])).await.unwrap().rejected.is_empty(), "the repetition");
    assert!(rig.push("a", many("new", 3, 0)).await.unwrap().rejected.is_empty(), "the repetition with new series");
    let killed = rig.after_kill().await;
    assert_eq!(offsets(&killed.all("a").await, "up"), [0, 15], "acknowledged, there");
    assert_eq!(killed.all("a").await.len(), 4);
}

#[tokio::test]
async fn a_later_push_needs_nothing_that_the_failed_one_should_have_logged() {
    let rig = Rig::start().await;
    rig.fs.set_space(Some(0));
    rig.push("a", one("up", [0])).await.unwrap_err();
    rig.fs.set_space(None);
    rig.push("a", one("up", [15])).await.unwrap();
    assert_eq!(offsets(&rig.after_kill().await.all("a").await, "up"), [15]);
}

#[tokio::test]
async fn a_sync_that_fails_costs_no_acknowledged_sample() {
    let config = Config { wal: WalSettings { sync: SyncMode::Always, ..WalSettings::default() }, ..Config::default() };
    let rig = Rig::with(Options { config, ..Options::default() }).await;
    rig.push("a", one("up", [0])).await.unwrap();
    rig.fs.fail_syncs(1);
    let mut acknowledged = vec![0];
    for offset in 1..6 {
        if rig.push("a", one("up", [offset])).await.is_ok() {
            acknowledged.push(offset);
        }
    }
    assert_eq!(acknowledged, [0, 2, 3, 4, 5]);
    let cut = Rig::with(Options { fs: rig.fs.after_power_cut(), ..Options::default() }).await;
    let there = offsets(&cut.all("a").await, "up");
    assert!(acknowledged.iter().all(|offset| there.contains(offset)), "{there:?}");
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_a_consistent_ingester() {
    let rig = Rig::start().await;
    for round in 0..50 {
        let ctx = rig.ctx("a");
        let mut push = Box::pin(rig.ingester.push(&ctx, slice(many("up", 1_000, round))));
        // Polled once, so that it has begun, and dropped.
        let _ = futures::poll!(&mut push);
        drop(push);
        assert!(rig.push("a", many("up", 1_000, round)).await.unwrap().rejected.is_empty(), "round {round}");
    }
    rig.ingester.shared.lifecycle.drained().await;
    assert_eq!(rig.ingester.shared.inflight.used(), 0);
    assert!(rig.after_kill().await.all("a").await == rig.all("a").await);
}

#[tokio::test]
async fn a_passed_deadline_is_honoured() {
    let rig = Rig::start().await;
    let ctx = rig.ctx("a");
    rig.clock.advance(std::time::Duration::from_secs(60));
    let late = rig.ingester.push(&ctx, slice(one("up", [0]))).await.unwrap_err();
    assert_eq!(late.kind, RpcErrorKind::DeadlineExceeded);
    rig.push("a", one("up", [0])).await.unwrap();
    assert_eq!(super::rig::select_all(&rig.ingester, &ctx).await.unwrap_err().kind, RpcErrorKind::DeadlineExceeded);
}
