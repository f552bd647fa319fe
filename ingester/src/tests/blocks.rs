//! Blocks: what is asked before, while and after they are cut.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use model::Matcher;
use prometheus_client::encoding::text::encode;
use rpc::{CallContext, IngesterClient, RpcErrorKind, SeriesRequest, StreamSelectRequest};
use runtime::Deadline;
use tsdb::block::{Block, Ulid};
use tsdb::fs::{FaultyFs, Fs};

use super::rig::{Contents, NOW, Options, Rig, everything, many, offsets, one, select, select_all};
use super::shipping::start_with;
use super::store::FaultyStore;
use crate::{Config, Flushed};

mod exactness;

const HOUR: Duration = Duration::from_secs(3_600);

/// The folders below a tenant's, without what is in them.
fn folders(fs: &FaultyFs, tenant: &str) -> Vec<String> {
    let mut names = fs.list(&PathBuf::from("data/blocks").join(tenant)).unwrap();
    names.sort();
    names
}

fn metric(rig: &Rig, name: &str) -> String {
    let mut text = String::new();
    encode(&mut text, &rig.registry).unwrap();
    let line = text.lines().find(|line| line.strip_prefix("plimsoll_ingester_").is_some_and(|rest| rest.starts_with(&format!("{name} "))));
    line.and_then(|line| line.rsplit(' ').next()).unwrap_or_default().to_owned()
}

/// An hour after the range that [`NOW`] is in.
fn until_due() -> Duration {
    let width = 2 * 3_600_000;
    Duration::from_millis((width - NOW.rem_euclid(width)) as u64) + HOUR
}

#[tokio::test]
async fn a_range_is_cut_an_hour_after_its_end_and_leaves_memory() {
    let rig = Rig::start().await;
    rig.push("a", many("up", 300, 0)).await.unwrap();
    rig.push("b", many("up", 3, 0)).await.unwrap();
    let before = rig.all("a").await;
    assert!(!rig.ingester.shared.block_round(), "it is not time");
    rig.clock.advance(until_due());
    assert!(rig.ingester.shared.block_round());
    assert_eq!((folders(&rig.fs, "a").len(), folders(&rig.fs, "b").len()), (1, 1));
    assert_eq!(rig.ingester.shared.tenants.all().iter().map(|(_, t)| t.head().series_count()).sum::<usize>(), 0);
    assert!(rig.all("a").await == before);
    assert!(!rig.ingester.shared.block_round(), "once");
    assert_eq!(
        (metric(&rig, "blocks"), metric(&rig, "blocks_cut_total"), metric(&rig, "block_cut_samples_total")),
        ("2".into(), "2".into(), "303".into())
    );
    rig.ingester.shared.truncate();
    assert_eq!(rig.ingester.shared.tenants.count(), 2, "a tenant with blocks is not forgotten");
    let second = rig.after_kill().await;
    assert!(second.all("a").await == before);
    assert_eq!(second.all("b").await.len(), 3);
}

/// A clock two hours fast: the range that is being written is not cut, however late it is here.
#[tokio::test]
async fn a_clock_that_is_ahead_of_the_samples_cuts_nothing_early() {
    let rig = Rig::start().await;
    rig.clock.advance(until_due() + Duration::from_secs(60));
    rig.push("a", many("up", 3, 0)).await.unwrap();
    assert!(!rig.ingester.shared.block_round(), "by the samples the range is not over");
    assert_eq!(metric(&rig, "blocks_cut_total"), "0");
    // They stop coming.
    rig.clock.advance(Duration::from_secs(301));
    assert!(rig.ingester.shared.block_round());
    assert_eq!((metric(&rig, "blocks_cut_total"), rig.all("a").await.len()), ("1".into(), 3));
}

#[tokio::test]
async fn what_queries_have_begun_to_read_stays_until_they_end() {
    let rig = Rig::start().await;
    rig.push("a", many("up", 8_000, 0)).await.unwrap();
    let before = rig.all("a").await;
    let request =
        StreamSelectRequest { matchers: [].into(), min_t: 0, max_t: i64::MAX, sorted: true, projection: model::Projection::WHOLE };
    let mut stream = rig.ingester.select(&rig.ctx("a"), request).await.unwrap();
    let mut series = stream.next().await.unwrap().unwrap().len();
    assert_eq!(rig.ingester.flush(None).await.unwrap(), Flushed { tenants: 1, blocks: 1, samples: 8_000, shipped: 1 });
    assert!(rig.all("a").await == before, "in the head and in the block: each once");
    while let Some(batch) = stream.next().await {
        series += batch.unwrap().len();
    }
    assert_eq!(series, 8_000);
    let tenant = rig.ingester.shared.tenants.get(&rig.ctx("a").tenant).unwrap();
    assert_eq!(tenant.head().series_count(), 8_000);
    drop(stream);
    rig.ingester.shared.block_round();
    assert_eq!(tenant.head().series_count(), 0);
    assert!(rig.all("a").await == before);
    assert_eq!(rig.ingester.flush(None).await.unwrap(), Flushed { tenants: 1, blocks: 0, samples: 0, shipped: 0 });
}

#[tokio::test]
async fn late_samples_make_a_second_block_of_their_range() {
    let rig = Rig::start().await;
    rig.push("a", one("late", [0, 10])).await.unwrap();
    rig.push("a", one("up", [0, 10])).await.unwrap();
    rig.ingester.flush(None).await.unwrap();
    rig.push("a", one("late", [20, 30])).await.unwrap();
    assert_eq!(offsets(&rig.all("a").await, "late"), [0, 10, 20, 30]);
    rig.ingester.flush(None).await.unwrap();
    assert_eq!(folders(&rig.fs, "a").len(), 2);
    // The sender repeats what is in blocks: it is there twice, and answered once.
    rig.push("a", one("up", [0, 10, 20])).await.unwrap();
    assert_eq!(offsets(&rig.all("a").await, "up"), [0, 10, 20]);
    rig.ingester.flush(None).await.unwrap();
    let second = rig.after_kill().await;
    assert_eq!((offsets(&second.all("a").await, "late"), offsets(&second.all("a").await, "up")), (vec![0, 10, 20, 30], vec![0, 10, 20]));
}

#[tokio::test]
async fn labels_come_from_head_and_blocks() {
    let rig = Rig::start().await;
    rig.push("a", many("old", 5, 0)).await.unwrap();
    rig.ingester.flush(None).await.unwrap();
    rig.push("a", many("new", 2, 60)).await.unwrap();
    let ctx = rig.ctx("a");
    let names = |request| rig.ingester.label_values(&ctx, rpc::LabelValuesRequest { name: "__name__".into(), series: request });
    assert_eq!(names(everything()).await.unwrap(), ["new", "old"]);
    assert_eq!(names(SeriesRequest { limit: 1, ..everything() }).await.unwrap(), ["new"]);
    let of = |matcher: Matcher| SeriesRequest { selectors: vec![[matcher].into()], ..everything() };
    assert_eq!(names(of(Matcher::equal("instance", "i00003"))).await.unwrap(), ["old"]);
    assert_eq!(names(of(Matcher::equal("instance", "i00001"))).await.unwrap(), ["new", "old"]);
    assert_eq!(rig.ingester.label_names(&ctx, everything()).await.unwrap(), ["__name__", "instance", "job"]);
    assert_eq!(rig.ingester.label_names(&ctx, of(Matcher::equal("__name__", "old"))).await.unwrap().len(), 3);
    assert_eq!(rig.ingester.series(&ctx, everything()).await.unwrap().len(), 7);
    assert_eq!(rig.ingester.series(&ctx, SeriesRequest { limit: 6, ..everything() }).await.unwrap().len(), 6);
    let later = SeriesRequest { min_t: NOW + 30_000, ..everything() };
    assert_eq!(rig.ingester.series(&ctx, later).await.unwrap().len(), 2, "the block has nothing then");
    let found = select(&rig.ingester, &ctx, &[Matcher::equal("instance", "i00001")]).await.unwrap();
    assert_eq!(found.len(), 2);
}

#[tokio::test]
async fn a_full_disk_costs_a_block_and_no_sample() {
    let rig = Rig::start().await;
    rig.push("a", many("up", 500, 0)).await.unwrap();
    let before = rig.all("a").await;
    rig.clock.advance(until_due());
    rig.fs.set_space(Some(5_000));
    assert!(!rig.ingester.shared.block_round());
    assert_eq!(metric(&rig, "block_cut_failures_total"), "1");
    assert!(folders(&rig.fs, "a").is_empty(), "the temporary folder is gone");
    assert!(rig.all("a").await == before);
    assert_eq!(
        rig.ingester.flush(None).await.unwrap_err().to_string().split(':').next(),
        Some("a block could not be cut, and its samples stay where they are")
    );
    rig.fs.set_space(None);
    assert!(!rig.ingester.shared.block_round(), "not at once again");
    rig.clock.advance(Duration::from_secs(30));
    assert!(rig.ingester.shared.block_round());
    assert!(rig.all("a").await == before);
    assert_eq!(folders(&rig.fs, "a").len(), 1);
}

#[tokio::test]
async fn old_blocks_go_and_leftovers_are_removed_at_the_start() {
    let config = Config { block_retention_seconds: 6 * 3_600, ..Config::default() };
    let store = FaultyStore::default();
    let rig = start_with(&store, Options { config: config.clone(), ..Options::default() }).await;
    rig.push("a", many("up", 10, 0)).await.unwrap();
    rig.ingester.flush(None).await.unwrap();
    rig.clock.advance(5 * HOUR);
    store.show("a", NOW + 5 * 3_600_000).await;
    rig.ship().await;
    rig.ingester.shared.truncate();
    rig.push("a", one("up", [5 * 3_600])).await.unwrap();
    rig.ingester.shared.block_round();
    assert_eq!(rig.all("a").await.len(), 10);
    let ctx = CallContext { deadline: Deadline::after(&rig.clock, 10 * HOUR), ..rig.ctx("a") };
    let request =
        StreamSelectRequest { matchers: [].into(), min_t: 0, max_t: i64::MAX, sorted: true, projection: model::Projection::WHOLE };
    let reading = rig.ingester.select(&ctx, request).await.unwrap();
    rig.clock.advance(4 * HOUR);
    rig.ingester.shared.block_round();
    rig.ingester.shared.truncate();
    assert_eq!(offsets(&rig.all("a").await, "up"), [5 * 3_600], "the first block is over the retention");
    assert_eq!(folders(&rig.fs, "a").len(), 2, "but a query reads it");
    assert_eq!(reading.map(|batch| batch.unwrap().len()).fold(0, |a, b| async move { a + b }).await, 10);
    rig.ingester.shared.block_round();
    let left = folders(&rig.fs, "a");
    assert_eq!(left.len(), 1);
    assert_eq!(metric(&rig, "blocks_deleted_total"), "1");

    let fs = rig.fs.after_kill();
    let parent = PathBuf::from("data/blocks/a");
    for name in [format!("{}.tmp-for-creation", Ulid::new(7, 7)), format!("{}.tmp-for-deletion", Ulid::new(8, 8)), "other".to_owned()] {
        fs.edit(&parent.join(name).join("index"), |bytes| bytes.push(1));
    }
    let second = Rig::with(Options { config, fs, ..Options::default() }).await;
    assert_eq!(folders(&second.fs, "a"), [left, vec!["other".to_owned()]].concat());
}

#[tokio::test]
async fn a_damaged_block_is_an_error_of_its_range_until_it_is_mended_or_moved_away() {
    let rig = Rig::start().await;
    rig.push("a", many("up", 10, 0)).await.unwrap();
    rig.push("b", many("up", 10, 0)).await.unwrap();
    rig.ingester.flush(None).await.unwrap();
    rig.clock.advance(4 * HOUR);
    rig.push("a", one("new", [4 * 3_600])).await.unwrap();
    let before = rig.all("a").await;
    let fs = rig.fs.after_kill();
    let dir = PathBuf::from("data/blocks/a").join(&folders(&fs, "a")[0]);
    let meta = Block::open(Arc::new(fs.clone()), &dir).unwrap().meta().clone();
    // Neither log nor block: what is damaged is lost here.
    fs.remove_dir_all(&PathBuf::from("data/wal")).unwrap();
    let whole = fs.edit(&dir.join("index"), |bytes| std::mem::replace(bytes, b"nonsense".to_vec()));
    let second = Rig::with(Options { fs, ..Options::default() }).await;
    second.clock.advance(4 * HOUR);
    let ctx = second.ctx("a");
    assert_eq!(metric(&second, "blocks_damaged"), "1");
    let error = select_all(&second.ingester, &ctx).await.unwrap_err();
    assert_eq!(error.kind, RpcErrorKind::Unavailable, "another replica may have it");
    assert!(error.message.contains(&dir.display().to_string()), "{error}");
    assert!(second.ingester.label_names(&ctx, everything()).await.is_err());
    assert_eq!(second.all("b").await.len(), 10, "others do not notice");
    second.push("a", one("new", [4 * 3_600])).await.unwrap();
    let after = SeriesRequest { min_t: meta.max_time, ..everything() };
    assert_eq!(second.ingester.series(&ctx, after).await.unwrap().len(), 1, "nor do other times");

    second.fs.edit(&dir.join("index"), |bytes| *bytes = whole);
    second.ingester.shared.block_round();
    assert!(second.all("a").await == before, "mended");

    second.fs.edit(&dir.join("meta.json"), Vec::clear);
    let third = second.after_kill().await;
    assert!(select_all(&third.ingester, &third.ctx("a")).await.is_err());
    third.fs.remove_dir_all(&dir).unwrap();
    third.ingester.shared.block_round();
    assert_eq!(third.all("a").await.len(), 1, "moved away");
    assert_eq!(metric(&third, "blocks_damaged"), "0");
}

#[tokio::test]
async fn damage_that_appears_later_is_an_error_too() {
    let rig = Rig::start().await;
    rig.push("a", many("up", 10, 0)).await.unwrap();
    rig.ingester.flush(None).await.unwrap();
    let dir = PathBuf::from("data/blocks/a").join(&folders(&rig.fs, "a")[0]);
    rig.fs.edit(&dir.join("chunks/000001"), |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    });
    rig.ingester.shared.blocks.close_idle();
    let error = select_all(&rig.ingester, &rig.ctx("a")).await.unwrap_err();
    assert!(error.message.contains("chunks/000001 is damaged at byte"), "{error}");
    assert_eq!(metric(&rig, "block_read_failures_total"), "1");
}

/// What a query over everything gives, as [`Contents`].
async fn whole(rig: &Rig) -> Contents {
    rig.all("a").await
}
