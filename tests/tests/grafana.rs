//! What Grafana sends and what it must get, line by line. Names of tests are the lines of the checklist: request forms, then variables and metadata, then product detection,
//! headers. Answers have a file of their own (`grafana_answers.rs`), dashboards as well (`grafana_dashboards.rs`).

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "tests take time as it comes, and report what they measure")]

use std::time::Instant;

use anyhow::ensure;
use cluster::deployment::Single;
use cluster::grafana::{Datasource, SERIES, push_example, seconds};
use serde_json::{Value, json};

struct Rig {
    grafana: Datasource,
    times: Vec<i64>,
    single: Single,
}

impl Rig {
    async fn start() -> anyhow::Result<Self> {
        let single = Single::start(&[]).await?;
        let client = single.node.client();
        let times = push_example(&client).await?;
        Ok(Self { grafana: Datasource::new(&client, "/prometheus"), times, single })
    }

    fn end(&self) -> String {
        seconds(self.times[self.times.len() - 1])
    }

    fn start_time(&self) -> String {
        seconds(self.times[0])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_prefix_of_the_base_url() -> anyhow::Result<()> {
    let rig = Rig::start().await?;
    for prefix in ["", "/prometheus"] {
        let grafana = Datasource::new(&rig.single.node.client(), prefix);
        ensure!(grafana.post("query", &[("query", "1+1"), ("time", "4")]).await?.data()?["result"] == json!([4, "2"]));
        ensure!(grafana.get("status/buildinfo", &[]).await?.status == 200);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forms_and_query_strings_for_queries() -> anyhow::Result<()> {
    let rig = Rig::start().await?;
    let (start, end) = (rig.start_time(), rig.end());
    let range = [("start", start.as_str()), ("end", end.as_str())];
    let calls: [(&str, Vec<(&str, &str)>); 5] = [
        ("query", vec![("query", "sum by (job) (demo_temperature)"), ("time", &end)]),
        ("query_range", [&[("query", "demo_temperature"), ("step", "15")][..], &range].concat()),
        ("query_exemplars", [&[("query", "demo_requests_total")][..], &range].concat()),
        ("series", [&[("match[]", "demo_temperature"), ("match[]", "demo_dotted")][..], &range].concat()),
        ("labels", range.to_vec()),
    ];
    for (path, params) in calls {
        let (form, query) = (rig.grafana.post(path, &params).await?.data()?, rig.grafana.get(path, &params).await?.data()?);
        let size = form.as_array().or(form["result"].as_array()).map_or(0, Vec::len);
        ensure!(form == query && size > 0, "{path}: {form} and {query}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forms_are_405_where_there_is_only_get() -> anyhow::Result<()> {
    let rig = Rig::start().await?;
    for path in [
        "label/job/values",
        "metadata",
        "targets",
        "rules",
        "alerts",
        "status/buildinfo",
        "status/config",
        "status/runtimeinfo",
        "status/tsdb",
    ] {
        let answer = rig.grafana.post(path, &[("limit", "1")]).await?;
        let (kind, _) = answer.error(405)?;
        let allowed = answer.headers.get("allow").and_then(|v| v.to_str().ok()).unwrap_or_default();
        ensure!(kind == "bad_data" && allowed.contains("GET"), "{path}: {kind}, allowed is {allowed:?}");
        // Grafana then asks again with GET.
        rig.grafana.get(path, &[("limit", "1")]).await?.data()?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_in_all_their_forms() -> anyhow::Result<()> {
    let rig = Rig::start().await?;
    let (start, end) = (rig.start_time(), rig.end());
    ensure!(start.ends_with("000000") && start.split_once('.').is_some_and(|(_, decimals)| decimals.len() == 9), "{start}");
    let points = async |step: &str, more: &[(&str, &str)]| {
        let params = [&[("query", "demo_temperature"), ("start", &start), ("end", &end), ("step", step)][..], more].concat();
        let data = rig.grafana.post("query_range", &params).await?.data()?;
        anyhow::Ok(data["result"][0]["values"].as_array().map_or(0, Vec::len))
    };
    ensure!(points("15", &[]).await? == 5 && points("15s", &[]).await? == 5 && points("0.5", &[]).await? == 121);
    // What is configured in the data source is appended, and what nobody knows is ignored.
    ensure!(points("15", &[("timeout", "60s"), ("custom", "x"), ("max_source_resolution", "5m"), ("dedup", "true")]).await? == 5);
    let data = rig.grafana.get("query", &[("query", "demo_temperature"), ("time", &end), ("unknown", "1")]).await?.data()?;
    ensure!(data["result"].as_array().map(Vec::len) == Some(2), "{data}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_a_query() -> anyhow::Result<()> {
    let rig = Rig::start().await?;
    let answer = rig.grafana.post("query", &[("query", "1+1"), ("time", "4")]).await?;
    ensure!(answer.data()? == json!({"resultType": "scalar", "result": [4, "2"]}), "{}", answer.text);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn variables() -> anyhow::Result<()> {
    let rig = Rig::start().await?;
    let (start, end) = (rig.start_time(), rig.end());
    // label_values(metric, label), with Grafana's default limit.
    let params = [("match[]", "demo_temperature"), ("start", &start), ("end", &end), ("limit", "40000")];
    ensure!(rig.grafana.get("label/instance/values", &params).await?.data()? == json!(["a:9100", "b:9100"]));
    // A label that only UTF-8 can write, escaped.
    ensure!(rig.grafana.get("label/U__http_2e_status/values", &[]).await?.data()? == json!(["200"]));
    // metrics(regex), query_result(expression), series.
    let names = rig.grafana.get("label/__name__/values", &[("match[]", "{__name__=~\"demo_.+_total\"}")]).await?.data()?;
    ensure!(names == json!(["demo_requests_total"]), "{names}");
    let result = rig.grafana.post("query", &[("query", "count(demo_temperature)"), ("time", &end)]).await?.data()?;
    ensure!(result["result"][0]["value"][1] == "2", "{result}");
    let series = rig.grafana.post("series", &[("match[]", "demo_temperature"), ("match[]", "{job=\"demo\"}")]).await?.data()?;
    ensure!(series.as_array().map(Vec::len) == Some(5), "{series}");
    Ok(())
}

/// Every list that takes a limit says when it was cut, and not when it was not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_cut_with_a_warning() -> anyhow::Result<()> {
    let rig = Rig::start().await?;
    let (start, end) = (rig.start_time(), rig.end());
    let calls = [
        ("query", vec![("query", "demo_temperature"), ("time", &end)], 2),
        ("query_range", vec![("query", "demo_temperature"), ("start", &start), ("end", &end), ("step", "15")], 2),
        ("series", vec![("match[]", "{__name__!=\"\"}")], SERIES),
        ("labels", Vec::new(), 4),
        ("label/instance/values", Vec::new(), 2),
        ("metadata", Vec::new(), 2),
    ];
    for (path, params, all) in calls {
        for (limit, want) in [("1", 1), ("0", all), ("40000", all)] {
            let answer = rig.grafana.get(path, &[&params[..], &[("limit", limit)]].concat()).await?;
            let data = answer.data()?;
            let size = data.as_object().filter(|_| path == "metadata").map(serde_json::Map::len);
            let size = size.or(data.as_array().or(data["result"].as_array()).map(Vec::len));
            ensure!(size == Some(want), "{path} with limit {limit}: {}", answer.text);
            let warned = answer.json()?["warnings"] == json!(["results truncated due to limit"]);
            ensure!(warned == (want < all), "{path} with limit {limit}: {}", answer.text);
        }
        let (kind, _) = rig.grafana.get(path, &[&params[..], &[("limit", "x")]].concat()).await?.error(400)?;
        ensure!(kind == "bad_data", "{path}: {kind}");
    }
    Ok(())
}

/// Grafana asks whether there are exemplars with times in milliseconds, which are far in the future as seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exemplars_are_probed_in_milliseconds() -> anyhow::Result<()> {
    let rig = Rig::start().await?;
    let (start, end) = (rig.times[0].to_string(), rig.times[4].to_string());
    let params = [("query", "test"), ("start", start.as_str()), ("end", end.as_str())];
    for answer in [rig.grafana.post("query_exemplars", &params).await?, rig.grafana.get("query_exemplars", &params).await?] {
        ensure!(answer.status == 200 && answer.text == "{\"status\":\"success\",\"data\":[]}", "{} {}", answer.status, answer.text);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_are_asked_for_on_every_page() -> anyhow::Result<()> {
    const GROUPS: usize = 200;
    let dir = tempfile::tempdir()?;
    let rule = |g: usize, r: usize| format!("  - {{record: 'g{g}:r{r}', expr: 'vector({r})'}}\n");
    let group = |g: usize| format!("- name: g{g:03}\n  interval: 1h\n  rules:\n{}", (0..5).map(|r| rule(g, r)).collect::<String>());
    std::fs::write(dir.path().join("rules.yaml"), format!("groups:\n{}", (0..GROUPS).map(group).collect::<String>()))?;
    let files = format!("[{}]", dir.path().join("*.yaml").display());
    let single = Single::start_with_env(&[], &[("PLIMSOLL_RULER_RULE_FILES", &files)]).await?;
    let grafana = Datasource::new(&single.node.client(), "/prometheus");
    let count = |data: &Value| data["groups"].as_array().map_or(0, Vec::len);
    let started = Instant::now();
    for _ in 0..20 {
        ensure!(count(&grafana.get("rules", &[]).await?.data()?) == GROUPS);
    }
    let each = started.elapsed() / 20;
    println!("rules of {GROUPS} groups: {each:?} each");
    let params =
        [("type", "record"), ("rule_group[]", "g001"), ("rule_group[]", "g002"), ("rule_name[]", "g1:r1"), ("exclude_alerts", "true")];
    let data = grafana.get("rules", &params).await?.data()?;
    ensure!(count(&data) == 1 && data["groups"][0]["rules"].as_array().map(Vec::len) == Some(1), "{data}");
    let (mut seen, mut token) = (0, String::new());
    loop {
        let data = grafana.get("rules", &[("group_limit", "70"), ("group_next_token", &token)]).await?.data()?;
        seen += count(&data);
        match data["groupNextToken"].as_str() {
            Some(next) => token = next.to_owned(),
            None => break,
        }
    }
    ensure!(seen == GROUPS, "{seen}");
    Ok(())
}

/// Incremental querying aligns by itself: a start is taken as it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starts_are_not_aligned() -> anyhow::Result<()> {
    let rig = Rig::start().await?;
    for shift in [0, 123, 7_001] {
        let (start, end) = (rig.times[1] + shift, rig.times[3] + shift);
        let params = [("query", "demo_temperature"), ("start", &seconds(start)), ("end", &seconds(end)), ("step", "15")];
        let data = rig.grafana.post("query_range", &params).await?.data()?;
        let times: Vec<f64> = data["result"][0]["values"].as_array().into_iter().flatten().filter_map(|point| point[0].as_f64()).collect();
        let want = [start, start + 15_000, start + 30_000].map(|t| t as f64 / 1_000.0);
        ensure!(times == want, "{times:?}, not {want:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_drilldown() -> anyhow::Result<()> {
    let rig = Rig::start().await?;
    let metadata = rig.grafana.get("metadata", &[("metric", "demo_temperature")]).await?.data()?;
    ensure!(metadata == json!({"demo_temperature": [{"type": "gauge", "help": "Degrees.", "unit": ""}]}), "{metadata}");
    let labels = rig.grafana.get("labels", &[("match[]", "{__name__=\"demo_temperature\",job=\"demo\"}")]).await?.data()?;
    ensure!(labels == json!(["__name__", "instance", "job"]), "{labels}");
    let query = "avg(demo_temperature{job=\"demo\"}) by (instance)";
    let data = rig.grafana.get("query", &[("query", query), ("time", &rig.end())]).await?.data()?;
    ensure!(data["result"].as_array().map(Vec::len) == Some(2), "{data}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_faces_of_buildinfo() -> anyhow::Result<()> {
    for face in ["mimir", "prometheus", "none"] {
        let single = Single::start_with_env(&[], &[("PLIMSOLL_COMPAT_BUILDINFO", face)]).await?;
        let client = single.node.client();
        let grafana = Datasource::new(&client, "/prometheus");
        let (info, flags) = (grafana.get("status/buildinfo", &[]).await?, grafana.get("status/flags", &[]).await?);
        let under_alertmanager = Datasource::new(&client, "/alertmanager").get("status/buildinfo", &[]).await?;
        ensure!((under_alertmanager.status, &under_alertmanager.text) == (info.status, &info.text));
        if face == "none" {
            let (_, text) = info.error(404)?;
            ensure!(text.contains("page not found"), "{text}");
        } else {
            let data = info.data()?;
            for field in ["application", "version", "revision", "branch", "buildUser", "buildDate", "goVersion", "plimsollVersion"] {
                ensure!(data[field].is_string(), "{field} in {data}");
            }
            let features = data["features"].as_object().is_some_and(|f| !f.is_empty() && f.values().all(Value::is_string));
            ensure!((data["application"] == "Grafana Mimir", features) == (face == "mimir", face == "mimir"), "{data}");
        }
        // An answer here would be taken for that of Thanos.
        ensure!(flags.status == if face == "prometheus" { 200 } else { 404 }, "{face}: {}", flags.status);
        let (status, page) = client.get("/").await?;
        ensure!(status == 200 && page.contains("<h1>Plimsoll"), "the honest name: {page}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_queries_are_logged_with_their_panel() -> anyhow::Result<()> {
    let mut single = Single::start_with_env(&[], &[("PLIMSOLL_QUERIER_SLOW_QUERY_MS", "1"), ("PLIMSOLL_LOG_FORMAT", "json")]).await?;
    let grafana = Datasource::new(&single.node.client(), "/prometheus");
    // 300,000 points take more than a millisecond.
    let query = (0..30).map(|i| format!("label_replace(vector({i}),\"n\",\"{i}\",\"\",\"\")")).collect::<Vec<_>>().join(" or ");
    let form = [("query", query.as_str()), ("start", "0"), ("end", "10000"), ("step", "1")];
    let request = single.node.client().http().post(grafana.at("query_range")).form(&form);
    let request = request.header("X-Dashboard-Uid", "dash-1").header("X-Panel-Id", "42").header("X-Grafana-Org-Id", "7");
    grafana.send(request.header("X-Grafana-User", "someone").header("FromAlert", "true")).await?.data()?;
    let log = single.node.process().log();
    let line = log.lines().find(|line| line.contains("slow query")).unwrap_or_default();
    for part in ["label_replace(vector(7)", "dash-1", "\"42\"", "\"7\"", "anonymous", "success"] {
        ensure!(line.contains(part), "no {part} in {line:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn head_and_options() -> anyhow::Result<()> {
    let rig = Rig::start().await?;
    let http = rig.single.node.client().http().clone();
    for path in ["query?query=1", "labels", "label/job/values", "read"] {
        let answer = rig.grafana.send(http.request(reqwest::Method::OPTIONS, rig.grafana.at(path))).await?;
        ensure!((answer.status, answer.text.as_str()) == (204, ""), "{path}: {answer:?}");
    }
    let answer = rig.grafana.send(http.head(rig.grafana.at("query?query=1"))).await?;
    ensure!((answer.status, answer.text.as_str()) == (200, ""), "{answer:?}");
    Ok(())
}
