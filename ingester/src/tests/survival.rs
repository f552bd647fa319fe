use std::sync::Arc;

use limits::Limits;
use prometheus_client::registry::Registry;
use ring::InstanceState;
use rpc::IngesterClient;
use runtime::{ManualClock, ShutdownTrigger};
use tsdb::fs::{FaultyFs, RealFs};

use super::rig::{NOW, Options, Rig, context, many, memory_bucket, offsets, one, select_all, slice};
use crate::Config;
use crate::config::{SyncMode, WalSettings};

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_and_another() {
    let rig = Rig::start().await;
    for round in 0..20 {
        rig.push("a", many("up", 500, round * 15)).await.unwrap();
    }
    let expected = rig.all("a").await;
    assert_eq!(expected.len(), 500);
    let second = rig.after_kill().await;
    assert!(second.all("a").await == expected);
    let report = second.push("a", many("up", 500, 500)).await.unwrap();
    assert!(report.rejected.is_empty(), "{report:?}");
    let third = second.after_kill().await;
    assert!(third.all("a").await == second.all("a").await);
    assert!(third.all("a").await.values().all(|samples| samples.len() == 21));
}

#[tokio::test]
async fn a_real_folder_is_opened_again_after_the_process_forgot_it() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(NOW);
    let mut kept = Vec::new();
    for round in 0..3 {
        let mut registry = Registry::default();
        let service = build_in(dir.path(), &clock, &mut registry);
        let ingester = service.ingester();
        let (trigger, shutdown) = ShutdownTrigger::new();
        tokio::spawn(service.run(shutdown));
        ingester.watch_state().wait_for(|state| *state == InstanceState::Active).await.unwrap();
        let ctx = context(&clock, "a");
        let before = select_all(&ingester, &ctx).await.unwrap();
        assert_eq!(offsets(&before, "up"), (0..round).collect::<Vec<_>>());
        ingester.push(&ctx, slice(one("up", [round]))).await.unwrap();
        // Neither stopped nor dropped: as far as the folder knows, the process is gone.
        kept.push((ingester, trigger));
    }
}

fn build_in(dir: &std::path::Path, clock: &ManualClock, registry: &mut Registry) -> crate::Service {
    let tasks = runtime::Tasks::new();
    let deps = crate::Deps {
        data_dir: dir.to_owned(),
        fs: Arc::new(RealFs),
        clock: Arc::new(clock.clone()),
        push_pool: runtime::CpuPool::new(2, tasks.clone()),
        query_pool: runtime::CpuPool::new(2, tasks.clone()),
        tasks,
        bucket: memory_bucket(clock),
        limits: limits::LimitsProvider::default(),
        wal_salt: 7,
    };
    crate::Service::build(&Config::default(), deps, registry).unwrap()
}

#[tokio::test]
async fn with_sync_always_a_power_cut_loses_nothing() {
    let config = Config { wal: WalSettings { sync: SyncMode::Always, ..WalSettings::default() }, ..Config::default() };
    let rig = Rig::with(Options { config, ..Options::default() }).await;
    for round in 0..5 {
        rig.push("a", one("up", [round])).await.unwrap();
    }
    let cut = Rig::with(Options { fs: rig.fs.after_power_cut(), ..Options::default() }).await;
    assert_eq!(offsets(&cut.all("a").await, "up"), [0, 1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_pushes_of_one_series_are_replayed_as_they_were_taken() {
    let limits = Limits { creation_grace_period_ms: 86_400_000, ..Limits::default() };
    let rig = Arc::new(Rig::with(Options { limits, ..Options::default() }).await);
    let pushes = (0..3_000_i64).map(|offset| {
        let rig = Arc::clone(&rig);
        tokio::spawn(async move { rig.push("a", one("up", [offset])).await.unwrap().rejected.is_empty().then_some(offset) })
    });
    let mut taken = Vec::new();
    for push in pushes.collect::<Vec<_>>() {
        taken.extend(push.await.unwrap());
    }
    assert_eq!(offsets(&rig.all("a").await, "up"), taken, "what was reported as taken is there, and nothing else");
    assert_eq!(offsets(&rig.after_kill().await.all("a").await, "up"), taken, "also after a kill");
}

#[tokio::test]
async fn a_damaged_log_costs_what_is_damaged_and_no_more() {
    let rig = Rig::start().await;
    for round in 0..10 {
        rig.push("a", one("up", [round])).await.unwrap();
    }
    let fs: FaultyFs = rig.fs.after_kill();
    let segment = fs.paths().into_iter().next().unwrap();
    let len = fs.edit(&segment, |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x40;
        bytes.len()
    });
    let after = Rig::with(Options { fs, ..Options::default() }).await;
    let left = offsets(&after.all("a").await, "up");
    assert!((5..10).contains(&left.len()), "{left:?} of a log of {len} bytes");
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &after.registry).unwrap();
    assert!(text.contains("plimsoll_ingester_wal_corruptions_total 1\n"), "{text}");
}
