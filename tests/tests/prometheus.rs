//! A real Prometheus scrapes a real node_exporter and itself and remote-writes to Plimsoll; then both answer the same queries alike, whether
//! Plimsoll is one process or six.
#![allow(clippy::print_stdout, reason = "tests report what they compare")]

use std::time::Duration;

use cluster::client::Client;
use cluster::compare;
use cluster::dashboard::{QUERIES, common_time, seconds};
use cluster::deployment::{Single, Six};
use cluster::peers::ScrapingPrometheus;
use cluster::process::eventually;
use serde_json::Value;

async fn compare_all(prometheus: &Client, plimsoll: &Client) -> anyhow::Result<()> {
    let t = common_time(prometheus, plimsoll).await?;
    let (mut points, mut empty) = (0, Vec::new());
    for query in QUERIES {
        let instant = compare::same(query, &plimsoll.query(query, &seconds(t)).await?, &prometheus.query(query, &seconds(t)).await?)?;
        let (start, end) = (seconds(t - 15_000), seconds(t));
        let ours = plimsoll.query_range(query, &start, &end, "3").await?;
        let theirs = prometheus.query_range(query, &start, &end, "3").await?;
        let range = compare::same(query, &ours, &theirs)?;
        points += instant + range;
        if instant + range == 0 {
            empty.push(query);
        }
    }
    println!(
        "{} instant and {} range queries agree with Prometheus in {points} points; empty in both: {empty:?}",
        QUERIES.len(),
        QUERIES.len()
    );
    anyhow::ensure!(QUERIES.len() - empty.len() >= 40, "too few queries had data: {empty:?}");
    compare_metadata(prometheus, plimsoll, t).await
}

async fn compare_metadata(prometheus: &Client, plimsoll: &Client, t: i64) -> anyhow::Result<()> {
    let (start, end) = ((t / 1_000 - 20).to_string(), (t / 1_000).to_string());
    let range = [("start", start.as_str()), ("end", end.as_str())];
    for path in ["labels", "label/job/values", "label/mode/values", "label/__name__/values"] {
        assert_eq!(plimsoll.api(path, &range).await?, prometheus.api(path, &range).await?, "{path}");
    }
    let series = [("match[]", "node_cpu_seconds_total"), ("match[]", "up{job=\"node\"}"), range[0], range[1]];
    let sorted = |data: Value| {
        let mut all: Vec<String> = data.as_array().into_iter().flatten().map(Value::to_string).collect();
        all.sort();
        all
    };
    assert_eq!(sorted(plimsoll.api("series", &series).await?), sorted(prometheus.api("series", &series).await?));
    eventually("metadata arrives", Duration::from_secs(30), || async {
        plimsoll.api("metadata", &[]).await.is_ok_and(|m| m.get("node_cpu_seconds_total").is_some())
    })
    .await?;
    let family = [("metric", "node_cpu_seconds_total")];
    assert_eq!(plimsoll.api("metadata", &family).await?, prometheus.api("metadata", &family).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_answers_as_prometheus_does() -> anyhow::Result<()> {
    let plimsoll = Single::start(&[]).await?;
    let client = plimsoll.node.client();
    let prometheus = ScrapingPrometheus::start(&format!("{}/api/v1/push", client.base())).await?;
    compare_all(&prometheus.client, &client).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_processes_answer_as_prometheus_does() -> anyhow::Result<()> {
    let plimsoll = Six::start().await?;
    let push = format!("{}/api/v1/write", plimsoll.distributor.client().base());
    let prometheus = ScrapingPrometheus::start(&push).await?;
    compare_all(&prometheus.client, &plimsoll.querier.client()).await
}
