//! Whoever writes and reads samples itself does it through a [`Checker`]: it knows what was sent and what came of it, and holds every answer against that (`loadtest::ledger`
//! says what must hold). Also that no process panicked, of which a test need not think: every [`Process`](crate::process::Process) looks for that at its end.
//!
//! [`values`] (what is written: every kind of float), [`remote_read`] (every bit of what is there), [`writer`] and [`reader`] (who writes and asks while things happen), [`panics`].

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use loadtest::ledger::{Answer, Fate, Findings, Ledger, Selection, Series};
use parking_lot::Mutex;

use crate::client::{Client, PushSample};
use reading::Way;

pub mod panics;
mod reader;
mod reading;
mod remote_read;
pub mod values;
mod writer;

pub use reader::{Asked, Reader};
pub use writer::{Load, Writer};

/// An answer holds at most about so many samples.
const SAMPLES_PER_READ: usize = 100_000;
/// What is there beside what was sent is looked for so long before and after it, in milliseconds.
const AROUND_MS: i64 = 3_600_000;

/// A ledger that is shared by those who write and those who read. Cheap to clone.
#[derive(Clone, Default)]
pub struct Checker {
    ledger: Arc<Mutex<Ledger>>,
}

impl Checker {
    /// Of samples that are not sent yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Pushes as the client's tenant and notes what came of it; the status and what was said.
    pub async fn push(&self, client: &Client, samples: &[PushSample]) -> anyhow::Result<(u16, String)> {
        let sent = self.send(client.tenant(), samples);
        let answer = client.push(samples).await;
        self.settle(answer.as_ref().map_or(Fate::Unknown, |(status, _)| fate(*status)), &sent);
        match &answer {
            Ok((200..=299, _)) => {}
            Ok((status, text)) => self.ledger.lock().fail(format!("{status}: {}", text.trim())),
            Err(error) => self.ledger.lock().fail(format!("{error:#}")),
        }
        answer
    }

    /// Notes that samples are about to be sent, for one who sends them in another way; [`Checker::settle`] follows.
    #[must_use]
    pub fn send(&self, tenant: &str, samples: &[PushSample]) -> Vec<(Series, i64)> {
        let tenant: Arc<str> = Arc::from(tenant);
        let mut ledger = self.ledger.lock();
        let note = |sample: &PushSample| {
            let series = Series { tenant: Arc::clone(&tenant), labels: sample.labels.clone() };
            ledger.send(&series, sample.t, sample.v);
            (series, sample.t)
        };
        samples.iter().map(note).collect()
    }

    /// Notes what came of samples that were sent.
    pub fn settle(&self, fate: Fate, sent: &[(Series, i64)]) {
        let mut ledger = self.ledger.lock();
        sent.iter().for_each(|(series, t)| ledger.settle(fate, series, *t));
    }

    /// Holds an answer against all that was sent.
    #[must_use]
    pub fn check(&self, asked: &Selection, answer: &Answer) -> Findings {
        self.ledger.lock().check(asked, answer)
    }

    /// Pushes what must be taken.
    pub async fn write(&self, client: &Client, samples: &[PushSample]) -> anyhow::Result<()> {
        let (status, text) = self.push(client, samples).await?;
        ensure!(matches!(status, 200 | 204), "a push was answered {status}: {text}");
        Ok(())
    }

    /// How many samples were acknowledged.
    #[must_use]
    pub fn acked(&self) -> usize {
        self.ledger.lock().count(Fate::Acked)
    }

    /// That no push failed.
    pub fn nothing_failed(&self) -> anyhow::Result<()> {
        let ledger = self.ledger.lock();
        ensure!(ledger.failed() == 0, "{} pushes failed, first: {:?}", ledger.failed(), ledger.failures().first());
        Ok(())
    }

    /// Reads everything back, of every tenant, by remote read and by PromQL: every acknowledged sample once and bit by bit, unknown ones perhaps, nothing else. The number of
    /// acknowledged samples, which are all there. Not while somebody writes.
    pub async fn verify(&self, client: &Client) -> anyhow::Result<usize> {
        let findings = self.look(client).await?;
        ensure!(findings.is_good(), "{findings}");
        let acked = self.acked();
        ensure!(acked > 0, "nothing was acknowledged, so nothing is verified");
        ensure!(findings.found == acked, "{} of {acked} acknowledged samples were found", findings.found);
        Ok(acked)
    }

    /// The same until it holds: for what takes its time to be seen. What is wrong is never waited for: only what is not there yet.
    pub async fn verify_within(&self, client: &Client, within: Duration) -> anyhow::Result<usize> {
        let started = tokio::time::Instant::now();
        loop {
            let findings = self.look(client).await?;
            let only_lost = Findings { lost: 0, examples: Vec::new(), ..findings.clone() }.is_good();
            if findings.is_good() || !only_lost || started.elapsed() > within {
                return self.verify(client).await;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// What reading everything back finds; the acknowledged ones found are those of remote read.
    async fn look(&self, client: &Client) -> anyhow::Result<Findings> {
        let (tenants, names) = {
            let ledger = self.ledger.lock();
            (ledger.tenants(), ledger.names())
        };
        let mut findings = Findings::default();
        for tenant in tenants {
            let client = client.of_tenant(&tenant);
            for name in &names {
                let pages = pages(&self.ledger.lock(), name).with_context(|| format!("nothing was sent to {name}"))?;
                for times in pages {
                    let asked = Selection::metric(&tenant, name, times);
                    for way in [Way::RemoteRead, Way::PromQl] {
                        let answer = way.ask(&client, &asked).await?;
                        let mut found = self.check(&asked, &answer);
                        if way == Way::PromQl {
                            found.found = 0;
                        }
                        findings.add(found);
                    }
                }
            }
        }
        Ok(findings)
    }
}

/// What a status says of all samples of a push.
#[must_use]
pub fn fate(status: u16) -> Fate {
    match status {
        // Of a sender whose equal is elected: dropped.
        202 => Fate::Refused,
        200..=299 => Fate::Acked,
        // Some of it may have been written.
        400 => Fate::Unknown,
        401..=499 => Fate::Refused,
        _ => Fate::Unknown,
    }
}

/// The times of a metric in pieces that fit an answer, the first and the last wider than what was sent.
fn pages(ledger: &Ledger, name: &str) -> Option<Vec<std::ops::RangeInclusive<i64>>> {
    let times = ledger.times(&[("__name__".to_owned(), name.to_owned())]);
    let (first, last) = (*times.keys().next()?, *times.keys().next_back()?);
    let mut pages = Vec::new();
    let (mut start, mut samples) = (first - AROUND_MS, 0);
    for (t, count) in &times {
        if samples > 0 && samples + count > SAMPLES_PER_READ {
            pages.push(start..=*t - 1);
            (start, samples) = (*t, 0);
        }
        samples += count;
    }
    pages.push(start..=last + AROUND_MS);
    Some(pages)
}

#[cfg(test)]
mod tests;
