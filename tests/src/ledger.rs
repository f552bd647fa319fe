//! A writer that knows what was acknowledged.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use model::Labels;

use crate::client::{Client, PushSample};

/// What the writer sent, by series number and time: the value's bits, and whether it was acknowledged.
#[derive(Debug, Default, Clone)]
pub struct Ledger {
    /// Acknowledged samples.
    pub acked: HashMap<(usize, i64), u64>,
    /// Samples whose push failed or was cut off: they may or may not be there.
    pub unknown: HashMap<(usize, i64), u64>,
    /// Pushes that failed, with what was said.
    pub failures: Vec<String>,
}

/// Writes a sample to each of `series` series every `interval` until told to stop.
pub struct Writer {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Ledger>,
}

/// The labels of the ledger's series with this number.
#[must_use]
pub fn labels(run: &str, number: usize) -> Labels {
    Labels::from_pairs([("__name__", "ledger_value"), ("run", run), ("series", &number.to_string())])
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
                let target = match client.push(&batch).await {
                    Ok((200..=299, _)) => &mut ledger.acked,
                    Ok((status, body)) => {
                        ledger.failures.push(format!("{status}: {body}"));
                        &mut ledger.unknown
                    }
                    Err(error) => {
                        ledger.failures.push(format!("{error:#}"));
                        &mut ledger.unknown
                    }
                };
                target.extend(batch.iter().enumerate().map(|(n, s)| ((n, s.t), s.v.to_bits())));
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

/// Every sample has its own value, so that no mix-up goes unseen.
fn value(series: usize, t: i64) -> f64 {
    (t as f64) / 7.0 + series as f64
}

/// Milliseconds since the epoch.
#[must_use]
pub fn now_ms() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

impl Ledger {
    /// Reads everything back: each acknowledged sample once and bit by bit, unknown ones perhaps, nothing else. The number of acknowledged samples found.
    pub async fn verify(&self, client: &Client, run: &str) -> anyhow::Result<usize> {
        let times = || self.acked.keys().chain(self.unknown.keys()).map(|(_, t)| *t);
        let (first, last) = (times().min().context("nothing was written")?, times().max().context("nothing was written")?);
        let seconds = (last - first) / 1_000 + 2;
        let query = format!("ledger_value{{run=\"{run}\"}}[{seconds}s]");
        let answer = client.query(&query, &format!("{}.{:03}", last / 1_000, last % 1_000)).await?;
        let mut found = 0;
        for series in answer["result"].as_array().context("a matrix")? {
            let number: usize = series["metric"]["series"].as_str().context("series label")?.parse()?;
            let mut previous = i64::MIN;
            for point in series["values"].as_array().context("values")? {
                let t = (point[0].as_f64().context("a time")? * 1_000.0).round() as i64;
                let bits = point[1].as_str().context("a value")?.parse::<f64>()?.to_bits();
                if t <= previous {
                    bail!("series {number}: {t} comes after {previous}");
                }
                previous = t;
                match (self.acked.get(&(number, t)), self.unknown.get(&(number, t))) {
                    (Some(want), _) if *want == bits => found += 1,
                    (None, Some(want)) if *want == bits => {}
                    (acked, unknown) => bail!("series {number} at {t}: got bits {bits:x}, acked {acked:x?}, unknown {unknown:x?}"),
                }
            }
        }
        if found != self.acked.len() {
            bail!("{} of {} acknowledged samples are lost", self.acked.len() - found, self.acked.len());
        }
        Ok(found)
    }
}
