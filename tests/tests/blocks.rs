//! Blocks go both ways: what an ingester cut is read by Debian's Prometheus, what that one compacted is read by an ingester, and both answer alike.
#![allow(clippy::print_stdout, reason = "tests report what they compare")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use cluster::client::Client;
use cluster::compare;
use cluster::deployment::{Node, Single};
use cluster::ledger::now_ms;
use cluster::process::{eventually, installed};
use cluster::prometheus::{Prometheus, blocks, copy_dir};
use proto::remote_write_v1 as v1;
use serde_json::Value;

const SCRAPE_MS: i64 = 15_000;

/// Series of a kind each, from `from` to `to`: floats that grow, walk, and end with a stale marker; histograms of both kinds.
fn request(from: i64, to: i64, series: std::ops::Range<i64>) -> v1::WriteRequest {
    let label = |name: &str, value: &str| v1::Label { name: name.to_owned(), value: value.to_owned() };
    let timeseries = series
        .map(|n| {
            let kind = ["counter", "gauge", "ints", "floats"][(n % 4) as usize];
            let mut one = v1::TimeSeries {
                labels: vec![
                    label("__name__", &format!("test_{kind}")),
                    label("instance", &format!("host-{n:03}")),
                    label("odd", "\"ü\"\n"),
                ],
                ..v1::TimeSeries::default()
            };
            // Each series is scraped at its own millisecond.
            for t in (from..to).filter(|t| t % SCRAPE_MS == n) {
                let step = t / SCRAPE_MS % 1_000;
                match n % 4 {
                    0 => one.samples.push(v1::Sample { value: (step * n) as f64, timestamp: t }),
                    1 => one.samples.push(v1::Sample { value: ((step * 7_919) % 1_000) as f64 / 8.0, timestamp: t }),
                    _ => one.histograms.push(histogram(t, step as u64, n % 4 == 3)),
                }
            }
            one
        })
        .filter(|one| !one.samples.is_empty() || !one.histograms.is_empty())
        .collect();
    v1::WriteRequest { timeseries, metadata: Vec::new() }
}

fn histogram(t: i64, n: u64, float: bool) -> v1::Histogram {
    use v1::histogram::{Count, ZeroCount};
    let mut one = v1::Histogram {
        sum: n as f64 * 1.5,
        schema: 2,
        zero_threshold: 0.001,
        positive_spans: vec![v1::BucketSpan { offset: -1, length: 2 }, v1::BucketSpan { offset: 2, length: 1 }],
        timestamp: t,
        ..v1::Histogram::default()
    };
    if float {
        one.count = Some(Count::CountFloat(n as f64 * 4.0));
        one.zero_count = Some(ZeroCount::ZeroCountFloat(n as f64));
        one.positive_counts = vec![n as f64; 3];
    } else {
        one.count = Some(Count::CountInt(n * 4));
        one.zero_count = Some(ZeroCount::ZeroCountInt(n));
        one.positive_deltas = vec![n as i64, 0, 0];
    }
    one
}

async fn push(client: &Client, message: &v1::WriteRequest) -> anyhow::Result<()> {
    let (status, text) = client.push_message(message).await?;
    ensure!(status == 204, "{status}: {text}");
    Ok(())
}

async fn flush(client: &Client) -> anyhow::Result<Value> {
    let response = client.http().post(format!("{}/ingester/flush?wait=true", client.base())).send().await?;
    ensure!(response.status().is_success(), "{}", response.text().await?);
    Ok(response.json().await?)
}

/// Series by their labels: samples and histograms by time, numbers as they are after parsing.
type Raw = BTreeMap<String, BTreeMap<i64, Vec<u64>>>;

/// Everything that a range selector gives.
fn raw(data: &Value) -> anyhow::Result<Raw> {
    fn numbers(value: &Value, out: &mut Vec<u64>) -> anyhow::Result<()> {
        match value {
            Value::String(text) => out.push(text.parse::<f64>()?.to_bits()),
            Value::Number(n) => out.push(n.as_f64().context("a number")?.to_bits()),
            Value::Array(all) => all.iter().try_for_each(|v| numbers(v, out))?,
            Value::Object(fields) => {
                for name in ["count", "sum", "buckets"] {
                    numbers(fields.get(name).unwrap_or(&Value::Array(Vec::new())), out)?;
                }
            }
            other => bail!("{other} is no number"),
        }
        Ok(())
    }
    let mut all = Raw::new();
    for series in data["result"].as_array().context("a matrix")? {
        let points = all.entry(series["metric"].to_string()).or_default();
        for kind in ["values", "histograms"] {
            for point in series[kind].as_array().into_iter().flatten() {
                let t = (point[0].as_f64().context("a time")? * 1_000.0).round() as i64;
                let mut value = Vec::new();
                numbers(&point[1], &mut value)?;
                ensure!(points.insert(t, value).is_none(), "two samples at {t}");
            }
        }
    }
    Ok(all)
}

/// Compares all raw samples of `[t - minutes, t]` of metrics; how many.
async fn same_raw(ours: &Client, theirs: &Client, metrics: &str, t: &str, minutes: i64) -> anyhow::Result<usize> {
    let query = format!("{{__name__=~\"{metrics}\"}}[{minutes}m]");
    let (ours, theirs) = (raw(&ours.query(&query, t).await?)?, raw(&theirs.query(&query, t).await?)?);
    for (labels, want) in &theirs {
        let got = ours.get(labels).with_context(|| format!("{labels} is missing"))?;
        if let Some((t, value)) = want.iter().find(|(t, value)| got.get(t) != Some(value)) {
            bail!("{labels} at {t}: {:?}, Prometheus has {value:?}", got.get(t));
        }
        ensure!(got.len() == want.len(), "{labels}: {} samples, Prometheus has {}", got.len(), want.len());
    }
    ensure!(ours.len() == theirs.len(), "{} series, Prometheus has {}", ours.len(), theirs.len());
    Ok(theirs.values().map(BTreeMap::len).sum())
}

/// Compares the histograms that stand at a time; how many. Not by range selectors: there 2.42 answers one sample with the buckets of another.
async fn same_histograms(ours: &Client, theirs: &Client, metrics: &str, t: &str) -> anyhow::Result<usize> {
    let query = format!("{{__name__=~\"{metrics}\"}}");
    let of = |data: Value| -> anyhow::Result<BTreeMap<String, Value>> {
        let series = data["result"].as_array().context("a vector")?.clone();
        Ok(series.into_iter().map(|one| (one["metric"].to_string(), one["histogram"].clone())).collect())
    };
    let (ours, theirs) = (of(ours.query(&query, t).await?)?, of(theirs.query(&query, t).await?)?);
    ensure!(ours == theirs, "{query} at {t}: {ours:?}, Prometheus has {theirs:?}");
    Ok(theirs.values().filter(|histogram| !histogram.is_null()).count())
}

async fn same(ours: &Client, theirs: &Client, queries: &[&str], t: &str) -> anyhow::Result<usize> {
    let mut points = 0;
    for query in queries {
        points += compare::same(query, &ours.query(query, t).await?, &theirs.query(query, t).await?)?;
    }
    Ok(points)
}

fn promtool(args: &[&str], dir: &Path) -> anyhow::Result<String> {
    std::fs::create_dir_all(dir.join("wal"))?;
    let run = Command::new(installed("promtool")?).arg("tsdb").args(args).arg(dir).output()?;
    ensure!(run.status.success(), "promtool {args:?}: {}", String::from_utf8_lossy(&run.stderr));
    Ok(String::from_utf8(run.stdout)?)
}

fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

/// Late samples, two blocks of one range, histograms of both kinds: everything that an ingester cuts.
#[tokio::test(flavor = "multi_thread")]
async fn prometheus_reads_what_an_ingester_cut() -> anyhow::Result<()> {
    let plimsoll = Single::start(&[]).await?;
    let ours = plimsoll.node.client();
    let end = now_ms() / SCRAPE_MS * SCRAPE_MS;
    let hour = 3_600_000;
    push(&ours, &request(end - 5 * hour, end - 2 * hour, 0..40)).await?;
    let first = flush(&ours).await?;
    ensure!(first["blocks"].as_u64().is_some_and(|n| n >= 2), "{first}");
    // Other senders were cut off for hours; of those that were not, some go on in the range that was cut.
    push(&ours, &request(end - 5 * hour, end - hour, 40..60)).await?;
    push(&ours, &request(end - 2 * hour, end, 0..40)).await?;
    let before = raw(&ours.query("{__name__=~\".+\"}[6h]", &seconds(end + 7_500)).await?)?;
    flush(&ours).await?;
    let after = raw(&ours.query("{__name__=~\".+\"}[6h]", &seconds(end + 7_500)).await?)?;
    ensure!(before == after, "the answer changed by the flush");
    ensure!(after.len() == 60, "{} series", after.len());

    let cut = blocks(&plimsoll.node.data_dir().join("blocks/anonymous"))?;
    let theirs = Prometheus::over_blocks(&cut).await?;
    let mut samples = 0;
    for (t, minutes) in [(end + 7_500, 120), (end - 2 * hour + 7_500, 120), (end + 7_500, 360)] {
        samples += same_raw(&ours, &theirs.client, "test_(counter|gauge)", &seconds(t), minutes).await?;
    }
    let mut histograms = 0;
    for step in 0..20 {
        let t = end + 7_500 - step * 15 * 60_000;
        histograms += same_histograms(&ours, &theirs.client, "test_(ints|floats)", &seconds(t)).await?;
    }
    ensure!(histograms > 300, "only {histograms} histograms");
    let queries = [
        "count by (__name__) ({__name__=~\".+\"})",
        "sum by (instance) (rate(test_counter[5m]))",
        "avg_over_time(test_gauge[20m])",
        "max_over_time(test_gauge{instance=~\"host-0[0-3].\"}[3h])",
        "count_over_time({__name__=~\"test_.*\"}[5h])",
        "resets(test_counter[5h])",
    ];
    let points = same(&ours, &theirs.client, &queries, &seconds(end - hour + 7_500)).await?;
    println!("{} blocks, {samples} samples, {histograms} histograms and {points} points are the same", cut.len());

    let copy = tempfile::tempdir()?;
    for block in &cut {
        copy_dir(block, &copy.path().join(block.file_name().context("a name")?))?;
    }
    let list = promtool(&["list"], copy.path())?;
    for block in &cut {
        let name = block.file_name().and_then(|n| n.to_str()).context("a name")?;
        ensure!(list.contains(name), "{list}");
        promtool_analyze(copy.path(), name)?;
    }
    // 2.42 prints floats only.
    let dumped = promtool(&["dump"], copy.path())?.lines().count();
    let floats: usize =
        after.iter().filter(|(labels, _)| labels.contains("counter") || labels.contains("gauge")).map(|(_, points)| points.len()).sum();
    ensure!(dumped == floats, "promtool dumps {dumped} samples, we have {floats}");
    Ok(())
}

fn promtool_analyze(dir: &Path, block: &str) -> anyhow::Result<()> {
    let run = Command::new(installed("promtool")?).args(["tsdb", "analyze"]).arg(dir).arg(block).output()?;
    let text = String::from_utf8(run.stdout)?;
    ensure!(run.status.success() && text.contains("Label names: 3\n"), "{text}{}", String::from_utf8_lossy(&run.stderr));
    Ok(())
}

fn level(block: &Path) -> Option<u64> {
    let meta: Value = serde_json::from_slice(&std::fs::read(block.join("meta.json")).ok()?).ok()?;
    meta["compaction"]["level"].as_u64()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingester_reads_what_prometheus_compacted() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut node = Node::new("plimsoll", dir.path(), &[])?;
    let target = node.data_dir().join("blocks/anonymous");
    {
        let scraping = Prometheus::scraping_itself().await?;
        let compacted = || blocks(&scraping.tsdb()).unwrap_or_default().iter().any(|block| level(block).is_some_and(|level| level > 1));
        // It looks once a minute.
        eventually("Prometheus has compacted blocks", Duration::from_secs(240), || async { compacted() }).await?;
        for block in blocks(&scraping.tsdb())? {
            copy_dir(&block, &target.join(block.file_name().context("a name")?))?;
        }
    }
    let theirs_cut = blocks(&target)?;
    let theirs = Prometheus::over_blocks(&theirs_cut).await?;
    node.start().await?;
    let ours = node.client();
    let t = between_scrapes(&theirs.client, &theirs_cut).await?;
    let samples = same_raw(&ours, &theirs.client, ".+", &seconds(t), 10).await?;
    let queries = [
        "up",
        "count by (job, instance) ({__name__=~\".+\"})",
        "rate(prometheus_http_requests_total[10s])",
        "sum by (le) (rate(prometheus_tsdb_compaction_chunk_size_bytes_bucket[10s]))",
        "histogram_quantile(0.9, sum by (le) (prometheus_http_request_duration_seconds_bucket))",
        "irate(process_cpu_seconds_total[5s])",
        "max_over_time(go_goroutines[20s])",
        "avg_over_time(go_memstats_alloc_bytes[20s])",
        "count_values(\"version\", prometheus_build_info)",
        "topk(3, go_memstats_sys_bytes)",
        "changes(process_resident_memory_bytes[20s])",
        "label_replace(up, \"host\", \"$1\", \"instance\", \"(.*):.*\")",
    ];
    let points = same(&ours, &theirs.client, &queries, &seconds(t)).await?;
    ensure!(samples > 10_000, "only {samples} samples");
    println!("{} blocks of Prometheus, {samples} samples and {points} points are the same", theirs_cut.len());
    Ok(())
}

/// A time near the end of the last block that lies between scrapes, in milliseconds.
async fn between_scrapes(client: &Client, blocks: &[PathBuf]) -> anyhow::Result<i64> {
    let mut end = 0;
    for block in blocks {
        let meta: Value = serde_json::from_slice(&std::fs::read(block.join("meta.json"))?)?;
        end = end.max(meta["maxTime"].as_i64().context("maxTime")?);
    }
    let data = client.query("up[1m]", &seconds(end)).await?;
    let times: Vec<i64> = data["result"][0]["values"]
        .as_array()
        .context("scrapes")?
        .iter()
        .filter_map(|point| point[0].as_f64())
        .map(|t| (t * 1_000.0).round() as i64)
        .collect();
    let last = times.iter().rev().nth(2).context("three scrapes")?;
    // Half way between two scrapes half a second apart; ranges are whole seconds, so their other ends are as well.
    Ok(last + 250)
}
