//! A bucket in the layout of Cortex, Mimir and Thanos, its blocks made by Prometheus's own tool, is compacted by a real process over S3's wire.

#![allow(clippy::disallowed_methods, reason = "tests take time as it comes")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cluster::checker::Checker;
use cluster::client::PushSample;
use cluster::deployment::Node;
use cluster::ledger::{Fate, now_ms};
use model::Labels;
use s3server::S3Server;

const TENANT: &str = "team-a";

/// A sample of each minute of a day, of five series.
fn day() -> Vec<PushSample> {
    // A midnight some days ago, in seconds: the ranges of the blocks are over.
    let start = (now_ms() / 86_400_000 - 3) * 86_400_000;
    let labels = |series: i64| Labels::from_pairs([("__name__", "m"), ("n", &series.to_string())]);
    let sample =
        |series: i64, minute: i64| PushSample { labels: labels(series), t: start + minute * 60_000, v: (series * 1_000 + minute) as f64 };
    (0..5).flat_map(|series| (0..24 * 60).map(move |minute| sample(series, minute))).collect()
}

/// The day as two-hour blocks, by promtool.
fn make_blocks(day: &[PushSample], dir: &Path) -> Vec<PathBuf> {
    let mut text = String::from("# TYPE m gauge\n");
    for PushSample { labels, t, v } in day {
        let n = labels.get("n").expect("each has one");
        text.push_str(&format!("m{{n=\"{n}\"}} {v} {}\n", t / 1_000));
    }
    text.push_str("# EOF\n");
    std::fs::create_dir_all(dir).expect("the folder is the test's own");
    let (input, output) = (dir.join("input.om"), dir.join("blocks"));
    std::fs::write(&input, text).expect("the folder is the test's own");
    let made = Command::new("promtool").args(["tsdb", "create-blocks-from", "openmetrics"]).args([&input, &output]).output();
    let made = made.expect("promtool is installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    blocks_in(&output)
}

/// The folders that are named as blocks.
fn blocks_in(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).expect("the folder is there").map(|entry| entry.expect("an entry").path());
    let mut blocks: Vec<_> = entries.filter(|path| path.is_dir() && path.join("meta.json").exists()).collect();
    blocks.sort();
    blocks
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.join("chunks")).expect("the folder is the test's own");
    for file in ["meta.json", "index", "chunks/000001"] {
        std::fs::copy(from.join(file), to.join(file)).expect("a block has these files");
    }
}

/// What promtool reads from blocks, without regard to their order.
fn dump(blocks: &[PathBuf], scratch: &Path) -> BTreeSet<String> {
    let data = scratch.join("dump");
    let _ = std::fs::remove_dir_all(&data);
    // promtool opens a whole data directory.
    std::fs::create_dir_all(data.join("wal")).expect("the folder is the test's own");
    for block in blocks {
        copy(block, &data.join(block.file_name().expect("a block has a name")));
    }
    let dumped = Command::new("promtool").args(["tsdb", "dump"]).arg(&data).output().expect("promtool is installed");
    assert!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
    String::from_utf8(dumped.stdout).expect("a dump is text").lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_bucket_from_elsewhere_is_compacted() -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let server = S3Server::with_keys(&["metrics"], "key", "secret-of-the-test");
    let folder = server.root().join("metrics/prod").join(TENANT);
    let day = day();
    let (first, second) = (make_blocks(&day, &scratch.path().join("a")), make_blocks(&day, &scratch.path().join("b")));
    assert!(first.len() >= 12, "{first:?}");
    for block in first.iter().chain(&second) {
        copy(block, &folder.join(block.file_name().expect("a block has a name")));
    }
    let before = dump(&first, scratch.path());

    let url = format!("s3://metrics/prod?endpoint={}&region=eu-north-1", server.endpoint());
    let node = Node::new("plimsoll", scratch.path(), &["--object-store", &url, "--multitenancy"])?;
    let node = node.with_env("PLIMSOLL_QUERIER_BUCKET_INDEX_REFRESH_SECONDS", "1");
    let mut node = node.with_env("AWS_ACCESS_KEY_ID", "key").with_env("AWS_SECRET_ACCESS_KEY", "secret-of-the-test");
    node.start().await?;
    let answer = node.client().http().post(format!("http://{}/compactor/run", node.http)).send().await?;
    let (status, text) = (answer.status(), answer.text().await?);
    assert!(status.is_success(), "{text}");

    let marked = |block: &PathBuf| block.join("deletion-mark.json").exists();
    let live: Vec<_> = blocks_in(&folder).into_iter().filter(|block| !marked(block)).collect();
    assert_eq!(live.len(), 1, "one block of the day: {live:?}");
    let after = dump(&live, scratch.path());
    assert_eq!(before.len(), 5 * 24 * 60);
    assert!(after == before, "the one block has what promtool wrote, each sample once");
    assert!(folder.join("bucket-index.json.gz").exists());
    // And so do those who ask.
    let checker = Checker::new();
    checker.settle(Fate::Acked, &checker.send(TENANT, &day));
    assert_eq!(checker.verify_within(&node.client(), Duration::from_secs(30)).await?, 5 * 24 * 60);
    let analyzed = Command::new("promtool").args(["tsdb", "analyze"]).arg(scratch.path().join("dump")).output()?;
    assert!(analyzed.status.success(), "{}", String::from_utf8_lossy(&analyzed.stderr));
    let metrics = node.client().http().get(format!("http://{}/metrics", node.http)).send().await?.text().await?;
    assert!(metrics.lines().any(|line| line.starts_with("plimsoll_compactor_merges_total") && !line.ends_with(" 0")), "{metrics}");
    node.kill()
}
