//! One request.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::batch::Batch;
use super::load::Load;
use crate::encode::Protocol;
use crate::server::Server;

/// How long a push may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Sends batches to one server.
pub(crate) struct Sender {
    client: reqwest::Client,
    url: String,
    protocol: Protocol,
}

impl Sender {
    pub(crate) fn new(server: &Server, load: &Load) -> anyhow::Result<Self> {
        if !server.kind.takes(load.protocol) {
            bail!("{} does not take remote write {:?}", server.kind.name(), load.protocol);
        }
        let client = reqwest::Client::builder().pool_max_idle_per_host(load.connections).timeout(TIMEOUT).build()?;
        Ok(Self { client, url: server.push_url(), protocol: load.protocol })
    }

    /// Sends the batch's next samples; how long the server took.
    pub(crate) async fn send(&self, batch: &mut Batch, t: i64, generation: usize) -> anyhow::Result<Duration> {
        let body = batch.request(t, generation)?;
        let mut post = self.client.post(&self.url).body(body);
        for (name, value) in self.protocol.headers() {
            post = post.header(name, value);
        }
        if let Some(tenant) = &batch.tenant {
            post = post.header("X-Scope-OrgID", tenant);
        }
        let started = Instant::now();
        let response = post.send().await.context("push")?;
        let took = started.elapsed();
        if !response.status().is_success() {
            bail!("push answered {}: {}", response.status(), response.text().await.unwrap_or_default());
        }
        Ok(took)
    }
}
