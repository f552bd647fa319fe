//! Spans and logs of real processes, as a collector and a log reader see them.
#![allow(clippy::print_stdout, reason = "tests report what they saw")]
#![allow(clippy::disallowed_methods, reason = "tests of real processes live in real time")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use cluster::client::Client;
use cluster::collector::{Collector, Span};
use cluster::deployment::{Node, Six};
use cluster::ledger::now_ms;
use cluster::process::{Process, eventually, free_port, workspace_binary};
use prost::Message;
use proto::remote_write_v1 as v1;
use serde_json::Value;
use tokio::net::TcpListener;

const ENDPOINT: &str = "PLIMSOLL_OTLP_ENDPOINT";

/// The caller's span, in its own words.
const CALLER: &str = "00f067aa0ba902b7";

/// Processes say goodbye to the cluster and flush; neither may wait for what does not come.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

fn traceparent(trace_id: &str, sampled: bool) -> String {
    format!("00-{trace_id}-{CALLER}-0{}", u8::from(sampled))
}

/// Series enough that every ingester is among the replicas of some.
async fn push(client: &Client, traceparent: &str) -> anyhow::Result<()> {
    let series = |i: u64| v1::TimeSeries {
        labels: [("__name__", "traced".to_owned()), ("i", i.to_string())]
            .map(|(name, value)| v1::Label { name: name.to_owned(), value })
            .to_vec(),
        samples: vec![v1::Sample { value: 1.0, timestamp: now_ms() }],
        ..v1::TimeSeries::default()
    };
    let message = v1::WriteRequest { timeseries: (0..50).map(series).collect(), metadata: Vec::new() };
    let post = client
        .http()
        .post(format!("{}/api/v1/push", client.base()))
        .header("Content-Type", "application/x-protobuf")
        .header("Content-Encoding", "snappy")
        .header("traceparent", traceparent)
        .body(snap::raw::Encoder::new().compress_vec(&message.encode_to_vec())?);
    let answer = post.send().await?;
    ensure!(answer.status().is_success(), "push answered {}", answer.status());
    Ok(())
}

/// How many series the query found.
async fn query(client: &Client, traceparent: &str) -> anyhow::Result<usize> {
    let get = client.http().get(format!("{}/api/v1/query", client.base())).query(&[("query", "traced")]);
    let answer = get.header("traceparent", traceparent).send().await?;
    ensure!(answer.status().is_success(), "query answered {}", answer.status());
    let body: Value = answer.json().await?;
    Ok(body["data"]["result"].as_array().context("a result")?.len())
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|s| s.name == name).collect()
}

fn instances(spans: &[&Span]) -> BTreeSet<String> {
    spans.iter().map(|s| s.instance.clone()).collect()
}

/// As many of the three ingesters, or more, served `rpc` for `front`, whose HTTP span is a child of the caller's.
fn check_trace(spans: &[Span], front: &str, http: &str, rpc: &str, ingesters: usize) -> anyhow::Result<()> {
    let [entry] = named(spans, http)[..] else { anyhow::bail!("not one span {http}: {spans:#?}") };
    ensure!(entry.instance == front && entry.parent_span_id == CALLER, "{entry:#?}");
    ensure!(entry.attributes.get("http.response.status_code").is_some_and(|status| status.starts_with('2')), "{entry:#?}");
    let served = named(spans, rpc);
    let who = instances(&served);
    ensure!(who.len() >= ingesters && who.iter().all(|name| name.starts_with("ingester-")), "{served:#?}");
    for span in served {
        ensure!(span.attributes.get("tenant").map(String::as_str) == Some("anonymous"), "{span:#?}");
        let parent = spans.iter().find(|s| s.span_id == span.parent_span_id).with_context(|| format!("no parent of {span:#?}"))?;
        ensure!(parent.instance == front, "the parent of {span:#?} is {parent:#?}");
        let mut ancestor = parent;
        while ancestor.span_id != entry.span_id {
            let next = spans.iter().find(|s| s.span_id == ancestor.parent_span_id);
            ancestor = next.with_context(|| format!("{span:#?} does not descend from {entry:#?}"))?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_goes_through_every_process() -> anyhow::Result<()> {
    const PUSH: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const QUERY: &str = "4bf92f3577b34da6a3ce929d0e0e4737";
    const UNSAMPLED: &str = "4bf92f3577b34da6a3ce929d0e0e4738";
    let collector = Collector::start().await?;
    let mut six = Six::start_with_env(&[(ENDPOINT, &collector.endpoint())]).await?;
    let (distributor, querier) = (six.distributor.client(), six.querier.client());

    push(&distributor, &traceparent(UNSAMPLED, false)).await?;
    push(&distributor, &traceparent(PUSH, true)).await?;
    // A read needs two of three copies, and asks no more.
    const WRITERS: usize = 3;
    const READERS: usize = 2;
    let complete = |http: &'static str, rpc: &'static str, ingesters: usize| {
        move |spans: &[Span]| named(spans, http).len() == 1 && instances(&named(spans, rpc)).len() >= ingesters
    };
    let spans = collector.trace(PUSH, complete("POST /api/v1/push", "ingester.push", WRITERS)).await?;
    check_trace(&spans, "distributor", "POST /api/v1/push", "ingester.push", WRITERS)?;

    ensure!(query(&querier, &traceparent(QUERY, true)).await? == 50);
    let spans = collector.trace(QUERY, complete("GET /api/v1/query", "ingester.select", READERS)).await?;
    check_trace(&spans, "querier", "GET /api/v1/query", "ingester.select", READERS)?;

    // What waits for the next batch is sent when a process ends.
    const LAST: &str = "4bf92f3577b34da6a3ce929d0e0e4739";
    push(&distributor, &traceparent(LAST, true)).await?;
    for node in six.nodes() {
        let status = node.process().terminate(ENDS_WITHIN)?;
        ensure!(status.success(), "{status}");
    }
    let of_last: Vec<Span> = collector.spans().into_iter().filter(|s| s.trace_id == LAST).collect();
    check_trace(&of_last, "distributor", "POST /api/v1/push", "ingester.push", WRITERS)?;
    // The processes have ended, so nothing more can come.
    ensure!(!collector.spans().iter().any(|s| s.trace_id == UNSAMPLED), "the caller had asked not to sample");
    Ok(())
}

/// Whether the process has the thread that exports spans. Thread names are cut to 15 bytes.
fn exports(node: &mut Node) -> anyhow::Result<bool> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", node.process().pid()))?;
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    Ok(names.into_iter().any(|name| name.trim() == "OpenTelemetry.T"))
}

async fn serves(node: &Node) -> anyhow::Result<()> {
    let parent = traceparent("4bf92f3577b34da6a3ce929d0e0e4740", true);
    let started = Instant::now();
    for _ in 0..100 {
        push(&node.client(), &parent).await?;
    }
    ensure!(query(&node.client(), &parent).await? == 50);
    ensure!(started.elapsed() < Duration::from_secs(10), "100 pushes took {:?}", started.elapsed());
    Ok(())
}

/// The variables that OpenTelemetry's libraries read do not count: only our own setting starts the export.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_exported_without_an_endpoint() -> anyhow::Result<()> {
    let collector = Collector::start().await?;
    let dir = tempfile::tempdir()?;
    let node = |name, variable| Ok::<_, anyhow::Error>(Node::new(name, dir.path(), &[])?.with_env(variable, &collector.endpoint()));
    let mut without = node("without", "OTEL_EXPORTER_OTLP_ENDPOINT")?;
    without.start().await?;
    serves(&without).await?;
    ensure!(!exports(&mut without)?, "the export runs");
    without.process().terminate(ENDS_WITHIN)?;
    ensure!(collector.spans().is_empty(), "{:?}", collector.spans());

    // The same with our setting, which shows that the test can see an export.
    let mut with = node("with", ENDPOINT)?;
    with.start().await?;
    serves(&with).await?;
    ensure!(exports(&mut with)?, "the export does not run");
    with.process().terminate(ENDS_WITHIN)?;
    ensure!(instances(&collector.spans().iter().collect::<Vec<_>>()).into_iter().eq(["with"]));
    Ok(())
}

/// Starts one process with this endpoint, has it serve, ends it; its log.
async fn life_with(name: &str, endpoint: &str) -> anyhow::Result<String> {
    let dir = tempfile::tempdir()?;
    let mut node = Node::new(name, dir.path(), &[])?.with_env(ENDPOINT, endpoint);
    node.start().await?;
    // Before and after the first export has failed.
    serves(&node).await?;
    tokio::time::sleep(Duration::from_secs(6)).await;
    serves(&node).await?;
    let started = Instant::now();
    let status = node.process().terminate(ENDS_WITHIN)?;
    println!("{name}: ended {:?} after SIGTERM", started.elapsed());
    ensure!(status.success(), "{status}");
    Ok(node.process().log())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_not_there_does_no_harm() -> anyhow::Result<()> {
    let nobody = format!("http://127.0.0.1:{}", free_port()?);
    let log = life_with("nobody-listens", &nobody).await?;
    ensure!(log.matches("cannot export spans to otlp.endpoint").count() == 1, "it is said once: {log}");

    // Worse: connections are taken, but never answered.
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let log = life_with("never-answers", &format!("http://{}", silent.local_addr()?)).await?;
    ensure!(log.contains("the last spans were not exported"), "the flush gave up: {log}");
    Ok(())
}

/// The service's instance has a name also when the settings give none: the host's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_without_a_name_is_called_as_its_host() -> anyhow::Result<()> {
    let collector = Collector::start().await?;
    let dir = tempfile::tempdir()?;
    let http = format!("127.0.0.1:{}", free_port()?);
    let args = ["run", "--grpc-listen=127.0.0.1:0", "--http-listen", &http].map(str::to_owned);
    let env = [(ENDPOINT.to_owned(), collector.endpoint())];
    let mut process = Process::start_with_env("nameless", &workspace_binary("plimsoll")?, &args, &env, dir.path())?;
    let client = Client::new(&format!("http://{http}"));
    eventually("it is ready", Duration::from_secs(60), || async { client.is_ready().await }).await?;
    process.terminate(ENDS_WITHIN)?;
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    ensure!(!host.is_empty() && instances(&collector.spans().iter().collect::<Vec<_>>()).into_iter().eq([host]));
    Ok(())
}

fn check_line(line: &str) -> anyhow::Result<()> {
    let event: Value = serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))?;
    for field in ["timestamp", "level", "message", "target"] {
        ensure!(event[field].as_str().is_some_and(|text| !text.is_empty()), "no {field} in {line}");
    }
    let noise = event["target"].as_str().is_some_and(|t| t.starts_with("openraft"))
        && !["WARN", "ERROR"].contains(&event["level"].as_str().unwrap_or(""));
    ensure!(!noise, "noise: {line}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_are_json_for_machines() -> anyhow::Result<()> {
    let mut six = Six::start().await?;
    push(&six.distributor.client(), &traceparent("4bf92f3577b34da6a3ce929d0e0e4741", true)).await?;
    // A crash and a return, so that replay and lost peers are in the logs, too.
    let back = six.ingesters.first_mut().context("ingesters")?;
    back.kill()?;
    back.start().await?;
    six.wait_active(3).await?;
    for node in six.nodes() {
        node.process().terminate(ENDS_WITHIN)?;
        let log = node.process().log();
        ensure!(log.lines().count() >= 2, "a start and an end: {log}");
        log.lines().try_for_each(check_line)?;
    }
    Ok(())
}

/// A process that cannot start says why in the format of its log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_words_are_json_too() -> anyhow::Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0").await?;
    let dir = tempfile::tempdir()?;
    let output = std::process::Command::new(workspace_binary("plimsoll")?)
        .args(["run", "--grpc-listen=127.0.0.1:0", "--http-listen", &taken.local_addr()?.to_string(), "--data-dir"])
        .arg(dir.path())
        .output()?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(1) && said.contains("http_listen"), "{} {said}", output.status);
    said.lines().try_for_each(check_line)
}
