//! Processes die while samples are being written; what was acknowledged is there.
#![allow(clippy::print_stdout, reason = "tests report what they saw")]
#![allow(clippy::disallowed_methods, reason = "tests of real processes live in real time")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::ensure;
use cluster::client::{Client, PushSample};
use cluster::deployment::{Single, Six};
use cluster::ledger::{Writer, now_ms};
use model::Labels;

const SERIES: usize = 300;
const PAUSE: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_sample_survives_sigkill_of_the_single_process() -> anyhow::Result<()> {
    let mut single = Single::start(&[]).await?;
    let client = single.node.client();
    let mut acked = 0;
    for round in 0..3 {
        let run = format!("round-{round}");
        // Two writers, so that group commits hold pushes of both.
        let writers: Vec<_> =
            (0..2).map(|i| (format!("{run}-{i}"), Writer::start(client.clone(), &format!("{run}-{i}"), SERIES, PAUSE))).collect();
        tokio::time::sleep(Duration::from_millis(1_500 + 300 * round)).await;
        single.node.kill()?;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mut ledgers = Vec::new();
        for (name, writer) in writers {
            ledgers.push((name, writer.stop().await?));
        }
        single.node.start().await?;
        for (name, ledger) in &ledgers {
            ensure!(!ledger.acked.is_empty(), "nothing was acknowledged before the kill");
            acked += ledger.verify(&client, name).await?;
        }
    }
    println!("{acked} acknowledged samples are all there after 3 kills");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_drains_and_loses_nothing() -> anyhow::Result<()> {
    let mut single = Single::start(&[]).await?;
    let client = single.node.client();
    let writer = Writer::start(client.clone(), "drain", SERIES, PAUSE);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let status = single.node.process().terminate(Duration::from_secs(20))?;
    ensure!(status.success(), "SIGTERM ended it with {status}");
    let ledger = writer.stop().await?;
    single.node.start().await?;
    println!("{} acknowledged samples are there after SIGTERM", ledger.verify(&client, "drain").await?);
    Ok(())
}

/// Asks for the same past samples until told to stop; every answer that differs from the first, or failed.
struct Questioner {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<(usize, Vec<String>)>,
}

impl Questioner {
    async fn start(client: Client, query: &'static str, time: String) -> anyhow::Result<Self> {
        let first = client.query(query, &time).await?;
        ensure!(first["result"].as_array().is_some_and(|r| !r.is_empty()), "the question has no answer");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let (mut asked, mut wrong) = (0, Vec::new());
            while !stopped.load(Ordering::Relaxed) {
                asked += 1;
                match client.query(query, &time).await {
                    Ok(answer) if answer["result"] == first["result"] => {}
                    Ok(answer) => wrong.push(format!("{answer} is not {first}")),
                    Err(error) => wrong.push(format!("{error:#}")),
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            (asked, wrong)
        });
        Ok(Self { stop, task })
    }

    async fn finish(self) -> anyhow::Result<usize> {
        self.stop.store(true, Ordering::Relaxed);
        let (asked, wrong) = self.task.await?;
        ensure!(wrong.is_empty(), "{} of {asked} answers changed or failed, first: {}", wrong.len(), wrong[0]);
        Ok(asked)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_loss_of_one_ingester_of_three_is_not_noticed() -> anyhow::Result<()> {
    let mut six = Six::start().await?;
    let (write, read) = (six.distributor.client(), six.querier.client());
    let t = now_ms() - 60_000;
    let past: Vec<PushSample> = (0..500)
        .map(|n| PushSample {
            labels: Labels::from_pairs([("__name__", "past"), ("n", &n.to_string()), ("g", &(n % 7).to_string())]),
            t,
            v: f64::from(n),
        })
        .collect();
    let (status, body) = write.push(&past).await?;
    ensure!(status < 300, "{status}: {body}");
    let time = format!("{}.{:03}", (t + 1_000) / 1_000, t % 1_000);
    let questioner = Questioner::start(read.clone(), "sort(sum by (g) (past))", time).await?;
    let writer = Writer::start(write.clone(), "replicated", SERIES, PAUSE);

    tokio::time::sleep(Duration::from_secs(2)).await;
    six.ingesters[1].kill()?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    six.ingesters[1].start().await?;
    six.wait_active(3).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let first = questioner.finish().await?;

    // The one that came back has replayed its log: with another one gone, what was written before and after is still complete.
    six.ingesters[2].kill()?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let ledger = writer.stop().await?;
    ensure!(ledger.failures.is_empty(), "{} pushes failed, first: {}", ledger.failures.len(), ledger.failures[0]);
    let acked = ledger.verify(&read, "replicated").await?;
    println!("{acked} acknowledged samples, 0 failed pushes, {first} unchanged answers over the loss and return of an ingester");
    Ok(())
}
