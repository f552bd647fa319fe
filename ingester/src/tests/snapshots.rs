//! Starts from snapshots.

use std::path::Path;

use super::rig::{Options, Rig, many, offsets, one};
use crate::Config;

impl Rig {
    /// Takes a snapshot, on a thread where that may block.
    pub(super) async fn snapshot(&self) {
        let shared = std::sync::Arc::clone(&self.ingester.shared);
        tokio::task::spawn_blocking(move || shared.snapshot()).await.unwrap();
    }

    pub(super) fn metric(&self, name: &str) -> f64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("plimsoll_ingester_{name} ")).map(str::to_owned));
        line.unwrap_or_else(|| panic!("no metric {name}")).parse().unwrap()
    }

    fn files(&self, dir: &str) -> Vec<String> {
        let paths = self.fs.paths();
        let inside = paths.iter().filter(|path| path.parent().is_some_and(|parent| parent.ends_with(dir)));
        inside.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn a_start_reads_the_snapshot_and_the_log_after_it() {
    let rig = Rig::start().await;
    for round in 0..10 {
        rig.push("a", many("up", 300, round * 15)).await.unwrap();
        rig.push("b", one("up", [round])).await.unwrap();
    }
    rig.snapshot().await;
    rig.push("a", many("up", 310, 200)).await.unwrap();
    rig.push("c", one("up", [1])).await.unwrap();
    let after = rig.after_kill().await;
    assert_eq!(after.metric("wal_replayed_samples_total"), 311.0, "only what came after the snapshot");
    for tenant in ["a", "b", "c"] {
        assert!(after.all(tenant).await == rig.all(tenant).await, "tenant {tenant}");
    }
    // The next one, and one more kill.
    after.push("a", many("up", 310, 300)).await.unwrap();
    after.snapshot().await;
    after.push("b", one("up", [20])).await.unwrap();
    let last = after.after_kill().await;
    for tenant in ["a", "b", "c"] {
        assert!(last.all(tenant).await == after.all(tenant).await, "tenant {tenant}");
    }
    assert_eq!(last.all("a").await.values().map(Vec::len).max(), Some(12));
}

#[tokio::test]
async fn an_orderly_end_leaves_nothing_to_replay_and_two_snapshots_free_the_log() {
    let mut fs = tsdb::fs::FaultyFs::new();
    for round in 0..4 {
        let rig = Rig::with(Options { fs: fs.clone(), ..Options::default() }).await;
        assert_eq!(offsets(&rig.all("a").await, "up"), (0..round).collect::<Vec<_>>());
        assert_eq!(rig.metric("wal_replayed_samples_total"), 0.0);
        rig.push("a", one("up", [round])).await.unwrap();
        rig.trigger.fire();
        let (files, paths) = (rig.fs.clone(), rig.files("snapshots").len());
        rig.running.await.unwrap().unwrap();
        assert!(paths <= 2);
        fs = files.after_power_cut();
    }
    let rig = Rig::with(Options { fs, ..Options::default() }).await;
    assert_eq!((rig.files("snapshots").len(), rig.files("wal").len()), (2, 1));
    let generations: Vec<_> = rig.files("snapshots");
    assert!(generations.is_sorted() && generations[0] != generations[1]);
}

#[tokio::test]
async fn a_damaged_snapshot_costs_nothing_and_two_damaged_ones_what_only_they_had() {
    let rig = Rig::start().await;
    for round in 0..3 {
        rig.push("a", one("up", [round])).await.unwrap();
        rig.snapshot().await;
    }
    rig.push("a", one("up", [3])).await.unwrap();
    let damage = |name: &str| rig.fs.edit(&Path::new("data/snapshots").join(name), |bytes| bytes[60] ^= 4);
    let [older, newer] = &rig.files("snapshots")[..] else { panic!("two are kept") };
    damage(newer);
    let after = rig.after_kill().await;
    assert_eq!(offsets(&after.all("a").await, "up"), [0, 1, 2, 3]);
    assert_eq!(after.metric("snapshots_damaged_total"), 1.0);
    assert!(after.files("snapshots").contains(&"damaged".to_owned()));
    damage(older);
    let after = rig.after_kill().await;
    assert_eq!(offsets(&after.all("a").await, "up"), [2, 3], "the log reaches back to the older snapshot");
    assert_eq!(after.metric("snapshots_damaged_total"), 2.0);
    // It goes on from there.
    after.push("a", one("up", [4])).await.unwrap();
    after.snapshot().await;
    assert_eq!(offsets(&after.after_kill().await.all("a").await, "up"), [2, 3, 4]);
}

#[tokio::test]
async fn a_snapshot_that_finds_the_disk_full_is_counted_and_the_next_one_succeeds() {
    let rig = Rig::with(Options { config: Config::default(), ..Options::default() }).await;
    rig.push("a", many("up", 500, 0)).await.unwrap();
    rig.fs.set_space(Some(1_000));
    rig.snapshot().await;
    assert_eq!((rig.metric("snapshot_failures_total"), rig.metric("snapshots_total")), (1.0, 0.0));
    assert!(rig.files("snapshots").is_empty());
    assert!(rig.after_kill().await.all("a").await == rig.all("a").await);
    rig.fs.set_space(None);
    rig.push("a", many("up", 500, 15)).await.unwrap();
    rig.snapshot().await;
    assert_eq!((rig.metric("snapshots_total"), rig.metric("snapshot_series")), (1.0, 500.0));
    assert!(rig.after_kill().await.all("a").await == rig.all("a").await);
}

#[tokio::test]
async fn pushes_go_on_while_a_snapshot_is_taken() {
    let rig = Rig::start().await;
    rig.push("a", many("up", 2_000, 0)).await.unwrap();
    for round in 1..12 {
        let (first, second) = (many("up", 2_000, round * 30), many("up", 100, round * 30 + 15));
        let (_, first, second) = tokio::join!(rig.snapshot(), rig.push("a", first), rig.push("b", second));
        first.unwrap();
        second.unwrap();
        if round % 4 == 3 {
            let after = rig.after_kill().await;
            assert!(after.all("a").await == rig.all("a").await && after.all("b").await == rig.all("b").await, "round {round}");
        }
    }
}
