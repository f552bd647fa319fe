//! The load generator's modes at a small scale, as a user runs them.
#![allow(clippy::print_stdout, reason = "tests report what they saw")]
#![allow(clippy::disallowed_methods, reason = "tests of real processes live in real time")]

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use anyhow::{Context, ensure};
use cluster::deployment::{Single, Six};
use cluster::process::workspace_binary;
use serde_json::Value;

/// Runs it to its end; what it printed, and whether it was content.
async fn loadtest(args: &[&str]) -> anyhow::Result<(bool, String)> {
    let (binary, args) = (workspace_binary("loadtest")?, args.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>());
    let run = move || std::process::Command::new(binary).args(args).output();
    let Output { status, stdout, stderr } = tokio::task::spawn_blocking(run).await??;
    let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    println!("{text}");
    Ok((status.success(), text))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn write_query_and_mixed_print_their_figures() -> anyhow::Result<()> {
    let (good, text) = loadtest(&["write", "--series", "2000", "--scrapes", "5", "--protocol", "v2", "--restart"]).await?;
    ensure!(good && text.contains("10000 samples") && text.contains("start after a kill"), "write");
    let (good, text) = loadtest(&["query", "--series", "2000", "--scrapes", "20", "--repeat", "1"]).await?;
    ensure!(good && text.contains("45 queries, 45 asked"), "query");
    let (good, text) = loadtest(&["mixed", "--rate", "2000", "--history-minutes", "2", "--seconds", "2", "--refresh-seconds", "1"]).await?;
    ensure!(good && text.contains("push latency p50 / p99"), "mixed");
    let (good, text) = loadtest(&["write", "--series", "0"]).await?;
    ensure!(!good && text.contains("--series is 0, but must be 1 to 5000000"), "bounds");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_is_content_while_the_server_is_killed_and_comes_back() -> anyhow::Result<()> {
    let mut single = Single::start(&[]).await?;
    let url = single.node.client().base().to_owned();
    let args = ["verify", "--push-url", &url, "--seconds", "6", "--interval-ms", "200", "--check-seconds", "1", "--tenant", "anonymous"];
    let kill = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        single.node.kill()?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        single.node.start().await
    };
    let ((good, text), ()) = tokio::try_join!(loadtest(&args), kill)?;
    ensure!(good, "verify found something");
    ensure!(text.contains("0 lost, 0 wrong, 0 doubled") && !text.contains(" 0 pushes tried again"), "it did not live through a kill");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_pushes_to_a_distributor_and_asks_a_querier() -> anyhow::Result<()> {
    let mut six = Six::start().await?;
    let (push, query) = (six.distributor.client().base().to_owned(), six.querier.client().base().to_owned());
    let args = ["verify", "--push-url", &push, "--query-url", &query, "--seconds", "4", "--interval-ms", "200", "--check-seconds", "1"];
    let kill = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        six.ingesters[0].kill()
    };
    let ((good, _), ()) = tokio::try_join!(loadtest(&args), kill)?;
    ensure!(good, "verify found something while one of three ingesters was gone");
    Ok(())
}

/// Samples vanish with the data directory: verify must say so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_finds_what_is_lost() -> anyhow::Result<()> {
    let mut single = Single::start(&[]).await?;
    let url = single.node.client().base().to_owned();
    let args = ["verify", "--push-url", &url, "--seconds", "5", "--interval-ms", "200", "--check-seconds", "1"];
    let wipe = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        single.node.kill()?;
        std::fs::remove_dir_all(single.node.data_dir())?;
        single.node.start().await
    };
    let ((good, text), ()) = tokio::try_join!(loadtest(&args), wipe)?;
    ensure!(!good && text.contains("was acknowledged and is not there"), "a loss went unseen");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compare_puts_plimsoll_and_its_peers_in_one_table() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let out = dir.path().join("out");
    let args = ["--scale", "0.01", "--shapes", "wide,long", "--repeat", "1", "--mixed-seconds", "2", "--out", &out.display().to_string()];
    let (good, text) = loadtest(&[&["compare"], &args[..]].concat()).await?;
    ensure!(good, "Prometheus answers a query differently, or did not answer");
    ensure!(!text.contains("IS LEFT OUT"), "a peer is not installed: ci/deps test installs both");
    ensure!(text.matches("45 of 45 queries have the same answer from Plimsoll and Prometheus").count() == 2, "not all are compared");
    let read = |name: &str| std::fs::read_to_string(Path::new(&out).join(name));
    ensure!(read("compare.txt")?.contains("VictoriaMetrics") && read("compare.md")?.contains("| --- |"), "no table");
    let json: Value = serde_json::from_str(&read("compare.json")?)?;
    let rows = json["rows"].as_array().context("rows")?;
    for name in
        ["samples per server CPU second, series known", "write-ahead log per sample", "blocks as cut, per sample", "ready after a kill"]
    {
        let row = rows.iter().find(|row| row["figure"] == name).with_context(|| format!("no row {name}"))?;
        ensure!(["Plimsoll", "Prometheus"].iter().all(|server| row["values"][server].as_f64().is_some_and(|v| v > 0.0)), "{row}");
    }
    Ok(())
}
