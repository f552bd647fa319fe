//! Disks that are full, and disks that fail.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use rustix::process::Signal;

use super::super::town::{SMALL_DISK, SYNCS_ALWAYS, Town};
use super::{TAKEN, metric};
use crate::process::{Process, eventually, installed};

/// How long a disk is full: longer than the rounds of the ingester's upkeep, which wants to write too.
const FULL_FOR: Duration = Duration::from_secs(40);
/// How long it may take until pushes are taken again.
const TAKES_AGAIN_WITHIN: Duration = Duration::from_secs(10);
/// How long fsync fails.
const FAILS_FOR: Duration = Duration::from_secs(20);
/// How long it may take until samples that only a segment without a sync had are in a snapshot: a round of upkeep, and one more.
const SAFE_WITHIN: Duration = Duration::from_secs(65);

const REFUSED: &str = "plimsoll_ingester_failed_pushes_total{cause=\"wal\"}";
const READ: &str = "plimsoll_ingester_series_read_total";
const FSYNC_ERRORS: &str = "plimsoll_ingester_wal_fsync_errors_total";
const SNAPSHOTS: &str = "plimsoll_ingester_snapshots_total";

/// When the ingester whose disk fails answers a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syncs {
    /// When it is on its disk.
    Always,
    /// When it is written; it is on the disk a second later.
    Interval,
}

/// Fills the small disk, and frees it again.
pub(super) async fn full(town: &mut Town) -> anyhow::Result<String> {
    let ingester = town.ingesters[SMALL_DISK].client();
    let ballast = town.disk.fill()?;
    let full_from = (metric(&ingester, REFUSED).await?, metric(&ingester, READ).await?);
    tokio::time::sleep(FULL_FOR).await;
    let (refused, read) = (metric(&ingester, REFUSED).await? - full_from.0, metric(&ingester, READ).await? - full_from.1);
    ensure!(refused > 0.0, "no push was refused while the disk was full");
    ensure!(read > 0.0, "no series was read while the disk was full");
    drop(ballast);
    let freed = Instant::now();
    let taken = metric(&ingester, TAKEN).await?;
    let takes = || async { metric(&ingester, TAKEN).await.is_ok_and(|now| now > taken) };
    eventually("pushes are taken again", TAKES_AGAIN_WITHIN, takes).await?;
    let seconds = freed.elapsed().as_secs_f64();
    Ok(format!(
        "it refused {refused} pushes, gave {read} series to queries meanwhile, and took pushes again {seconds:.1} s after there was space"
    ))
}

/// Has every fsync of an ingester fail for a while, and then kills it.
pub(super) async fn fsync_errors(town: &mut Town, syncs: Syncs) -> anyhow::Result<String> {
    let number = if syncs == Syncs::Always { SYNCS_ALWAYS } else { SYNCS_ALWAYS + 2 };
    let node = &mut town.ingesters[number];
    let client = node.client();
    let before = (metric(&client, FSYNC_ERRORS).await?, metric(&client, REFUSED).await?);
    let pid = node.process().pid().to_string();
    // That of folders fails too where every push waits for the disk anyway. Where none does, new segments can be made, and pushes must be refused nevertheless.
    let calls = if syncs == Syncs::Always { "fsync,fdatasync" } else { "fdatasync" };
    let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:error=EIO"));
    let args = ["-f", "-q", "-o", "/dev/null", "-p", &pid, "-e", &trace, "-e", &inject];
    let mut strace =
        Process::start("strace", &installed("strace")?, &args.map(str::to_owned), node.data_dir().parent().unwrap_or(Path::new(".")))?;
    tokio::time::sleep(FAILS_FOR).await;
    ensure!(strace.is_alive(), "strace has ended: {}", strace.log());
    // It lets go of the process and ends.
    strace.signal(Signal::INT)?;
    let let_go = Instant::now();
    let (errors, refused) = (metric(&client, FSYNC_ERRORS).await? - before.0, metric(&client, REFUSED).await? - before.1);
    ensure!(errors > 0.0, "no fsync failed");
    ensure!(refused > 0.0, "pushes were acknowledged while nothing reached the disk");
    let taken = metric(&client, TAKEN).await?;
    let takes = || async { metric(&client, TAKEN).await.is_ok_and(|now| now > taken) };
    eventually("pushes are taken again", TAKES_AGAIN_WITHIN, takes).await?;
    let seconds = let_go.elapsed().as_secs_f64();
    let snapshots = metric(&client, SNAPSHOTS).await?;
    let safe = || async { metric(&client, SNAPSHOTS).await.is_ok_and(|now| now > snapshots) };
    eventually("what was written without a sync is in a snapshot", SAFE_WITHIN, safe).await?;
    let safe_after = let_go.elapsed().as_secs_f64();
    node.kill()?;
    node.launch()?;
    Ok(format!(
        "{errors} syncs failed and {refused} pushes were refused; pushes were taken again {seconds:.1} s after that, a snapshot had all after {safe_after:.0} s; then SIGKILL"
    ))
}
