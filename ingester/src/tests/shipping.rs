//! The way of blocks to the object store, and when they leave the disk.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use limits::Limits;
use rpc::IngesterClient;
use runtime::Clock;
use tsdb::block::Ulid;
use tsdb::fs::Fs;

use super::rig::{Contents, Options, Rig, many, offsets, one};
use super::store::FaultyStore;
use crate::Config;

mod history;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// Keeps blocks for four hours.
fn config() -> Config {
    Config { block_retention_seconds: 4 * 3_600, ..Config::default() }
}

pub(super) async fn start(store: &FaultyStore) -> Rig {
    start_with(store, Options { config: config(), ..Options::default() }).await
}

pub(super) async fn start_with(store: &FaultyStore, options: Options) -> Rig {
    let clock = runtime::ManualClock::at(super::rig::NOW);
    Rig::with(Options { bucket: Some(store.bucket(&clock)), ..options }).await
}

impl Rig {
    pub(super) async fn ship(&self) {
        self.ingester.shared.ship_round().await;
    }

    pub(super) async fn round(&self) {
        let shared = Arc::clone(&self.ingester.shared);
        tokio::task::spawn_blocking(move || shared.block_round()).await.unwrap();
    }

    async fn held(&self, tenant: &str) -> Vec<u128> {
        self.ingester.held_blocks(&self.ctx(tenant), i64::MIN, i64::MAX).await.unwrap()
    }

    /// The blocks of a tenant on the disk.
    fn local(&self, tenant: &str) -> Vec<Ulid> {
        let names = self.fs.list(&PathBuf::from("data/blocks").join(tenant)).unwrap();
        let mut ulids: Vec<Ulid> = names.iter().map(|name| name.parse().unwrap()).collect();
        ulids.sort();
        ulids
    }
}

/// What the blocks of the store hold together.
async fn stored(store: &FaultyStore, tenant: &str) -> Contents {
    let mut all: BTreeMap<String, BTreeMap<i64, f64>> = BTreeMap::new();
    for block in store.blocks(tenant).await.into_values() {
        for (series, samples) in block {
            all.entry(series).or_default().extend(samples);
        }
    }
    all.into_iter().map(|(series, samples)| (series, samples.into_iter().collect())).collect()
}

#[tokio::test]
async fn a_flush_ends_when_the_blocks_are_in_the_store_whole_and_described() {
    let store = FaultyStore::default();
    let rig = start(&store).await;
    rig.push("a", many("up", 50, 0)).await.unwrap();
    rig.push("b", one("up", [0, 15])).await.unwrap();
    let flushed = rig.ingester.flush(None).await.unwrap();
    assert_eq!((flushed.tenants, flushed.blocks, flushed.shipped), (2, 2, 2));
    assert_eq!(stored(&store, "a").await, rig.all("a").await);
    assert_eq!(stored(&store, "b").await, rig.all("b").await);
    let local = rig.local("a");
    assert_eq!(store.blocks("a").await.into_keys().collect::<Vec<_>>(), local, "under the name that it has here");
    let meta = rig.bucket.block_meta(&rig.ctx("a").tenant, local[0]).await.unwrap();
    assert_eq!((meta.compaction.level, meta.compaction.sources), (1, local));
    let thanos = meta.thanos.unwrap();
    assert_eq!(thanos.source, "receive");
    let files = thanos.other["files"].as_array().unwrap();
    let names: Vec<_> = files.iter().map(|file| file["rel_path"].as_str().unwrap()).collect();
    assert_eq!(names, ["chunks/000001", "plimsoll-hashes", "index", "meta.json"]);
    assert!(files[0]["size_bytes"].as_u64().unwrap() > 8);
    let again = rig.ingester.flush(None).await.unwrap();
    assert_eq!((again.blocks, again.shipped), (0, 0));
    assert_eq!((rig.metric("blocks_shipped_total"), rig.metric("blocks_unshipped")), (2.0, 0.0));
}

#[tokio::test]
async fn a_block_stays_until_the_index_shows_it_and_a_quarter_of_an_hour_longer() {
    let store = FaultyStore::default();
    let rig = start(&store).await;
    rig.push("a", many("up", 10, 0)).await.unwrap();
    let before = rig.all("a").await;
    rig.clock.advance(24 * HOUR);
    rig.round().await;
    rig.snapshot().await;
    assert_eq!(rig.metric("blocks_unshipped"), 1.0);
    rig.clock.advance(HOUR);
    rig.round().await;
    let local = rig.local("a");
    assert_eq!((local.len(), rig.metric("blocks_overdue")), (1, 1.0), "long past the retention, and nowhere else");
    assert_eq!(rig.metric("oldest_unshipped_block_age_seconds"), 3_600.0);
    rig.ship().await;
    rig.clock.advance(HOUR / 2);
    rig.ship().await;
    rig.round().await;
    assert_eq!((rig.local("a"), rig.metric("blocks_overdue")), (local.clone(), 1.0), "in the store, but no querier knows");
    let named: Vec<u128> = local.iter().map(|ulid| ulid.to_bits()).collect();
    assert_eq!(rig.held("a").await, named);

    store.show("a", rig.clock.now_ms()).await;
    rig.ship().await;
    rig.round().await;
    assert_eq!(rig.metric("blocks_overdue"), 1.0, "the index is not asked for all the time");
    rig.clock.advance(5 * MINUTE);
    rig.ship().await;
    rig.round().await;
    assert_eq!((rig.local("a"), rig.metric("blocks_overdue")), (local.clone(), 0.0));
    assert_eq!(rig.held("a").await, named, "for ten minutes more at least");
    rig.clock.advance(6 * MINUTE);
    rig.round().await;
    assert_eq!((rig.held("a").await, rig.local("a")), (vec![], local), "not promised any more, but still there");
    let second =
        Rig::with(Options { fs: rig.fs.after_kill(), config: config(), bucket: Some(rig.bucket.clone()), ..Options::default() }).await;
    second.clock.advance(25 * HOUR + HOUR / 2 + 11 * MINUTE);
    second.round().await;
    assert_eq!(second.all("a").await, before, "a restart does not shorten it");
    second.clock.advance(9 * MINUTE);
    second.round().await;
    assert_eq!((second.local("a"), second.all("a").await), (vec![], Contents::new()));
    second.ingester.shared.truncate();
    assert_eq!(second.ingester.shared.tenants.count(), 0);
    assert_eq!(stored(&store, "a").await, before);
    assert_eq!(second.metric("blocks_deleted_total"), 1.0);
}

#[tokio::test]
async fn while_the_store_is_down_everything_stays_and_then_it_goes_on() {
    let store = FaultyStore::default();
    let rig = start(&store).await;
    for tenant in ["a", "b", "c"] {
        rig.push(tenant, many("up", 10, 0)).await.unwrap();
    }
    let before = rig.all("b").await;
    store.down_after(0);
    let error = rig.ingester.flush(Some(rig.ctx("b").tenant)).await.unwrap_err().to_string();
    assert!(error.contains("tenant b") && error.contains("object store could not write"), "{error}");
    assert_eq!((rig.local("a").len(), rig.local("b").len()), (0, 1), "cut all the same");
    assert!(rig.ingester.flush(None).await.is_err());
    rig.clock.advance(30 * 24 * HOUR);
    rig.round().await;
    rig.ship().await;
    rig.ingester.shared.truncate();
    assert!(rig.all("b").await == before, "however long it takes");
    assert!(rig.metric("blocks_unshipped") == 3.0 && rig.metric("blocks_overdue") == 3.0);
    assert!(rig.metric("block_ship_failures_total{cause=\"store\"}") >= 3.0);
    store.heal();
    rig.ship().await;
    let shipped = rig.metric("blocks_shipped_total");
    assert!(shipped < 3.0, "who has just failed waits: {shipped}");
    rig.clock.advance(HOUR / 4);
    rig.ship().await;
    assert_eq!((rig.metric("blocks_shipped_total"), rig.metric("blocks_unshipped")), (3.0, 0.0));
    assert_eq!(stored(&store, "b").await, before);
}

#[tokio::test]
async fn a_block_that_cannot_be_read_is_set_aside_and_the_rest_goes_on() {
    let store = FaultyStore::default();
    let rig = start(&store).await;
    rig.push("a", one("up", [0])).await.unwrap();
    store.down_after(0);
    rig.ingester.flush(None).await.unwrap_err();
    store.heal();
    let index = PathBuf::from("data/blocks/a").join(rig.local("a")[0].to_string()).join("index");
    let whole = rig.fs.edit(&index, |bytes| bytes.clone());
    rig.fs.remove(&index).unwrap();
    rig.push("a", one("up", [15])).await.unwrap();
    rig.push("b", one("up", [0])).await.unwrap();
    let error = rig.ingester.flush(None).await.unwrap_err().to_string();
    assert!(error.contains("tenant a") && error.contains("cannot be read"), "{error}");
    assert_eq!((store.blocks("a").await.len(), store.blocks("b").await.len()), (1, 1));
    assert_eq!(rig.metric("block_ship_failures_total{cause=\"block\"}"), 1.0);
    rig.ship().await;
    assert_eq!(rig.metric("block_ship_failures_total{cause=\"block\"}"), 1.0, "not at once again");
    rig.fs.edit(&index, |bytes| *bytes = whole);
    rig.clock.advance(MINUTE);
    rig.ship().await;
    assert_eq!(store.blocks("a").await.len(), 2);
    assert_eq!(offsets(&stored(&store, "a").await, "up"), [0, 15]);
}

#[tokio::test]
async fn a_restart_ships_what_is_not_in_the_store_and_nothing_twice() {
    let store = FaultyStore::default();
    let rig = start(&store).await;
    rig.push("a", one("up", [0])).await.unwrap();
    rig.ingester.flush(None).await.unwrap();
    rig.push("a", one("up", [15])).await.unwrap();
    // Chunks and the hashes; not the index.
    store.down_after(2);
    rig.ingester.flush(None).await.unwrap_err();
    store.heal();
    assert_eq!(store.blocks("a").await.len(), 1, "half a block is none");
    let puts = store.puts();
    let second = rig.after_kill().await;
    second.ship().await;
    assert_eq!((store.blocks("a").await.len(), store.puts() - puts), (2, 4), "the second one, from its beginning");
    for ulid in second.local("a") {
        second.fs.remove(&PathBuf::from("data/blocks/a").join(ulid.to_string()).join("plimsoll-shipped.json")).unwrap();
    }
    let third = second.after_kill().await;
    assert_eq!(third.ingester.shared.tenants.all()[0].1.blocks.set().blocks().len(), 2);
    third.ship().await;
    assert_eq!((store.puts() - puts, third.metric("blocks_unshipped")), (4, 0.0), "the store was asked");
    assert_eq!(store.blocks("a").await.into_keys().collect::<Vec<_>>(), third.local("a"));
}

#[tokio::test]
async fn a_block_that_the_store_has_lost_is_shipped_again() {
    let store = FaultyStore::default();
    let rig = start(&store).await;
    rig.push("a", one("up", [0])).await.unwrap();
    rig.ingester.flush(None).await.unwrap();
    let (tenant, block) = (rig.ctx("a").tenant, rig.local("a")[0]);
    rig.bucket.delete_block(&tenant, block).await.unwrap();
    rig.clock.advance(HOUR);
    store.show("a", rig.clock.now_ms()).await;
    rig.ship().await;
    rig.ship().await;
    assert_eq!(store.blocks("a").await.into_keys().collect::<Vec<_>>(), [block]);
    store.show("a", rig.clock.now_ms()).await;
    rig.clock.advance(10 * MINUTE);
    rig.ship().await;
    rig.clock.advance(10 * HOUR);
    rig.round().await;
    assert_eq!(rig.local("a"), []);
}

#[tokio::test]
async fn a_damaged_block_goes_at_the_retention_only_if_the_store_has_it() {
    for shipped in [false, true] {
        let store = FaultyStore::default();
        let rig = start_with(&store, Options { config: config(), limits: Limits::default(), ..Options::default() }).await;
        rig.push("a", one("up", [0])).await.unwrap();
        if !shipped {
            store.down_after(0);
        }
        assert_eq!(rig.ingester.flush(None).await.is_ok(), shipped);
        rig.snapshot().await;
        store.heal();
        rig.clock.advance(HOUR);
        store.show("a", rig.clock.now_ms()).await;
        if shipped {
            rig.ship().await;
        }
        let fs = rig.fs.after_kill();
        fs.edit(&PathBuf::from("data/blocks/a").join(rig.local("a")[0].to_string()).join("index"), Vec::clear);
        let second = Rig::with(Options { config: config(), fs, bucket: Some(rig.bucket.clone()), ..Options::default() }).await;
        assert_eq!(second.held("a").await, Vec::<u128>::new(), "a damaged block is promised to nobody");
        second.clock.advance(24 * HOUR);
        second.round().await;
        assert_eq!(second.local("a").is_empty(), shipped);
    }
}
