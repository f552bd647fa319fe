//! Ways to read other than PromQL, on three ingesters with three copies of everything: remote read, numbers of series, the status of the heads.

use anyhow::{Context, ensure};
use cluster::deployment::{Single, Six};
use cluster::grafana::{Datasource, SERIES, push_example, seconds};
use cluster::prometheus::Prometheus;
use prost::Message;
use proto::remote_read as wire;
use serde_json::{Value, json};

/// A request for the series with a label of any value, as chunks or as samples.
fn request(label: &str, times: &[i64], chunks: bool) -> anyhow::Result<Vec<u8>> {
    let matcher = wire::LabelMatcher { r#type: wire::label_matcher::Type::Re as i32, name: label.to_owned(), value: ".+".to_owned() };
    let query = wire::Query { start_timestamp_ms: times[1], end_timestamp_ms: times[4], matchers: vec![matcher] };
    let message = wire::ReadRequest { queries: vec![query], accepted_response_types: vec![i32::from(chunks)] };
    Ok(snap::raw::Encoder::new().compress_vec(&message.encode_to_vec())?)
}

async fn read(grafana: &Datasource, body: Vec<u8>) -> anyhow::Result<reqwest::Response> {
    let http = reqwest::Client::new();
    let post = http.post(grafana.at("read")).header("Content-Type", "application/x-protobuf").header("Content-Encoding", "snappy");
    Ok(post.header("X-Prometheus-Remote-Read-Version", "0.1.0").body(body).send().await?)
}

/// CRC-32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// Takes frames apart: length, checksum, message.
fn frames(mut rest: &[u8]) -> anyhow::Result<Vec<wire::ChunkedReadResponse>> {
    let mut all = Vec::new();
    while !rest.is_empty() {
        let length = usize::try_from(prost::encoding::decode_varint(&mut rest)?)?;
        let (crc, after) = rest.split_at_checked(4).context("a checksum")?;
        let (message, after) = after.split_at_checked(length).context("a message")?;
        ensure!(crc32c(message).to_be_bytes() == crc, "the checksum of a frame is wrong");
        all.push(wire::ChunkedReadResponse::decode(message)?);
        rest = after;
    }
    Ok(all)
}

fn labels(labels: &[wire::Label]) -> Vec<(String, String)> {
    labels.iter().map(|label| (label.name.clone(), label.value.clone())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn remote_read_gives_each_sample_once() -> anyhow::Result<()> {
    let six = Six::start().await?;
    let times = push_example(&six.distributor.client()).await?;
    let grafana = Datasource::new(&six.querier.client(), "/prometheus");

    let answer = read(&grafana, request("job", &times, false)?).await?;
    ensure!(answer.status() == 200, "{}", answer.text().await?);
    ensure!(answer.headers()["content-type"] == "application/x-protobuf" && answer.headers()["content-encoding"] == "snappy");
    let body = snap::raw::Decoder::new().decompress_vec(&answer.bytes().await?)?;
    let samples = wire::ReadResponse::decode(body.as_slice())?;
    let series = &samples.results.first().context("a result")?.timeseries;
    ensure!(series.len() == SERIES - 1, "{series:?}");
    ensure!(series.is_sorted_by_key(|s| labels(&s.labels)));
    for one in series {
        let found: Vec<i64> = one.samples.iter().map(|s| s.timestamp).chain(one.histograms.iter().map(|h| h.timestamp)).collect();
        ensure!(found == times[1..], "{:?}: {found:?}, not {:?}", one.labels, &times[1..]);
    }

    let answer = read(&grafana, request("job", &times, true)?).await?;
    ensure!(answer.headers()["content-type"] == "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse");
    let parts = frames(&answer.bytes().await?)?;
    ensure!(parts.iter().all(|part| part.chunked_series.len() == 1 && part.query_index == 0), "one series in a frame");
    let chunked: Vec<_> = parts.iter().flat_map(|part| &part.chunked_series).collect();
    ensure!(chunked.iter().map(|s| labels(&s.labels)).eq(series.iter().map(|s| labels(&s.labels))), "the same series in the same order");
    for one in chunked {
        let count = |chunk: &wire::Chunk| chunk.data.first_chunk::<2>().map_or(0, |count| usize::from(u16::from_be_bytes(*count)));
        // Chunks are whole: the sample before the range is there as well, and no copy of it.
        ensure!(one.chunks.iter().map(count).sum::<usize>() == times.len(), "{:?}", one.labels);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn remote_read_is_bounded() -> anyhow::Result<()> {
    let single =
        Single::start_with_env(&[], &[("PLIMSOLL_LIMITS_MAX_QUERY_SERIES", "3"), ("PLIMSOLL_LIMITS_MAX_QUERY_SAMPLES", "8")]).await?;
    let times = push_example(&single.node.client()).await?;
    let grafana = Datasource::new(&single.node.client(), "/prometheus");
    for chunks in [false, true] {
        let answer = read(&grafana, request("job", &times, chunks)?).await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status == 422 && text.contains("max_query_"), "{status} {text}");
        let answer = read(&grafana, request("http.status", &times, chunks)?).await?;
        ensure!(answer.status() == 200, "{}", answer.text().await?);
    }
    let huge = snap::raw::Encoder::new().compress_vec(&vec![0; 1 << 20])?;
    for (body, want) in [(huge, 413), (b"no snappy".to_vec(), 400), (Vec::new(), 400)] {
        let answer = read(&grafana, body).await?;
        let (status, text) = (answer.status().as_u16(), answer.text().await?);
        ensure!(status == want && text.contains("\"status\":\"error\""), "{status} {text}");
    }
    Ok(())
}

/// A Prometheus that has nothing and reads everything from here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_reads_from_here() -> anyhow::Result<()> {
    let single = Single::start(&[]).await?;
    let client = single.node.client();
    let times = push_example(&client).await?;
    let prometheus = Prometheus::reading_from(&format!("{}/api/v1/read", client.base())).await?;
    let (start, end) = (seconds(times[0]), seconds(times[4]));
    // Floats: the reader in 2.42 leaves histograms out.
    for query in ["demo_temperature", "sum(rate(demo_requests_total[1m])) by (instance)", "{job=\"demo\",instance!=\"\"}"] {
        let ours = client.query_range(query, &start, &end, "15").await?;
        let theirs = prometheus.client.query_range(query, &start, &end, "15").await?;
        let sorted = |data: &Value| {
            let mut series: Vec<String> = data["result"].as_array().into_iter().flatten().map(Value::to_string).collect();
            series.sort();
            series
        };
        ensure!(!sorted(&ours).is_empty() && sorted(&ours) == sorted(&theirs), "{query}: {ours}\nand\n{theirs}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_of_series_count_copies_once() -> anyhow::Result<()> {
    let six = Six::start().await?;
    let times = push_example(&six.distributor.client()).await?;
    let grafana = Datasource::new(&six.querier.client(), "/prometheus");
    let names = grafana.get("cardinality/label_names", &[]).await?.json()?;
    let want = json!({"label_values_count_total": 8, "label_names_count": 4, "cardinality": [
        {"label_name": "__name__", "label_values_count": 4}, {"label_name": "instance", "label_values_count": 2},
        {"label_name": "http.status", "label_values_count": 1}, {"label_name": "job", "label_values_count": 1},
    ]});
    ensure!(names == want, "{names}");
    let form = [("label_names[]", "instance"), ("label_names[]", "job"), ("selector", "demo_temperature"), ("limit", "1")];
    for answer in [grafana.post("cardinality/label_values", &form).await?, grafana.get("cardinality/label_values", &form).await?] {
        let want = json!({"series_count_total": SERIES, "labels": [
            {"label_name": "instance", "label_values_count": 2, "series_count": 2, "cardinality": [{"label_value": "a:9100", "series_count": 1}]},
            {"label_name": "job", "label_values_count": 1, "series_count": 2, "cardinality": [{"label_value": "demo", "series_count": 2}]},
        ]});
        ensure!(answer.json()? == want, "{}", answer.text);
    }
    for method in ["inmemory", "active"] {
        let answer = grafana.get("cardinality/label_names", &[("count_method", method)]).await?.json()?;
        ensure!(answer["label_names_count"] == 4, "{answer}");
    }
    for (path, params) in [
        ("label_values", vec![]),
        ("label_names", vec![("limit", "501")]),
        ("label_names", vec![("count_method", "x")]),
        ("label_names", vec![("selector", "x[")]),
        ("active_series", vec![]),
    ] {
        let (kind, _) = grafana.get(&format!("cardinality/{path}"), &params).await?.error(400)?;
        ensure!(kind == "bad_data", "{path}: {kind}");
    }
    let active = grafana.post("cardinality/active_series", &[("selector", "demo_temperature")]).await?.json()?;
    let series = |instance| json!({"__name__": "demo_temperature", "instance": instance, "job": "demo"});
    ensure!(active == json!({"data": [series("a:9100"), series("b:9100")]}), "{active}");

    let tsdb = grafana.get("status/tsdb", &[("limit", "2")]).await?.data()?;
    let head = &tsdb["headStats"];
    ensure!(head["numSeries"] == SERIES && head["numLabelPairs"] == 8, "{tsdb}");
    ensure!(head["minTime"] == times[0] && head["maxTime"] == times[4], "{tsdb}");
    // More where a chunk ended within that minute.
    ensure!(head["chunkCount"].as_u64().is_some_and(|chunks| chunks >= SERIES as u64), "{tsdb}");
    let top = json!([{"name": "demo_requests_total", "value": 2}, {"name": "demo_temperature", "value": 2}]);
    ensure!(tsdb["seriesCountByMetricName"] == top, "{tsdb}");
    ensure!(tsdb["seriesCountByLabelValuePair"][0] == json!({"name": "job=demo", "value": 5}), "{tsdb}");
    ensure!(tsdb["memoryInBytesByLabelName"][0]["name"] == "__name__" && tsdb["labelValueCountByLabelName"][0]["value"] == 4, "{tsdb}");
    grafana.get("status/tsdb", &[("limit", "0")]).await?.error(400)?;
    Ok(())
}
