//! Asking the checks' queries.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

use super::checks::{CHECKS, Check};
use super::curve::Curve;
use super::sent::Window;
use crate::ledger::Findings;

const TIMEOUT: Duration = Duration::from_secs(30);
/// An answer holds at most so many points, at about 40 bytes each.
const POINTS: usize = 200_000;
/// A window holds at most so many times, so that several windows come about in a run of minutes.
const STEPS: usize = 240;

pub(super) struct Reader {
    client: reqwest::Client,
    api_url: String,
    tenant: Option<String>,
    run: String,
    curve: Curve,
}

/// What reading came to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    findings: Findings,
    queries: usize,
    /// Queries that a server which is away did not answer.
    pub(super) unavailable: usize,
    pub(super) last_error: String,
}

impl Reader {
    pub(super) fn new(api_url: String, tenant: Option<String>, run: String, curve: Curve) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        Ok(Self { client, api_url, tenant, run, curve })
    }

    /// Times in a window.
    pub(super) fn steps(&self) -> usize {
        (POINTS / self.curve.series).clamp(1, STEPS)
    }

    pub(super) fn series(&self) -> usize {
        self.curve.series
    }

    /// Reads a window back in all ways.
    pub(super) async fn check(&self, window: &Window, tally: &mut Tally) -> anyhow::Result<()> {
        for check in CHECKS {
            let Some(call) = check.call(&self.run, self.curve, window) else { continue };
            tally.queries += 1;
            match self.ask(&call).await? {
                Ok(data) => tally.findings.add(self.judge(check, window, &data, &call)),
                Err(away) => {
                    tally.unavailable += 1;
                    tally.last_error = away;
                }
            }
        }
        Ok(())
    }

    /// An answer that cannot be understood is a wrong one.
    fn judge(&self, check: Check, window: &Window, data: &Value, call: &str) -> Findings {
        check.judge(&self.run, self.curve, window, data).unwrap_or_else(|error| Findings {
            wrong: 1,
            examples: vec![format!("{call}: {error:#}")],
            ..Findings::default()
        })
    }

    /// The answer's `data`, or why the server is away; a refusal is an error.
    async fn ask(&self, call: &str) -> anyhow::Result<Result<Value, String>> {
        let mut get = self.client.get(format!("{}{call}", self.api_url));
        if let Some(tenant) = &self.tenant {
            get = get.header("X-Scope-OrgID", tenant);
        }
        let answer = async {
            let response = get.send().await?;
            anyhow::Ok((response.status().as_u16(), response.bytes().await?))
        };
        let (status, body) = match answer.await {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(format!("{error:#}"))),
        };
        match status {
            200..=299 => {
                let mut answer: Value = serde_json::from_slice(&body).context("an answer that is not JSON")?;
                Ok(Ok(answer["data"].take()))
            }
            429 | 500..=599 => Ok(Err(format!("{status} {}", String::from_utf8_lossy(&body)))),
            _ => bail!("{call} was refused: {status} {}", String::from_utf8_lossy(&body)),
        }
    }
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.findings.add(other.findings);
        self.queries += other.queries;
        self.unavailable += other.unavailable;
    }

    pub(super) fn is_good(&self) -> bool {
        self.findings.is_good()
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} queries, {} without an answer; {}", self.queries, self.unavailable, self.findings)?;
        if self.last_error.is_empty() { Ok(()) } else { write!(f, "\n  without an answer: {}", self.last_error) }
    }
}
