//! The same calls against a folder, memory, and S3 over a real wire; then S3 with faults.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use bucket::{Bucket, BucketError, BucketIndex, DeletionMark, Key, Settings};
use bytes::Bytes;
use model::TenantId;
use prometheus_client::registry::Registry;
use runtime::SystemClock;
use s3server::{Fault, S3Server};
use tsdb::block::{BlockSpec, Ulid, write_block};
use tsdb::fs::{Fs, RealFs};

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

fn open(url: &str) -> Bucket {
    open_with(url, Settings::default())
}

fn open_with(url: &str, settings: Settings) -> Bucket {
    bucket::open(url, settings, SystemClock::shared(), &mut Registry::default()).unwrap()
}

fn s3(server: &S3Server) -> String {
    format!("s3://blocks/some/prefix?endpoint={}&region=eu&anonymous=true", server.endpoint())
}

fn real() -> Arc<dyn Fs> {
    Arc::new(RealFs)
}

fn key(name: &str) -> Key {
    Key::block_file(&tenant("a"), Ulid::new(1, 1), name)
}

/// Writes a small block into a folder; its name.
fn make_block(parent: &std::path::Path, number: u128) -> Ulid {
    let ulid = Ulid::new(1_000, number);
    let labels = model::Labels::from_pairs([("__name__", "up"), ("job", "a")]);
    let mut chunk = tsdb::chunk::XorAppender::new();
    chunk.append(1_000, 1.0);
    chunk.append(2_000, 2.0);
    let chunk = model::Chunk { encoding: model::ChunkEncoding::Xor, min_t: 1_000, max_t: 2_000, data: chunk.finish().into() };
    let series = [Ok((labels, vec![chunk]))];
    write_block(real(), parent, BlockSpec::level_1(ulid, 0, 7_200_000), series).unwrap().unwrap();
    ulid
}

async fn all_calls(bucket: &Bucket) {
    let index = key("index");
    assert!(bucket.get(&index, 100).await.unwrap_err().is_not_found());
    bucket.put(&index, "0123456789").await.unwrap();
    assert_eq!(bucket.get(&index, 10).await.unwrap(), "0123456789");
    assert!(matches!(bucket.get(&index, 9).await, Err(BucketError::TooLarge { len: 10, max: 9, .. })));
    assert_eq!(bucket.get_range(&index, 2..5).await.unwrap(), "234");
    assert_eq!(bucket.get_ranges(&index, &[7..9, 0..1]).await.unwrap(), ["78", "0"]);
    assert_eq!(bucket.head(&index).await.unwrap().len, 10);
    assert!(bucket.exists(&index).await.unwrap() && !bucket.exists(&key("other")).await.unwrap());
    for segment in ["chunks/000001", "chunks/000002"] {
        bucket.put(&key(segment), Bytes::from_static(b"c")).await.unwrap();
    }
    let listed = bucket.list(&Key::tenant(&tenant("a")), 3).await.unwrap();
    assert_eq!(listed.iter().map(|o| o.key.clone()).collect::<Vec<_>>(), [key("chunks/000001"), key("chunks/000002"), index.clone()]);
    assert!(matches!(bucket.list(&Key::root(), 2).await, Err(BucketError::TooMany { max: 2, .. })));
    bucket.put(&Key::bucket_index(&tenant("b")), "x").await.unwrap();
    assert_eq!(bucket.list_folders(&Key::root()).await.unwrap(), ["a", "b"]);
    bucket.delete(&index).await.unwrap();
    bucket.delete(&index).await.unwrap();
    assert!(!bucket.exists(&index).await.unwrap());
    large_file(bucket).await;
    block_there_and_back(bucket).await;
}

/// More than two parts, in and out.
async fn large_file(bucket: &Bucket) {
    let dir = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..20_000_000_u32).map(|i| (i ^ i >> 8 ^ i >> 16) as u8).collect();
    std::fs::write(dir.path().join("in"), &bytes).unwrap();
    assert_eq!(bucket.upload(&key("large"), &real(), &dir.path().join("in")).await.unwrap(), bytes.len() as u64);
    bucket.download(&key("large"), &dir.path().join("out")).await.unwrap();
    assert!(std::fs::read(dir.path().join("out")).unwrap() == bytes);
    assert!(matches!(bucket.download(&key("large"), &dir.path().join("out")).await, Err(BucketError::Local { .. })));
    bucket.delete(&key("large")).await.unwrap();
}

async fn block_there_and_back(bucket: &Bucket) {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ulid = make_block(from.path(), 7);
    let (tenant, dir) = (tenant("team-a"), from.path().join(ulid.to_string()));
    let meta = tsdb::block::BlockMeta::read(&RealFs, &dir).unwrap();
    bucket.upload_block(&tenant, &real(), &dir, &meta).await.unwrap();
    bucket.upload_block(&tenant, &real(), &dir, &meta).await.unwrap();
    assert_eq!(bucket.block_meta(&tenant, ulid).await.unwrap(), meta);
    let copy = to.path().join(ulid.to_string());
    bucket.download_block(&tenant, ulid, &copy).await.unwrap();
    for file in ["meta.json", "index", "chunks/000001"] {
        assert_eq!(std::fs::read(copy.join(file)).unwrap(), std::fs::read(dir.join(file)).unwrap(), "{file}");
    }
    let mark = DeletionMark::new(ulid, 5_000, "for a test");
    bucket.mark_for_deletion(&tenant, &mark).await.unwrap();
    bucket.mark_for_deletion(&tenant, &DeletionMark::new(ulid, 9_000, "again")).await.unwrap();
    assert_eq!(bucket.deletion_mark(&tenant, ulid).await.unwrap(), Some(mark), "the first mark counts");
    let index = BucketIndex {
        version: BucketIndex::VERSION,
        blocks: vec![bucket::index::IndexedBlock::new(&meta, 5)],
        block_deletion_marks: Vec::new(),
        updated_at: 6,
    };
    assert_eq!(bucket.index(&tenant).await.unwrap(), None);
    bucket.put_index(&tenant, &index).await.unwrap();
    assert_eq!(bucket.index(&tenant).await.unwrap(), Some(index));
    bucket.delete_block(&tenant, ulid).await.unwrap();
    let left: Vec<_> = bucket.list(&Key::tenant(&tenant), 100).await.unwrap().into_iter().map(|o| o.key).collect();
    assert_eq!(left, [Key::bucket_index(&tenant)]);
}

/// Of several who create, one succeeds; of several who replace what they saw, one.
async fn conditional_writes(bucket: &Bucket) {
    bucket.create(&key("c"), "1").await.unwrap();
    assert!(matches!(bucket.create(&key("c"), "2").await, Err(BucketError::AlreadyExists { .. })));
    let (bytes, seen) = bucket.get_versioned(&key("c"), 10).await.unwrap();
    assert_eq!(bytes, "1");
    bucket.replace(&key("c"), "3", &seen).await.unwrap();
    assert!(matches!(bucket.replace(&key("c"), "4", &seen).await, Err(BucketError::Changed { .. })));
    assert_eq!(bucket.get(&key("c"), 10).await.unwrap(), "3");
}

#[tokio::test]
async fn a_folder() {
    let dir = tempfile::tempdir().unwrap();
    all_calls(&open(&format!("file://{}", dir.path().join("bucket").display()))).await;
}

#[tokio::test]
async fn memory() {
    let bucket = open("memory://");
    all_calls(&bucket).await;
    conditional_writes(&bucket).await;
}

#[tokio::test]
async fn s3_over_the_wire() {
    let server = S3Server::start(&["blocks"]);
    all_calls(&open(&s3(&server))).await;
    assert!(server.root().join("blocks/some/prefix").exists(), "the URL's path is a prefix of all names");
}

#[tokio::test]
async fn requests_that_fail_are_repeated() {
    let server = S3Server::start(&["blocks"]);
    let bucket = open(&s3(&server));
    server.fail(Fault::Status(503), 2, "");
    bucket.put(&key("index"), "x").await.unwrap();
    server.fail(Fault::Hangup, 1, "");
    assert_eq!(bucket.get(&key("index"), 10).await.unwrap(), "x");
    server.fail(Fault::LoseAnswer, 1, "");
    bucket.put(&key("index"), "y").await.unwrap();
    assert_eq!(bucket.get(&key("index"), 10).await.unwrap(), "y");
}

#[tokio::test]
async fn what_does_not_get_better_is_an_error_in_time() {
    let server = S3Server::start(&["blocks"]);
    let settings = Settings { timeout_seconds: 1, retries: 2, ..Settings::default() };
    let bucket = open_with(&s3(&server), settings);
    server.fail(Fault::Delay(Duration::from_secs(30)), 10, "");
    let slow = bucket.put(&key("index"), "x").await.unwrap_err();
    assert!(slow.is_temporary(), "{slow}");
    server.heal();
    server.fail(Fault::Status(500), 100, "");
    let before = server.requests();
    let broken = bucket.put(&key("index"), "x").await.unwrap_err();
    assert!(broken.is_temporary(), "{broken}");
    assert!((1..=3).contains(&(server.requests() - before)), "once, and two times more");
    server.heal();
    bucket.put(&key("index"), "x").await.unwrap();
}

#[tokio::test]
async fn an_upload_that_fails_leaves_no_block() {
    let server = S3Server::start(&["blocks"]);
    let bucket = open_with(&s3(&server), Settings { retries: 0, ..Settings::default() });
    let dir = tempfile::tempdir().unwrap();
    let ulid = make_block(dir.path(), 8);
    let folder = dir.path().join(ulid.to_string());
    let meta = tsdb::block::BlockMeta::read(&RealFs, &folder).unwrap();
    server.fail(Fault::Status(403), 1, "/index");
    bucket.upload_block(&tenant("a"), &real(), &folder, &meta).await.unwrap_err();
    assert!(bucket.block_meta(&tenant("a"), ulid).await.unwrap_err().is_not_found());
    bucket.upload_block(&tenant("a"), &real(), &folder, &meta).await.unwrap();
    assert_eq!(bucket.block_meta(&tenant("a"), ulid).await.unwrap(), meta);
}

#[test]
fn urls_that_are_wrong_say_why() {
    let refused = |url: &str| {
        let error = bucket::open(url, Settings::default(), SystemClock::shared(), &mut Registry::default()).unwrap_err();
        error.to_string()
    };
    assert!(refused("/some/path").contains("file://"));
    assert!(refused("ftp://host/").contains("not supported"));
    assert!(refused("file://").contains("no folder"));
    assert!(refused("s3://bucket?color=red").contains("option color is not known"));
    assert!(refused("s3://bucket?anonymous=maybe").contains("true or false"));
    let secret = refused("s3://user:secret@bucket");
    assert!(secret.contains("environment") && !secret.contains("secret@"), "{secret}");
}
