//! Two tenants write every kind of float to a cluster in three zones while it loses whatever it may lose; everything is there, bit by bit, after each loss, from the object
//! store alone in the end, and no answer meanwhile was wrong.
#![allow(clippy::print_stdout, reason = "tests report what they saw")]
#![allow(clippy::disallowed_methods, reason = "tests of real processes live in real time")]

use std::time::Duration;

use anyhow::{Context, ensure};
use cluster::checker::{Asked, Checker, Load, Reader, Writer};
use cluster::client::Client;
use cluster::fleet::Fleet;

const WINDOW: Duration = Duration::from_secs(20);
const ENV: [(&str, &str); 2] = [("PLIMSOLL_MULTITENANCY", "true"), ("PLIMSOLL_QUERIER_BUCKET_INDEX_REFRESH_SECONDS", "1")];

fn tenants(client: &Client) -> Vec<Client> {
    ["team-a", "team-b"].map(|tenant| client.of_tenant(tenant)).to_vec()
}

/// Writes and asks while something happens; what the reader saw.
async fn while_used(
    checker: &Checker,
    fleet: &mut Fleet,
    run: &str,
    happens: impl AsyncFnOnce(&mut Fleet) -> anyhow::Result<()>,
) -> anyhow::Result<Asked> {
    let load = |way: usize| Load { run: format!("{run}-{way}"), series: 100, pause: Duration::from_millis(50) };
    let ways_in: Vec<Vec<Client>> = fleet.distributors.iter().map(|node| tenants(&node.client())).collect();
    let writers: Vec<Writer> = ways_in.into_iter().enumerate().map(|(way, clients)| Writer::start(checker, clients, load(way))).collect();
    let reader = Reader::start(checker, tenants(&fleet.querier.client()), WINDOW);
    tokio::time::sleep(Duration::from_secs(1)).await;
    happens(fleet).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    for writer in writers {
        writer.stop().await?;
    }
    reader.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_sample_of_every_tenant_outlives_every_loss() -> anyhow::Result<()> {
    let bucket = tempfile::tempdir()?;
    let mut fleet = Fleet::start(&format!("file://{}", bucket.path().display()), &ENV).await?;
    let querier = fleet.querier.client();
    let checker = Checker::new();

    // A zone is gone with its disks and comes back empty: not a push and not a question fails.
    let asked = while_used(&checker, &mut fleet, "zone", async |fleet| {
        let zone = fleet.ingesters.get_mut(1).context("zone b")?;
        zone.kill()?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        std::fs::remove_dir_all(zone.data_dir())?;
        zone.start().await?;
        fleet.wait_active(3).await
    })
    .await?;
    checker.nothing_failed()?;
    ensure!(asked.failed == 0, "{} questions failed, first: {:?}", asked.failed, asked.failures.first());
    println!(
        "a zone's disks were wiped: {} samples are there, {} answers were right meanwhile",
        checker.verify(&querier).await?,
        asked.right
    );

    // Everything is killed at once: pushes fail, and questions do; what was acknowledged is there.
    let asked = while_used(&checker, &mut fleet, "all", async |fleet| {
        for ingester in &mut fleet.ingesters {
            ingester.kill()?;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        for ingester in &mut fleet.ingesters {
            ingester.launch()?;
        }
        for ingester in &fleet.ingesters {
            ingester.ready().await?;
        }
        fleet.wait_active(3).await
    })
    .await?;
    println!(
        "all ingesters were killed: {} samples are there; {} answers were right and {} were errors meanwhile",
        checker.verify(&querier).await?,
        asked.right,
        asked.failed
    );

    // Blocks are cut, shipped and merged while both go on.
    let asked = while_used(&checker, &mut fleet, "ship", async |fleet| {
        fleet.flush().await?;
        fleet.compact().await
    })
    .await?;
    ensure!(asked.failed == 0, "{} questions failed, first: {:?}", asked.failed, asked.failures.first());
    println!("blocks were shipped and merged: {} samples are there", checker.verify(&querier).await?);

    // Nothing is left but the object store.
    fleet.flush().await?;
    fleet.compact().await?;
    checker.verify(&querier).await.context("after the merge")?;
    fleet.wipe_ingesters().await?;
    // What a querier knows of the store may be as old as its refresh of the index, a second here.
    let found = checker.verify_within(&querier, Duration::from_secs(20)).await.context("from the object store alone")?;
    println!("from the object store alone: {found} samples are there");
    Ok(())
}
