//! Queries that are made to hurt: each is answered with an error of Prometheus's shape, in little time and memory, and the next is served.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "tests take time as it comes, and report what they measure")]

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use cluster::checker::Checker;
use cluster::client::{Client, PushSample};
use cluster::deployment::Node;
use cluster::ledger::now_ms;
use model::Labels;

/// What a single query may hold here.
const QUERY_BYTES: u64 = 64 << 20;

/// What the process may grow by over all of them, at its peak: a query's memory, what of it the allocator keeps, and forms of ten megabytes.
const MAX_GROWTH: u64 = 6 * QUERY_BYTES;

const SERIES: usize = 2_000;

struct Case {
    what: &'static str,
    query: String,
    statuses: &'static [u16],
    told: &'static str,
}

fn case(what: &'static str, query: String, statuses: &'static [u16], told: &'static str) -> Case {
    Case { what, query, statuses, told }
}

/// Texts of which nothing is evaluated.
fn expressions() -> Vec<Case> {
    let matchers = |n: usize| format!("up{{{}}}", (0..n).map(|i| format!("l{i}=\"v\"")).collect::<Vec<_>>().join(","));
    let regex = |pattern: &str| format!("up{{a=~\"{pattern}\"}}");
    let deep = "nests deeper than the limit of 200 levels";
    let long = "is longer than the limit of 65536 bytes";
    let unparsable = "parse error";
    vec![
        case("10,000 parentheses", format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000)), &[400], deep),
        case("10,000 parentheses that do not close", "(".repeat(10_000), &[400], ""),
        case("10,000 calls", format!("{}up{}", "abs(".repeat(10_000), ")".repeat(10_000)), &[400], deep),
        case("10,000 signs", format!("{}1", "-".repeat(10_000)), &[400], deep),
        case("10,000 subqueries", format!("up{}", "[1m:]".repeat(10_000)), &[400], deep),
        case("30,000 operators", vec!["1"; 30_000].join("+"), &[400], deep),
        case("100,000 operators", vec!["1"; 100_000].join("+"), &[400], long),
        case("3 MB of text", "x".repeat(3 << 20), &[400], long),
        case("10 MB of text", "x".repeat((10 << 20) - 100), &[400], long),
        case("more than 10 MB of text", "x".repeat(11 << 20), &[400, 413], ""),
        case("a million matchers", matchers(1_000_000), &[400, 413], ""),
        case("5,000 matchers", matchers(5_000), &[200], ""),
        case("(a+)+$", regex("(a+)+$"), &[200], ""),
        case(".{1000}{1000}", regex(".{1000}{1000}"), &[400], unparsable),
        case("(.{1000}){1000}", regex("(.{1000}){1000}"), &[400], unparsable),
        case("((((a{9}){9}){9}){9}){9}, ten times", regex(&"((((a{9}){9}){9}){9}){9}".repeat(10)), &[400], unparsable),
        case("60 KB of groups", regex(&"(".repeat(60_000)), &[400], unparsable),
        case("4,000 classes of all letters", regex(&"\\\\pL{900}|".repeat(4_000)), &[400], unparsable),
        case(
            "a thousand regexes of 60 bytes",
            format!("up{{{}}}", (0..1_000).map(|i| format!("a{i}=~\"x.*y.*z.*{i}.*\"")).collect::<Vec<_>>().join(",")),
            &[200, 400],
            "",
        ),
        case("a subquery of a millisecond over a month", "max_over_time(m[30d:1ms])".to_owned(), &[422], "max_query_steps"),
        case("the same over nothing", "max_over_time(vector(1)[30d:1ms])".to_owned(), &[422], "max_query_steps"),
        case("subqueries in subqueries", "max_over_time(max_over_time(m[30d:1s])[30d:1s])".to_owned(), &[422], "max_query_steps"),
        case("a range of 290 years", "rate(m[290y])".to_owned(), &[200, 400, 422], ""),
    ]
}

/// Expressions that would hold or read more than a query may.
fn evaluations() -> Vec<Case> {
    let memory = "max_query_memory_bytes";
    vec![
        case("many to many", "m * on () m".to_owned(), &[422], memory),
        case("all series at all steps", "m".to_owned(), &[422], memory),
        case("a join of all with all", "label_replace(m, \"x\", \"$1\", \"n\", \"(.*)\") * on (n) group_left m".to_owned(), &[422], memory),
        case("all of them, nine times over", ["(m or label_replace(m, \"x\", \"y\", \"\", \"\"))"; 9].join(" or "), &[422], memory),
        case("a column for each value", "count_values(\"v\", m * on (n) group_left m + time())".to_owned(), &[422], memory),
        case("all quantiles", "quantile(0.5, m)".to_owned(), &[422], memory),
    ]
}

struct Server {
    node: Node,
    /// What was written, of which nothing may be another after all that is asked.
    checker: Checker,
    _dir: tempfile::TempDir,
}

async fn server() -> anyhow::Result<Server> {
    let dir = tempfile::tempdir()?;
    let node = Node::new("plimsoll", dir.path(), &[])?.with_env("PLIMSOLL_LIMITS_MAX_QUERY_MEMORY_BYTES", &QUERY_BYTES.to_string());
    let mut server = Server { node, checker: Checker::new(), _dir: dir };
    server.node.start().await?;
    let labels = |i: usize| Labels::from_pairs([("__name__", "m"), ("n", &i.to_string())]);
    let now = now_ms();
    // The first is older than the first step of the range queries, so that every step has a value.
    let times = std::iter::once(now - 11_100_000).chain((0..10).map(|back| now - 150_000 + back * 15_000));
    for t in times {
        let samples: Vec<_> = (0..SERIES).map(|i| PushSample { labels: labels(i), t, v: i as f64 }).collect();
        server.checker.write(&server.node.client(), &samples).await?;
    }
    Ok(server)
}

/// The most memory that a process has had, in bytes.
fn peak_rss(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("VmHWM")?;
    Ok(line.split_ascii_whitespace().nth(1).context("a number")?.parse::<u64>()? << 10)
}

async fn ask(client: &Client, path: &str, form: &[(&str, &str)]) -> anyhow::Result<(u16, String, Duration)> {
    let request = client.http().post(format!("{}/api/v1/{path}", client.base())).form(form);
    let started = Instant::now();
    let response = request.send().await?;
    let (status, body) = (response.status().as_u16(), response.text().await?);
    Ok((status, body, started.elapsed()))
}

fn judge(case: &Case, (status, body, took): (u16, String, Duration)) -> anyhow::Result<()> {
    let told = status == 200 || body.contains("\"status\":\"error\"") && body.contains(case.told);
    let body: String = body.chars().take(300).collect();
    println!("{:>9.1} ms  {status}  {}", took.as_secs_f64() * 1_000.0, case.what);
    ensure!(case.statuses.contains(&status), "{}: {status} {body}", case.what);
    ensure!(told, "{}: {status} {body}", case.what);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_queries_are_refused_and_the_next_is_served() -> anyhow::Result<()> {
    let mut server = server().await?;
    let client = server.node.client();
    let pid = server.node.process().pid();
    let now = (now_ms() / 1_000).to_string();
    let node = &server.node;
    let still_serves = async || {
        // A connection of its own: one on which a body was left unread is closed.
        let data = node.client().query("count(m)", &now).await?;
        ensure!(data["result"][0]["value"][1] == format!("{SERIES}").as_str(), "{data}");
        anyhow::Ok(())
    };
    still_serves().await?;
    let before = peak_rss(pid)?;
    for case in expressions() {
        judge(&case, ask(&client, "query", &[("query", &case.query), ("time", &now)]).await?)?;
        still_serves().await.with_context(|| format!("after {}", case.what))?;
    }
    // Side by side, as they would come.
    let cases = expressions();
    let mut together = tokio::task::JoinSet::new();
    for case in cases {
        let (client, now) = (client.clone(), now.clone());
        together.spawn(async move { ask(&client, "query", &[("query", &case.query), ("time", &now)]).await.map(|answer| (case, answer)) });
    }
    for answer in together.join_all().await {
        let (case, (status, body, _)) = answer?;
        ensure!(case.statuses.contains(&status), "{}: {status} {}", case.what, body.chars().take(300).collect::<String>());
    }
    let (start, end) = (now_ms() / 1_000 - 10_999, now_ms() / 1_000);
    for case in evaluations() {
        let form = [
            ("query", case.query.as_str()),
            ("start", &start.to_string()),
            ("end", &end.to_string()),
            ("step", "1"),
            ("lookback_delta", "1d"),
        ];
        judge(&case, ask(&client, "query_range", &form).await?)?;
        still_serves().await.with_context(|| format!("after {}", case.what))?;
    }
    let growth = peak_rss(pid)?.saturating_sub(before);
    println!("the peak of memory grew by {} MiB from {} MiB", growth >> 20, before >> 20);
    ensure!(growth < MAX_GROWTH, "the process grew by {growth} bytes");
    ensure!(server.node.process().is_alive());
    server.checker.verify(&client).await?;
    Ok(())
}
