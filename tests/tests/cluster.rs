//! The cluster as those who run it see it: ingesters that leave and are forgotten, coordinators that are replaced, equal senders.
#![allow(clippy::print_stdout, reason = "tests report what they saw")]
#![allow(clippy::disallowed_methods, reason = "tests of real processes live in real time")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use cluster::checker::{Checker, fate};
use cluster::client::{Client, PushSample};
use cluster::deployment::Node;
use cluster::fleet::post;
use cluster::ledger::now_ms;
use cluster::process::{eventually, free_port, workspace_binary};
use model::Labels;
use serde_json::Value;

const SOON: Duration = Duration::from_secs(60);

fn node(dir: &Path, name: &str, args: &[&str], env: &[(&str, &str)]) -> anyhow::Result<Node> {
    Ok(env.iter().fold(Node::new(name, dir, args)?, |node, (name, value)| node.with_env(name, value)))
}

async fn json(client: &Client, path: &str) -> anyhow::Result<Value> {
    let (status, text) = client.get(path).await?;
    ensure!(status == 200, "GET {path}: {status} {text}");
    serde_json::from_str(&text).with_context(|| format!("GET {path}: {text}"))
}

async fn state(client: &Client, id: &str) -> Option<String> {
    let ring = json(client, "/ring").await.ok()?;
    let all = ring["instances"].as_array()?;
    all.iter().find(|i| i["role"] == "ingester" && i["id"] == id).and_then(|i| i["state"].as_str().map(str::to_owned))
}

fn samples(names: std::ops::Range<usize>, t: i64) -> Vec<PushSample> {
    let labels = |n: usize| Labels::from_pairs([("__name__", "m"), ("n", &n.to_string())]);
    names.map(|n| PushSample { labels: labels(n), t, v: n as f64 }).collect()
}

async fn count(client: &Client, query: &str) -> anyhow::Result<String> {
    let time = format!("{:.3}", now_ms() as f64 / 1_000.0);
    let data = client.query(query, &time).await?;
    Ok(data["result"][0]["value"][1].as_str().unwrap_or("0").to_owned())
}

/// With one copy of each series nothing but the object store has what a removed ingester had.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ingester_leaves_for_good_and_nothing_is_missing() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let store = format!("file://{}", dir.path().join("bucket").display());
    let env = [("PLIMSOLL_INGESTER_SHUTDOWN_SETTLE_SECONDS", "4"), ("PLIMSOLL_QUERIER_BUCKET_INDEX_REFRESH_SECONDS", "1")];
    let mut coordinator = node(dir.path(), "coordinator", &["--target=coordinator"], &env)?;
    coordinator.start().await?;
    let group = coordinator.grpc.clone();
    let member = |name: &str, target: &str| {
        let args = ["--target", target, "--coordinators", &group, "--object-store", &store, "--replication-factor=1"];
        node(dir.path(), name, &args, &env)
    };
    let (mut a, mut b) = (member("ingester-a", "ingester")?, member("ingester-b", "ingester")?);
    let (mut distributor, mut querier, mut compactor) =
        (member("distributor", "distributor")?, member("querier", "querier")?, member("compactor", "compactor")?);
    for node in [&mut a, &mut b, &mut distributor, &mut querier, &mut compactor] {
        node.launch()?;
    }
    for node in [&a, &b, &distributor, &querier, &compactor] {
        node.ready().await?;
    }
    let (out, way_in) = (querier.client(), distributor.client());
    eventually("both ingesters are seen", SOON, || async { way_in.active_ingesters().await.is_ok_and(|n| n == 2) }).await?;
    let (t, checker) = (now_ms() - 20_000, Checker::new());
    checker.write(&way_in, &samples(0..500, t)).await?;
    checker.verify(&out).await?;

    // From the moment that it is read-only, every write succeeds: its keys are the other one's.
    post(&a.client(), "/ingester/prepare-shutdown").await?;
    eventually("it is read-only", SOON, || async { state(&way_in, "ingester-a").await.as_deref() == Some("READ_ONLY") }).await?;
    checker.write(&way_in, &samples(500..1_000, t + 1_000)).await.context("writes go to the next one")?;
    checker.verify(&out).await.context("and it is still read")?;

    // It remembers over a kill.
    a.kill()?;
    a.start().await?;
    let departing = a.client();
    ensure!(json(&departing, "/ingester/prepare-shutdown").await?["requested"] == true);
    let started = Instant::now();
    let compacting = compactor.client();
    let (departing_ref, compacting_ref) = (&departing, &compacting);
    eventually("it is safe to remove", Duration::from_secs(120), || async move {
        let _ = post(compacting_ref, "/compactor/run").await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        json(departing_ref, "/ingester/prepare-shutdown").await.is_ok_and(|status| status["safe_to_remove"] == true)
    })
    .await?;
    println!("safe to remove {:?} after its restart", started.elapsed());
    a.process().terminate(SOON)?;
    std::fs::remove_dir_all(a.data_dir())?;
    eventually("it has left the ring", SOON, || async { state(&out, "ingester-a").await.is_none() }).await?;
    for _ in 0..10 {
        ensure!(checker.verify(&out).await? == 1_000);
    }

    // A read-only order on the page, by a tool; a page of another site cannot.
    let form = |action: &'static str| [("action", action), ("role", "ingester"), ("id", "ingester-b")];
    let url = format!("{}/ring", out.base());
    let foreign = out.http().post(&url).header("sec-fetch-site", "cross-site").form(&form("read-only")).send().await?;
    ensure!(foreign.status() == 403, "{}", foreign.status());
    let done = out.http().post(&url).form(&form("read-only")).send().await?;
    ensure!(done.status() == 204, "{}", done.status());
    eventually("it is read-only", SOON, || async { state(&out, "ingester-b").await.as_deref() == Some("READ_ONLY") }).await?;
    let page = out.http().post(&url).header("accept", "text/html").form(&form("active")).send().await?.text().await?;
    ensure!(page.contains("<h1>Ring</h1>") && page.contains("Heartbeat"), "{page}");
    let refused = out.http().post(&url).form(&form("forget")).send().await?;
    ensure!(refused.status() == 409, "who is alive is not forgotten");
    Ok(())
}

/// The command line, and what it says.
fn plimsoll(args: &[&str]) -> anyhow::Result<(bool, String)> {
    let run = Command::new(workspace_binary("plimsoll")?).args(args).output()?;
    let text = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    Ok((run.status.success(), text))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_coordinator_is_replaced_by_command() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let addresses = (0..4).map(|_| Ok(format!("127.0.0.1:{}", free_port()?))).collect::<anyhow::Result<Vec<String>>>()?;
    let first = addresses[..3].join(",");
    let all = addresses.join(",");
    let start = |i: usize, list: &str| -> anyhow::Result<Node> {
        let node = Node::new(&format!("coordinator-{i}"), dir.path(), &["--target=coordinator"])?;
        Ok(node.at(&addresses[i], &["--coordinators", list]))
    };
    let mut group = Vec::new();
    for i in 0..3 {
        let mut node = start(i, &first)?;
        node.launch()?;
        group.push(node);
    }
    for node in &group {
        node.ready().await?;
    }
    let status = || plimsoll(&["coordinator", "status", "--coordinators", &addresses[0], "--json"]);
    let leader = || -> anyhow::Result<Option<String>> {
        let all: Value = serde_json::from_str(&status()?.1)?;
        Ok(all[0][1]["Ok"]["leader"].as_str().map(str::to_owned))
    };
    eventually("somebody leads", SOON, || async { leader().is_ok_and(|leader| leader.is_some()) }).await?;
    // The first is made the leader, so that the third is not.
    eventually("leadership is handed over", SOON, || async {
        plimsoll(&["coordinator", "transfer", "--coordinators", &all, "--address", &addresses[0]]).is_ok_and(|(ok, _)| ok)
    })
    .await?;
    ensure!(leader()?.as_deref() == Some(addresses[0].as_str()));
    group[2].kill()?;
    let mut replacement = start(3, &all)?;
    replacement.launch()?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (ok, text) = plimsoll(&["coordinator", "add", "--coordinators", &first, "--address", &addresses[3]])?;
    ensure!(ok, "{text}");
    let (ok, text) = plimsoll(&["coordinator", "remove", "--coordinators", &first, "--address", &addresses[2]])?;
    ensure!(ok, "{text}");
    replacement.ready().await?;
    let (ok, text) = plimsoll(&["coordinator", "status", "--coordinators", &first])?;
    println!("{text}");
    ensure!(ok && text.contains(&addresses[3]) && text.contains("voter"), "{text}");
    let (ok, text) = plimsoll(&["coordinator", "remove", "--coordinators", &all, "--address", &addresses[0]])?;
    ensure!(!ok && text.contains("transfer"), "the leader stays: {text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_ingester_of_a_zone_leaves_only_by_force() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let group = format!("127.0.0.1:{}", free_port()?);
    let mut coordinator = node(dir.path(), "coordinator", &["--target=coordinator", "--coordinators", &group], &[])?.at(&group, &[]);
    coordinator.start().await?;
    let member = |zone: &str| {
        let args = ["--target=ingester", "--coordinators", &group, "--replication-factor=3", "--zone", zone];
        node(dir.path(), &format!("ingester-{zone}"), &args, &[])
    };
    let mut ingesters = ["a", "b", "c"].map(member).into_iter().collect::<anyhow::Result<Vec<Node>>>()?;
    ingesters.iter_mut().try_for_each(Node::launch)?;
    let client = ingesters[0].client();
    eventually("all three are seen", SOON, || async { client.active_ingesters().await.is_ok_and(|n| n == 3) }).await?;
    // A page of another site is told nothing but that, forced or not.
    let url = format!("{}/ingester/prepare-shutdown", client.base());
    for (method, query) in [("POST", ""), ("POST", "?force=true"), ("DELETE", "")] {
        let request = client.http().request(method.parse()?, format!("{url}{query}")).header("origin", "http://elsewhere.example");
        let (status, text) = request.send().await.map(|answer| (answer.status(), answer.text()))?;
        let text = text.await?;
        ensure!(status == 403 && text.contains("another site"), "{method} {query}: {status} {text}");
    }
    let refusal = post(&client, "/ingester/prepare-shutdown").await.err().context("it may leave")?.to_string();
    ensure!(refusal.contains("409") && refusal.contains("without zone a there are fewer"), "{refusal}");
    ensure!(json(&client, "/ingester/prepare-shutdown").await?["requested"] == false);
    post(&client, "/ingester/prepare-shutdown?force=true").await?;
    ensure!(json(&client, "/ingester/prepare-shutdown").await?["requested"] == true);
    post(&client, "/ingester/prepare-shutdown").await.context("asked for again")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_equal_senders_one_is_written_whichever_distributor_they_use() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let env = [("PLIMSOLL_LIMITS_ACCEPT_HA_SAMPLES", "true"), ("PLIMSOLL_LIMITS_HA_FAILOVER_TIMEOUT_MS", "6000")];
    let mut first = node(dir.path(), "all", &[], &env)?;
    first.start().await?;
    let group = first.grpc.clone();
    let mut second = node(dir.path(), "distributor", &["--target=distributor", "--coordinators", &group, "--replication-factor=1"], &env)?;
    second.start().await?;
    let ways = [("a", first.client()), ("b", second.client())];
    let checker = Checker::new();
    let send = async |replica: &str, client: &Client, t: i64| -> anyhow::Result<u16> {
        let labels = |n: usize| {
            let n = n.to_string();
            Labels::from_pairs([("__name__", "ha"), ("__replica__", replica), ("cluster", "eu"), ("n", &n)])
        };
        let batch: Vec<PushSample> =
            (0..20).map(|n| PushSample { labels: labels(n), t, v: if replica == "a" { 1.0 } else { 2.0 } }).collect();
        // The replica's label is not stored, and what is dropped must not be there.
        let stored = |sample: &PushSample| PushSample { labels: sample.labels.without(|name| name == "__replica__"), ..*sample };
        let sent = checker.send("", &batch.iter().map(stored).collect::<Vec<_>>());
        let (status, text) = client.push(&batch).await?;
        checker.settle(fate(status), &sent);
        ensure!(status < 300, "nothing is refused: {status} {text}");
        Ok(status)
    };
    // Both send every second, half a second apart.
    let mut statuses = Vec::new();
    for _ in 0..10 {
        for (replica, client) in &ways {
            statuses.push((*replica, send(replica, client, now_ms()).await?));
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
    ensure!(statuses.iter().all(|(replica, status)| (*status == 202) == (*replica == "b")), "{statuses:?}");
    let out = first.client();
    ensure!(count(&out, "sum(count_over_time(ha[10m]))").await? == "200", "one of two");
    ensure!(count(&out, "count(last_over_time(ha[10m]))").await? == "20", "without the label of the replica");
    let page = json(&ways[1].1, "/distributor/ha_tracker").await?;
    ensure!(page["elections"][0]["replica"] == "a" && page["elections"][0]["cluster"] == "eu", "{page}");

    // The elected one is lost.
    let lost = Instant::now();
    while send("b", &ways[1].1, now_ms()).await? == 202 {
        ensure!(lost.elapsed() < SOON, "no failover");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    println!("the other replica was taken {:?} after the last sample of the first", lost.elapsed());
    ensure!(lost.elapsed() > Duration::from_secs(2));
    eventually("the first distributor has heard of it", SOON, || async {
        send("a", &ways[0].1, now_ms()).await.is_ok_and(|status| status == 202)
    })
    .await?;
    // While the coordinator is away, the last election holds: here it dies with the first process, and the second has no ingester either.
    let page = json(&ways[1].1, "/distributor/ha_tracker").await?;
    ensure!(page["elections"][0]["replica"] == "b", "{page}");
    checker.verify(&out).await.context("what was taken is there, and what was dropped is not")?;
    Ok(())
}
