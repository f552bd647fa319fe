//! What is done to the processes. Each ends with all of them well.

use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::process::Signal;

use super::town::Town;
use super::zones::Cut;
use crate::client::Client;
use crate::fleet::post;
use crate::process::eventually;

mod clock;
mod disk;
mod network;

pub use disk::Syncs;

/// How long something stays broken.
const BROKEN_FOR: Duration = Duration::from_secs(10);
/// How long a hanging ingester hangs.
const HANGS_FOR: Duration = Duration::from_secs(60);
/// How long a process may take to end after SIGTERM.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// How many samples an ingester has taken.
const TAKEN: &str = "plimsoll_ingester_appended_samples_total{kind=\"float\"}";

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL of an ingester, which starts again.
    IngesterKilled,
    /// SIGKILL of the leading coordinator, which starts again.
    LeaderKilled,
    /// SIGKILL of both ingesters of a zone.
    ZoneKilled,
    /// SIGSTOP of an ingester.
    IngesterHangs,
    /// Every write of an ingester to its log takes 200 ms.
    IngesterSlow,
    /// SIGKILL of all coordinators, for as long as given.
    CoordinatorsAway(Duration),
    /// SIGTERM and a new start of every process, one after the other.
    Rollout,
    /// An ingester more in every zone.
    ScaleUp,
    /// They leave for good.
    ScaleDown,
    /// No space on an ingester's disk.
    DiskFull,
    /// An ingester's disk says that it could not write.
    FsyncErrors(Syncs),
    /// An ingester's clock is off by so many hours.
    ClockOff(i8),
    /// The zone without ways in and out is cut off.
    ZoneCutOff(Cut),
}

impl Fault {
    /// All of them, in an order in which each finds what it needs.
    #[must_use]
    pub fn all(coordinators_away: Duration) -> Vec<Self> {
        vec![
            Self::IngesterKilled,
            Self::LeaderKilled,
            Self::ZoneKilled,
            Self::IngesterHangs,
            Self::IngesterSlow,
            Self::CoordinatorsAway(coordinators_away),
            Self::Rollout,
            Self::ScaleUp,
            Self::ScaleDown,
            Self::DiskFull,
            Self::FsyncErrors(Syncs::Always),
            Self::FsyncErrors(Syncs::Interval),
            Self::ClockOff(2),
            Self::ClockOff(-2),
            Self::ZoneCutOff(Cut::Both),
            Self::ZoneCutOff(Cut::Inward),
            Self::ZoneCutOff(Cut::Outward),
        ]
    }

    /// For people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::IngesterKilled => "SIGKILL of an ingester",
            Self::LeaderKilled => "SIGKILL of the leading coordinator",
            Self::ZoneKilled => "SIGKILL of a whole zone",
            Self::IngesterHangs => "SIGSTOP of an ingester for 60 s",
            Self::IngesterSlow => "slow ingester, 200 ms a write, for 60 s",
            Self::CoordinatorsAway(_) => "all coordinators away",
            Self::Rollout => "rollout of every process",
            Self::ScaleUp => "scale-up by an ingester per zone",
            Self::ScaleDown => "scale-down with prepare-shutdown",
            Self::DiskFull => "disk full on an ingester for 40 s",
            Self::FsyncErrors(Syncs::Always) => "fsync errors on an ingester for 20 s, sync always",
            Self::FsyncErrors(Syncs::Interval) => "fsync errors on an ingester for 20 s, sync interval",
            Self::ClockOff(..0) => "clock two hours slow on an ingester",
            Self::ClockOff(_) => "clock two hours fast on an ingester",
            Self::ZoneCutOff(Cut::Both) => "zone cut off for 60 s",
            Self::ZoneCutOff(Cut::Inward) => "zone cut off one way for 60 s: it hears nobody",
            Self::ZoneCutOff(Cut::Outward) => "zone cut off one way for 60 s: nobody hears it",
        }
    }

    /// Makes it happen, and waits until all is well again. What else was seen, for people.
    pub async fn inject(self, town: &mut Town) -> anyhow::Result<String> {
        let mut seen = String::new();
        match self {
            Self::IngesterKilled => kill_for(town, &[0], BROKEN_FOR).await?,
            Self::ZoneKilled => kill_for(town, &[2, 3], BROKEN_FOR).await?,
            Self::LeaderKilled => {
                let leader = town.leader().await.context("a leader")?;
                town.coordinators[leader].kill()?;
                tokio::time::sleep(BROKEN_FOR).await;
                town.coordinators[leader].launch()?;
            }
            Self::IngesterHangs => {
                town.ingesters[4].process().signal(Signal::STOP)?;
                tokio::time::sleep(HANGS_FOR).await;
                town.ingesters[4].process().signal(Signal::CONT)?;
            }
            Self::IngesterSlow => seen = slow(town).await?,
            Self::CoordinatorsAway(duration) => {
                town.coordinators.iter_mut().try_for_each(|node| node.kill())?;
                tokio::time::sleep(duration).await;
                town.coordinators.iter_mut().try_for_each(|node| node.launch())?;
            }
            Self::Rollout => rollout(town).await?,
            Self::ScaleUp => {
                for zone in ["a", "b", "c"] {
                    let mut node = town.ingester(&format!("ingester-{zone}-2"), zone)?;
                    node.launch()?;
                    town.ingesters.push(node);
                }
            }
            Self::ScaleDown => scale_down(town).await?,
            Self::DiskFull => seen = disk::full(town).await?,
            Self::FsyncErrors(syncs) => seen = disk::fsync_errors(town, syncs).await?,
            Self::ClockOff(hours) => seen = clock::off(town, hours).await?,
            Self::ZoneCutOff(cut) => seen = network::cut_off(town, cut).await?,
        }
        town.well().await?;
        Ok(seen)
    }
}

/// The value of a metric without its labels, or with just these, as `/metrics` writes them; 0 if it is not there.
async fn metric(client: &Client, name: &str) -> anyhow::Result<f64> {
    let (_, text) = client.get("/metrics").await?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    Ok(value.unwrap_or(0.0))
}

async fn kill_for(town: &mut Town, which: &[usize], duration: Duration) -> anyhow::Result<()> {
    for n in which {
        town.ingesters[*n].kill()?;
    }
    tokio::time::sleep(duration).await;
    for n in which {
        town.ingesters[*n].launch()?;
    }
    Ok(())
}

/// What it is sent it has to take at last: nobody waits for it, but it is no worse a copy.
async fn slow(town: &mut Town) -> anyhow::Result<String> {
    const NUMBER: usize = 3;
    restart(town, NUMBER, Some("wal.append=delay(200)"))?;
    town.well().await?;
    tokio::time::sleep(HANGS_FOR).await;
    let taken = metric(&town.ingesters[NUMBER].client(), TAKEN).await?;
    ensure!(taken > 0.0, "the slow ingester has taken no sample");
    restart(town, NUMBER, None)?;
    Ok(format!("it took {taken} samples meanwhile"))
}

fn restart(town: &mut Town, number: usize, failpoints: Option<&str>) -> anyhow::Result<()> {
    let node = &mut town.ingesters[number];
    node.set_env("PLIMSOLL_FAILPOINTS", failpoints);
    node.process().terminate(ENDS_WITHIN)?;
    node.launch()
}

/// One process after the other, ingesters zone by zone, each ready before the next one ends.
async fn rollout(town: &mut Town) -> anyhow::Result<()> {
    let ingesters = town.ingesters.len();
    for node in town.nodes() {
        node.process().terminate(ENDS_WITHIN)?;
        node.launch()?;
        node.ready().await?;
        let client = node.client();
        let seen = || async { client.active_ingesters().await.is_ok_and(|n| n == ingesters) };
        eventually("every ingester is active", ENDS_WITHIN, seen).await?;
    }
    Ok(())
}

/// The ingesters above two per zone leave, one after the other.
async fn scale_down(town: &mut Town) -> anyhow::Result<()> {
    let compactor = town.compactor.client();
    while town.ingesters.len() > 6 {
        let mut node = town.ingesters.pop().context("an ingester")?;
        let (client, compactor) = (node.client(), &compactor);
        post(&client, "/ingester/prepare-shutdown").await?;
        let leaving = &client;
        eventually("it is safe to remove", Duration::from_secs(180), || async move {
            // Its blocks count when the bucket index shows them.
            let _ = post(compactor, "/compactor/run").await;
            tokio::time::sleep(Duration::from_millis(500)).await;
            let status = leaving.get("/ingester/prepare-shutdown").await.map(|(_, text)| text).unwrap_or_default();
            serde_json::from_str::<serde_json::Value>(&status).is_ok_and(|status| status["safe_to_remove"] == true)
        })
        .await?;
        node.process().terminate(ENDS_WITHIN)?;
        std::fs::remove_dir_all(node.data_dir())?;
    }
    Ok(())
}
