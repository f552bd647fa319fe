//! Pushing and querying over HTTP.

use std::time::Duration;

use anyhow::{Context, bail};
use model::Labels;
use prost::Message;
use proto::remote_write_v1 as v1;
use serde_json::Value;

/// A client of one server.
#[derive(Clone)]
pub struct Client {
    base: String,
    http: reqwest::Client,
}

/// One sample to push.
#[derive(Debug, Clone)]
pub struct PushSample {
    /// Of which series.
    pub labels: Labels,
    /// Milliseconds since the epoch.
    pub t: i64,
    /// Its value.
    pub v: f64,
}

impl Client {
    /// A client; `base` without a slash at its end.
    #[must_use]
    pub fn new(base: &str) -> Self {
        // The client wants to know its TLS, also where there is none; an error says that it is known.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http =
            reqwest::Client::builder().timeout(Duration::from_secs(30)).build().expect("a client without TLS has nothing to fail on");
        Self { base: base.to_owned(), http }
    }

    /// The server's address.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The HTTP client, for requests of any other shape.
    #[must_use]
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Whether `/ready` or Prometheus's `/-/ready` says so.
    pub async fn is_ready(&self) -> bool {
        let answer = self.http.get(format!("{}/-/ready", self.base)).timeout(Duration::from_secs(2)).send().await;
        answer.is_ok_and(|r| r.status().is_success())
    }

    /// GET, status and body.
    pub async fn get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let response = self.http.get(format!("{}{path}", self.base)).send().await?;
        Ok((response.status().as_u16(), response.text().await?))
    }

    /// A query API call; `data` of a successful answer.
    pub async fn api(&self, path: &str, params: &[(&str, &str)]) -> anyhow::Result<Value> {
        let url = format!("{}/api/v1/{path}", self.base);
        let response = self.http.get(url).query(params).send().await?;
        let status = response.status();
        let body: Value = response.json().await?;
        if !status.is_success() {
            bail!("{path} {params:?} answered {status}: {body}");
        }
        body.get("data").cloned().context("an answer without data")
    }

    /// An instant query.
    pub async fn query(&self, query: &str, time: &str) -> anyhow::Result<Value> {
        self.api("query", &[("query", query), ("time", time)]).await
    }

    /// A range query.
    pub async fn query_range(&self, query: &str, start: &str, end: &str, step: &str) -> anyhow::Result<Value> {
        self.api("query_range", &[("query", query), ("start", start), ("end", end), ("step", step)]).await
    }

    /// Remote write 1.0; the status and the body.
    pub async fn push(&self, samples: &[PushSample]) -> anyhow::Result<(u16, String)> {
        let timeseries = samples
            .iter()
            .map(|s| v1::TimeSeries {
                labels: s.labels.iter().map(|(name, value)| v1::Label { name: name.to_owned(), value: value.to_owned() }).collect(),
                samples: vec![v1::Sample { value: s.v, timestamp: s.t }],
                ..v1::TimeSeries::default()
            })
            .collect();
        self.push_message(&v1::WriteRequest { timeseries, metadata: Vec::new() }).await
    }

    /// Remote write 1.0 of a whole message.
    pub async fn push_message(&self, message: &v1::WriteRequest) -> anyhow::Result<(u16, String)> {
        let body = snap::raw::Encoder::new().compress_vec(&message.encode_to_vec())?;
        self.push_raw("application/x-protobuf", body, None).await
    }

    /// Any body.
    pub async fn push_raw(&self, content_type: &str, body: Vec<u8>, tenant: Option<&str>) -> anyhow::Result<(u16, String)> {
        let mut post = self
            .http
            .post(format!("{}/api/v1/push", self.base))
            .header("Content-Type", content_type)
            .header("Content-Encoding", "snappy")
            .body(body);
        if let Some(tenant) = tenant {
            post = post.header("X-Scope-OrgID", tenant);
        }
        let response = post.send().await?;
        Ok((response.status().as_u16(), response.text().await?))
    }

    /// How many ingesters `/ring` shows as active.
    pub async fn active_ingesters(&self) -> anyhow::Result<usize> {
        let ring: Value = self.http.get(format!("{}/ring", self.base)).send().await?.json().await?;
        let instances = ring.get("instances").and_then(Value::as_array).context("instances")?;
        Ok(instances.iter().filter(|i| i["role"] == "ingester" && i["state"] == "ACTIVE").count())
    }
}
