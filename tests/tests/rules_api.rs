//! Rule groups that tenants store over HTTP: the API with odd names and wrong requests, over an S3 wire, and two rulers that share the groups.
#![allow(clippy::disallowed_methods, reason = "tests of real processes live in real time")]
#![allow(clippy::print_stdout, reason = "tests report what they see")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cluster::alerting::{Alertmanager, Webhook};
use cluster::client::{Client, PushSample};
use cluster::deployment::Node;
use cluster::process::eventually;
use cluster::rules_api::RulesApi;
use model::Labels;
use s3server::S3Server;
use serde_json::Value;
use serde_yaml_ng::Value as Yaml;

const CONFIG: &str = "/prometheus/config/v1/rules";

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("not that late")
}

/// Status and `data` of the Prometheus API for a tenant.
async fn rules_of(client: &Client, tenant: &str) -> anyhow::Result<Value> {
    let get = client.http().get(format!("{}/prometheus/api/v1/rules", client.base())).header("X-Scope-OrgID", tenant);
    let body: Value = get.send().await?.json().await?;
    Ok(body["data"].clone())
}

fn group_names(data: &Value) -> Vec<String> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let groups = data["groups"].as_array().into_iter().flatten();
    groups.map(|g| format!("{}|{}", text(&g["file"]), text(&g["name"]))).collect()
}

async fn refused(api: &RulesApi, namespace: &str, group: &str, status: u16, texts: &[&str]) -> anyhow::Result<()> {
    let (answered, body) = api.post(namespace, group).await?;
    anyhow::ensure!(answered == status && texts.iter().all(|text| body.contains(text)), "{answered} {body}, but {status} {texts:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_are_stored_shown_and_deleted() -> anyhow::Result<()> {
    let s3 = S3Server::start(&["rules"]);
    let dir = tempfile::tempdir()?;
    let config = dir.path().join("plimsoll.yaml");
    std::fs::write(&config, "limits: {ruler_max_rules_per_rule_group: 3, ruler_max_rule_groups_per_tenant: 4}\n")?;
    let url = format!("s3://rules/some/prefix?endpoint={}&region=eu&anonymous=true", s3.endpoint());
    let args = ["--multitenancy", "--object-store", &url, "--config", &config.display().to_string()];
    let mut node = Node::new("plimsoll", dir.path(), &args)?;
    node.start().await?;
    let client = node.client();
    let api = RulesApi::new(&client, CONFIG).of("team-a");

    // Nothing there: what Grafana takes for an empty ruler.
    let (status, body) = api.get(&[]).await?;
    anyhow::ensure!(status == 404 && body.contains("no rule groups found"), "{status} {body}");
    let (status, body) = api.get(&["test", "test"]).await?;
    anyhow::ensure!(status == 404 && body.contains("group does not exist"), "{status} {body}");

    // Odd names, as they are and escaped.
    let odd = [("a/b c", "g/1 %2F"), ("überwachung", "группа ☂"), ("..%2f..", "x?y#z&w=1")];
    for (namespace, name) in odd {
        let group = format!("name: '{name}'\ninterval: 1m\nrules:\n- record: r\n  expr: sum  (up)\n  labels: {{a: b}}\n");
        let (status, body) = api.post(namespace, &group).await?;
        anyhow::ensure!(status == 202 && body.contains(r#""status":"success""#), "{namespace} {name}: {status} {body}");
        let (status, body) = api.get(&[namespace, name]).await?;
        let shown: Yaml = serde_yaml_ng::from_str(&body)?;
        anyhow::ensure!(status == 200 && shown == serde_yaml_ng::from_str::<Yaml>(&group)?, "{status} {body}");
        let (_, body) = api.get(&[namespace]).await?;
        anyhow::ensure!(serde_yaml_ng::from_str::<Yaml>(&body)?[namespace][0]["name"] == name, "{body}");
    }
    let (status, body) = api.get(&[]).await?;
    let all: Yaml = serde_yaml_ng::from_str(&body)?;
    anyhow::ensure!(status == 200 && all.as_mapping().map(serde_yaml_ng::Mapping::len) == Some(3), "{body}");
    // The same through the paths of Cortex.
    for path in ["/prometheus/rules", "/api/v1/rules"] {
        let (status, body) = RulesApi::new(&client, path).of("team-a").get(&[odd[0].0, odd[0].1]).await?;
        anyhow::ensure!(status == 200 && body.contains("sum  (up)"), "{path}: {status} {body}");
    }

    // They are evaluated at once, and only their tenant sees them.
    eventually("the groups are taken up", Duration::from_secs(10), || async {
        rules_of(&client, "team-a").await.is_ok_and(|data| group_names(&data).len() == 3)
    })
    .await?;
    let mut names = group_names(&rules_of(&client, "team-a").await?);
    names.sort();
    let mut want: Vec<String> = odd.iter().map(|(namespace, name)| format!("{namespace}|{name}")).collect();
    want.sort();
    assert_eq!(names, want);
    assert_eq!(group_names(&rules_of(&client, "team-b").await?), [""; 0]);
    let (status, _) = RulesApi::new(&client, CONFIG).of("team-b").get(&[odd[0].0, odd[0].1]).await?;
    assert_eq!(status, 404);

    // What is wrong is said with limit, value and setting, or in the parser's words.
    let rules = |n: usize| "- {record: r, expr: up}\n".repeat(n);
    refused(&api, "n", &format!("name: g\nrules:\n{}", rules(4)), 400, &["4 rules", "is 3", "limits.ruler_max_rules_per_rule_group"])
        .await?;
    refused(
        &api,
        "n",
        "name: g\nrules:\n- record: r\n  expr: sum(",
        400,
        &["4:9", "could not parse expression", "unclosed left parenthesis"],
    )
    .await?;
    refused(&api, "n", "name: g\nrules: []", 400, &["no rules"]).await?;
    refused(&api, "n", "name: [", 400, &["yaml"]).await?;
    refused(&api, "n", &format!("name: g\nrules:\n{}", rules(100_000)), 413, &["at most 1048576 bytes"]).await?;
    refused(&api, &"n".repeat(200), "name: g\nrules: [{record: r, expr: up}]", 400, &["200 bytes", "at most 180"]).await?;
    let (status, _) = api.post("n", &format!("name: fourth\nrules:\n{}", rules(1))).await?;
    assert_eq!(status, 202);
    refused(
        &api,
        "n",
        "name: fifth\nrules: [{record: r, expr: up}]",
        400,
        &["4 rule groups", "is 4", "limits.ruler_max_rule_groups_per_tenant"],
    )
    .await?;
    let (status, _) = api.post("n", "name: fourth\nrules: [{record: s, expr: up}]").await?;
    assert_eq!(status, 202, "one that is there may be replaced");

    // Parameters of Prometheus 3 and of Grafana, on stored groups.
    let ask = |query: String| {
        let get = client.http().get(format!("{}/api/v1/rules{query}", client.base())).header("X-Scope-OrgID", "team-a");
        async move {
            let answer = get.send().await?;
            let status = answer.status().as_u16();
            anyhow::Ok((status, answer.json::<Value>().await?))
        }
    };
    eventually("the fourth is taken up", Duration::from_secs(10), || async {
        ask("?file=n&rule_name=s".to_owned()).await.is_ok_and(|(status, body)| status == 200 && group_names(&body["data"]) == ["n|fourth"])
    })
    .await?;
    let (_, first) = ask("?group_limit=3".to_owned()).await?;
    let token = first["data"]["groupNextToken"].as_str().expect("a further page").to_owned();
    let (_, second) = ask(format!("?group_limit=3&group_next_token={token}")).await?;
    let seen: BTreeSet<String> = group_names(&first["data"]).into_iter().chain(group_names(&second["data"])).collect();
    assert_eq!(seen.len(), 4);
    let (status, body) = ask("?group_limit=3&group_next_token=gone".to_owned()).await?;
    anyhow::ensure!(status == 400 && body["errorType"] == "bad_data", "{status} {body}");

    // Deleted, they end.
    let (status, body) = api.delete(&[odd[0].0, odd[0].1]).await?;
    anyhow::ensure!(status == 202 && body.contains("success"), "{status} {body}");
    let (status, body) = api.delete(&[odd[0].0, odd[0].1]).await?;
    anyhow::ensure!(status == 404 && body.contains("group does not exist"), "{status} {body}");
    assert_eq!((api.delete(&["n"]).await?.0, api.delete(&["n"]).await?.0), (202, 404));
    eventually("the groups end", Duration::from_secs(10), || async {
        rules_of(&client, "team-a").await.is_ok_and(|data| group_names(&data).len() == 2)
    })
    .await?;

    // They outlive the process: they are in the bucket.
    node.kill()?;
    node.start().await?;
    eventually("the groups are back", Duration::from_secs(30), || async {
        rules_of(&client, "team-a").await.is_ok_and(|data| group_names(&data).len() == 2)
    })
    .await
}

/// Groups of the cluster test; with so many, both rulers have some.
const GROUPS: usize = 6;

/// What the alerts' condition must hold for: long enough for a ruler to be killed within, and its lease to run out.
const FOR: Duration = Duration::from_secs(30);

async fn push_for_ever(client: Client, up: Arc<AtomicBool>) {
    loop {
        let v = if up.load(Ordering::Relaxed) { 1.0 } else { 0.0 };
        let labels = Labels::from_pairs([("__name__", "target_up"), ("instance", "a:1"), ("job", "x")]);
        let _ = client.push(&[PushSample { labels, t: now_ms(), v }]).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// States of all alerts by their names.
async fn states(client: &Client) -> anyhow::Result<Vec<(String, String)>> {
    let data = client.api("alerts", &[]).await?;
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let alerts = data["alerts"].as_array().into_iter().flatten();
    let mut states: Vec<_> = alerts.map(|a| (text(&a["labels"]["alertname"]), text(&a["state"]))).collect();
    states.sort();
    Ok(states)
}

async fn wait_for(client: &Client, state: &str, within: Duration) -> anyhow::Result<()> {
    eventually(&format!("all alerts are {state}"), within, || async {
        states(client).await.is_ok_and(|all| all.len() == GROUPS && all.iter().all(|(_, s)| s == state))
    })
    .await
}

/// `ALERTS_FOR_STATE` of all alerts, of samples no older than `after`, in seconds.
async fn active_since(client: &Client, after: i64) -> anyhow::Result<Vec<(String, f64)>> {
    let query = format!("ALERTS_FOR_STATE and timestamp(ALERTS_FOR_STATE) >= {after}");
    let data = client.query(&query, &(now_ms() / 1_000).to_string()).await?;
    let since = |s: &Value| Some((s["metric"]["alertname"].as_str()?.to_owned(), s["value"][1].as_str()?.parse().ok()?));
    let mut all: Vec<_> = data["result"].as_array().into_iter().flatten().filter_map(since).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(all)
}

/// How many groups the ruler evaluates, by its own metrics.
async fn owned(client: &Client) -> usize {
    let Ok((_, text)) = client.get("/metrics").await else { return 0 };
    let value = text.lines().find_map(|line| line.strip_prefix("plimsoll_ruler_groups "));
    value.and_then(|v| v.trim().parse().ok()).unwrap_or(0)
}

fn ruler(name: &str, dir: &Path, coordinator: &str, bucket: &str, config: &Path) -> anyhow::Result<Node> {
    let args = [
        "--target=ruler",
        &format!("--coordinators={coordinator}"),
        "--replication-factor=1",
        "--object-store",
        bucket,
        "--config",
        &config.display().to_string(),
    ];
    Node::new(name, dir, &args)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_rulers_share_groups_and_one_dies() -> anyhow::Result<()> {
    let webhook = Webhook::start().await?;
    let alertmanager = Alertmanager::start(&webhook).await?;
    let dir = tempfile::tempdir()?;
    let config = dir.path().join("plimsoll.yaml");
    let text = format!(
        "coordinator: {{lease_ttl_seconds: 3}}\nruler:\n  alertmanager_urls: ['{}']\n  resend_delay_seconds: 30\n  for_grace_period_seconds: 0\n",
        alertmanager.url
    );
    std::fs::write(&config, text)?;
    let bucket = format!("file://{}", dir.path().join("bucket").display());
    let args = ["--target=coordinator,ingester,distributor,querier", "--replication-factor=1", "--config", &config.display().to_string()];
    let mut main = Node::new("main", dir.path(), &args)?;
    main.start().await?;
    let mut one = ruler("ruler-1", dir.path(), &main.grpc, &bucket, &config)?;
    let mut two = ruler("ruler-0", dir.path(), &main.grpc, &bucket, &config)?;
    one.start().await?;
    two.start().await?;
    let (client, first, second) = (main.client(), one.client(), two.client());
    let up = Arc::new(AtomicBool::new(true));
    tokio::spawn(push_for_ever(client.clone(), Arc::clone(&up)));

    // Stored at one ruler, evaluated by both, shown by each.
    let api = RulesApi::new(&first, CONFIG);
    for i in 0..GROUPS {
        let group = format!(
            "name: g{i}\ninterval: 1s\nrules:\n- alert: Down{i}\n  expr: target_up == 0\n  for: {}s\n  annotations: {{summary: '{{{{ $labels.instance }}}} is down'}}\n",
            FOR.as_secs()
        );
        let (status, body) = api.post(&format!("n{}", i % 2), &group).await?;
        anyhow::ensure!(status == 202, "{status} {body}");
    }
    let shared = || async { (owned(&first).await, owned(&second).await) };
    eventually("both rulers have groups", Duration::from_secs(20), || async {
        let (a, b) = shared().await;
        a + b == GROUPS && a > 0 && b > 0
    })
    .await?;
    println!("groups of the two rulers: {:?}", shared().await);
    for client in [&first, &second] {
        eventually("each shows all", Duration::from_secs(10), || async {
            client.api("rules", &[]).await.is_ok_and(|data| group_names(&data).len() == GROUPS)
        })
        .await?;
    }

    // Down, pending, and one ruler is killed.
    up.store(false, Ordering::Relaxed);
    let down = Instant::now();
    wait_for(&second, "pending", Duration::from_secs(30)).await?;
    tokio::time::sleep(Duration::from_secs(8)).await;
    let before = active_since(&client, 0).await?;
    assert_eq!(before.len(), GROUPS);
    let away = Instant::now();
    one.kill()?;
    let killed = now_ms() / 1_000 + 1;
    // While one is missing, the other says so rather than showing less.
    let answer = second.get("/prometheus/api/v1/rules").await?;
    anyhow::ensure!(answer.0 == 503 && answer.1.contains("ruler-1"), "{answer:?}");
    eventually("the other has all groups", Duration::from_secs(30), || async { owned(&second).await == GROUPS }).await?;
    let taken = away.elapsed();
    eventually("their state is restored", Duration::from_secs(30), || async {
        active_since(&client, killed).await.is_ok_and(|all| all.len() == GROUPS)
    })
    .await?;
    let without = away.elapsed();
    let after = active_since(&client, killed).await?;
    println!("taken over {taken:?} after the kill, states restored after {without:?}: active since {before:?}, now {after:?}");
    for ((name, before), (_, after)) in before.iter().zip(&after) {
        anyhow::ensure!(after >= before && after - before <= without.as_secs_f64() + 2.0, "{name}: for began anew: {before} {after}");
    }

    // Firing, each told once, and nothing more when the first comes back and takes its groups again.
    wait_for(&second, "firing", FOR + Duration::from_secs(30)).await?;
    println!("firing {:?} after the target went down", down.elapsed());
    let told = |status: &str| (0..GROUPS).map(|i| format!("{status} Down{i}")).collect::<BTreeSet<String>>();
    eventually("the webhook is told of all", Duration::from_secs(20), || async { webhook.told().len() >= GROUPS }).await?;
    one.start().await?;
    eventually("the first has its groups again", Duration::from_secs(20), || async {
        let (a, b) = shared().await;
        a > 0 && a + b == GROUPS
    })
    .await?;
    wait_for(&first, "firing", Duration::from_secs(20)).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let firing: Vec<String> = webhook.told();
    assert_eq!((firing.len(), firing.into_iter().collect::<BTreeSet<_>>()), (GROUPS, told("firing")), "each is told once");

    // Up again: each resolved once.
    up.store(true, Ordering::Relaxed);
    eventually("all are resolved", Duration::from_secs(40), || async { webhook.told().len() >= 2 * GROUPS }).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let resolved: Vec<String> = webhook.told().into_iter().skip(GROUPS).collect();
    assert_eq!((resolved.len(), resolved.into_iter().collect::<BTreeSet<_>>()), (GROUPS, told("resolved")));
    assert_eq!(states(&first).await?, []);
    Ok(())
}
