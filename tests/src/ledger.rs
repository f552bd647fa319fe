//! A writer that knows what was acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use loadtest::ledger::{Fate, Reader};
pub use loadtest::ledger::{Ledger, labels};
use serde_json::Value;

use crate::client::{Client, PushSample};

/// Writes a sample to each of `series` series every `interval` until told to stop.
pub struct Writer {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Ledger>,
}

impl Writer {
    /// Starts writing; `run` keeps the series of several writers apart.
    #[must_use]
    pub fn start(client: Client, run: &str, series: usize, interval: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, run) = (Arc::clone(&stop), run.to_owned());
        let task = tokio::spawn(async move {
            let mut ledger = Ledger::default();
            let mut last_t = 0;
            while !stopped.load(Ordering::Relaxed) {
                let t = now_ms().max(last_t + 1);
                last_t = t;
                let batch: Vec<PushSample> = (0..series).map(|n| PushSample { labels: labels(&run, n), t, v: value(n, t) }).collect();
                let (fate, failure) = match client.push(&batch).await {
                    Ok((200..=299, _)) => (Fate::Acked, None),
                    Ok((status, body)) => (Fate::Unknown, Some(format!("{status}: {body}"))),
                    Err(error) => (Fate::Unknown, Some(format!("{error:#}"))),
                };
                failure.into_iter().for_each(|failure| ledger.fail(failure));
                ledger.record(fate, batch.iter().enumerate().map(|(n, s)| (n, s.t, s.v)));
                tokio::time::sleep(interval).await;
            }
            ledger
        });
        Self { stop, task }
    }

    /// Stops writing; what was written.
    pub async fn stop(self) -> anyhow::Result<Ledger> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.context("the writer ended badly")
    }
}

impl Reader for Client {
    async fn query(&self, query: &str, time: &str) -> anyhow::Result<Value> {
        Self::query(self, query, time).await
    }
}

/// Every sample has its own value, so that no mix-up goes unseen.
fn value(series: usize, t: i64) -> f64 {
    (t as f64) / 7.0 + series as f64
}

/// Milliseconds since the epoch.
#[must_use]
pub fn now_ms() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}
