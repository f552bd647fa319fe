//! Kubernetes' and node_exporter's own rule files, evaluated by Plimsoll and by Debian's Prometheus on the same samples of a real node_exporter:
//! the same groups in health, the same recorded series, the same alerts in the same states. Then the same groups once more, stored through the API.
#![allow(clippy::disallowed_methods, reason = "tests of real processes live in real time")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tests report what they compare")]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cluster::client::Client;
use cluster::compare;
use cluster::deployment::Node;
use cluster::process::{Process, eventually, free_port, installed};
use cluster::rules_api::RulesApi;
use prost::Message;
use proto::remote_write_v1 as v1;
use serde_json::Value;

/// Samples lie this far apart, from this long before now to this long after.
const STEP_MS: i64 = 15_000;
const BEFORE_MS: i64 = 15 * 60_000;
const AFTER_MS: i64 = 6 * 60_000;

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("not that late")
}

/// A series of node_exporter: counters grow by a whole number each second from a whole number, so that rates are exact whenever they are taken.
struct Source {
    labels: Vec<(String, String)>,
    base: f64,
    per_second: f64,
}

/// Reads the text format: what node_exporter writes, which has no escapes in label values that matter here.
fn sources(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut counts = false;
    for line in text.lines() {
        if let Some(of_type) = line.strip_prefix("# TYPE ") {
            counts = !of_type.ends_with(" gauge") && !of_type.ends_with(" untyped");
            continue;
        }
        let Some((series, value)) = line.rsplit_once(' ').filter(|_| !line.starts_with('#')) else { continue };
        let Ok(value) = value.parse::<f64>() else { continue };
        let (name, rest) = series.split_once('{').unwrap_or((series, "}"));
        let mut labels = vec![("__name__".to_owned(), name.to_owned())];
        for pair in rest.trim_end_matches('}').split("\",").filter(|p| !p.is_empty()) {
            if let Some((name, value)) = pair.split_once("=\"") {
                labels.push((name.to_owned(), value.trim_end_matches('"').replace("\\\\", "\\")));
            }
        }
        labels.retain(|(_, value)| !value.is_empty());
        let per_second = if counts { (1 + sources.len() % 50) as f64 } else { 0.0 };
        sources.push(Source { labels, base: if counts { value.floor() } else { value }, per_second });
    }
    sources
}

/// All series under both jobs that the rules know, at `t`.
fn request(sources: &[Source], start: i64, t: i64) -> v1::WriteRequest {
    let label = |name: &str, value: &str| v1::Label { name: name.to_owned(), value: value.to_owned() };
    let mut timeseries = Vec::new();
    for job in ["node", "node-exporter"] {
        let of_job = |own: &[(String, String)], value: f64| {
            let mut labels: Vec<v1::Label> = own.iter().map(|(n, v)| label(n, v)).collect();
            labels.extend([label("instance", "a:9100"), label("job", job)]);
            labels.sort_by(|a, b| a.name.cmp(&b.name));
            v1::TimeSeries { labels, samples: vec![v1::Sample { value, timestamp: t }], ..v1::TimeSeries::default() }
        };
        timeseries.push(of_job(&[("__name__".to_owned(), "up".to_owned())], 1.0));
        let value = |s: &Source| s.base + s.per_second * ((t - start) / 1_000) as f64;
        timeseries.extend(sources.iter().map(|s| of_job(&s.labels, value(s))));
    }
    v1::WriteRequest { timeseries, metadata: Vec::new() }
}

async fn push_to_prometheus(client: &Client, message: &v1::WriteRequest) -> anyhow::Result<()> {
    let body = snap::raw::Encoder::new().compress_vec(&message.encode_to_vec())?;
    let post = client.http().post(format!("{}/api/v1/write", client.base())).header("Content-Encoding", "snappy");
    let answer = post.header("Content-Type", "application/x-protobuf").body(body).send().await?;
    anyhow::ensure!(answer.status().is_success(), "Prometheus answered {}", answer.status());
    Ok(())
}

/// The rule files with short intervals, so that the test need not wait for the long ones.
fn copy_rules(from: &Path, to: &Path) -> anyhow::Result<usize> {
    let mut files = 0;
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        let text = std::fs::read_to_string(&path)?.replace("interval: 3m", "interval: 5s");
        std::fs::write(to.join(path.file_name().expect("a file")), text)?;
        files += 1;
    }
    Ok(files)
}

/// Group, rule, kind, health, last error.
type RuleHealth = (String, String, String, String, String);

/// The rules of all groups, and whether all were evaluated since `since`.
fn rules(data: &Value, since: &str) -> (BTreeSet<RuleHealth>, bool) {
    let mut all = BTreeSet::new();
    let mut fresh = true;
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    for group in data["groups"].as_array().into_iter().flatten() {
        fresh = fresh && text(&group["lastEvaluation"]).as_str() > since;
        for rule in group["rules"].as_array().into_iter().flatten() {
            all.insert((text(&group["name"]), text(&rule["name"]), text(&rule["type"]), text(&rule["health"]), text(&rule["lastError"])));
        }
    }
    (all, fresh && !data["groups"].as_array().is_none_or(Vec::is_empty))
}

async fn alerts(client: &Client) -> anyhow::Result<BTreeSet<String>> {
    let data = client.api("alerts", &[]).await?;
    let show = |alert: &Value| format!("{} {}", alert["state"], alert["labels"]);
    Ok(data["alerts"].as_array().into_iter().flatten().map(show).collect())
}

fn rfc3339(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let index = (5 * of_year + 2) / 153;
    let month = if index < 10 { index + 3 } else { index - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{:02}T{:02}:{:02}:{:02}Z", of_year - (153 * index + 2) / 5 + 1, rest / 3_600, rest / 60 % 60, rest % 60)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_of_the_field_give_what_prometheus_gives() -> anyhow::Result<()> {
    let field = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/rules"));
    if !field.exists() {
        eprintln!("NOT TESTED: {} is not here, so no rules were compared with Prometheus's", field.display());
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let rule_dir = dir.path().join("rules");
    std::fs::create_dir(&rule_dir)?;
    let exporter_at = format!("127.0.0.1:{}", free_port()?);
    let args = [format!("--web.listen-address={exporter_at}")];
    let _exporter = Process::start("node_exporter", &installed("prometheus-node-exporter")?, &args, dir.path())?;

    let prometheus_at = format!("127.0.0.1:{}", free_port()?);
    let config = format!("global: {{evaluation_interval: 5s}}\nrule_files: ['{}/*.yaml']\n", rule_dir.display());
    std::fs::write(dir.path().join("prometheus.yml"), config)?;
    let args = [
        format!("--config.file={}", dir.path().join("prometheus.yml").display()),
        format!("--storage.tsdb.path={}", dir.path().join("tsdb").display()),
        format!("--web.listen-address={prometheus_at}"),
        "--web.enable-remote-write-receiver".to_owned(),
        "--web.enable-lifecycle".to_owned(),
        "--log.level=warn".to_owned(),
    ];
    let _prometheus = Process::start("prometheus", &installed("prometheus")?, &args, dir.path())?;
    let theirs = Client::new(&format!("http://{prometheus_at}"));

    let config =
        format!("ruler: {{rule_files: ['{}/*.yaml'], evaluation_interval_seconds: 5, poll_interval_seconds: 1}}\n", rule_dir.display());
    std::fs::write(dir.path().join("plimsoll.yaml"), config)?;
    let mut node = Node::new("plimsoll", dir.path(), &["--config", &dir.path().join("plimsoll.yaml").display().to_string()])?;
    node.start().await?;
    let ours = node.client();
    eventually("Prometheus is ready", Duration::from_secs(60), || async { theirs.is_ready().await }).await?;
    let exporter = Client::new(&format!("http://{exporter_at}"));
    eventually("node_exporter answers", Duration::from_secs(30), || async { exporter.get("/metrics").await.is_ok() }).await?;
    let sources = sources(&exporter.get("/metrics").await?.1);
    anyhow::ensure!(sources.len() > 200, "node_exporter has only {} series", sources.len());

    let start = (now_ms() - BEFORE_MS) / STEP_MS * STEP_MS;
    let end = now_ms() + AFTER_MS;
    for t in (start..end).step_by(usize::try_from(STEP_MS)?) {
        let message = request(&sources, start, t);
        push_to_prometheus(&theirs, &message).await?;
        let (status, body) = ours.push_message(&message).await?;
        anyhow::ensure!(status == 204, "Plimsoll answered {status}: {body}");
    }

    // The rules come when the data is there.
    let files = copy_rules(field, &rule_dir)?;
    let answer = theirs.http().post(format!("{}/-/reload", theirs.base())).send().await?;
    anyhow::ensure!(answer.status().is_success(), "Prometheus does not reload: {}", answer.status());
    let loaded = now_ms() / 1_000;
    // Recording rules feed on each other across groups: a few rounds, until all of them have settled.
    let settled = rfc3339(loaded + 30);
    let healthy = |client: &Client| {
        let (client, settled) = (client.clone(), settled.clone());
        async move { client.api("rules", &[]).await.is_ok_and(|data| rules(&data, &settled).1) }
    };
    eventually("Prometheus has evaluated all groups", Duration::from_secs(120), || healthy(&theirs)).await?;
    eventually("Plimsoll has evaluated all groups", Duration::from_secs(120), || healthy(&ours)).await?;

    let (our_rules, _) = rules(&ours.api("rules", &[]).await?, "");
    let (their_rules, _) = rules(&theirs.api("rules", &[]).await?, "");
    let sick: Vec<_> = our_rules.iter().filter(|(_, _, _, health, _)| health != "ok").collect();
    anyhow::ensure!(sick.is_empty(), "rules that fail: {sick:?}");
    assert_eq!(our_rules, their_rules);

    eventually("the same alerts in the same states", Duration::from_secs(60), || async {
        matches!((alerts(&ours).await, alerts(&theirs).await), (Ok(a), Ok(b)) if a == b && !a.is_empty())
    })
    .await
    .map_err(|_| anyhow::anyhow!("alerts differ"))?;
    let states = alerts(&ours).await?;

    let names: BTreeSet<&String> = our_rules.iter().filter(|r| r.2 == "recording").map(|r| &r.1).collect();
    let mut compared = 0;
    let mut with_data = 0;
    let time = (now_ms() / 1_000).to_string();
    for name in &names {
        let query = format!("{{__name__=\"{name}\"}}");
        let (a, b) = (ours.query(&query, &time).await?, theirs.query(&query, &time).await?);
        let points = compare::same(&query, &a, &b)?;
        compared += points;
        with_data += usize::from(points > 0);
    }
    println!(
        "{files} rule files, {} rules, all in health; {with_data} of {} recorded metrics have data, {compared} recorded series and {} alerts are equal",
        our_rules.len(),
        names.len(),
        states.len()
    );
    anyhow::ensure!(with_data >= 15, "only {with_data} recorded metrics have data");
    stored_groups_are_healthy(&ours, &rule_dir, our_rules.len()).await
}

/// Stores every group of the files, each file a namespace, and waits until all of them are evaluated without an error.
async fn stored_groups_are_healthy(ours: &Client, rule_dir: &Path, rules_of_files: usize) -> anyhow::Result<()> {
    let api = RulesApi::new(ours, "/prometheus/config/v1/rules");
    let mut stored = BTreeSet::new();
    for entry in std::fs::read_dir(rule_dir)? {
        let path = entry?.path();
        let namespace = path.file_stem().expect("a file").to_string_lossy().into_owned();
        let file: serde_yaml_ng::Value = serde_yaml_ng::from_str(&std::fs::read_to_string(&path)?)?;
        for group in file["groups"].as_sequence().into_iter().flatten() {
            let (status, body) = api.post(&namespace, &serde_yaml_ng::to_string(group)?).await?;
            anyhow::ensure!(status == 202, "{namespace}: {status} {body}");
            let name = group["name"].as_str().expect("a name").to_owned();
            let (status, shown) = api.get(&[&namespace, &name]).await?;
            let shown: serde_yaml_ng::Value = serde_yaml_ng::from_str(&shown)?;
            anyhow::ensure!(status == 200 && shown["rules"].as_sequence().map(Vec::len) == group["rules"].as_sequence().map(Vec::len));
            stored.insert((namespace.clone(), name));
        }
    }
    let of_store = |data: &Value| -> Vec<Value> {
        let groups = data["groups"].as_array().into_iter().flatten();
        groups.filter(|g| !g["file"].as_str().is_some_and(|f| f.contains('/'))).cloned().collect()
    };
    let evaluated = |group: &Value| group["lastEvaluation"].as_str().is_some_and(|at| !at.starts_with("0001"));
    eventually("all stored groups are evaluated", Duration::from_secs(120), || async {
        let groups = ours.api("rules", &[]).await.map(|data| of_store(&data));
        groups.is_ok_and(|groups| groups.len() == stored.len() && groups.iter().all(evaluated))
    })
    .await?;
    let started = std::time::Instant::now();
    let groups = of_store(&ours.api("rules", &[]).await?);
    let took = started.elapsed();
    let rules: Vec<&Value> = groups.iter().flat_map(|g| g["rules"].as_array().into_iter().flatten()).collect();
    let sick: Vec<_> = rules.iter().filter(|r| r["health"] != "ok").collect();
    anyhow::ensure!(sick.is_empty(), "stored rules that fail: {sick:?}");
    println!(
        "{} stored groups with {} rules are in health; all {} rules are listed in {took:?}",
        groups.len(),
        rules.len(),
        rules.len() + rules_of_files
    );
    Ok(())
}
