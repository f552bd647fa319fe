//! Processes die while samples of two tenants are being written; what was acknowledged is there, and no answer meanwhile is wrong.
#![allow(clippy::print_stdout, reason = "tests report what they saw")]
#![allow(clippy::disallowed_methods, reason = "tests of real processes live in real time")]

use std::time::Duration;

use anyhow::ensure;
use cluster::checker::{Checker, Load, Reader, Writer};
use cluster::client::Client;
use cluster::deployment::{Single, Six};

const WINDOW: Duration = Duration::from_secs(20);

fn load(run: &str) -> Load {
    Load { run: run.to_owned(), series: 300, pause: Duration::from_millis(20) }
}

/// The same way in or out as two tenants.
fn tenants(client: &Client) -> Vec<Client> {
    ["team-a", "team-b"].map(|tenant| client.of_tenant(tenant)).to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_sample_survives_sigkill_of_the_single_process() -> anyhow::Result<()> {
    let mut single = Single::start(&["--multitenancy"]).await?;
    let clients = tenants(&single.node.client());
    let checker = Checker::new();
    let reader = Reader::start(&checker, clients.clone(), WINDOW);
    for round in 0..3 {
        let before = checker.acked();
        // Two writers, so that group commits hold pushes of both.
        let writers: Vec<_> = (0..2).map(|i| Writer::start(&checker, clients.clone(), load(&format!("{round}-{i}")))).collect();
        tokio::time::sleep(Duration::from_millis(1_500 + 300 * round)).await;
        single.node.kill()?;
        tokio::time::sleep(Duration::from_millis(200)).await;
        for writer in writers {
            writer.stop().await?;
        }
        ensure!(checker.acked() > before, "nothing was acknowledged before the kill");
        single.node.start().await?;
        checker.verify(&clients[0]).await?;
    }
    let asked = reader.stop().await?;
    let acked = checker.verify(&clients[0]).await?;
    println!(
        "{acked} acknowledged samples are all there after 3 kills; {} answers were right meanwhile, {} were errors",
        asked.right, asked.failed
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_drains_and_loses_nothing() -> anyhow::Result<()> {
    let mut single = Single::start(&["--multitenancy"]).await?;
    let clients = tenants(&single.node.client());
    let checker = Checker::new();
    let writer = Writer::start(&checker, clients.clone(), load("drain"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let status = single.node.process().terminate(Duration::from_secs(20))?;
    ensure!(status.success(), "SIGTERM ended it with {status}");
    writer.stop().await?;
    single.node.start().await?;
    println!("{} acknowledged samples are there after SIGTERM", checker.verify(&clients[0]).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_loss_of_one_ingester_of_three_is_not_noticed() -> anyhow::Result<()> {
    let mut six = Six::start_with_env(&[("PLIMSOLL_MULTITENANCY", "true")]).await?;
    let (write, read) = (tenants(&six.distributor.client()), tenants(&six.querier.client()));
    let checker = Checker::new();
    let writer = Writer::start(&checker, write, load("replicated"));
    let reader = Reader::start(&checker, read.clone(), WINDOW);

    tokio::time::sleep(Duration::from_secs(2)).await;
    six.ingesters[1].kill()?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    six.ingesters[1].start().await?;
    six.wait_active(3).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let asked = reader.stop().await?;
    ensure!(asked.failed == 0 && asked.marked == 0, "{} questions failed, first: {:?}", asked.failed, asked.failures.first());

    // The one that came back has replayed its log: with another one gone, what was written before and after is still complete.
    six.ingesters[2].kill()?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    writer.stop().await?;
    checker.nothing_failed()?;
    let acked = checker.verify(&read[0]).await?;
    println!("{acked} acknowledged samples, 0 failed pushes, {} right answers over the loss and return of an ingester", asked.right);
    Ok(())
}
