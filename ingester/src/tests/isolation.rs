use rpc::{IngesterClient, RpcErrorKind};

use super::rig::{Options, Rig, everything, many, offsets, one};
use crate::Config;

#[tokio::test]
async fn three_tenants_see_only_themselves_also_after_a_kill() {
    let rig = Rig::start().await;
    for round in 0..5 {
        rig.push("a", one("up", [round])).await.unwrap();
        rig.push("b", one("up", [round + 100])).await.unwrap();
        rig.push("c", many("only_c", 300, round)).await.unwrap();
    }
    for rig in [&rig, &rig.after_kill().await] {
        assert_eq!(offsets(&rig.all("a").await, "up"), [0, 1, 2, 3, 4]);
        assert_eq!(offsets(&rig.all("b").await, "up"), [100, 101, 102, 103, 104]);
        assert_eq!(rig.all("a").await.len(), 1);
        assert_eq!(rig.all("c").await.len(), 300);
        let of = async |tenant| rig.ingester.series(&rig.ctx(tenant), everything()).await.unwrap().len();
        assert_eq!((of("a").await, of("b").await, of("c").await, of("d").await), (1, 1, 300, 0));
    }
}

#[tokio::test]
async fn tenants_are_bounded_but_whoever_is_in_the_log_comes_back() {
    let rig = Rig::start().await;
    for tenant in ["a", "b", "c"] {
        rig.push(tenant, one("up", [0])).await.unwrap();
    }
    let config = Config { max_tenants: 2, ..Config::default() };
    let smaller = Rig::with(Options { config, fs: rig.fs.after_kill(), ..Options::default() }).await;
    assert_eq!(smaller.ingester.shared.tenants.count(), 3);
    smaller.push("c", one("up", [1])).await.unwrap();
    let refused = smaller.push("d", one("up", [1])).await.unwrap_err();
    assert_eq!(refused.kind, RpcErrorKind::LimitExceeded);
    assert!(refused.message.contains("ingester.max_tenants"), "{refused}");
}
