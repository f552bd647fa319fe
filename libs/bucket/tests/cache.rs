//! Blocks read where they are, over S3's wire, against the same blocks on the disk.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bucket::cache::{BlockCache, is_not_found};
use bucket::{Bucket, Key, Settings};
use model::{Labels, MatchOp, Matcher, TenantId};
use prometheus_client::registry::Registry;
use runtime::{SystemClock, Tasks};
use s3server::{Fault, S3Server};
use tsdb::block::{BlockError, BlockMeta, BlockSpec, HashedBlock, SIDECAR_FILE, Ulid, write_block};
use tsdb::fs::{Fs, RealFs};

const SERIES: i64 = 3_000;
const CHUNKS: i64 = 6;

fn tenant() -> TenantId {
    TenantId::new("a").unwrap()
}

fn chunk(series: i64, n: i64) -> model::Chunk {
    let mut appender = tsdb::chunk::XorAppender::new();
    let start = n * 1_200_000;
    (0..80).for_each(|i| appender.append(start + i * 15_000, (series * 7 + n) as f64 + (i as f64).sqrt()));
    model::Chunk { encoding: model::ChunkEncoding::Xor, min_t: start, max_t: start + 79 * 15_000, data: appender.finish().into() }
}

/// Writes a block of some megabytes; its folder.
fn make_block(parent: &Path, number: u128) -> PathBuf {
    let mut all: Vec<_> = (0..SERIES)
        .map(|n| {
            let (pod, mode) = (format!("pod-{:04}", n / 3), ["user", "system", "idle"][n as usize % 3]);
            (n, Labels::from_pairs([("__name__", "cpu"), ("mode", mode), ("pod", pod.as_str())]))
        })
        .collect();
    all.sort_by(|a, b| a.1.cmp(&b.1));
    let series = all.into_iter().map(|(n, labels)| Ok((labels, (0..CHUNKS).map(|c| chunk(n, c)).collect())));
    let spec = BlockSpec::level_1(Ulid::new(1_000, number), 0, 7_200_000);
    let meta = write_block(Arc::new(RealFs), parent, spec, series).unwrap().unwrap();
    parent.join(meta.ulid.to_string())
}

struct Rig {
    server: S3Server,
    bucket: Bucket,
    cache: BlockCache,
    dir: tempfile::TempDir,
}

impl Rig {
    fn new(max_bytes: u64) -> Self {
        let (server, dir) = (S3Server::start(&["blocks"]), tempfile::tempdir().unwrap());
        let url = format!("s3://blocks/p?endpoint={}&region=eu&anonymous=true", server.endpoint());
        let settings = Settings { retries: 2, ..Settings::default() };
        let bucket = bucket::open(&url, settings, SystemClock::shared(), &mut Registry::default()).unwrap();
        let cache = BlockCache::open(bucket.clone(), &dir.path().join("cache"), max_bytes, Tasks::new(), &mut Registry::default()).unwrap();
        Self { server, bucket, cache, dir }
    }

    async fn block(&self, number: u128) -> (PathBuf, Ulid) {
        let dir = make_block(&self.dir.path().join("blocks"), number);
        let meta = BlockMeta::read(&RealFs, &dir).unwrap();
        let fs: Arc<dyn Fs> = Arc::new(RealFs);
        self.bucket.upload_block(&tenant(), &fs, &dir, &meta).await.unwrap();
        (dir, meta.ulid)
    }
}

fn matcher(name: &str, op: MatchOp, value: &str) -> Matcher {
    Matcher::new(op, name, value).unwrap()
}

fn selections() -> Vec<(Vec<Matcher>, i64, i64)> {
    let one = vec![matcher("pod", MatchOp::Equal, "pod-0123"), matcher("mode", MatchOp::NotEqual, "idle")];
    let some = vec![matcher("pod", MatchOp::Regex, "pod-01.*")];
    vec![
        (one, 0, 7_200_000),
        (some, 1_000_000, 2_000_000),
        (vec![matcher("mode", MatchOp::Equal, "user")], 0, 7_200_000),
        (vec![], 3_000_000, 3_000_000),
    ]
}

type Read = Vec<(Labels, Vec<(i64, i64, bytes::Bytes)>)>;

fn read(block: &HashedBlock, prefetch: bool, (matchers, min_t, max_t): &(Vec<Matcher>, i64, i64)) -> Result<Read, BlockError> {
    let positions = block.select(matchers, *min_t, *max_t)?;
    if prefetch {
        let mut in_order = positions.clone();
        in_order.sort_unstable();
        block.prefetch(&in_order, *min_t, *max_t)?;
    }
    let mut reader = block.reader();
    let read = positions.iter().map(|position| {
        let (labels, chunks) = reader.read(*position, *min_t, *max_t)?;
        Ok((labels, chunks.into_iter().map(|c| (c.min_t, c.max_t, c.data)).collect()))
    });
    read.collect()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_in_the_bucket_reads_as_one_on_the_disk() {
    for prefetch in [true, false] {
        let rig = Rig::new(1 << 30);
        let (dir, ulid) = rig.block(1).await;
        let near = HashedBlock::open(Arc::new(RealFs), &dir).unwrap();
        for selection in selections() {
            let far = rig.cache.block(&tenant(), ulid).await.unwrap();
            let before = rig.server.requests();
            let wanted = read(&near, false, &selection).unwrap();
            assert!(!wanted.is_empty());
            let (series, what) = (wanted.len(), format!("{selection:?}"));
            let got = blocking(move || read(&far, prefetch, &selection)).await.unwrap();
            assert!(got == wanted, "{what}");
            let requests = rig.server.requests() - before;
            println!("prefetch {prefetch}: {series} series in {requests} requests");
            assert!(!prefetch || requests < 60, "{requests} requests for {series} series");
        }
        assert!(std::fs::read_dir(rig.dir.path().join("cache")).unwrap().next().is_none(), "files of the cache have no names");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_the_same_pages_fetch_them_once() {
    let rig = Rig::new(1 << 30);
    let (_, ulid) = rig.block(1).await;
    let far = rig.cache.block(&tenant(), ulid).await.unwrap();
    let selection = || (vec![matcher("mode", MatchOp::Equal, "user")], 0, 7_200_000);
    let alone = Rig::new(1 << 30);
    let (_, same) = alone.block(1).await;
    let other = alone.cache.block(&tenant(), same).await.unwrap();
    let before = alone.server.requests();
    let wanted = blocking(move || read(&other, true, &selection())).await.unwrap();
    let needed = alone.server.requests() - before;
    let before = rig.server.requests();
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let far = Arc::clone(&far);
            tokio::task::spawn_blocking(move || read(&far, true, &selection()).unwrap())
        })
        .collect();
    for reader in readers {
        assert!(reader.await.unwrap() == wanted);
    }
    let requests = rig.server.requests() - before;
    // The two tables may be fetched by each reader that comes before they are there.
    assert!(requests < needed * 3, "{requests} requests for eight readers, {needed} for one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_of_others_has_no_sidecar() {
    let rig = Rig::new(1 << 30);
    let (dir, ulid) = rig.block(1).await;
    rig.bucket.delete(&Key::block_file(&tenant(), ulid, SIDECAR_FILE)).await.unwrap();
    let near = HashedBlock::open(Arc::new(RealFs), &dir).unwrap();
    let far = rig.cache.block(&tenant(), ulid).await.unwrap();
    for selection in selections() {
        let (wanted, far) = (read(&near, false, &selection).unwrap(), Arc::clone(&far));
        assert!(blocking(move || read(&far, true, &selection)).await.unwrap() == wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_space_has_a_bound() {
    let rig = Rig::new(12 << 20);
    let everything = || (vec![], 0, 7_200_000);
    let (dir, first) = rig.block(1).await;
    let (_, second) = rig.block(2).await;
    let wanted = read(&HashedBlock::open(Arc::new(RealFs), &dir).unwrap(), false, &everything()).unwrap();
    // Each alone fits, the other one makes room.
    for _ in 0..2 {
        for name in [first, second] {
            let far = rig.cache.block(&tenant(), name).await.unwrap();
            assert!(blocking(move || read(&far, true, &everything())).await.unwrap() == wanted);
        }
    }
    let (one, two) = (rig.cache.block(&tenant(), first).await.unwrap(), rig.cache.block(&tenant(), second).await.unwrap());
    let both = blocking(move || [read(&one, true, &everything()), read(&two, true, &everything())].map(|read| read.err())).await;
    // The one that was read last is still there; for the other one there is no room while somebody holds it.
    let errors: Vec<String> = both.iter().flatten().map(BlockError::to_string).collect();
    assert!(matches!(errors.as_slice(), [error] if error.contains("querier.block_cache_bytes")), "{errors:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_does_wrong_is_an_error_or_tried_again() {
    let rig = Rig::new(1 << 30);
    let (dir, ulid) = rig.block(1).await;
    let selection = || (vec![matcher("pod", MatchOp::Equal, "pod-0500")], 0, 7_200_000);
    let wanted = read(&HashedBlock::open(Arc::new(RealFs), &dir).unwrap(), false, &selection()).unwrap();
    for fault in [Fault::Status(503), Fault::Hangup, Fault::LoseAnswer, Fault::Delay(Duration::from_millis(300))] {
        rig.cache.forget(&tenant(), ulid);
        rig.server.fail(fault.clone(), 2, "/index");
        let far = rig.cache.block(&tenant(), ulid).await.unwrap();
        let read = blocking(move || read(&far, true, &selection())).await;
        assert!(read.unwrap() == wanted, "{fault:?}");
    }
    rig.cache.forget(&tenant(), ulid);
    rig.server.fail(Fault::Status(503), 100, "/index");
    assert!(!rig.cache.block(&tenant(), ulid).await.unwrap_err().is_not_found());
    rig.server.heal();
    assert!(rig.cache.block(&tenant(), ulid).await.is_ok(), "a failure is not remembered");

    // A segment that is shorter than it was when the block was opened.
    let far = rig.cache.block(&tenant(), ulid).await.unwrap();
    let segment = Key::block_file(&tenant(), ulid, "chunks/000001");
    let bytes = rig.bucket.get(&segment, 1 << 30).await.unwrap();
    rig.bucket.put(&segment, bytes.slice(..bytes.len() / 4)).await.unwrap();
    let everything = (vec![], 0, 7_200_000);
    assert!(blocking(move || read(&far, true, &everything)).await.is_err());
    // One that is gone.
    rig.cache.forget(&tenant(), ulid);
    let far = rig.cache.block(&tenant(), ulid).await.unwrap();
    rig.bucket.delete(&segment).await.unwrap();
    let gone = blocking(move || read(&far, true, &selection())).await.unwrap_err();
    assert!(is_not_found(&gone), "{gone}");
    rig.bucket.delete_block(&tenant(), ulid).await.unwrap();
    rig.cache.forget(&tenant(), ulid);
    assert!(rig.cache.block(&tenant(), ulid).await.unwrap_err().is_not_found());
}
