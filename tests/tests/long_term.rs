//! From ingesters to object storage and back: blocks are shipped over S3's wire, the compactor leaves each sample once, and queriers answer from there what
//! ingesters do not have, without gap or double.
#![allow(clippy::print_stdout, reason = "tests report what they compare")]
#![allow(clippy::disallowed_methods, reason = "tests take time as it comes")]

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use cluster::checker::Checker;
use cluster::client::{Client, PushSample};
use cluster::dashboard::{QUERIES, common_time, seconds};
use cluster::deployment::Node;
use cluster::fleet::{Fleet, post};
use cluster::ledger::now_ms;
use cluster::peers::ScrapingPrometheus;
use cluster::{compare, prometheus};
use model::Labels;
use s3server::S3Server;
use serde_json::Value;

const KEYS: [(&str, &str); 3] =
    [("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret-of-the-test"), ("PLIMSOLL_QUERIER_BUCKET_INDEX_REFRESH_SECONDS", "1")];

fn s3() -> (S3Server, String) {
    let server = S3Server::with_keys(&["metrics"], "key", "secret-of-the-test");
    let url = format!("s3://metrics/prod?endpoint={}&region=eu-north-1", server.endpoint());
    (server, url)
}

/// The blocks of the tenant `anonymous` that are not marked for deletion.
fn live_blocks(server: &S3Server) -> anyhow::Result<Vec<PathBuf>> {
    let all = prometheus::blocks(&server.root().join("metrics/prod/anonymous"))?;
    Ok(all.into_iter().filter(|block| !block.join("deletion-mark.json").exists()).collect())
}

fn bytes_below(path: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() { bytes_below(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}

/// What promtool says with these arguments.
fn promtool(args: &[&str], path: &Path) -> anyhow::Result<String> {
    let run = Command::new("promtool").args(args).arg(path).output()?;
    ensure!(run.status.success(), "promtool {args:?}: {}", String::from_utf8_lossy(&run.stderr));
    Ok(String::from_utf8(run.stdout)?)
}

/// How many samples promtool reads from blocks; an error if one is there twice.
fn samples_once(blocks: &[PathBuf]) -> anyhow::Result<usize> {
    let data = tempfile::tempdir()?;
    // promtool opens a whole data directory.
    std::fs::create_dir_all(data.path().join("wal"))?;
    for block in blocks {
        prometheus::copy_dir(block, &data.path().join(block.file_name().context("a block's name")?))?;
    }
    let dump = promtool(&["tsdb", "dump"], data.path())?;
    // The time is the last field, the value the one before.
    let mut seen = HashSet::new();
    for line in dump.lines() {
        let (rest, t) = line.rsplit_once(' ').context("a line of a dump")?;
        let (series, _) = rest.rsplit_once(' ').context("a line of a dump")?;
        ensure!(seen.insert((series.to_owned(), t.to_owned())), "a sample is there twice: {line}");
    }
    promtool(&["tsdb", "analyze"], data.path())?;
    Ok(seen.len())
}

/// The answers to everything that is asked of a node, as text.
async fn answers(client: &Client, t: i64) -> anyhow::Result<Vec<(String, Value)>> {
    let (start, end) = (seconds(t - 15_000), seconds(t));
    let mut all = Vec::new();
    for query in QUERIES {
        all.push((format!("instant {query}"), client.query(query, &end).await?));
        all.push((format!("range {query}"), client.query_range(query, &start, &end, "3").await?));
    }
    let range = [("start", start.as_str()), ("end", end.as_str())];
    for path in ["labels", "label/job/values", "label/mode/values", "label/__name__/values"] {
        all.push((path.to_owned(), client.api(path, &range).await?));
    }
    let series = [("match[]", "node_cpu_seconds_total"), ("match[]", "up{job=\"node\"}"), range[0], range[1]];
    let mut found: Vec<String> = client.api("series", &series).await?.as_array().into_iter().flatten().map(Value::to_string).collect();
    found.sort();
    all.push(("series".to_owned(), found.into()));
    Ok(all)
}

fn same(before: &[(String, Value)], after: &[(String, Value)]) -> anyhow::Result<usize> {
    let mut points = 0;
    for ((what, before), (_, after)) in before.iter().zip(after) {
        if before.get("resultType").is_some() {
            points += compare::same(what, after, before)?;
        } else {
            ensure!(before == after, "{what}: {before} before, {after} after");
        }
    }
    Ok(points)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_prometheus_wrote_is_answered_from_object_storage_alone() -> anyhow::Result<()> {
    let (server, url) = s3();
    let mut fleet = Fleet::start(&url, &KEYS).await?;
    let push: Vec<String> = fleet.distributors.iter().map(|node| format!("{}/api/v1/push", node.client().base())).collect();
    let scraping = ScrapingPrometheus::start_sharded(&push.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    let querier = fleet.querier.client();
    let t = common_time(&scraping.client, &querier).await?;
    drop(scraping);
    let before = answers(&querier, t).await?;

    fleet.flush().await?;
    let shipped = live_blocks(&server)?;
    ensure!(shipped.len() >= 3, "every ingester shipped: {shipped:?}");
    let bytes_shipped: u64 = shipped.iter().map(|block| bytes_below(block)).sum::<anyhow::Result<u64>>()?;
    let points = same(&before, &answers(&querier, t).await?)?;
    println!("after the flush: {} answers, {points} points, unchanged", before.len());

    fleet.compact().await?;
    let merged = live_blocks(&server)?;
    let ranges: HashSet<i64> = merged.iter().map(|block| start_of(block)).collect::<anyhow::Result<_>>()?;
    ensure!(merged.len() == ranges.len() && merged.len() * 3 == shipped.len(), "one block of each range: {merged:?}");
    let bytes_merged: u64 = merged.iter().map(|block| bytes_below(block)).sum::<anyhow::Result<u64>>()?;
    let samples = samples_once(&merged)?;
    println!(
        "{} blocks of {bytes_shipped} bytes became {} of {bytes_merged} bytes with {samples} samples, each once",
        shipped.len(),
        merged.len()
    );
    let points = same(&before, &answers(&querier, t).await?)?;
    println!("after the merge: {points} points, unchanged");

    fleet.wipe_ingesters().await?;
    let points = same(&before, &answers(&querier, t).await?)?;
    println!("from object storage alone: {points} points, unchanged");
    Ok(())
}

/// The two-hour range of a block.
fn start_of(block: &Path) -> anyhow::Result<i64> {
    let meta: Value = serde_json::from_slice(&std::fs::read(block.join("meta.json"))?)?;
    Ok(meta["minTime"].as_i64().context("minTime")?.div_euclid(7_200_000))
}

const DAYS: i64 = 3;
const STEP_MS: i64 = 60_000;
const SERIES: usize = 8;

fn history_value(series: usize, t: i64) -> f64 {
    (t / STEP_MS % 10_007) as f64 + series as f64 / 16.0
}

/// Pushes `[from, to]` of all series, a few hundred steps at a time.
async fn push_history(checker: &Checker, client: &Client, from: i64, to: i64) -> anyhow::Result<()> {
    let times: Vec<i64> = (from..=to).step_by(STEP_MS as usize).collect();
    for some in times.chunks(500) {
        let samples: Vec<PushSample> = (0..SERIES)
            .flat_map(|n| some.iter().map(move |t| (n, *t)))
            .map(|(n, t)| {
                let labels = Labels::from_pairs([("__name__", "history"), ("n", n.to_string().as_str())]);
                PushSample { labels, t, v: history_value(n, t) }
            })
            .collect();
        checker.write(client, &samples).await.context("a push of history")?;
    }
    Ok(())
}

/// Every sample as it was sent, by a range query at its very times, and their number in the whole range: no gap, no double.
async fn check_history(checker: &Checker, client: &Client, from: i64, to: i64, what: &str) -> anyhow::Result<()> {
    checker.verify(client).await.context(what.to_owned())?;
    let mut points = 0;
    let mut start = from;
    while start <= to {
        let end = (start + 5_000 * STEP_MS).min(to);
        let data = client.query_range("last_over_time(history[1s])", &seconds(start), &seconds(end), "60").await?;
        let series = data["result"].as_array().context("a matrix")?;
        ensure!(series.len() == SERIES, "{what}: {} series", series.len());
        for one in series {
            let n: usize = one["metric"]["n"].as_str().context("n")?.parse()?;
            let values = one["values"].as_array().context("values")?;
            ensure!(values.len() as i64 == (end - start) / STEP_MS + 1, "{what}: series {n} has {} points", values.len());
            for value in values {
                let t = (value[0].as_f64().context("a time")? * 1_000.0) as i64;
                let v: f64 = value[1].as_str().context("a value")?.parse()?;
                ensure!(v == history_value(n, t), "{what}: series {n} is {v} at {t}");
                points += 1;
            }
        }
        start = end + STEP_MS;
    }
    let range = format!("count_over_time(history[{}s])", (to - from) / 1_000 + 1);
    let data = client.query(&range, &seconds(to)).await?;
    for one in data["result"].as_array().context("a vector")? {
        let count: i64 = one["value"][1].as_str().context("a count")?.parse()?;
        ensure!(count == (to - from) / STEP_MS + 1, "{what}: {count} samples in {range}");
    }
    println!("{what}: {points} samples, each where it belongs, each once");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_of_history_are_answered_across_the_border_of_ingester_and_store() -> anyhow::Result<()> {
    let (server, url) = s3();
    let dir = tempfile::tempdir()?;
    let node = Node::new("plimsoll", dir.path(), &["--object-store", &url])?;
    let window = (4 * 86_400_000_i64).to_string();
    let mut node = KEYS.iter().fold(node, |node, (name, value)| node.with_env(name, value));
    node = node.with_env("PLIMSOLL_LIMITS_OUT_OF_ORDER_TIME_WINDOW_MS", &window);
    node.start().await?;
    let (client, checker) = (node.client(), Checker::new());
    let to = now_ms() / STEP_MS * STEP_MS;
    let from = to - DAYS * 86_400_000;
    let border = to - 3_600_000;

    // The newest hour first, so that all the rest is out of order.
    push_history(&checker, &client, border, to).await?;
    push_history(&checker, &client, from, border - STEP_MS).await?;
    check_history(&checker, &client, from, to, "as it was written").await?;

    post(&client, "/ingester/flush?wait=true").await?;
    let shipped = live_blocks(&server)?.len();
    check_history(&checker, &client, from, to, "after the flush").await?;
    post(&client, "/compactor/run").await?;
    let merged = live_blocks(&server)?;
    println!("{shipped} blocks became {}", merged.len());
    ensure!(merged.len() < shipped, "ranges of a day became one block: {merged:?}");
    check_history(&checker, &client, from, to, "after the merge").await?;

    // The ingester loses everything; the sender repeats the last hour, of which the store has all but the newest minutes.
    node.kill()?;
    for folder in ["wal", "blocks", "snapshots", "chunks_head"] {
        let path = node.data_dir().join(folder);
        if path.exists() {
            std::fs::remove_dir_all(path)?;
        }
    }
    node.start().await?;
    check_history(&checker, &client, from, to, "from the store alone").await?;
    let later = to + 5 * STEP_MS;
    push_history(&checker, &client, border, later).await?;
    check_history(&checker, &client, from, later, "across the border").await
}
