//! Faults on a cluster of real processes under load, and the table of what was noticed of them: `make resilience`.
#![allow(clippy::print_stdout, reason = "it prints a table")]
#![allow(clippy::disallowed_methods, reason = "its settings are environment variables")]

use std::time::Duration;

use cluster::resilience::faults::Fault;
use cluster::resilience::{Outcome, run, table, zones};

/// Moves to a place of its own while there is one thread only, and then begins.
fn main() -> anyhow::Result<()> {
    zones::enter()?;
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(faults())
}

async fn faults() -> anyhow::Result<()> {
    let seconds = |name: &str, default: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let faults = Fault::all(Duration::from_secs(seconds("PLIMSOLL_COORDINATORS_AWAY_SECONDS", 600)));
    let only: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |fault: &Fault| only.is_empty() || only.iter().any(|part| fault.name().contains(part));
    let faults: Vec<Fault> = faults.into_iter().filter(wanted).collect();
    let outcomes = run(&faults, Duration::from_secs(seconds("PLIMSOLL_QUIET_SECONDS", 30))).await?;
    println!("{}", table::markdown(&outcomes));
    anyhow::ensure!(outcomes.iter().all(Outcome::is_good), "not everything went as it must");
    Ok(())
}
