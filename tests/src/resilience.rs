//! A cluster under load, and one fault after the other: what senders and readers notice of each, and what is left of what was acknowledged.
//!
//! [`zones`] (where they run), [`disk`] (one that can be filled), [`town`] (the processes), [`load`] (senders and readers, and what they saw), [`faults`] (what is done to the processes), [`table`] (the page that comes of it).

use std::time::Duration;

pub mod disk;
pub mod faults;
pub mod load;
pub mod table;
pub mod town;
pub mod zones;

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
    /// What else was seen of it; or what did not go as it must.
    pub told: Result<String, String>,
    /// Acknowledged samples that were found at the end; or what was wrong.
    pub kept: Result<usize, String>,
}

impl Outcome {
    /// Whether it went as it must, no answer was wrong, and nothing was lost.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.told.is_ok() && self.kept.is_ok() && self.during.wrong_queries.is_empty() && self.during.failed_queries.is_empty()
    }
}

/// Runs the faults on one cluster; each with a quiet time before it, which is as long as `quiet`. After one that did not go as it must, the rest is left out: the cluster may not be well.
pub async fn run(faults: &[Fault], quiet: Duration) -> anyhow::Result<Vec<Outcome>> {
    let mut town = Town::start().await?;
    let mut outcomes = Vec::new();
    for fault in faults {
        println!("... {}", fault.name());
        let load = Load::start(&town, fault.name());
        tokio::time::sleep(quiet).await;
        let before = load.take();
        let told = fault.inject(&mut town).await.map_err(|e| format!("{e:#}"));
        // What comes late belongs to the fault.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let during = load.take();
        let kept = load.stop_and_verify(&town).await;
        let failed = told.is_err();
        outcomes.push(Outcome { fault: *fault, before, during, told, kept });
        if failed {
            break;
        }
    }
    Ok(outcomes)
}
