//! A span and a measurement for every request.

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::Response;
use opentelemetry::propagation::Extractor;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use runtime::clock::SharedClock;
use tracing::Instrument;

/// Labels of a finished request. Routes are those of the router, so they are few.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    method: &'static str,
    status: u16,
}

/// Measurements of the HTTP listener.
#[derive(Clone)]
pub struct HttpMetrics {
    duration: Family<RequestLabels, Histogram, fn() -> Histogram>,
    inflight: Gauge,
    clock: SharedClock,
}

fn buckets() -> Histogram {
    Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0])
}

impl HttpMetrics {
    /// Registers everything as `plimsoll_http_…`.
    pub fn register(registry: &mut Registry, clock: SharedClock) -> Self {
        let registry = registry.sub_registry_with_prefix("plimsoll_http");
        let metrics = Self { duration: Family::new_with_constructor(buckets), inflight: Gauge::default(), clock };
        registry.register("request_duration_seconds", "Time from request to answer by route, method and status", metrics.duration.clone());
        registry.register("inflight_requests", "Requests being answered", metrics.inflight.clone());
        metrics
    }
}

/// Decrements on drop, so that a request whose client goes away is not counted for ever.
struct Inflight(Gauge);

impl Drop for Inflight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

pub(super) async fn record(State(metrics): State<HttpMetrics>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let method = known_method(request.method().as_str());
    let span = tracing::info_span!("http", otel.name = %format_args!("{method} {route}"), otel.kind = "server", route, method);
    runtime::telemetry::adopt_context(&span, &Headers(request.headers()));
    metrics.inflight.inc();
    let _inflight = Inflight(metrics.inflight.clone());
    let started = metrics.clock.monotonic();
    let response = next.run(request).instrument(span.clone()).await;
    runtime::telemetry::tell_http_status(&span, response.status().as_u16());
    let labels = RequestLabels { route, method, status: response.status().as_u16() };
    metrics.duration.get_or_create(&labels).observe((metrics.clock.monotonic() - started).as_secs_f64());
    response
}

/// Methods are a client's to invent; label values are not.
fn known_method(method: &str) -> &'static str {
    ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"].into_iter().find(|m| *m == method).unwrap_or("other")
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|v| v.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}
