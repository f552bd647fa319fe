//! A cluster in one thread: the real Raft and the real decisions of coordinator, ring, quorums and equal senders, on disks and a network in memory, in made-up time.
//!
//! The runtime's time is paused: it goes on by itself when nobody has anything to do before the next timer. What is left to chance asks [`chance`], so one number decides all, and what
//! went wrong once can be seen again (`bin/simulate` says what else there is to that). Members crash and lose power, lose their disks and are replaced, are cut off from others in one
//! direction or in both; disks and messages are slow, messages are lost and come twice, clocks run apart. Meanwhile ingesters come, die, leave and are forgotten, samples are written and
//! read, equal senders are elected.
//!
//! What is real: openraft with the product's settings, `coordinator::{machine, lease, forget}`, `ring`, `distributor::ha::tracker`. What is not: processes, whose loops are written anew here, and
//! disks, which keep what they acknowledged.
//!
//! [`types`] (openraft's), [`disk`] and [`machine`] (what a member keeps), [`net`] (messages), [`member`] (a coordinator), [`client`] (who asks the group), [`ingester`] and [`sender`]
//! (who needs it), [`data_path`] (who writes and reads), [`cluster`] (all of it), [`trouble`] (what happens to all), [`history`] and [`samples`] (what must hold).

#![allow(clippy::disallowed_methods, reason = "tasks end with their runtime, and its time is made up")]

use std::time::Duration;

use cluster::Cluster;

mod chance;
mod client;
mod cluster;
mod data_path;
mod disk;
mod history;
mod ingester;
mod machine;
mod member;
mod net;
mod samples;
mod sender;
mod trouble;
mod types;

/// Trouble lasts so long: mostly it is dense; in one of four schedules it is long enough for the dead to be forgotten.
const DENSE: Duration = Duration::from_secs(40);
const LONG: Duration = Duration::from_secs(150);
/// Then everything has so long to come to rest.
const REST: Duration = Duration::from_secs(70);

/// What is given: whether disks can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Premise {
    /// Disks have what they acknowledged, after a power cut as well.
    HonestDisks,
    /// Disks lose what they acknowledged when power is cut. Raft does not live with that: it proves that what goes wrong is noticed.
    LyingDisks,
}

/// What came of a schedule.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Entries that were committed.
    pub entries: u64,
    /// Of these, commands whose senders heard of it.
    pub acked: u64,
    /// Leaders, by their terms and numbers.
    pub leaders: u64,
    /// Entries that were written and thrown away for those of another leader.
    pub truncated: u64,
    /// Snapshots that members took over from others.
    pub installed: u64,
    /// Members that lost their disk and were replaced.
    pub replaced: u64,
    /// Elections of equal senders.
    pub elections: u64,
    /// Ingesters that were forgotten.
    pub forgotten: u64,
    /// Ingesters that left after they had shipped everything.
    pub departed: u64,
    /// Ingesters that were started again in another zone, or without one.
    pub moved: u64,
    /// Samples that were acknowledged.
    pub samples: u64,
    /// Reads that were complete.
    pub complete_reads: u64,
    /// A number of everything that happened: the same for the same seed.
    pub trace: u64,
}

/// Runs the schedule of this number. Panics where something does not hold. Only as the first thing that a process does is it the same each time.
pub fn run(seed: u64, premise: Premise) -> anyhow::Result<Summary> {
    chance::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(async {
        let cluster = Cluster::start(premise).await?;
        trouble::make(&cluster, if chance::one_in(4) { LONG } else { DENSE }).await;
        tokio::time::sleep(REST).await;
        cluster.end()
    })
}
