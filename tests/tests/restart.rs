//! Serving while an ingester comes back: pushes at once, queries complete or errors; and a disk that is full for a while.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tests report what they saw, and what they could not do")]
#![allow(clippy::disallowed_methods, reason = "tests of real processes live in real time")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use cluster::checker::{Checker, Load, Writer};
use cluster::client::{Client, PushSample};
use cluster::deployment::{Node, Single};
use cluster::ledger::now_ms;
use model::Labels;

/// Series that make the replay take a while.
const PAST_SERIES: usize = 60_000;
const PAST_SAMPLES: i64 = 10;

fn past(n: usize, t: i64) -> PushSample {
    let pod = format!("pod-{n}");
    PushSample { labels: Labels::from_pairs([("__name__", "past"), ("pod", &pod), ("g", &(n % 5).to_string())]), t, v: n as f64 }
}

async fn write_past(client: &Client, newest: i64) -> anyhow::Result<()> {
    for round in 0..PAST_SAMPLES {
        let t = newest - (PAST_SAMPLES - 1 - round) * 15_000;
        for first in (0..PAST_SERIES).step_by(10_000) {
            let batch: Vec<PushSample> = (first..first + 10_000).map(|n| past(n, t)).collect();
            let (status, body) = client.push(&batch).await?;
            ensure!(status < 300, "{status}: {body}");
        }
    }
    Ok(())
}

/// What a client sees of a process that is killed and started again: from the moment it listens, every push is taken, and every query that is answered has
/// everything that was acknowledged before it was asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_pushes_are_taken_at_once_and_queries_are_complete() -> anyhow::Result<()> {
    let mut single = Single::start(&[]).await?;
    let client = single.node.client();
    let newest = now_ms() - 10_000;
    write_past(&client, newest).await?;
    let time = format!("{}.{:03}", newest / 1_000, newest % 1_000);
    let range = PAST_SAMPLES * 15;
    let query = format!("sum(count_over_time(past[{range}s]))");
    let expected = (PAST_SERIES as i64 * PAST_SAMPLES).to_string();

    let checker = Checker::new();
    let load = Load { run: "before".to_owned(), series: 200, pause: Duration::from_millis(5) };
    let writer = Writer::start(&checker, vec![client.clone()], load);
    tokio::time::sleep(Duration::from_millis(500)).await;
    single.node.kill()?;
    writer.stop().await?;

    let started = Instant::now();
    single.node.launch()?;
    let mut sent = 0;
    let mut taken_after = None;
    let mut refused = Vec::new();
    let mut answered_after = None;
    let asked = AtomicBool::new(false);
    let mut question = None;
    while answered_after.is_none() {
        ensure!(started.elapsed() < Duration::from_secs(60), "no answer within a minute; refused pushes: {refused:?}");
        let t = now_ms();
        match checker.push(&client, &[PushSample { labels: Labels::from_pairs([("__name__", "during")]), t, v: t as f64 }]).await {
            Ok((200..=299, _)) => {
                taken_after.get_or_insert_with(|| started.elapsed());
                sent += 1;
            }
            Ok((status, body)) if taken_after.is_some() => refused.push(format!("{status}: {body}")),
            // It does not listen yet, or does not know its ingester yet.
            _ => {}
        }
        if taken_after.is_some() && !asked.swap(true, Ordering::Relaxed) {
            let (client, query, time) = (client.clone(), query.clone(), time.clone());
            question = Some(tokio::spawn(async move { client.query(&query, &time).await }));
        }
        if question.as_ref().is_some_and(tokio::task::JoinHandle::is_finished) {
            let answer = question.take().context("a question")?.await??;
            ensure!(answer["result"][0]["value"][1] == expected, "{answer} is not {expected}");
            answered_after = Some(started.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    ensure!(refused.is_empty(), "pushes refused after the first was taken: {refused:?}");
    let found = checker.verify(&client).await?;
    println!(
        "after the kill: first push taken after {taken_after:?}, complete answer after {answered_after:?}, {sent} pushes meanwhile, {found} acknowledged samples there"
    );
    Ok(())
}

/// A tmpfs; unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` where mounting is not allowed.
    fn mount(megabytes: usize) -> anyhow::Result<Option<Self>> {
        let dir = tempfile::tempdir()?;
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir.path()).output();
        Ok(mounted.is_ok_and(|out| out.status.success()).then_some(Self(dir)))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Busy while the process lives, which is dropped before.
        let unmounted = Command::new("umount").arg(self.0.path()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.0.path().display());
        }
    }
}

/// Writes samples of its own series until told to stop: `(acknowledged, refused)`.
async fn fill(client: Client, run: &'static str, stop: Arc<AtomicBool>) -> (Vec<i64>, Vec<String>) {
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    let mut t = now_ms();
    while !stop.load(Ordering::Relaxed) {
        t = now_ms().max(t + 1);
        let batch: Vec<PushSample> = (0..2_000)
            .map(|n| PushSample {
                labels: Labels::from_pairs([("__name__", "fill"), ("run", run), ("n", &n.to_string())]),
                t,
                v: (t % 1_000_003) as f64 / 7.0,
            })
            .collect();
        match client.push(&batch).await {
            Ok((200..=299, _)) => taken.push(t),
            Ok((status, body)) => refused.push(format!("{status}: {body}")),
            Err(error) => refused.push(format!("{error:#}")),
        }
    }
    (taken, refused)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_corrupts_nothing_and_service_resumes_by_itself() -> anyhow::Result<()> {
    let Some(disk) = SmallDisk::mount(96)? else {
        eprintln!("A FULL DISK IS NOT TESTED: a tmpfs cannot be mounted here");
        return Ok(());
    };
    let ballast = disk.path().join("ballast");
    let mut node = Node::new("plimsoll", disk.path(), &[])?.with_env("PLIMSOLL_INGESTER_SNAPSHOT_INTERVAL_SECONDS", "10");
    node.start().await?;
    let client = node.client();
    std::fs::write(&ballast, vec![1_u8; 24 << 20])?;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(fill(client.clone(), "full", Arc::clone(&stop)));
    // Of what fills the disk, only counts are looked at; this is looked at bit by bit.
    let checker = Checker::new();
    let checked =
        Writer::start(&checker, vec![client.clone()], Load { run: "checked".to_owned(), series: 20, pause: Duration::from_millis(20) });
    let metric = async |name: &str| -> anyhow::Result<f64> {
        let (_, text) = client.get("/metrics").await?;
        let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).with_context(|| format!("no {name}"))?;
        Ok(line.rsplit(' ').next().unwrap_or_default().parse()?)
    };
    let started = Instant::now();
    while metric("plimsoll_ingester_wal_write_errors_total").await? < 3.0
        || metric("plimsoll_ingester_snapshot_failures_total").await? < 1.0
    {
        ensure!(started.elapsed() < Duration::from_secs(120), "the disk does not become full");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let t = now_ms();
    let count =
        |run: &str, t: i64| (format!("count_over_time(fill{{n=\"7\",run=\"{run}\"}}[10m])"), format!("{}.{:03}", t / 1_000, t % 1_000));
    let (query, time) = count("full", t);
    ensure!(client.query(&query, &time).await?["result"].as_array().is_some_and(|r| r.len() == 1), "queries go on while the disk is full");
    std::fs::remove_file(&ballast)?;
    let refused_before = metric("plimsoll_ingester_wal_write_errors_total").await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.store(true, Ordering::Relaxed);
    let (taken, refused) = writer.await?;
    checked.stop().await?;
    ensure!(refused.iter().all(|text| text.starts_with("503") && text.contains("no space left")), "{:?}", refused.first());
    ensure!(!refused.is_empty(), "nothing was refused");
    ensure!(taken.last().is_some_and(|last| *last > t), "pushes are taken again when there is space");

    // What was acknowledged is there after a kill, and nothing is damaged.
    node.kill()?;
    node.start().await?;
    let (query, time) = count("full", now_ms());
    let found = node.client().query(&query, &time).await?;
    let there: usize = found["result"][0]["value"][1].as_str().context("a count")?.parse()?;
    ensure!(there >= taken.len() && there <= taken.len() + refused.len(), "{there} of {} acknowledged", taken.len());
    let verified = checker.verify(&client).await?;
    let corruptions = metric("plimsoll_ingester_wal_corruptions_total").await?;
    ensure!(corruptions == 0.0, "{corruptions} damaged places");
    println!(
        "{} pushes taken, {} refused while the disk was full ({refused_before} groups), {there} there after a kill, {verified} samples bit by bit",
        taken.len(),
        refused.len()
    );
    node.kill()?;
    Ok(())
}
