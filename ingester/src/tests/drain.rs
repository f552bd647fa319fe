use ring::InstanceState;
use rpc::{IngesterClient, RpcErrorKind};

use super::rig::{Options, Rig, everything, many, offsets, one, slice};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_lets_pushes_end_and_refuses_new_ones() {
    let rig = Rig::start().await;
    rig.push("a", one("up", [0])).await.unwrap();
    let pushes: Vec<_> = (0..20)
        .map(|i| {
            let (ingester, ctx) = (rig.ingester.clone(), rig.ctx("a"));
            tokio::spawn(async move { ingester.push(&ctx, slice(many(&format!("m{i}"), 2_000, 0))).await })
        })
        .collect();
    tokio::task::yield_now().await;
    rig.trigger.fire();
    rig.running.await.unwrap().unwrap();
    assert_eq!(rig.ingester.state(), InstanceState::Leaving);
    let mut taken = 1;
    for push in pushes {
        match push.await.unwrap() {
            Ok(report) => {
                assert!(report.rejected.is_empty());
                taken += 2_000;
            }
            Err(error) => assert_eq!(error.kind, RpcErrorKind::Unavailable, "{error}"),
        }
    }
    let refused = rig.ingester.push(&super::rig::context(&rig.clock, "a"), slice(one("up", [15]))).await.unwrap_err();
    assert_eq!(refused.kind, RpcErrorKind::Unavailable);
    let ctx = super::rig::context(&rig.clock, "a");
    assert_eq!(rig.ingester.series(&ctx, everything()).await.unwrap().len(), taken, "queries go on");
    let after = Rig::with(Options { fs: rig.fs.after_power_cut(), ..Options::default() }).await;
    assert_eq!(after.all("a").await.len(), taken, "a stop brings everything to the disk");
    assert_eq!(offsets(&after.all("a").await, "up"), [0]);
}

#[tokio::test]
async fn the_states_can_be_followed() {
    let rig = Rig::start().await;
    let mut states = rig.ingester.watch_state();
    assert_eq!(*states.borrow_and_update(), InstanceState::Active);
    rig.trigger.fire();
    states.changed().await.unwrap();
    assert_eq!(*states.borrow(), InstanceState::Leaving);
    rig.running.await.unwrap().unwrap();
}
