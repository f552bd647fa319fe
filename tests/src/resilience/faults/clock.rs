//! A clock that is wrong.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::super::town::Town;
use super::{ENDS_WITHIN, TAKEN, metric};

/// Which ingester.
const NUMBER: usize = 0;
/// How long its clock is wrong: longer than the rounds in which it looks whether a block is to be cut or deleted.
const WRONG_FOR: Duration = Duration::from_secs(65);

const CUT: &str = "plimsoll_ingester_blocks_cut_total";
const DELETED: &str = "plimsoll_ingester_blocks_deleted_total";

/// Starts an ingester with a clock that is off, and later with a right one.
pub(super) async fn off(town: &mut Town, hours: i8) -> anyhow::Result<String> {
    let library = libfaketime()?;
    let node = &mut town.ingesters[NUMBER];
    node.set_env("LD_PRELOAD", Some(&library.display().to_string()));
    node.set_env("FAKETIME", Some(&format!("{hours:+}h")));
    // Only what the time of day is. Files keep their times, and intervals are measured as ever.
    node.set_env("FAKETIME_DONT_FAKE_MONOTONIC", Some("1"));
    node.set_env("NO_FAKE_STAT", Some("1"));
    node.process().terminate(ENDS_WITHIN)?;
    node.launch()?;
    town.well().await?;
    let client = town.ingesters[NUMBER].client();
    let all = town.ingesters.len();
    let until = tokio::time::Instant::now() + WRONG_FOR;
    while tokio::time::Instant::now() < until {
        for way_in in town.ways_in() {
            let active = way_in.active_ingesters().await?;
            ensure!(active == all, "{active} of {all} ingesters are active");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let (cut, deleted, taken) = (metric(&client, CUT).await?, metric(&client, DELETED).await?, metric(&client, TAKEN).await?);
    ensure!((cut, deleted) == (0.0, 0.0), "{cut} blocks were cut and {deleted} deleted by a clock that is off");
    let node = &mut town.ingesters[NUMBER];
    for name in ["LD_PRELOAD", "FAKETIME", "FAKETIME_DONT_FAKE_MONOTONIC", "NO_FAKE_STAT"] {
        node.set_env(name, None);
    }
    node.process().terminate(ENDS_WITHIN)?;
    node.launch()?;
    Ok(format!("it took {taken} samples with that clock, was a member all the time, and cut and deleted no block"))
}

/// The library that gives a process another time.
fn libfaketime() -> anyhow::Result<PathBuf> {
    let folders = ["/usr/lib", "/usr/lib64", "/usr/local/lib"];
    let below = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten().map(|entry| entry.path());
    let all = folders.iter().map(PathBuf::from).chain(below);
    all.map(|folder| folder.join("faketime/libfaketimeMT.so.1"))
        .find(|path| path.is_file())
        .context("libfaketime is not installed: run `make resilience`, or ci/deps resilience")
}
