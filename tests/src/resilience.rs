//! A cluster under load, and one fault after the other: what senders and readers notice of each, and what is left of what was acknowledged.
//!
//! [`town`] (the processes), [`load`] (senders and readers, and what they saw), [`faults`] (what is done to the processes), [`table`] (the page that comes of it).

use std::time::Duration;

pub mod faults;
pub mod load;
pub mod table;
pub mod town;

use faults::Fault;
use load::{Load, Seen};
use town::Town;

/// What one fault did.
pub struct Outcome {
    /// Which.
    pub fault: Fault,
    /// In the same time before it.
    pub before: Seen,
    /// From its beginning until all processes were well again.
    pub during: Seen,
    /// Acknowledged samples that were found at the end; or what was wrong.
    pub kept: Result<usize, String>,
}

/// Runs the faults on one cluster; each with a quiet time before it, which is as long as `quiet`.
pub async fn run(faults: &[Fault], quiet: Duration) -> anyhow::Result<Vec<Outcome>> {
    let mut town = Town::start().await?;
    let mut outcomes = Vec::new();
    for fault in faults {
        println!("... {}", fault.name());
        let load = Load::start(&town, fault.name());
        tokio::time::sleep(quiet).await;
        let before = load.take();
        fault.inject(&mut town).await?;
        // What comes late belongs to the fault.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let during = load.take();
        let kept = load.stop_and_verify(&town).await;
        outcomes.push(Outcome { fault: *fault, before, during, kept });
    }
    Ok(outcomes)
}
