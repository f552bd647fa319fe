//! Pushing and querying over HTTP.

use std::time::Duration;

use anyhow::{Context, bail};
use model::Labels;
use prost::Message;
use proto::remote_write_v1 as v1;
use serde_json::Value;

pub(crate) mod wire;

/// A client of one server.
#[derive(Clone)]
pub struct Client {
    base: String,
    http: reqwest::Client,
    /// Empty where the server knows no tenants.
    tenant: String,
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
        Self { base: base.to_owned(), http, tenant: String::new() }
    }

    /// The same client as this tenant; as none if it is empty.
    #[must_use]
    pub fn of_tenant(&self, tenant: &str) -> Self {
        Self { tenant: tenant.to_owned(), ..self.clone() }
    }

    /// Whose requests these are; empty where the server knows no tenants.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.tenant
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

    /// A request as the client's tenant.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        if self.tenant.is_empty() { request } else { request.header("X-Scope-OrgID", &self.tenant) }
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
        self.api_answer(path, params).await?.get("data").cloned().context("an answer without data")
    }

    /// The whole of a successful answer, with its warnings.
    pub async fn api_answer(&self, path: &str, params: &[(&str, &str)]) -> anyhow::Result<Value> {
        let response = self.request(reqwest::Method::GET, &format!("/api/v1/{path}")).query(params).send().await?;
        let status = response.status();
        let body: Value = response.json().await?;
        if !status.is_success() {
            bail!("{path} {params:?} answered {status}: {body}");
        }
        Ok(body)
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
        let response = self.push_response(samples).await?;
        Ok((response.status().as_u16(), response.text().await?))
    }

    /// Remote write 1.0; the whole response.
    pub async fn push_response(&self, samples: &[PushSample]) -> anyhow::Result<reqwest::Response> {
        let timeseries = samples
            .iter()
            .map(|s| wire::TimeSeries {
                labels: s.labels.iter().map(|(name, value)| v1::Label { name: name.to_owned(), value: value.to_owned() }).collect(),
                samples: vec![wire::Sample { value: Some(s.v), timestamp: s.t }],
            })
            .collect();
        self.post_message("application/x-protobuf", packed(&wire::WriteRequest { timeseries })?).await
    }

    /// Remote write 1.0 of a whole message.
    pub async fn push_message(&self, message: &v1::WriteRequest) -> anyhow::Result<(u16, String)> {
        self.push_raw("application/x-protobuf", packed(message)?, None).await
    }

    /// Any body.
    pub async fn push_raw(&self, content_type: &str, body: Vec<u8>, tenant: Option<&str>) -> anyhow::Result<(u16, String)> {
        let client = tenant.map_or_else(|| self.clone(), |tenant| self.of_tenant(tenant));
        let response = client.post_message(content_type, body).await?;
        Ok((response.status().as_u16(), response.text().await?))
    }

    async fn post_message(&self, content_type: &str, body: Vec<u8>) -> anyhow::Result<reqwest::Response> {
        let post = self.request(reqwest::Method::POST, "/api/v1/push").header("Content-Type", content_type);
        Ok(post.header("Content-Encoding", "snappy").body(body).send().await?)
    }

    /// How many ingesters `/ring` shows as active.
    pub async fn active_ingesters(&self) -> anyhow::Result<usize> {
        let ring: Value = self.http.get(format!("{}/ring", self.base)).send().await?.json().await?;
        let instances = ring.get("instances").and_then(Value::as_array).context("instances")?;
        Ok(instances.iter().filter(|i| i["role"] == "ingester" && i["state"] == "ACTIVE").count())
    }
}

fn packed(message: &impl Message) -> anyhow::Result<Vec<u8>> {
    Ok(snap::raw::Encoder::new().compress_vec(&message.encode_to_vec())?)
}
