//! A server in memory that takes remote write, answers remote read and range selectors, and lies if it is told to.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use parking_lot::Mutex;
use prost::Message;
use proto::{remote_read, remote_write_v1 as v1};
use serde_json::{Value, json};

use crate::client::{Client, wire};

/// How it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lie {
    None,
    /// A sample is not there.
    Lose,
    /// A sample is there twice.
    Double,
    /// A bit of a value is another one; only remote read shows it where it is of a NaN.
    Flip,
    /// What is refused is kept.
    KeepRefused,
    /// A sample more.
    NeverSent,
    /// One tenant sees what the other one has.
    Foreign,
    /// Half of the series.
    Half,
    /// The same, and says so.
    HalfWithWarning,
    /// No answer at all.
    Fail,
}

type Labels = Vec<(String, String)>;
type Data = BTreeMap<Labels, Vec<(i64, f64)>>;

#[derive(Default)]
struct Store {
    tenants: BTreeMap<String, Data>,
    lie: Option<Lie>,
}

type Shared = Arc<Mutex<Store>>;

/// The running server.
pub(super) struct Fake {
    address: String,
    store: Shared,
    task: tokio::task::JoinHandle<()>,
}

impl Fake {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let store = Shared::default();
        let paths = Router::new().route("/api/v1/push", post(push)).route("/api/v1/read", post(read)).route("/api/v1/query", get(query));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let serving = axum::serve(listener, paths.with_state(Arc::clone(&store)));
        let task = tokio::spawn(async move { drop(serving.await) });
        Ok(Self { address, store, task })
    }

    pub(super) fn client(&self) -> Client {
        Client::new(&self.address)
    }

    pub(super) fn lie(&self, lie: Lie) {
        self.store.lock().lie = Some(lie);
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn tenant(headers: &HeaderMap) -> String {
    headers.get("X-Scope-OrgID").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

fn unpacked<M: Message + Default>(body: &Bytes) -> anyhow::Result<M> {
    Ok(M::decode(snap::raw::Decoder::new().decompress_vec(body)?.as_slice())?)
}

async fn push(State(store): State<Shared>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let Ok(request) = unpacked::<v1::WriteRequest>(&body) else { return StatusCode::BAD_REQUEST };
    let mut store = store.lock();
    let refuse = request.timeseries.iter().any(|series| series.labels.iter().any(|label| label.value == "refused"));
    match store.lie {
        Some(Lie::Fail) => return StatusCode::SERVICE_UNAVAILABLE,
        Some(Lie::KeepRefused) => {}
        _ if refuse => return StatusCode::TOO_MANY_REQUESTS,
        _ => {}
    }
    let data = store.tenants.entry(tenant(&headers)).or_default();
    for series in request.timeseries {
        let labels = series.labels.into_iter().map(|label| (label.name, label.value)).collect();
        data.entry(labels).or_default().extend(series.samples.iter().map(|sample| (sample.timestamp, sample.value)));
    }
    if refuse { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::NO_CONTENT }
}

impl Store {
    /// What a tenant is told of a metric, and whether it is told that something is missing; `None`: no answer.
    fn told(&self, tenant: &str, name: &str, first: i64, last: i64) -> Option<(Data, bool)> {
        let of = match self.lie {
            Some(Lie::Fail) => return None,
            Some(Lie::Foreign) => self.tenants.keys().find(|other| *other != tenant).map_or(tenant, String::as_str),
            _ => tenant,
        };
        let named = |labels: &Labels| labels.iter().any(|(label, value)| label == "__name__" && value == name);
        let mut data = self.tenants.get(of).cloned().unwrap_or_default();
        data.retain(|labels, points| {
            points.retain(|(t, _)| (first..=last).contains(t));
            named(labels) && !points.is_empty()
        });
        let half = matches!(self.lie, Some(Lie::Half | Lie::HalfWithWarning));
        if half {
            let mut keep = false;
            data.retain(|_, _| {
                keep = !keep;
                keep
            });
        }
        if tenant == "a"
            && self.lie == Some(Lie::NeverSent)
            && let Some(points) = data.values_mut().next()
        {
            points.push((last, 77.0));
        }
        Some((data, half && self.lie == Some(Lie::HalfWithWarning)))
    }

    /// What is done to the points of one series, in answers that show every bit.
    fn bend(&self, tenant: &str, data: &mut Data) {
        let Some(points) = data.values_mut().next().filter(|_| tenant == "a") else { return };
        match self.lie {
            Some(Lie::Lose) => {
                points.remove(0);
            }
            Some(Lie::Double) => points.insert(0, points[0]),
            Some(Lie::Flip) => points[0].1 = f64::from_bits(points[0].1.to_bits() ^ 1),
            _ => {}
        }
    }
}

async fn read(State(store): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let Ok(request) = unpacked::<remote_read::ReadRequest>(&body) else { return StatusCode::BAD_REQUEST.into_response() };
    let (query, tenant) = (&request.queries[0], tenant(&headers));
    let store = store.lock();
    let told = store.told(&tenant, &query.matchers[0].value, query.start_timestamp_ms, query.end_timestamp_ms);
    let Some((mut data, false)) = told else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    store.bend(&tenant, &mut data);
    let series = |(labels, points): (Labels, Vec<(i64, f64)>)| wire::TimeSeries {
        labels: labels.into_iter().map(|(name, value)| v1::Label { name, value }).collect(),
        samples: points.into_iter().map(|(timestamp, value)| wire::Sample { value: Some(value), timestamp }).collect(),
    };
    // A result has its series where a write request has them, and a response has its result there as well.
    let result = wire::WriteRequest { timeseries: data.into_iter().map(series).collect() }.encode_to_vec();
    let mut bytes = Vec::new();
    prost::encoding::bytes::encode(1, &result, &mut bytes);
    snap::raw::Encoder::new().compress_vec(&bytes).map_or(StatusCode::INTERNAL_SERVER_ERROR.into_response(), IntoResponse::into_response)
}

/// `{__name__="m"}[5ms]` as name and length.
fn selector(query: &str) -> anyhow::Result<(&str, i64)> {
    let rest = query.strip_prefix("{__name__=\"").context("a name")?;
    let (name, rest) = rest.split_once("\"}[").context("a range")?;
    Ok((name, rest.strip_suffix("ms]").context("milliseconds")?.parse()?))
}

async fn query(State(store): State<Shared>, headers: HeaderMap, Query(params): Query<BTreeMap<String, String>>) -> Response {
    let answer = || -> anyhow::Result<Option<Value>> {
        let (name, length) = selector(&params["query"])?;
        let last = (params["time"].parse::<f64>()? * 1_000.0).round() as i64;
        let told = store.lock().told(&tenant(&headers), name, last - length + 1, last);
        let Some((data, marked)) = told else { return Ok(None) };
        let series = data.into_iter().map(|(labels, points)| {
            let shown = points.into_iter().filter(|(_, v)| !model::is_stale_nan(*v));
            let values: Vec<Value> = shown.map(|(t, v)| json!([t as f64 / 1_000.0, v.to_string()])).collect();
            json!({"metric": labels.into_iter().collect::<BTreeMap<_, _>>(), "values": values})
        });
        let data = json!({"resultType": "matrix", "result": series.collect::<Vec<_>>()});
        let warnings: Vec<&str> = marked.then_some("an ingester is away").into_iter().collect();
        Ok(Some(json!({"status": "success", "data": data, "warnings": warnings})))
    };
    match answer() {
        Ok(Some(body)) => body.to_string().into_response(),
        Ok(None) => (StatusCode::SERVICE_UNAVAILABLE, "{}").into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}
