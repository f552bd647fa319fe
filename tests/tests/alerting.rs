//! An alert's life across kills of the ruler: pending, firing, a real Alertmanager, a webhook, resolved. Nothing is told twice, and `for`
//! does not begin anew.
#![allow(clippy::disallowed_methods, reason = "tests of real processes live in real time")]
#![allow(clippy::print_stdout, reason = "tests report what they see")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cluster::alerting::{Alertmanager, Webhook, active_since, alert, push_target, wait_for_state};
use cluster::deployment::Node;
use cluster::ledger::now_ms;
use cluster::process::eventually;
use serde_json::Value;

/// What the alert's condition must hold for: long enough to be killed within.
const FOR: Duration = Duration::from_secs(25);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_survives_its_ruler() -> anyhow::Result<()> {
    let webhook = Webhook::start().await?;
    let alertmanager = Alertmanager::start(&webhook).await?;
    let dir = tempfile::tempdir()?;
    let rules = format!(
        "groups:\n- name: g\n  interval: 1s\n  rules:\n  - alert: TargetDown\n    expr: target_up == 0\n    for: {}s\n    labels: {{severity: page}}\n    \
         annotations: {{summary: '{{{{ $labels.instance }}}} is down'}}\n  - {{record: 'job:target_up:sum', expr: sum by (job) (target_up)}}\n",
        FOR.as_secs()
    );
    std::fs::write(dir.path().join("rules.yml"), rules)?;
    let config = format!(
        "ruler:\n  rule_files: ['{}/*.yml']\n  alertmanager_urls: ['{}']\n  external_labels: {{cluster: test}}\n  resend_delay_seconds: 30\n  \
         for_grace_period_seconds: 0\n",
        dir.path().display(),
        alertmanager.url
    );
    let config_path = dir.path().join("plimsoll.yaml");
    std::fs::write(&config_path, config)?;
    let mut node = Node::new("plimsoll", dir.path(), &["--config", &config_path.display().to_string()])?;
    node.start().await?;
    let client = node.client();
    let up = Arc::new(AtomicBool::new(true));
    tokio::spawn(push_target(client.clone(), Arc::clone(&up)));
    eventually("a recorded series", Duration::from_secs(30), || async {
        let data = client.query("job:target_up:sum", &(now_ms() / 1_000).to_string()).await;
        data.is_ok_and(|d| d["result"][0]["value"][1] == "1")
    })
    .await?;

    // Down; pending; killed while pending.
    up.store(false, Ordering::Relaxed);
    let down = Instant::now();
    wait_for_state(&client, "pending", Duration::from_secs(30)).await?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let before = active_since(&client, 0).await.expect("the state is in a series");
    let away = Instant::now();
    node.kill()?;
    let killed = now_ms() / 1_000 + 1;
    node.start().await?;
    // The series is written again only when the old state is known.
    eventually("the state is restored", Duration::from_secs(90), || async { active_since(&client, killed).await.is_some() }).await?;
    let away = away.elapsed();
    let after = active_since(&client, killed).await.expect("the state is in a series");
    println!("active since {before}, after {away:?} without a ruler since {after}");
    anyhow::ensure!(after >= before && after - before <= away.as_secs_f64() + 2.0, "for began anew: {before} {after}");

    // Firing; told once; killed while firing; not told again.
    wait_for_state(&client, "firing", FOR + Duration::from_secs(30)).await?;
    println!("firing {:?} after the target went down, of which {away:?} were without a ruler", down.elapsed());
    eventually("the webhook is told", Duration::from_secs(20), || async { webhook.told() == ["firing TargetDown"] }).await?;
    let told: Value = webhook.last().expect("told");
    assert_eq!(told["alerts"][0]["labels"]["cluster"], "test");
    assert_eq!(told["alerts"][0]["annotations"]["summary"], "a:1 is down");
    node.kill()?;
    node.start().await?;
    wait_for_state(&client, "firing", Duration::from_secs(30)).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(webhook.told(), ["firing TargetDown"], "nothing is told twice");

    // Up; resolved; told once.
    up.store(true, Ordering::Relaxed);
    eventually("the webhook is told", Duration::from_secs(40), || async { webhook.told().len() > 1 }).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(webhook.told(), ["firing TargetDown", "resolved TargetDown"]);
    assert_eq!(alert(&client).await, None);
    let managers = client.api("alertmanagers", &[]).await?;
    assert_eq!(managers["activeAlertmanagers"][0]["url"], format!("{}/api/v2/alerts", alertmanager.url));
    Ok(())
}
