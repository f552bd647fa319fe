//! A data set as fast as the server takes it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use tokio::sync::Mutex;

use super::batch::{Batch, batches};
use super::load::Load;
use super::send::Sender;
use crate::figures::Latencies;
use crate::server::{Server, Usage};
use crate::values::SCRAPE_SECONDS;

/// What a load did.
pub(crate) struct Written {
    pub(crate) samples: u64,
    pub(crate) scrapes: usize,
    pub(crate) series: usize,
    pub(crate) wall: Duration,
    pub(crate) before: Usage,
    pub(crate) first_scrape: Usage,
    pub(crate) after: Usage,
    /// Time of the first and of the last scrape, milliseconds since the epoch.
    pub(crate) first_t: i64,
    pub(crate) last_t: i64,
    pub(crate) latencies: Latencies,
}

impl Written {
    /// Samples after the first scrape, in which series are created, per CPU second of the server; `None` if there are none.
    pub(crate) fn steady_samples_per_cpu_second(&self) -> Option<f64> {
        let samples = self.samples.saturating_sub(self.series as u64) as f64;
        let cpu = self.after.cpu_seconds - self.first_scrape.cpu_seconds;
        (samples > 0.0 && cpu > 0.0).then_some(samples / cpu)
    }

    /// CPU of the first scrape, in microseconds per series.
    pub(crate) fn cpu_us_per_new_series(&self) -> f64 {
        (self.first_scrape.cpu_seconds - self.before.cpu_seconds) * 1e6 / self.series as f64
    }

    pub(crate) fn rss_growth(&self) -> u64 {
        self.after.rss_bytes.saturating_sub(self.before.rss_bytes)
    }

    pub(crate) fn per_series(&self, bytes: u64) -> f64 {
        bytes as f64 / self.series as f64
    }
}

/// Writes a data set whose last scrape is at `last_t`, unless the load's time is over before.
pub(crate) async fn write(server: &Server, load: &Load, last_t: i64) -> anyhow::Result<Written> {
    load.check()?;
    let first_t = last_t - load.milliseconds();
    let batches = batches(load);
    let sender = Sender::new(server, load)?;
    let before = server.usage()?;
    let started = Instant::now();
    let (sent, mut scrapes, mut first_scrape, mut latencies) = (AtomicU64::new(0), 0, before, Vec::new());
    for scrape in 0..load.scrapes {
        if started.elapsed() >= load.within {
            break;
        }
        let of = Scrape { t: time(first_t, scrape), generation: load.churn_scrapes().map_or(0, |every| scrape / every) };
        let next = AtomicUsize::new(0);
        let workers = (0..load.connections).map(|_| connection(&sender, &batches, of, &next, &sent));
        latencies.extend(try_join_all(workers).await?.into_iter().flatten());
        scrapes += 1;
        if scrape == 0 {
            first_scrape = server.usage()?;
        }
    }
    Ok(Written {
        samples: sent.load(Ordering::Relaxed),
        scrapes,
        series: load.series,
        wall: started.elapsed(),
        before,
        first_scrape,
        after: server.usage()?,
        first_t,
        last_t: time(first_t, scrapes.saturating_sub(1)),
        latencies: Latencies::new(latencies),
    })
}

fn time(first_t: i64, scrape: usize) -> i64 {
    first_t + scrape as i64 * SCRAPE_SECONDS * 1_000
}

#[derive(Clone, Copy)]
struct Scrape {
    t: i64,
    generation: usize,
}

/// One connection's part of a scrape: the next batch that nobody has taken, until there is none.
async fn connection(
    sender: &Sender,
    batches: &[Mutex<Batch>],
    scrape: Scrape,
    next: &AtomicUsize,
    sent: &AtomicU64,
) -> anyhow::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
        let mut batch = batch.lock().await;
        latencies.push(sender.send(&mut batch, scrape.t, scrape.generation).await?);
        sent.fetch_add(batch.len() as u64, Ordering::Relaxed);
    }
    Ok(latencies)
}
