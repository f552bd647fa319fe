//! Rounds over S3 on a real wire: replicas and ranges become one block, with failures at every request.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bucket::layout::{META, NO_COMPACT_MARK};
use bucket::{Bucket, Key, Settings};
use compactor::{Config, Deps, Service};
use limits::{Limits, LimitsProvider};
use model::{Chunk, ChunkEncoding, Labels, TenantId};
use prometheus_client::registry::Registry;
use ring::{ClusterSnapshot, InstanceId};
use runtime::{ManualClock, ShutdownTrigger, Tasks};
use s3server::{Fault, S3Server};
use tempfile::TempDir;
use tokio::sync::watch;
use tsdb::block::{Block, BlockMeta, BlockSpec, Ulid, write_block};
use tsdb::chunk::{XorAppender, XorIterator};
use tsdb::fs::{Fs, RealFs};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// The midnight before yesterday's: the store stamps objects with the machine's clock, from which the test's own starts.
fn start() -> i64 {
    (runtime::Clock::now_ms(&runtime::SystemClock::new()).div_euclid(DAY) - 2) * DAY
}

/// Samples of series: `(series, t) -> value`.
type Samples = BTreeMap<(u32, i64), f64>;

struct World {
    server: S3Server,
    bucket: Bucket,
    clock: ManualClock,
    dir: TempDir,
    names: AtomicU64,
    written: Samples,
}

impl World {
    fn new() -> Self {
        let server = S3Server::start(&["blocks"]);
        let clock = ManualClock::at(start() + 2 * DAY);
        let url = format!("s3://blocks?endpoint={}&region=eu&anonymous=true", server.endpoint());
        let settings = Settings { retries: 0, ..Settings::default() };
        let bucket = bucket::open(&url, settings, Arc::new(clock.clone()), &mut Registry::default()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        Self { server, bucket, clock, dir, names: AtomicU64::new(1), written: Samples::new() }
    }

    fn service(&self, retention_ms: i64) -> Service {
        let limits = LimitsProvider::new(Limits { blocks_retention_ms: retention_ms, ..Limits::default() });
        let names = Arc::new(AtomicU64::new(1_000_000 * self.names.fetch_add(1, Ordering::Relaxed)));
        let (trigger, shutdown) = ShutdownTrigger::new();
        // Never fired.
        std::mem::forget(trigger);
        let deps = Deps {
            bucket: self.bucket.clone(),
            dir: self.dir.path().join("compactor"),
            id: InstanceId::new("c-1").unwrap(),
            snapshot: watch::channel(Arc::new(ClusterSnapshot::default())).1,
            limits,
            clock: Arc::new(self.clock.clone()),
            tasks: Tasks::new(),
            random: Arc::new(move || u128::from(names.fetch_add(1, Ordering::Relaxed))),
            shutdown,
        };
        Service::build(Config::default(), deps, &mut Registry::default()).unwrap()
    }

    /// Ships a block of `series` × one sample a minute in `range`, of which a replica lacks those that `lacks` says.
    async fn ship(&mut self, tenant: &TenantId, range: (i64, i64), lacks: impl Fn(u32, i64) -> bool) -> Ulid {
        let name = Ulid::new(range.1, u128::from(self.names.fetch_add(1, Ordering::Relaxed)));
        let parent = self.dir.path().join("out");
        let series = (0..20_u32).filter_map(|series| {
            let mut appender = XorAppender::new();
            let times: Vec<i64> = (range.0..range.1).step_by(60_000).filter(|t| !lacks(series, *t)).collect();
            for t in &times {
                let value = f64::from(series) + *t as f64;
                appender.append(*t, value);
                self.written.insert((series, *t), value);
            }
            let (min_t, max_t) = (*times.first()?, *times.last()?);
            let chunk = Chunk { encoding: ChunkEncoding::Xor, min_t, max_t, data: appender.finish().into() };
            Some(Ok((Labels::from_pairs([("__name__", "m".to_owned()), ("n", format!("{series:02}"))]), vec![chunk])))
        });
        let series: Vec<_> = series.collect();
        let fs: Arc<dyn Fs> = Arc::new(RealFs);
        write_block(Arc::clone(&fs), &parent, BlockSpec::level_1(name, range.0, range.1), series).unwrap().unwrap();
        let dir = parent.join(name.to_string());
        self.bucket.upload_block(tenant, &fs, &dir, &BlockMeta::read(&RealFs, &dir).unwrap()).await.unwrap();
        name
    }

    /// Everything that the blocks of the bucket index hold, and how many samples they hold together.
    async fn read(&self, tenant: &TenantId) -> (Samples, u64, usize) {
        let index = self.bucket.index(tenant).await.unwrap().unwrap();
        let live: Vec<_> = index.blocks.iter().filter(|block| index.deletion_time(block.block_id).is_none()).collect();
        let (mut samples, mut count) = (Samples::new(), 0);
        for block in &live {
            let scratch = tempfile::tempdir_in(self.dir.path()).unwrap();
            let dir = scratch.path().join("block");
            self.bucket.download_block(tenant, block.block_id, &dir).await.unwrap();
            let block = Block::open(Arc::new(RealFs), &dir).unwrap();
            for series in block.select(&[], i64::MIN, i64::MAX).unwrap() {
                let series = series.unwrap();
                let number: u32 = series.labels.get("n").unwrap().parse().unwrap();
                for chunk in &series.chunks {
                    let mut floats = XorIterator::new(&chunk.data).unwrap();
                    while let Some(sample) = floats.next().unwrap() {
                        samples.insert((number, sample.t), sample.v);
                        count += 1;
                    }
                }
            }
        }
        (samples, count, live.len())
    }
}

fn tenant() -> TenantId {
    TenantId::new("team-a").unwrap()
}

/// Three replicas of each of a day's twelve ranges, none of them complete.
async fn ship_a_day(world: &mut World) {
    let start = start();
    for range in 0..12 {
        let from = start + 2 * range * HOUR;
        for replica in 0..3 {
            world.ship(&tenant(), (from, from + 2 * HOUR), |series, t| (t / 60_000 + i64::from(series)) % 7 == replica).await;
        }
    }
}

#[tokio::test]
async fn a_day_of_three_replicas_becomes_one_block() {
    let mut world = World::new();
    ship_a_day(&mut world).await;
    let mut service = world.service(0);
    service.round().await.unwrap();
    let (samples, count, blocks) = world.read(&tenant()).await;
    assert_eq!(blocks, 1, "2 h, then 12 h, then a day");
    assert!(samples == world.written);
    assert_eq!(count, world.written.len() as u64, "each sample once");
    // Nothing is deleted before its time; after it, only what the one block replaces.
    let folders = world.bucket.list_folders(&Key::tenant(&tenant())).await.unwrap().len();
    assert!(folders > 36, "{folders}");
    service.round().await.unwrap();
    assert_eq!(world.bucket.list_folders(&Key::tenant(&tenant())).await.unwrap().len(), folders);
    world.clock.advance(Duration::from_secs(12 * 3_600));
    service.round().await.unwrap();
    assert_eq!(world.bucket.list_folders(&Key::tenant(&tenant())).await.unwrap().len(), 1, "one block, no markers");
    assert!(world.read(&tenant()).await.0 == world.written);
}

#[tokio::test]
async fn a_failure_at_any_request_loses_nothing() {
    let (mut world, start) = (World::new(), start());
    let range = (start, start + 2 * HOUR);
    for replica in 0..3 {
        world.ship(&tenant(), range, |series, t| (t / 60_000 + i64::from(series)) % 7 == replica).await;
    }
    world.ship(&tenant(), (start + 2 * HOUR, start + 4 * HOUR), |_, _| false).await;
    // An index that names all of them, so that there is something to read from the beginning.
    let mut clean = world.service(0);
    world.server.fail(Fault::Status(500), 1, "/chunks/");
    clean.round().await.unwrap_err();
    let catalog = compactor::catalog::Catalog::read(&world.bucket, &tenant(), &compactor::catalog::Catalog::default()).await.unwrap();
    world.bucket.put_index(&tenant(), &catalog.index(0)).await.unwrap();
    // Every failure may leave something behind, which the next round asks two things about: steps must be wider than that.
    for healthy in (0..).step_by(5) {
        // A new process each time: `healthy` requests go well, then the store is gone, as for a process that was killed.
        let mut service = world.service(0);
        world.server.heal();
        world.server.fail(Fault::Delay(Duration::ZERO), healthy, "");
        world.server.fail(Fault::Status(500), 1_000_000, "");
        let failed = service.round().await.is_err();
        world.server.heal();
        assert!(world.read(&tenant()).await.0 == world.written, "after {healthy} requests");
        if !failed {
            break;
        }
    }
    let (_, count, blocks) = world.read(&tenant()).await;
    assert_eq!((count, blocks), (world.written.len() as u64, 1));
    world.clock.advance(Duration::from_secs(48 * 3_600));
    world.service(0).round().await.unwrap();
    let (samples, count, blocks) = world.read(&tenant()).await;
    assert!(samples == world.written && count == world.written.len() as u64 && blocks == 1);
    let folders = world.bucket.list_folders(&Key::tenant(&tenant())).await.unwrap();
    assert_eq!(folders.len(), 1, "leftovers of all the failures are gone: {folders:?}");
}

#[tokio::test]
async fn a_damaged_block_is_set_aside_and_the_rest_goes_on() {
    let (mut world, start) = (World::new(), start());
    let range = (start, start + 2 * HOUR);
    let bad = world.ship(&tenant(), range, |_, _| false).await;
    for _ in 0..2 {
        world.ship(&tenant(), range, |_, _| false).await;
    }
    let key = Key::block_file(&tenant(), bad, "chunks/000001");
    let mut bytes = world.bucket.get(&key, 1 << 30).await.unwrap().to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    world.bucket.put(&key, bytes).await.unwrap();
    let mut service = world.service(0);
    service.round().await.unwrap();
    let index = world.bucket.index(&tenant()).await.unwrap().unwrap();
    let live: Vec<_> = index.blocks.iter().filter(|b| index.deletion_time(b.block_id).is_none()).map(|b| b.block_id).collect();
    assert!(live.contains(&bad) && live.len() == 2, "the bad one, and what the other two became");
    assert!(world.bucket.exists(&Key::global_mark(&tenant(), bad, NO_COMPACT_MARK)).await.unwrap());
    service.round().await.unwrap();
}

#[tokio::test]
async fn old_blocks_and_leftovers_go() {
    let (mut world, start) = (World::new(), start());
    let old = world.ship(&tenant(), (start, start + 2 * HOUR), |_, _| false).await;
    world.ship(&tenant(), (start + DAY, start + DAY + 2 * HOUR), |_, _| false).await;
    let leftover = world.ship(&tenant(), (start + DAY, start + DAY + 2 * HOUR), |_, _| false).await;
    world.bucket.delete(&Key::block_file(&tenant(), leftover, META)).await.unwrap();
    let mut service = world.service(DAY + HOUR);
    service.round().await.unwrap();
    let index = world.bucket.index(&tenant()).await.unwrap().unwrap();
    assert!(index.deletion_time(old).is_some() && index.blocks.len() == 2);
    world.clock.advance(Duration::from_secs(13 * 3_600));
    service.round().await.unwrap();
    let folders = world.bucket.list_folders(&Key::tenant(&tenant())).await.unwrap();
    assert!(!folders.contains(&old.to_string()), "{folders:?}");
    assert!(folders.contains(&leftover.to_string()), "an upload may still be under way");
    world.clock.advance(Duration::from_secs(36 * 3_600));
    service.round().await.unwrap();
    assert!(!world.bucket.list_folders(&Key::tenant(&tenant())).await.unwrap().contains(&leftover.to_string()));
}

#[tokio::test]
async fn a_folder_that_is_no_tenant_stays_as_it_is() {
    let world = World::new();
    world.bucket.put(&Key::rule_group(&tenant(), "ns", "group"), "{}").await.unwrap();
    world.service(0).round().await.unwrap();
    let all = world.bucket.list(&Key::root(), 10).await.unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
}
