//! A ruler whose evaluations and notifications fail, or that is killed in them: the other rules go on, `for` goes on, and the Alertmanager is told.
#![allow(clippy::print_stdout, reason = "tests report what they saw")]
#![allow(clippy::disallowed_methods, reason = "tests of real processes live in real time")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use cluster::alerting::{Alertmanager, Webhook, active_since, alert, push_target, wait_for_state};
use cluster::client::Client;
use cluster::deployment::Node;
use cluster::ledger::now_ms;
use cluster::process::eventually;
use serde_json::Value;

const SOON: Duration = Duration::from_secs(30);
/// Longer than all tries of a notification that is tried again at once; [`RESEND_SECONDS`] is longer still.
const TOLD_WITHIN: Duration = Duration::from_secs(20);
const RESEND_SECONDS: u64 = 60;

/// Everything in one process, with a target that is down and as yet without rules.
struct Place {
    node: Node,
    up: Arc<AtomicBool>,
    dir: tempfile::TempDir,
}

impl Place {
    async fn start(failpoints: &str, alertmanager: Option<&Alertmanager>) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let url = alertmanager.map_or(String::new(), |alertmanager| format!("'{}'", alertmanager.url));
        let config = format!(
            "ruler:\n  rule_files: ['{}/*.yml']\n  poll_interval_seconds: 1\n  alertmanager_urls: [{url}]\n  \
             resend_delay_seconds: {RESEND_SECONDS}\n  for_grace_period_seconds: 0\n",
            dir.path().display()
        );
        let path = dir.path().join("plimsoll.yaml");
        std::fs::write(&path, config)?;
        let mut node = Node::new("plimsoll", dir.path(), &["--config", &path.display().to_string()])?;
        node.restart(Some(failpoints)).await?;
        let up = Arc::new(AtomicBool::new(false));
        tokio::spawn(push_target(node.client(), Arc::clone(&up)));
        let place = Self { node, up, dir };
        let client = place.node.client();
        eventually("the target is down", SOON, || async { has(&client, "target_up == 0").await }).await?;
        Ok(place)
    }

    /// Has these rules evaluated every second from now on.
    fn evaluate(&self, rules: &str) -> anyhow::Result<()> {
        std::fs::write(self.dir.path().join("rules.yml"), format!("groups: [{{name: g, interval: 1s, rules: [{rules}]}}]\n"))?;
        Ok(())
    }
}

fn target_down(held_for: Duration) -> String {
    format!("{{alert: TargetDown, expr: target_up == 0, for: {}s}}", held_for.as_secs())
}

/// The value of the first series that a query gives now.
async fn number(client: &Client, query: &str) -> Option<f64> {
    let time = format!("{:.3}", now_ms() as f64 / 1_000.0);
    let data = client.query(query, &time).await.ok()?;
    data["result"].as_array()?.first()?["value"][1].as_str()?.parse().ok()
}

async fn has(client: &Client, query: &str) -> bool {
    number(client, query).await.is_some()
}

/// Health and last error of all rules, in their order.
async fn rules(client: &Client) -> anyhow::Result<Vec<(String, String)>> {
    let data = client.api("rules", &[]).await?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let groups = data["groups"].as_array().context("groups")?;
    let all = groups.iter().flat_map(|group| group["rules"].as_array().into_iter().flatten());
    Ok(all.map(|rule| (text(&rule["health"]), text(&rule["lastError"]))).collect())
}

/// A counter or gauge of the process, over all its labels.
async fn metric(client: &Client, name: &str) -> anyhow::Result<f64> {
    let (_, text) = client.get("/metrics").await?;
    let of_name = text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
    Ok(of_name.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum())
}

/// Five evaluations of the first of two rules fail, and none of the second, which follows it each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_cannot_be_evaluated_says_so_and_keeps_its_alert() -> anyhow::Result<()> {
    const FAILURES: usize = 5;
    let started = Instant::now();
    let failing = format!("ruler.eval=6*off->{}off", "1*error->1*off->".repeat(FAILURES));
    let mut place = Place::start(&failing, None).await?;
    let client = place.node.client();
    place.evaluate(&format!(
        "{}, {{record: 'job:target_up:sum', expr: sum by (job) (target_up)}}",
        target_down(Duration::from_secs(3_600))
    ))?;
    eventually("the rule fails", SOON, || async { rules(&client).await.is_ok_and(|all| all.first().is_some_and(|rule| rule.0 == "err")) })
        .await?;
    let (state, active_at) = alert(&client).await.context("a rule that fails keeps its alert")?;
    ensure!(state == "pending", "{state}");
    ensure!(has(&client, "ALERTS{alertstate=\"pending\"}").await, "its series has ended");
    let mut seen = BTreeSet::new();
    let mut others = BTreeSet::new();
    while seen.iter().all(|(health, _)| health != "ok") {
        ensure!(started.elapsed() < 2 * SOON, "it does not recover: {seen:?}");
        let [first, second]: [(String, String); 2] = rules(&client).await?.try_into().map_err(|all| anyhow::anyhow!("not two: {all:?}"))?;
        seen.insert(first);
        others.insert(second);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let of = |health: &str, error: &str| (health.to_owned(), error.to_owned());
    ensure!(seen == BTreeSet::from([of("err", "failpoint ruler.eval"), of("ok", "")]), "{seen:?}");
    ensure!(others == BTreeSet::from([of("ok", "")]), "{others:?}");
    ensure!(place.node.process().acted("ruler.eval") == FAILURES);
    ensure!(metric(&client, "plimsoll_ruler_rule_evaluation_failures_total").await? == FAILURES as f64);
    ensure!(alert(&client).await == Some(("pending".to_owned(), active_at)), "for began anew");
    // The other rule may be one evaluation ahead, or not yet.
    let missed =
        number(&client, "count_over_time(job:target_up:sum[5m]) - on() count_over_time(ALERTS[5m])").await.context("both series")?;
    ensure!((missed - FAILURES as f64).abs() <= 1.0, "{missed} samples less");
    println!("{FAILURES} evaluations failed, {missed} samples less than the other rule, {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ruler_killed_in_an_evaluation_goes_on_where_for_was() -> anyhow::Result<()> {
    const FOR: Duration = Duration::from_secs(16);
    let started = Instant::now();
    let mut place = Place::start("ruler.eval=7*off->abort", None).await?;
    let client = place.node.client();
    place.evaluate(&target_down(FOR))?;
    eventually("the alert is active", SOON, || async { active_since(&client, 0).await.is_some() }).await?;
    let before = active_since(&client, 0).await.context("the state is in a series")?;
    place.node.killed_itself(SOON).await?;
    let (away, killed) = (Instant::now(), now_ms() / 1_000 + 1);
    place.node.restart(None).await?;
    // The series is written again only when the old state is known.
    eventually("the state is restored", SOON, || async { active_since(&client, killed).await.is_some() }).await?;
    let away = away.elapsed().as_secs_f64();
    let after = active_since(&client, killed).await.context("the state is in a series")?;
    // It was active for six seconds: that is more than what the rounding of times to evaluations may hide.
    ensure!(after >= before && after - before <= away + 2.0, "for began anew: {before} {after}, {away} s away");
    wait_for_state(&client, "firing", FOR + SOON).await?;
    println!("active since {before}, and since {after} after {away:.1} s without a ruler, {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_that_could_not_be_sent_are_sent() -> anyhow::Result<()> {
    const FAILURES: usize = 3;
    let started = Instant::now();
    let webhook = Webhook::start().await?;
    let alertmanager = Alertmanager::start(&webhook).await?;
    let mut place = Place::start(&format!("ruler.send={FAILURES}*error->off"), Some(&alertmanager)).await?;
    let client = place.node.client();
    let told =
        async |what: &[&str]| eventually(&format!("the webhook is told {what:?}"), TOLD_WITHIN, || async { webhook.told() == what }).await;
    place.evaluate(&target_down(Duration::ZERO))?;
    wait_for_state(&client, "firing", SOON).await?;
    let firing = Instant::now();
    told(&["firing TargetDown"]).await?;
    println!("told {:.1} s after it fired", firing.elapsed().as_secs_f64());
    ensure!(place.node.process().acted("ruler.send") == FAILURES);
    ensure!(metric(&client, "plimsoll_ruler_alert_send_failures_total").await? == FAILURES as f64);
    ensure!(metric(&client, "plimsoll_ruler_alerts_dropped_total").await? == 0.0);

    // Killed as it would tell that the alert is over, and as it would tell of the next one.
    place.node.restart(Some("ruler.send=1*off->abort")).await?;
    wait_for_state(&client, "firing", SOON).await?;
    place.up.store(true, Ordering::Relaxed);
    place.node.killed_itself(SOON).await?;
    ensure!(webhook.told() == ["firing TargetDown"], "{:?}", webhook.told());
    place.up.store(false, Ordering::Relaxed);
    place.node.restart(Some("ruler.send=abort")).await?;
    place.node.killed_itself(SOON).await?;
    place.node.restart(None).await?;
    wait_for_state(&client, "firing", SOON).await?;
    place.up.store(true, Ordering::Relaxed);
    told(&["firing TargetDown", "resolved TargetDown"]).await?;
    println!("{:?}, {:.1} s", webhook.told(), started.elapsed().as_secs_f64());
    Ok(())
}
