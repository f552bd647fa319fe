//! Every expression of other people's dashboards and rules, sent as Grafana sends it: none is refused that Prometheus takes.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use cluster::deployment::Single;
use cluster::grafana::{Answer, Datasource, seconds};
use cluster::ledger::now_ms;
use cluster::peers::ScrapingPrometheus;
use cluster::process::eventually;
use serde_yaml_ng::Value;

/// Collected files, beside the workspace.
const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(Path::new(SHARED).join(folder)).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == extension)).collect()
}

/// Every `expr` below a value.
fn rules(value: &Value, out: &mut BTreeSet<String>) {
    match value {
        Value::Mapping(fields) => {
            for (key, value) in fields {
                match value.as_str().filter(|_| key.as_str() == Some("expr")) {
                    Some(expression) => _ = out.insert(expression.to_owned()),
                    None => rules(value, out),
                }
            }
        }
        Value::Sequence(items) => items.iter().for_each(|item| rules(item, out)),
        _ => {}
    }
}

fn expressions() -> anyhow::Result<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for path in files("rules", "yaml") {
        rules(&serde_yaml_ng::from_str(&std::fs::read_to_string(&path)?)?, &mut all);
    }
    for path in files("dashboards", "txt") {
        let text = std::fs::read_to_string(&path)?;
        all.extend(text.lines().filter_map(|line| line.split_once('\t')).map(|(_, expression)| interpolated(expression)));
    }
    Ok(all)
}

/// A panel's expression as it is sent: variables of the panel and of the dashboard replaced, over ten minutes at a step of 15 seconds.
fn interpolated(expression: &str) -> String {
    let of_the_panel = [
        ("__rate_interval", "1m0s"),
        ("__interval_ms", "15000"),
        ("__interval", "15s"),
        ("__range_ms", "600000"),
        ("__range_s", "600"),
        ("__range", "600s"),
    ];
    let mut text = of_the_panel.iter().fold(expression.to_owned(), |text, (name, value)| {
        [format!("${{{name}}}"), format!("[[{name}]]"), format!("${name}")].iter().fold(text, |text, form| text.replace(form, value))
    });
    // What is left is chosen by people: "All".
    while let Some(at) = text.find('$') {
        let rest = text[at + 1..].trim_start_matches('{');
        let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let braced = text[at + 1..].starts_with('{');
        let end = if braced { text[at..].find('}').map_or(text.len(), |end| at + end + 1) } else { at + 1 + name.len() };
        if name.is_empty() {
            break;
        }
        text.replace_range(at..end, ".*");
    }
    text
}

async fn ask(grafana: &Datasource, expression: &str, start: &str, end: &str) -> anyhow::Result<[Answer; 2]> {
    let instant = grafana.post("query", &[("query", expression), ("time", end)]).await?;
    let range = grafana.post("query_range", &[("query", expression), ("start", start), ("end", end), ("step", "15")]).await?;
    Ok([instant, range])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_is_refused_that_prometheus_takes() -> anyhow::Result<()> {
    let all = expressions()?;
    if all.is_empty() {
        std::io::stderr().write_all(b"\n*** dashboards and rules: NOT RUN, ../shared is absent ***\n\n")?;
        return Ok(());
    }
    let single = Single::start(&[]).await?;
    let client = single.node.client();
    let scraping = ScrapingPrometheus::start(&format!("{}/api/v1/push", client.base())).await?;
    let has_rates = || async {
        let now = seconds(now_ms());
        let data = client.query("count(rate(node_cpu_seconds_total[1m]) > 0)", &now).await.unwrap_or_default();
        data["result"].as_array().is_some_and(|result| !result.is_empty())
    };
    eventually("rates of node_exporter", Duration::from_secs(60), has_rates).await?;
    let (ours, theirs) = (Datasource::new(&client, "/prometheus"), Datasource::new(&scraping.client, ""));
    let (now, mut refused, mut filled, mut theirs_only) = (now_ms(), Vec::new(), 0, 0);
    let (start, end) = (seconds(now - 600_000), seconds(now));
    for expression in &all {
        let (our_answers, their_answers) = (ask(&ours, expression, &start, &end).await?, ask(&theirs, expression, &start, &end).await?);
        for (our, their) in our_answers.iter().zip(&their_answers) {
            if our.status != 200 && their.status == 200 {
                refused.push(format!("{expression}\n    {} {}", our.status, our.text));
            }
            // Whatever it is, Grafana can read it.
            our.json()?;
        }
        let results = |answers: &[Answer; 2]| {
            let result = answers[0].json().ok()?["data"]["result"].as_array().map(Vec::len);
            result.filter(|len| *len > 0)
        };
        filled += usize::from(results(&our_answers).is_some());
        theirs_only += usize::from(results(&their_answers).is_some() && results(&our_answers).is_none());
    }
    println!("{} expressions, {filled} with a result, {theirs_only} with a result from Prometheus only", all.len());
    ensure!(refused.is_empty(), "{} answers were refused:\n{}", refused.len(), refused.join("\n"));
    ensure!(all.len() >= 500 && filled * 5 >= all.len(), "{} expressions, {filled} with a result", all.len());
    // Samples that Prometheus has scraped and not sent yet.
    ensure!(theirs_only * 20 <= all.len(), "{theirs_only} expressions have a result from Prometheus only");
    Ok(())
}

#[test]
fn variables_are_replaced() -> anyhow::Result<()> {
    let text = interpolated("rate(x{job=~\"$job\",host=~\"${host:regex}\"}[$__rate_interval]) / $__range_s");
    ensure!(text == "rate(x{job=~\".*\",host=~\".*\"}[1m0s]) / 600", "{text}");
    interpolated("label_replace(x, \"a\", \"$1\", \"b\", \"(.*)\")")
        .contains(".*")
        .then_some(())
        .context("$1 is replaced as Grafana does not")
}
