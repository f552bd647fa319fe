//! The files for Grafana in `docs/grafana`: they are what Grafana reads, and the dashboard asks for metrics that there are.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, ensure};
use cluster::deployment::Single;
use cluster::grafana::{Datasource, push_example};
use serde_json::Value;

fn file(name: &str) -> anyhow::Result<String> {
    Ok(std::fs::read_to_string(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/grafana")).join(name))?)
}

/// Every `expr` below a value.
fn expressions(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value.as_str().filter(|_| key == "expr") {
                    Some(expression) => out.push(expression.to_owned()),
                    None => expressions(value, out),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| expressions(item, out)),
        _ => {}
    }
}

/// The names of metrics in a syntax tree.
fn names(tree: &Value, out: &mut BTreeSet<String>) {
    match tree {
        Value::Object(fields) => {
            if fields.get("type").is_some_and(|kind| kind == "vectorSelector" || kind == "matrixSelector") {
                out.extend(fields.get("name").and_then(Value::as_str).map(str::to_owned));
            }
            fields.values().for_each(|value| names(value, out));
        }
        Value::Array(items) => items.iter().for_each(|item| names(item, out)),
        _ => {}
    }
}

/// The names that a page of metrics has, by its comments: those of histograms in all their forms.
fn exported(metrics: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for line in metrics.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            match kind {
                "histogram" => all.extend(["_bucket", "_count", "_sum"].map(|end| format!("{name}{end}"))),
                _ => _ = all.insert(name.to_owned()),
            }
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dashboard_asks_for_metrics_that_there_are() -> anyhow::Result<()> {
    let dashboard: Value = serde_json::from_str(&file("plimsoll.json")?)?;
    let mut all = Vec::new();
    expressions(&dashboard, &mut all);
    ensure!(all.len() > 20, "{} expressions", all.len());
    let single = Single::start(&[]).await?;
    let client = single.node.client();
    push_example(&client).await?;
    let grafana = Datasource::new(&client, "/prometheus");
    // Families with labels are there from the first of their series on.
    grafana.post("query", &[("query", "demo_temperature")]).await?.data()?;
    let there = exported(&client.get("/metrics").await?.1);
    for expression in all {
        let query = expression.replace("$job", "plimsoll").replace("$__rate_interval", "1m0s");
        let mut wanted = BTreeSet::new();
        names(&grafana.post("parse_query", &[("query", &query)]).await?.data()?, &mut wanted);
        ensure!(!wanted.is_empty(), "{query} names no metric");
        let missing: Vec<_> = wanted.difference(&there).collect();
        ensure!(missing.is_empty(), "{missing:?} of {query} are not exported");
        grafana.post("query", &[("query", &query)]).await?.data()?;
    }
    Ok(())
}

#[test]
fn data_sources_name_each_other_apart() -> anyhow::Result<()> {
    let file: Value = serde_yaml_ng::from_str(&file("datasources.yaml")?)?;
    let sources = file["datasources"].as_array().context("a list")?;
    let uids: BTreeSet<_> = sources.iter().filter_map(|source| source["uid"].as_str()).collect();
    ensure!(file["apiVersion"] == 1 && uids.len() == sources.len() && sources.len() == 2);
    for source in sources {
        ensure!(source["type"] == "prometheus" && source["access"] == "proxy" && source["jsonData"]["httpMethod"] == "POST", "{source}");
        ensure!(source["url"].as_str().is_some_and(|url| url.ends_with("/prometheus")), "{source}");
    }
    let tenant = &sources[1];
    ensure!(tenant["jsonData"]["httpHeaderName1"] == "X-Scope-OrgID" && tenant["secureJsonData"]["httpHeaderValue1"] == "team-a");
    Ok(())
}
