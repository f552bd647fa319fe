//! Asking, and what it costs.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::list::Question;
use crate::figures::{Latencies, geometric_mean};
use crate::server::Server;

/// How long a query may take.
const TIMEOUT: Duration = Duration::from_secs(120);
/// The largest answer that is taken; those of the list are below 20 MB at 200,000 series.
const MAX_ANSWER_BYTES: usize = 512 << 20;
/// Below this, in milliseconds, the CPU of a query is noise.
const LEAST_CPU_MS: f64 = 0.01;

/// What asking one query so and so often came to.
pub(crate) struct Asked {
    pub(crate) what: String,
    pub(crate) latencies: Vec<Duration>,
    /// Of the server, per query.
    pub(crate) cpu_ms: f64,
    /// The last answer's body, or why there is none.
    pub(crate) answer: Result<Bytes, String>,
}

/// The figures of a list.
#[derive(Debug, Clone)]
pub(crate) struct Costs {
    pub(crate) queries: usize,
    pub(crate) latencies: Latencies,
    pub(crate) cpu_ms_mean: f64,
    pub(crate) cpu_ms_sum: f64,
    pub(crate) rss_growth: u64,
}

impl Costs {
    /// Of those that were answered.
    pub(crate) fn of(all: &[Asked], rss_before: u64, peak_rss: u64) -> Self {
        let answered: Vec<&Asked> = all.iter().filter(|asked| asked.answer.is_ok()).collect();
        Self {
            queries: answered.len(),
            latencies: Latencies::new(answered.iter().flat_map(|asked| asked.latencies.iter().copied()).collect()),
            cpu_ms_mean: geometric_mean(answered.iter().map(|asked| asked.cpu_ms), LEAST_CPU_MS),
            cpu_ms_sum: answered.iter().map(|asked| asked.cpu_ms).sum(),
            rss_growth: peak_rss.saturating_sub(rss_before),
        }
    }
}

/// A client that takes answers uncompressed.
pub(crate) fn client() -> anyhow::Result<reqwest::Client> {
    Ok(reqwest::Client::builder().no_gzip().timeout(TIMEOUT).build()?)
}

/// Asks each `repeat` times, one after the other.
pub(crate) async fn ask_all(server: &Server, questions: &[Question], repeat: u32) -> anyhow::Result<Vec<Asked>> {
    let client = client()?;
    let mut all = Vec::with_capacity(questions.len());
    for question in questions {
        let url = server.api_url(&format!("{}{}", question.call, if question.is_query() { server.kind.uncached() } else { "" }));
        let before = server.usage()?.cpu_seconds;
        let mut asked = Asked { what: question.what.clone(), latencies: Vec::new(), cpu_ms: 0.0, answer: Ok(Bytes::new()) };
        for _ in 0..repeat {
            let started = Instant::now();
            asked.answer = get(&client, &url).await.map_err(|error| format!("{error:#}"));
            asked.latencies.push(started.elapsed());
            if asked.answer.is_err() {
                break;
            }
        }
        asked.cpu_ms = (server.usage()?.cpu_seconds - before) * 1_000.0 / asked.latencies.len() as f64;
        all.push(asked);
    }
    Ok(all)
}

/// The body of a successful answer.
pub(crate) async fn get(client: &reqwest::Client, url: &str) -> anyhow::Result<Bytes> {
    let mut response = client.get(url).send().await?;
    let status = response.status();
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        anyhow::ensure!(body.len() + chunk.len() <= MAX_ANSWER_BYTES, "the answer is longer than {MAX_ANSWER_BYTES} bytes");
        body.extend_from_slice(&chunk);
    }
    anyhow::ensure!(status.is_success(), "answered {status}: {}", String::from_utf8_lossy(&body[..body.len().min(500)]));
    Ok(body.freeze())
}
