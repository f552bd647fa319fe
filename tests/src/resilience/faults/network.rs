//! Links that are cut.

use std::time::{Duration, Instant};

use anyhow::ensure;

use super::super::town::Town;
use super::super::zones::{Cut, run};
use super::{TAKEN, metric};
use crate::client::Client;
use crate::process::{eventually, workspace_binary};

/// The zone that is cut off. It has no distributor and no querier.
const ZONE: &str = "c";
/// Its ingesters.
const IN_ZONE: std::ops::Range<usize> = 4..6;
/// For how long.
const CUT_FOR: Duration = Duration::from_secs(60);
/// How long it may take after that until all is as before.
const STEADY_WITHIN: Duration = Duration::from_secs(15);
/// How long the other coordinators may take to have a leader.
const LEADS_WITHIN: Duration = Duration::from_secs(10);

/// Cuts the zone off, with the leading coordinator in it, and heals it.
pub(super) async fn cut_off(town: &mut Town, cut: Cut) -> anyhow::Result<String> {
    have_it_lead(town).await?;
    town.zones.cut(ZONE, cut)?;
    let begun = Instant::now();
    let [first, second] = [0, 1].map(|number| town.coordinators[number].client());
    let leads = || async { is_leader(&first).await || is_leader(&second).await };
    let led = eventually("a coordinator outside leads", LEADS_WITHIN, leads).await;
    let led_after = begun.elapsed();
    tokio::time::sleep(CUT_FOR.saturating_sub(led_after)).await;
    town.zones.heal(ZONE, cut)?;
    let healed = Instant::now();
    led?;
    let mut taken = Vec::new();
    for node in &town.ingesters[IN_ZONE] {
        taken.push((node.client(), metric(&node.client(), TAKEN).await?));
    }
    for (client, before) in &taken {
        let takes = || async { metric(client, TAKEN).await.is_ok_and(|now| now > *before) };
        eventually("ingesters of the zone take samples", STEADY_WITHIN * 2, takes).await?;
    }
    town.well().await?;
    let steady = healed.elapsed();
    ensure!(steady <= STEADY_WITHIN, "all was as before only {steady:?} after the link was");
    Ok(format!(
        "a coordinator outside led {:.1} s after the cut; all was as before {:.1} s after the link was",
        led_after.as_secs_f64(),
        steady.as_secs_f64()
    ))
}

async fn is_leader(coordinator: &Client) -> bool {
    metric(coordinator, "plimsoll_coordinator_leader").await.is_ok_and(|value| value > 0.0)
}

/// Makes the coordinator of the zone the leader.
async fn have_it_lead(town: &Town) -> anyhow::Result<()> {
    let node = &town.coordinators[2];
    let client = node.client();
    if !is_leader(&client).await {
        let plimsoll = workspace_binary("plimsoll")?.display().to_string();
        run(&plimsoll, &["coordinator", "transfer", "--coordinators", &node.grpc, "--address", &node.grpc])?;
    }
    eventually("the coordinator of the zone leads", LEADS_WITHIN, || is_leader(&client)).await
}
