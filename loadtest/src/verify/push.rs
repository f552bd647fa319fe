//! A push until its fate is known.

use std::time::{Duration, Instant};

use super::curve::Curve;
use super::sent::Outcome;
use crate::encode::{Protocol, Template};
use crate::ledger::{Fate, labels};

/// How long one try may take: a server that hangs must not hold up the run.
const TIMEOUT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(200);
/// As much of an error's text as is kept.
const TEXT_BYTES: usize = 300;

pub(super) struct Pusher {
    pub(super) curve: Curve,
    client: reqwest::Client,
    url: String,
    tenant: Option<String>,
    template: Template,
    retry: Duration,
}

/// What one try came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Try {
    Known(Fate),
    Again,
}

impl Pusher {
    pub(super) fn new(url: String, tenant: Option<String>, run: &str, curve: Curve, retry: Duration) -> anyhow::Result<Self> {
        let all: Vec<_> = (0..curve.series).map(|n| labels(run, n)).collect();
        let client = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        Ok(Self { curve, client, url, tenant, template: Template::new(Protocol::V1, all.iter()), retry })
    }

    /// Pushes all series at this time.
    pub(super) async fn push(&self, t: i64) -> anyhow::Result<Outcome> {
        let body = bytes::Bytes::from(self.template.request(t, self.curve.values(t))?);
        let started = Instant::now();
        let mut outcome = Outcome { fate: Fate::Unknown, retries: 0, failure: None };
        loop {
            let (status, text) = self.attempt(body.clone()).await;
            if status.is_none_or(|status| status >= 300) {
                outcome.failure = Some(status.map_or_else(|| text.clone(), |status| format!("{status} {text}")));
            }
            match judge(status, outcome.retries > 0) {
                Try::Known(fate) => return Ok(Outcome { fate, ..outcome }),
                Try::Again if started.elapsed() > self.retry => return Ok(outcome),
                Try::Again => outcome.retries += 1,
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The status, if there was an answer, and what was said.
    async fn attempt(&self, body: bytes::Bytes) -> (Option<u16>, String) {
        let mut post = self.client.post(&self.url).body(body);
        for (name, value) in Protocol::V1.headers() {
            post = post.header(name, value);
        }
        if let Some(tenant) = &self.tenant {
            post = post.header("X-Scope-OrgID", tenant);
        }
        match post.send().await {
            Ok(response) => {
                let status = response.status().as_u16();
                let mut text = response.text().await.unwrap_or_default();
                text.truncate(text.floor_char_boundary(TEXT_BYTES));
                (Some(status), text)
            }
            Err(error) => (None, format!("{:#}", anyhow::Error::from(error))),
        }
    }
}

/// What a status means. A try before this one may have been written although its answer was lost: then nothing is certain but an acknowledgement.
fn judge(status: Option<u16>, tried_before: bool) -> Try {
    match status {
        Some(200..=299) => Try::Known(Fate::Acked),
        // Some of it may have been written.
        Some(400) => Try::Known(Fate::Unknown),
        Some(401..=499) if tried_before => Try::Known(Fate::Unknown),
        Some(401..=499) => Try::Known(Fate::Refused),
        _ => Try::Again,
    }
}

#[cfg(test)]
mod tests {
    use super::{Fate, Try, judge};

    #[test]
    fn fates_of_statuses() {
        assert_eq!(judge(Some(204), true), Try::Known(Fate::Acked));
        assert_eq!(judge(Some(400), false), Try::Known(Fate::Unknown));
        assert_eq!(judge(Some(429), false), Try::Known(Fate::Refused));
        assert_eq!(judge(Some(429), true), Try::Known(Fate::Unknown));
        assert_eq!(judge(Some(503), false), Try::Again);
        assert_eq!(judge(None, false), Try::Again);
    }
}
