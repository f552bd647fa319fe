//! Whatever comes in, the process answers with the right 4xx and goes on serving others.

use anyhow::{Context, ensure};
use cluster::checker::Checker;
use cluster::client::{Client, PushSample};
use cluster::deployment::Single;
use cluster::ledger::now_ms;
use model::Labels;
use prost::Message;
use proto::remote_write_v1 as v1;

const V1: &str = "application/x-protobuf";
const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

fn snappy(body: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(body).expect("small bodies compress")
}

fn series(labels: &[(&str, &str)]) -> v1::TimeSeries {
    v1::TimeSeries {
        labels: labels.iter().map(|(n, v)| v1::Label { name: (*n).to_owned(), value: (*v).to_owned() }).collect(),
        samples: vec![v1::Sample { value: 1.0, timestamp: now_ms() }],
        ..v1::TimeSeries::default()
    }
}

fn message(series: Vec<v1::TimeSeries>) -> Vec<u8> {
    snappy(&v1::WriteRequest { timeseries: series, metadata: Vec::new() }.encode_to_vec())
}

/// A good write, and queries of all of them.
async fn still_serves(checker: &Checker, client: &Client) -> anyhow::Result<()> {
    let sample = PushSample { labels: Labels::from_pairs([("__name__", "alive")]), t: now_ms(), v: 1.0 };
    checker.write(client, &[sample]).await.context("a good push")?;
    checker.verify(client).await.context("a good query")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_writes_get_their_status_and_harm_nobody() -> anyhow::Result<()> {
    let mut single = Single::start(&[]).await?;
    let (client, checker) = (single.node.client(), Checker::new());
    let mut noise = Vec::new();
    let mut state = 42_u64;
    for _ in 0..4_096 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        noise.push((state >> 33) as u8);
    }
    let good = message(vec![series(&[("__name__", "good")])]);
    // A claim of 4 GiB minus one in the snappy header, followed by almost nothing.
    let bomb = vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 0x61];
    let lying = snappy(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x07, 0x0a, 0x02, 0x0a, 0x00]);
    let lying_inner = snappy(&[0x0a, 0x04, 0x0a, 0x7f, 0x0a, 0x01]);
    let invalid_utf8 = {
        let mut body =
            v1::WriteRequest { timeseries: vec![series(&[("__name__", "bad"), ("l", "XYZ")])], metadata: Vec::new() }.encode_to_vec();
        let at = body.windows(3).position(|w| w == b"XYZ").expect("the value is in the body");
        body[at] = 0xff;
        snappy(&body)
    };
    let cases: Vec<(&str, &str, Vec<u8>, &[u16])> = vec![
        ("random bytes", V1, noise.clone(), &[400]),
        ("random protobuf", V1, snappy(&noise), &[400]),
        ("random protobuf as 2.0", V2, snappy(&noise), &[400]),
        ("truncated snappy", V1, good[..good.len() - 3].to_vec(), &[400]),
        ("empty body", V1, Vec::new(), &[400]),
        ("a bomb of 4 GiB", V1, bomb.clone(), &[400, 413]),
        ("a bomb of 4 GiB as 2.0", V2, bomb, &[400, 413]),
        ("a message longer than the body", V1, lying, &[400]),
        ("a label longer than its series", V1, lying_inner, &[400]),
        ("no metric name", V1, message(vec![series(&[("job", "x")])]), &[400]),
        ("no labels", V1, message(vec![series(&[])]), &[400]),
        ("a label twice", V1, message(vec![series(&[("__name__", "m"), ("a", "1"), ("a", "2")])]), &[400]),
        ("an empty label name", V1, message(vec![series(&[("__name__", "m"), ("", "1")])]), &[400]),
        ("a label value of 10 kB", V1, message(vec![series(&[("__name__", "m"), ("a", &"v".repeat(10_000))])]), &[400]),
        ("invalid UTF-8", V1, invalid_utf8, &[400]),
        ("an unknown content type", "application/json", good.clone(), &[415]),
        ("an unknown message", "application/x-protobuf;proto=io.example.Other", good.clone(), &[415]),
    ];
    for (what, content_type, body, want) in cases {
        let (status, text) = client.push_raw(content_type, body, None).await?;
        ensure!(want.contains(&status), "{what}: {status} {text}");
        ensure!(!text.trim().is_empty(), "{what}: {status} without a reason");
        still_serves(&checker, &client).await.map_err(|e| e.context(format!("after {what}")))?;
    }
    ensure!(single.node.process().is_alive());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_good_part_of_a_bad_request_is_kept() -> anyhow::Result<()> {
    let single = Single::start(&[]).await?;
    let client = single.node.client();
    let body = message(vec![
        series(&[("__name__", "kept"), ("n", "1")]),
        series(&[("no_name", "x")]),
        // Out of order, as a sloppy sender writes them: put in order, not refused.
        series(&[("zone", "z"), ("__name__", "kept"), ("n", "2")]),
        series(&[("__name__", "kept"), ("n", "3"), ("gone", "")]),
    ]);
    let (status, text) = client.push_raw(V1, body, None).await?;
    ensure!(status == 400 && text.contains("missing_metric_name") | text.contains("__name__"), "{status}: {text}");
    let now = (now_ms() as f64 / 1_000.0).to_string();
    let data = client.query("count(kept)", &now).await?;
    ensure!(data["result"][0]["value"][1] == "3", "{data}");
    let data = client.query("kept{zone=\"z\",n=\"2\"}", &now).await?;
    ensure!(data["result"].as_array().is_some_and(|r| r.len() == 1), "{data}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_queries_get_their_status_and_harm_nobody() -> anyhow::Result<()> {
    let mut single = Single::start(&[]).await?;
    let (client, checker) = (single.node.client(), Checker::new());
    still_serves(&checker, &client).await?;
    let nested = format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000));
    let chain = vec!["1"; 100_000].join("+");
    let negated = format!("{}1", "-".repeat(10_000));
    let long = format!("up{{a=~\"{}\"}}", "x".repeat(3_000_000));
    let matchers = format!("up{{{}}}", (0..100_000).map(|i| format!("l{i}=\"v\"")).collect::<Vec<_>>().join(","));
    let queries: Vec<(&str, &str)> = vec![
        ("10,000 parentheses", &nested),
        ("100,000 operators", &chain),
        ("10,000 signs", &negated),
        ("a regex of 3 MB", &long),
        ("100,000 matchers", &matchers),
        ("no query", ""),
        ("half a query", "sum(rate(up[5m])"),
        ("a regex that does not close", "up{a=~\"(\"}"),
        ("an unknown function", "frobnicate(up)"),
        ("a huge repetition", "up{a=~\"((a{500}){500}){500}\"}"),
        ("a range of zero", "rate(up[0s])"),
        ("a range beyond time", "rate(up[300y])"),
        ("a matrix where a vector belongs", "sum(up[5m])"),
    ];
    for (what, query) in queries {
        let form = [("query", query), ("time", "1700000000")];
        let response = client.http().post(format!("{}/api/v1/query", client.base())).form(&form).send().await?;
        let (status, body) = (response.status().as_u16(), response.text().await?);
        ensure!(status == 400 && body.contains("bad_data"), "{what}: {status} {}", body.chars().take(300).collect::<String>());
    }
    let ranges = [
        ("end before start", "100", "50", "1", "end timestamp must not be before start time"),
        ("no step", "0", "100", "0", "zero or negative query resolution step"),
        ("negative step", "0", "100", "-5", "zero or negative query resolution step"),
        ("too many steps", "0", "100000000", "1", "exceeded maximum resolution of 11,000 points"),
        ("an absurd start", "1e300", "1e301", "15", "cannot parse"),
        ("a step that is no duration", "0", "100", "soon", "cannot parse"),
        ("the whole of time", "-2e15", "2e15", "1", "exceeded maximum resolution of 11,000 points"),
        ("beyond time", "-9e15", "9e15", "1", "cannot parse"),
    ];
    for (what, start, end, step, want) in ranges {
        let params = [("query", "up"), ("start", start), ("end", end), ("step", step)];
        let response = client.http().get(format!("{}/api/v1/query_range", client.base())).query(&params).send().await?;
        let (status, body) = (response.status().as_u16(), response.text().await?);
        ensure!(status == 400 && body.contains(want), "{what}: {status} {body}");
    }
    // Legal, but far beyond what any query may do: refused by a limit or bounded by it, in any case answered.
    for query in ["count_over_time(alive[290y:1ms])", "max_over_time(alive[30d:1ms])", "sum(rate(alive[30d:1ms])[30d:1s])"] {
        let params = [("query", query), ("time", "1700000000"), ("timeout", "5s")];
        let response = client.http().get(format!("{}/api/v1/query", client.base())).query(&params).send().await?;
        let (status, body) = (response.status().as_u16(), response.text().await?);
        ensure!([200, 400, 422, 503].contains(&status), "{query}: {status} {}", body.chars().take(300).collect::<String>());
    }
    ensure!(single.node.process().is_alive());
    still_serves(&checker, &client).await
}
