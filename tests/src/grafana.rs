//! Asking as Grafana's Prometheus data source does, and something to ask for.

use anyhow::{Context, ensure};
use proto::remote_write_v1 as v1;
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::client::Client;
use crate::ledger::now_ms;

/// A data source: a URL to which `/api/v1/…` is joined.
#[derive(Clone)]
pub struct Datasource {
    url: String,
    http: reqwest::Client,
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub text: String,
}

impl Datasource {
    /// The data source under a prefix of a server: `/prometheus`, or nothing.
    #[must_use]
    pub fn new(client: &Client, prefix: &str) -> Self {
        Self { url: format!("{}{prefix}", client.base()), http: client.http().clone() }
    }

    /// A form, the default method for all that takes it.
    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> anyhow::Result<Answer> {
        self.send(self.http.post(self.at(path)).form(form)).await
    }

    /// A query string.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Answer> {
        self.send(self.http.get(self.at(path)).query(query)).await
    }

    /// Any request to the URL of a resource.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Answer> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, text: response.text().await? })
    }

    /// The URL of a resource.
    #[must_use]
    pub fn at(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.url)
    }
}

impl Answer {
    /// The body as JSON, which it must be whatever the status.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_str(&self.text).with_context(|| format!("{}: {}", self.status, self.text))
    }

    /// `data` of an answer that must be a success.
    pub fn data(&self) -> anyhow::Result<Value> {
        let body = self.json()?;
        ensure!(self.status == 200 && body["status"] == "success", "{}: {}", self.status, self.text);
        body.get("data").cloned().context("an answer without data")
    }

    /// `errorType` and `error` of an answer that must have this status.
    pub fn error(&self, status: u16) -> anyhow::Result<(String, String)> {
        let body = self.json()?;
        ensure!(self.status == status && body["status"] == "error", "wanted {status}: {} {}", self.status, self.text);
        let text = |name: &str| body[name].as_str().map(str::to_owned).with_context(|| format!("no {name} in {body}"));
        Ok((text("errorType")?, text("error")?))
    }
}

/// The series that [`push_example`] writes.
pub const SERIES: usize = 6;

/// Writes a counter and a gauge of two instances, a native histogram, and a metric with a label of dots; with an exemplar and with metadata. Their times, in
/// milliseconds: a minute of samples, one each 15 seconds, the last one now.
pub async fn push_example(client: &Client) -> anyhow::Result<Vec<i64>> {
    let now = now_ms();
    let times: Vec<i64> = (0..5).map(|i| now - 60_000 + i * 15_000).collect();
    let mut timeseries = Vec::new();
    for instance in ["a:9100", "b:9100"] {
        let mut counter = series(&[("__name__", "demo_requests_total"), ("instance", instance), ("job", "demo")], &times, 10.0);
        counter.exemplars.push(v1::Exemplar { labels: vec![label("trace_id", "abc")], value: 1.5, timestamp: now });
        timeseries.push(counter);
        timeseries.push(series(&[("__name__", "demo_temperature"), ("instance", instance), ("job", "demo")], &times, 0.5));
    }
    timeseries.push(series(&[("__name__", "demo_dotted"), ("http.status", "200")], &times, 1.0));
    timeseries.push(v1::TimeSeries {
        labels: vec![label("__name__", "demo_latency_seconds"), label("job", "demo")],
        histograms: times.iter().map(|t| histogram(*t)).collect(),
        ..v1::TimeSeries::default()
    });
    let metadata = [("demo_requests_total", 1, "Requests."), ("demo_temperature", 2, "Degrees.")];
    let metadata = metadata.map(|(family, kind, help)| v1::MetricMetadata {
        r#type: kind,
        metric_family_name: family.to_owned(),
        help: help.to_owned(),
        unit: String::new(),
    });
    let (status, body) = client.push_message(&v1::WriteRequest { timeseries, metadata: metadata.to_vec() }).await?;
    ensure!(status < 300, "{status}: {body}");
    Ok(times)
}

fn label(name: &str, value: &str) -> v1::Label {
    v1::Label { name: name.to_owned(), value: value.to_owned() }
}

fn series(labels: &[(&str, &str)], times: &[i64], step: f64) -> v1::TimeSeries {
    v1::TimeSeries {
        labels: labels.iter().map(|(name, value)| label(name, value)).collect(),
        samples: times.iter().enumerate().map(|(i, t)| v1::Sample { value: i as f64 * step, timestamp: *t }).collect(),
        ..v1::TimeSeries::default()
    }
}

fn histogram(t: i64) -> v1::Histogram {
    v1::Histogram {
        count: Some(v1::histogram::Count::CountInt(3)),
        sum: 4.5,
        schema: 0,
        zero_threshold: 0.001,
        zero_count: Some(v1::histogram::ZeroCount::ZeroCountInt(1)),
        positive_spans: vec![v1::BucketSpan { offset: 0, length: 2 }],
        positive_deltas: vec![1, 0],
        timestamp: t,
        ..v1::Histogram::default()
    }
}

/// A time as Grafana writes it: seconds with nine decimals.
#[must_use]
pub fn seconds(ms: i64) -> String {
    format!("{}.{:03}000000", ms.div_euclid(1_000), ms.rem_euclid(1_000))
}
