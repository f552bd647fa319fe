//! What Grafana reads in answers: shapes, errors, compression, connections.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "tests take time as it comes, and report what they see")]

use anyhow::{Context, ensure};
use cluster::deployment::Single;
use cluster::grafana::{Answer, Datasource, push_example, seconds};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn start(env: &[(&str, &str)]) -> anyhow::Result<(Single, Datasource)> {
    let single = Single::start_with_env(&[], env).await?;
    let grafana = Datasource::new(&single.node.client(), "/prometheus");
    Ok((single, grafana))
}

/// A query that takes a while, of 90 series of 10,000 points each.
fn heavy() -> String {
    (0..90).map(|i| format!("label_replace(vector({i}),\"n\",\"{i}\",\"\",\"\")")).collect::<Vec<_>>().join(" or ")
}

async fn run_heavy(grafana: &Datasource, more: &[(&str, &str)]) -> anyhow::Result<Answer> {
    let query = heavy();
    let form = [&[("query", query.as_str()), ("start", "0"), ("end", "10000"), ("step", "1")][..], more].concat();
    grafana.post("query_range", &form).await
}

/// Late is accepted, but makes Grafana hold the whole answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn result_type_comes_before_result() -> anyhow::Result<()> {
    let (single, grafana) = start(&[]).await?;
    let times = push_example(&single.node.client()).await?;
    let now = seconds(times[4]);
    for (query, kind) in
        [("demo_temperature", "vector"), ("demo_temperature[1m]", "matrix"), ("scalar(vector(1))", "scalar"), ("\"text\"", "string")]
    {
        let answer = grafana.post("query", &[("query", query), ("time", &now), ("stats", "all")]).await?;
        let begin = format!("{{\"status\":\"success\",\"data\":{{\"resultType\":\"{kind}\",\"result\":");
        ensure!(answer.text.starts_with(&begin), "{query}: {}", answer.text);
        ensure!(answer.headers.get("content-type").is_some_and(|v| v == "application/json"), "{:?}", answer.headers);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_are_text_and_times_are_numbers() -> anyhow::Result<()> {
    let (_single, grafana) = start(&[]).await?;
    for (query, value) in [("vector(0/0)", "NaN"), ("vector(1/0)", "+Inf"), ("vector(-1/0)", "-Inf"), ("vector(1e21)", "1e+21")] {
        let data = grafana.post("query", &[("query", query), ("time", "1500.123")]).await?.data()?;
        ensure!(data["result"][0]["value"] == json!([1500.123, value]), "{query}: {data}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn native_histograms() -> anyhow::Result<()> {
    let (single, grafana) = start(&[]).await?;
    let times = push_example(&single.node.client()).await?;
    let (start, end) = (seconds(times[0]), seconds(times[4]));
    let data = grafana.post("query", &[("query", "demo_latency_seconds"), ("time", &end)]).await?.data()?;
    let one = &data["result"][0]["histogram"];
    ensure!(one[0].is_number() && one[1]["count"] == "3" && one[1]["sum"] == "4.5", "{data}");
    let buckets = json!([[3, "-0.001", "0.001", "1"], [0, "0.5", "1", "1"], [0, "1", "2", "1"]]);
    ensure!(one[1]["buckets"] == buckets, "{data}");
    let form = [("query", "demo_latency_seconds"), ("start", &start), ("end", &end), ("step", "15")];
    let data = grafana.post("query_range", &form).await?.data()?;
    let series = &data["result"][0];
    ensure!(series["histograms"].as_array().map(Vec::len) == Some(5) && series.get("values").is_none(), "{data}");
    ensure!(series["histograms"][4][1] == one[1], "{data}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stats_warnings_and_infos_are_passed_on() -> anyhow::Result<()> {
    let (single, grafana) = start(&[]).await?;
    let times = push_example(&single.node.client()).await?;
    let now = seconds(times[4]);
    let answer = grafana.post("query", &[("query", "rate(demo_temperature[1m])"), ("time", &now), ("stats", "all")]).await?;
    let body = answer.json()?;
    ensure!(body["infos"].as_array().is_some_and(|infos| infos.iter().all(serde_json::Value::is_string) && !infos.is_empty()), "{body}");
    let stats = &body["data"]["stats"];
    ensure!(stats["timings"]["evalTotalTime"].is_number() && stats["samples"]["totalQueryableSamples"] == 8, "{body}");
    ensure!(stats["samples"]["totalQueryableSamplesPerStep"].is_array(), "{body}");
    let answer = grafana.post("query", &[("query", "quantile(2, demo_temperature)"), ("time", &now)]).await?;
    let body = answer.json()?;
    ensure!(answer.status == 200 && body["warnings"][0].as_str().is_some_and(|w| w.contains("quantile")), "{body}");
    ensure!(body["data"].get("stats").is_none(), "{body}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_result_is_no_error() -> anyhow::Result<()> {
    let (_single, grafana) = start(&[]).await?;
    let data = grafana.post("query", &[("query", "nothing_of_this_name"), ("time", "4")]).await?.data()?;
    ensure!(data == json!({"resultType": "vector", "result": []}), "{data}");
    for path in ["series?match[]=x", "labels", "label/job/values", "query_exemplars?query=x"] {
        ensure!(grafana.get(path, &[]).await?.data()? == json!([]), "{path}");
    }
    ensure!(grafana.get("metadata", &[]).await?.data()? == json!({}));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exemplars_in_the_order_of_their_keys() -> anyhow::Result<()> {
    let (single, grafana) = start(&[]).await?;
    let times = push_example(&single.node.client()).await?;
    let form = [("query", "demo_requests_total{instance=\"a:9100\"}"), ("start", &seconds(times[0])), ("end", &seconds(times[4] + 1))];
    let answer = grafana.post("query_exemplars", &form).await?;
    let [seconds, millis] = [times[4] / 1_000, times[4] % 1_000];
    let at = if millis == 0 { seconds.to_string() } else { format!("{seconds}.{millis:03}") };
    let want = format!(
        "{{\"status\":\"success\",\"data\":[{{\"seriesLabels\":{{\"__name__\":\"demo_requests_total\",\"instance\":\"a:9100\",\"job\":\"demo\"}},\
         \"exemplars\":[{{\"labels\":{{\"trace_id\":\"abc\"}},\"value\":\"1.5\",\"timestamp\":{at}}}]}}]}}"
    );
    ensure!(answer.text == want, "{} and not {want}", answer.text);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_are_json_with_their_status() -> anyhow::Result<()> {
    let (single, grafana) = start(&[("PLIMSOLL_LIMITS_MAX_QUERY_SERIES", "3")]).await?;
    let client = single.node.client();
    push_example(&client).await?;
    let now = [("time", "4")];
    let wrong = grafana.post("query", &[&[("query", "sum(")][..], &now].concat()).await?.error(400)?;
    ensure!(wrong.0 == "bad_data" && wrong.1.contains("parse error"), "{wrong:?}");
    let many = "vector(1) + on() (vector(1) or label_replace(vector(2),\"a\",\"b\",\"\",\"\"))";
    let wrong = grafana.post("query", &[&[("query", many)][..], &now].concat()).await?.error(422)?;
    ensure!(wrong.0 == "execution" && wrong.1.contains("matching"), "{wrong:?}");
    let wrong = grafana.post("query", &[("query", "{__name__!=\"\"}")]).await?.error(422)?;
    ensure!(wrong.1.contains("max_query_series"), "{wrong:?}");
    let wrong = run_heavy(&grafana, &[("timeout", "1ms")]).await?.error(503)?;
    ensure!(wrong.0 == "timeout", "{wrong:?}");
    // What a gateway in front would answer with a page.
    let wrong = grafana.get("no/such/path", &[]).await?.error(404)?;
    ensure!(wrong.0 == "not_found", "{wrong:?}");
    grafana.send(client.http().delete(grafana.at("query"))).await?.error(405)?;
    grafana.send(client.http().get(format!("{}?query=%ff", grafana.at("query")))).await?.error(400)?;
    let large = format!("query={}", "x".repeat(11 << 20));
    let form = client.http().post(grafana.at("query")).header("Content-Type", "application/x-www-form-urlencoded").body(large);
    let wrong = grafana.send(form).await?.error(400)?;
    ensure!(wrong.1.contains("form body"), "{wrong:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_queries_are_429() -> anyhow::Result<()> {
    let (_single, grafana) = start(&[("PLIMSOLL_QUERIER_MAX_CONCURRENT", "1"), ("PLIMSOLL_QUERIER_MAX_QUEUED", "1")]).await?;
    let asked: Vec<_> = (0..12)
        .map(|_| {
            let grafana = grafana.clone();
            tokio::spawn(async move { run_heavy(&grafana, &[]).await })
        })
        .collect();
    let (mut answered, mut refused) = (0, 0);
    for one in asked {
        let answer = one.await??;
        if answer.status == 200 {
            answered += 1;
            continue;
        }
        let (kind, text) = answer.error(429)?;
        ensure!(kind == "too_many_requests" && text.contains("querier.max_queued"), "{kind}: {text}");
        ensure!(answer.headers.contains_key("retry-after"), "{:?}", answer.headers);
        refused += 1;
    }
    ensure!(answered > 0 && refused > 0, "{answered} answered, {refused} refused");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compressed_when_asked_and_large_answers_whole() -> anyhow::Result<()> {
    let (_single, grafana) = start(&[]).await?;
    let query = heavy();
    let form = [("query", query.as_str()), ("start", "0"), ("end", "10000"), ("step", "1")];
    let http = reqwest::Client::builder().no_gzip().build()?;
    let plain = http.post(grafana.at("query_range")).form(&form).send().await?;
    ensure!(plain.headers().get("content-encoding").is_none(), "{:?}", plain.headers());
    let plain = plain.bytes().await?;
    let packed = http.post(grafana.at("query_range")).form(&form).header("Accept-Encoding", "gzip").send().await?;
    ensure!(packed.headers().get("content-encoding").is_some_and(|v| v == "gzip"), "{:?}", packed.headers());
    let packed = packed.bytes().await?;
    println!("an answer of {} bytes is {} compressed", plain.len(), packed.len());
    ensure!(plain.len() > 10_000_000 && packed.len() < plain.len() / 2 && packed.starts_with(&[0x1f, 0x8b]));
    let body: serde_json::Value = serde_json::from_slice(&plain)?;
    ensure!(body["data"]["result"].as_array().map(Vec::len) == Some(90));
    ensure!(run_heavy(&grafana, &[]).await?.text.as_bytes() == &plain[..], "the decompressed answer is another one");
    Ok(())
}

/// Two requests, one connection, an error in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_kept() -> anyhow::Result<()> {
    let (single, _) = start(&[]).await?;
    let mut connection = tokio::net::TcpStream::connect(&single.node.http).await?;
    for (query, status) in [("1%2B1", "200 OK"), ("sum(", "400 Bad Request"), ("2%2B2", "200 OK")] {
        let request = format!("GET /prometheus/api/v1/query?query={query} HTTP/1.1\r\nHost: x\r\n\r\n");
        connection.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        while !is_whole(&answer) {
            let mut part = [0; 4_096];
            let read = connection.read(&mut part).await?;
            ensure!(read > 0, "the connection ended after {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(part.get(..read).context("what was read")?);
        }
        let answer = String::from_utf8(answer)?;
        ensure!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    Ok(())
}

/// Whether head and body are there, by `content-length`.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    length.is_some_and(|length| body.len() >= length)
}
