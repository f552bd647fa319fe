//! Senders and readers that go on whatever happens, and what they saw.
//!
//! A sender behaves as one behind a load balancer: where nobody listens it goes to the other way in, and that is no failure. Every answer but 2xx is
//! one, and so is none within ten seconds. Readers ask the two ways out in turn for the last seconds before now, raw, and hold the answer against the ledger.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use loadtest::ledger::{Answer, Fate, Selection};
use model::Labels;

use super::town::Town;
use crate::checker::Checker;
use crate::client::{Client, PushSample};
use crate::ledger::now_ms;

/// Series of each sender; all of them in one push.
const SERIES: usize = 200;
/// Time between two pushes of a sender.
const PUSH_EVERY: Duration = Duration::from_millis(100);
/// Time between two queries.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// How much a query asks for.
const WINDOW_SECONDS: i64 = 3;
/// How old the newest sample that is asked for is: nothing of it may still be on its way, so that fates are known.
const AGE_MS: i64 = 11_000;

/// What was seen in some time.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    /// How long pushes took that were answered.
    pub pushes: Vec<Duration>,
    /// What failed pushes said.
    pub failed_pushes: Vec<String>,
    /// How long queries took that were answered.
    pub queries: Vec<Duration>,
    /// What failed queries said.
    pub failed_queries: Vec<String>,
    /// What was wrong with answers.
    pub wrong_queries: Vec<String>,
}

impl Seen {
    /// The 99th percentile; `None` of nothing.
    #[must_use]
    pub fn p99(times: &[Duration]) -> Option<Duration> {
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        sorted.get(sorted.len().checked_sub(1)? * 99 / 100).copied()
    }
}

/// Under way.
pub struct Load {
    shared: Arc<Shared>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

struct Shared {
    /// Of this load alone: what is read back is a metric.
    metric: String,
    stop: AtomicBool,
    checker: Checker,
    seen: Mutex<Seen>,
    began: i64,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Load {
    /// Starts a sender and a reader per way in and out; `name` keeps the series of several loads apart.
    #[must_use]
    pub fn start(town: &Town, name: &str) -> Self {
        let metric = format!("load_{}", name.replace(|c: char| !c.is_ascii_alphanumeric(), "_"));
        let shared =
            Arc::new(Shared { metric, stop: AtomicBool::new(false), checker: Checker::new(), seen: Mutex::default(), began: now_ms() });
        let (ways_in, ways_out) = (town.ways_in(), town.ways_out());
        let mut tasks = Vec::new();
        for sender in 0..ways_in.len() {
            tasks.push(tokio::spawn(Arc::clone(&shared).send(sender, ways_in.clone())));
        }
        tasks.push(tokio::spawn(Arc::clone(&shared).read(ways_out)));
        Self { shared, tasks }
    }

    /// What was seen since this was asked last.
    #[must_use]
    pub fn take(&self) -> Seen {
        std::mem::take(&mut lock(&self.shared.seen))
    }

    /// Stops, and looks for everything that was acknowledged.
    pub async fn stop_and_verify(self, town: &Town) -> Result<usize, String> {
        self.shared.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.map_err(|e| e.to_string())?;
        }
        let mut found = 0;
        for way_out in town.ways_out() {
            found = self.shared.checker.verify(&way_out).await.map_err(|e| format!("{e:#}"))?;
        }
        Ok(found)
    }
}

impl Shared {
    async fn send(self: Arc<Self>, sender: usize, ways_in: Vec<Client>) {
        let first = sender * SERIES;
        let mut last = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let due = Instant::now() + PUSH_EVERY;
            let t = now_ms().max(last + 1);
            last = t;
            let batch: Vec<PushSample> =
                (first..first + SERIES).map(|n| PushSample { labels: labels(&self.metric, n), t, v: n as f64 + t as f64 / 7.0 }).collect();
            let begun = Instant::now();
            let sent = self.checker.send("", &batch);
            let outcome = push(&ways_in, sender, &batch).await;
            let fate = if outcome.is_ok() { Fate::Acked } else { Fate::Unknown };
            self.checker.settle(fate, &sent);
            match outcome {
                Ok(()) => lock(&self.seen).pushes.push(begun.elapsed()),
                Err(text) => lock(&self.seen).failed_pushes.push(text),
            }
            tokio::time::sleep_until(due.into()).await;
        }
    }

    async fn read(self: Arc<Self>, ways_out: Vec<Client>) {
        for way_out in ways_out.iter().cycle() {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            tokio::time::sleep(ASK_EVERY).await;
            let end = now_ms() - AGE_MS;
            if end - WINDOW_SECONDS * 1_000 < self.began {
                continue;
            }
            let query = format!("{}[{WINDOW_SECONDS}s]", self.metric);
            let begun = Instant::now();
            let answer = way_out.query(&query, &format!("{}.{:03}", end / 1_000, end % 1_000)).await;
            match answer {
                Ok(data) => {
                    lock(&self.seen).queries.push(begun.elapsed());
                    // The left border is open.
                    let times = end - WINDOW_SECONDS * 1_000 + 1..=end;
                    let asked = Selection::metric("", &self.metric, times);
                    let findings = Answer::text(&data, false).map(|answer| self.checker.check(&asked, &answer));
                    match findings {
                        Ok(findings) if findings.is_good() => {}
                        Ok(findings) => lock(&self.seen).wrong_queries.push(findings.to_string()),
                        Err(error) => lock(&self.seen).wrong_queries.push(format!("{error:#}")),
                    }
                }
                // Another way out is asked next.
                Err(error) if is_refused(&error) => {}
                Err(error) => lock(&self.seen).failed_queries.push(format!("{error:#}")),
            }
        }
    }
}

fn labels(metric: &str, number: usize) -> Labels {
    Labels::from_pairs([("__name__", metric), ("series", &number.to_string())])
}

/// Pushes to the sender's way in, or to the next one where nobody listens.
async fn push(ways_in: &[Client], sender: usize, batch: &[PushSample]) -> Result<(), String> {
    let mut said = "no way in".to_owned();
    for turn in 0..ways_in.len() {
        let Some(way_in) = ways_in.get((sender + turn) % ways_in.len()) else { continue };
        match tokio::time::timeout(Duration::from_secs(10), way_in.push(batch)).await {
            Ok(Ok((200..=299, _))) => return Ok(()),
            Ok(Ok((status, text))) => return Err(format!("{status}: {}", text.trim())),
            Ok(Err(error)) if is_refused(&error) => said = format!("{error:#}"),
            Ok(Err(error)) => return Err(format!("{error:#}")),
            Err(_) => return Err("no answer within ten seconds".to_owned()),
        }
    }
    Err(said)
}

fn is_refused(error: &anyhow::Error) -> bool {
    error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_connect)
}
