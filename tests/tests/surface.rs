//! The outside surface: operating pages, tenants, headers, forms, compression.

use anyhow::ensure;
use cluster::client::Client;
use cluster::deployment::Single;
use cluster::ledger::now_ms;
use prost::Message;
use proto::{remote_write_v1 as v1, remote_write_v2 as v2};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operating_pages() -> anyhow::Result<()> {
    let single = Single::start(&[]).await?;
    let client = single.node.client();
    for (path, want) in [("/ready", "ready"), ("/healthz", "ok"), ("/config", "replication_factor"), ("/", "Plimsoll")] {
        let (status, body) = client.get(path).await?;
        ensure!(status == 200 && body.contains(want), "{path}: {status} {body}");
    }
    let (status, metrics) = client.get("/metrics").await?;
    ensure!(status == 200);
    for family in [
        "plimsoll_distributor_",
        "plimsoll_ingester_",
        "plimsoll_querier_",
        "plimsoll_coordinator_",
        "plimsoll_http_",
        "process_resident_memory_bytes",
    ] {
        ensure!(metrics.contains(family), "no {family} in /metrics");
    }
    let ring: Value = serde_json::from_str(&client.get("/ring").await?.1)?;
    ensure!(ring["instances"].as_array().is_some_and(|i| !i.is_empty()) && ring["version"].as_u64() > Some(0), "{ring}");
    let page = client.http().get(format!("{}/ring", client.base())).header("Accept", "text/html").send().await?.text().await?;
    ensure!(page.starts_with("<!doctype html>") && page.contains("ACTIVE"), "{page}");
    for prefix in ["", "/prometheus"] {
        let (status, body) = client.get(&format!("{prefix}/api/v1/status/buildinfo")).await?;
        let info: Value = serde_json::from_str(&body)?;
        ensure!(status == 200 && info["data"]["version"].is_string() && info["data"]["features"].is_object(), "{body}");
    }
    let (status, body) = client.get("/prometheus/api/v1/nothing").await?;
    ensure!(status == 404 && body.contains("not_found"), "{status} {body}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_sites_page_changes_nothing() -> anyhow::Result<()> {
    let single = Single::start(&[]).await?;
    let client = single.node.client();
    let group = "name: g\nrules: [{record: r, expr: 1}]";
    for (method, path, body) in [
        ("POST", "/ring", "role=ingester&id=x&action=read-only"),
        ("POST", "/ingester/flush", ""),
        ("POST", "/ingester/prepare-shutdown?force=true", ""),
        ("DELETE", "/ingester/prepare-shutdown", ""),
        ("POST", "/compactor/run", ""),
        ("POST", "/prometheus/config/v1/rules/n", group),
        ("DELETE", "/prometheus/config/v1/rules/n", ""),
    ] {
        for (name, value) in [("origin", "http://elsewhere.example"), ("sec-fetch-site", "cross-site")] {
            let answer = client.request(method.parse()?, path).header(name, value).body(body).send().await?;
            ensure!(answer.status() == 403, "{method} {path} with {name}: {}", answer.status());
        }
    }
    let stored = async |site: &str| -> anyhow::Result<u16> {
        let request = client.request(reqwest::Method::POST, "/prometheus/config/v1/rules/n").header("sec-fetch-site", site).body(group);
        Ok(request.send().await?.status().as_u16())
    };
    ensure!(stored("same-origin").await? == 202, "a page of this one may");
    let asked = client.request(reqwest::Method::POST, "/api/v1/query").header("origin", "http://elsewhere.example");
    let asked = asked.form(&[("query", "1")]).send().await?;
    ensure!(asked.status() == 200, "and anybody may ask: {}", asked.status());
    Ok(())
}

/// promtool knows whether `/metrics` is well formed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_pass_promtool() -> anyhow::Result<()> {
    let single = Single::start(&[]).await?;
    let (_, metrics) = single.node.client().get("/metrics").await?;
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("metrics");
    std::fs::write(&path, &metrics)?;
    let output = std::process::Command::new(cluster::process::installed("promtool")?)
        .args(["check", "metrics"])
        .stdin(std::fs::File::open(&path)?)
        .output()?;
    ensure!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn one_series(name: &str) -> anyhow::Result<Vec<u8>> {
    let series = v1::TimeSeries {
        labels: vec![v1::Label { name: "__name__".to_owned(), value: name.to_owned() }],
        samples: vec![v1::Sample { value: 1.0, timestamp: now_ms() }],
        ..v1::TimeSeries::default()
    };
    let body = v1::WriteRequest { timeseries: vec![series], metadata: Vec::new() }.encode_to_vec();
    Ok(snap::raw::Encoder::new().compress_vec(&body)?)
}

async fn names(client: &Client, tenant: &str) -> anyhow::Result<Value> {
    let url = format!("{}/prometheus/api/v1/label/__name__/values", client.base());
    Ok(client.http().get(url).header("X-Scope-OrgID", tenant).send().await?.json().await?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_see_their_own() -> anyhow::Result<()> {
    let single = Single::start(&["--multitenancy"]).await?;
    let client = single.node.client();
    for tenant in ["team-a", "team-b"] {
        let (status, body) = client.push_raw("application/x-protobuf", one_series(&format!("of_{}", &tenant[5..]))?, Some(tenant)).await?;
        ensure!(status < 300, "{status}: {body}");
    }
    ensure!(names(&client, "team-a").await?["data"] == serde_json::json!(["of_a"]));
    ensure!(names(&client, "team-b").await?["data"] == serde_json::json!(["of_b"]));
    ensure!(names(&client, "team-c").await?["data"] == serde_json::json!([]));
    let (status, _) = client.push_raw("application/x-protobuf", one_series("x")?, None).await?;
    ensure!(status == 401, "a push without tenant answered {status}");
    let (status, _) = client.get("/prometheus/api/v1/query?query=up").await?;
    ensure!(status == 401, "a query without tenant answered {status}");
    let long = "x".repeat(151);
    for tenant in ["../x", "a/b", "..", "a|b", "__markers__", &long] {
        let (status, body) = client.push_raw("application/x-protobuf", one_series("x")?, Some(tenant)).await?;
        ensure!(status == 400 && body.contains("X-Scope-OrgID"), "{tenant}: {status} {body}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn remote_write_2_reports_what_it_wrote() -> anyhow::Result<()> {
    let single = Single::start(&[]).await?;
    let client = single.node.client();
    let now = now_ms();
    let symbols =
        ["", "__name__", "rw2_seconds", "job", "x", "trace_id", "abc", "seconds", "A help.", "rw2_histogram"].map(str::to_owned).to_vec();
    let histogram = v2::Histogram {
        count: Some(v2::histogram::Count::CountInt(3)),
        sum: 4.5,
        schema: 0,
        zero_threshold: 0.001,
        zero_count: Some(v2::histogram::ZeroCount::ZeroCountInt(1)),
        positive_spans: vec![v2::BucketSpan { offset: 0, length: 2 }],
        positive_deltas: vec![1, 0],
        timestamp: now,
        ..v2::Histogram::default()
    };
    let request = v2::Request {
        symbols,
        timeseries: vec![
            v2::TimeSeries {
                labels_refs: vec![1, 2, 3, 4],
                samples: vec![
                    v2::Sample { value: 1.0, timestamp: now - 1, start_timestamp: 0 },
                    v2::Sample { value: 2.0, timestamp: now, start_timestamp: 0 },
                ],
                exemplars: vec![v2::Exemplar { labels_refs: vec![5, 6], value: 2.0, timestamp: now }],
                metadata: Some(v2::Metadata { r#type: 2, help_ref: 8, unit_ref: 7 }),
                ..v2::TimeSeries::default()
            },
            v2::TimeSeries { labels_refs: vec![1, 9], histograms: vec![histogram], ..v2::TimeSeries::default() },
        ],
    };
    let body = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec())?;
    let response = client
        .http()
        .post(format!("{}/api/v1/write", client.base()))
        .header("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")
        .header("Content-Encoding", "snappy")
        .header("X-Prometheus-Remote-Write-Version", "2.0.0")
        .body(body)
        .send()
        .await?;
    ensure!(response.status().is_success(), "{}", response.status());
    for (kind, want) in [("Samples", "2"), ("Histograms", "1"), ("Exemplars", "1")] {
        let header = response.headers().get(format!("X-Prometheus-Remote-Write-{kind}-Written"));
        ensure!(header.is_some_and(|v| v == want), "{kind}: {header:?}");
    }
    let time = format!("{}.{:03}", now / 1_000, now % 1_000);
    let floats = client.query("rw2_seconds[1m]", &time).await?;
    ensure!(floats["result"][0]["values"].as_array().is_some_and(|v| v.len() == 2), "{floats}");
    let histograms = client.query("rw2_histogram", &time).await?;
    ensure!(
        histograms["result"][0]["histogram"][1]["count"] == "3" && histograms["result"][0]["histogram"][1]["sum"] == "4.5",
        "{histograms}"
    );
    let metadata = client.api("metadata", &[("metric", "rw2_seconds")]).await?;
    ensure!(metadata["rw2_seconds"][0] == serde_json::json!({"type": "gauge", "help": "A help.", "unit": "seconds"}), "{metadata}");
    let end = (now / 1_000 + 1).to_string();
    let exemplars = client.api("query_exemplars", &[("query", "rw2_seconds"), ("start", "0"), ("end", &end)]).await?;
    ensure!(exemplars[0]["exemplars"][0]["labels"]["trace_id"] == "abc", "{exemplars}");
    Ok(())
}
