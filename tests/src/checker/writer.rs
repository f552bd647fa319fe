//! A writer that goes on whatever happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use loadtest::ledger::labels;

use super::Checker;
use super::values::value;
use crate::client::{Client, PushSample};
use crate::ledger::now_ms;

/// How much is written.
#[derive(Debug, Clone)]
pub struct Load {
    /// Keeps the series of several writers apart.
    pub run: String,
    /// One sample to each of them in every push.
    pub series: usize,
    /// Between two pushes.
    pub pause: Duration,
}

/// Writes until told to stop.
pub struct Writer {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Writer {
    /// Starts writing: at each of its times every client pushes to series of the same labels, each as its tenant and with its own values.
    #[must_use]
    pub fn start(checker: &Checker, clients: Vec<Client>, load: Load) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, checker) = (Arc::clone(&stop), checker.clone());
        let task = tokio::spawn(async move {
            let mut last_t = 0;
            while !stopped.load(Ordering::Relaxed) {
                let t = now_ms().max(last_t + 1);
                last_t = t;
                let mut pushes = tokio::task::JoinSet::new();
                for client in &clients {
                    let sample = |n| PushSample { labels: labels(&load.run, n), t, v: value(client.tenant(), n, t) };
                    let batch: Vec<PushSample> = (0..load.series).map(sample).collect();
                    let (client, checker) = (client.clone(), checker.clone());
                    // A failure is in the ledger.
                    pushes.spawn(async move { drop(checker.push(&client, &batch).await) });
                }
                pushes.join_all().await;
                tokio::time::sleep(load.pause).await;
            }
        });
        Self { stop, task }
    }

    /// Stops writing.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.context("the writer ended badly")
    }
}
