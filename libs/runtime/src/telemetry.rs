//! Logs and spans.
//!
//! Logs go to standard error, through the filter of the settings. Spans go to a collector, if one is configured, whatever the log filter
//! says: a quiet log must not cut traces in two. Without a collector there is no OpenTelemetry layer and no propagator, so nothing is made,
//! read from headers or written into them. Which traces are sampled is the caller's decision (the flag in `traceparent`); those that begin
//! here are all exported.

use std::io::IsTerminal;
use std::time::Duration;

use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

mod export;
mod panics;

/// How long the end of the process waits for the last spans, for example with a collector that takes connections but does not answer.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// One line of text per event.
    Text,
    /// One JSON object per event.
    Json,
}

/// What telemetry a process makes.
#[derive(Debug, Clone)]
pub struct TelemetryOptions {
    /// A filter such as `info` or `info,ingester=debug`.
    pub filter: String,
    /// The format.
    pub format: LogFormat,
    /// OTLP gRPC endpoint, for example `http://127.0.0.1:4317`; `None` exports nothing.
    pub otlp_endpoint: Option<String>,
    /// `service.instance.id` of exported spans.
    pub instance: String,
}

/// Why telemetry could not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not valid.
    #[error("log.filter {filter:?} is not valid: {source}")]
    Filter {
        /// The filter.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The OTLP exporter could not be made.
    #[error("otlp.endpoint {endpoint:?} cannot be used: {source}")]
    Exporter {
        /// The endpoint.
        endpoint: String,
        /// What is wrong with it.
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// A subscriber was set before.
    #[error("telemetry was started twice in one process")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Keeps the exporter alive; flush it before the process ends.
#[derive(Debug)]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Starts logging to standard error (panics included) and, if an endpoint is given, exporting spans. Needs a tokio runtime for the latter.
    pub fn start(options: &TelemetryOptions) -> Result<Self, TelemetryError> {
        let filter =
            EnvFilter::try_new(&options.filter).map_err(|source| TelemetryError::Filter { filter: options.filter.clone(), source })?;
        let provider = options.otlp_endpoint.as_deref().map(|endpoint| export::start(endpoint, &options.instance)).transpose()?;
        let spans = provider.as_ref().map(|provider| {
            opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
            // Where in the source and on which thread says little, and is most of a span's bytes.
            let layer = tracing_opentelemetry::layer().with_location(false).with_threads(false).with_target(false);
            layer.with_tracer(provider.tracer("plimsoll")).with_filter(exported())
        });
        let json = match options.format {
            LogFormat::Auto => !std::io::stderr().is_terminal(),
            LogFormat::Text => false,
            LogFormat::Json => true,
        };
        let logs = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let logs = if json { logs.json().flatten_event(true).boxed() } else { logs.compact().boxed() };
        tracing_subscriber::registry().with(spans).with(logs.with_filter(filter)).try_init()?;
        panics::log_them();
        Ok(Self { provider })
    }

    /// Sends what is still queued. Blocks, at most three seconds; not to be called on the only thread of a runtime.
    pub fn flush(self) {
        if let Some(provider) = self.provider
            && let Err(error) = provider.shutdown_with_timeout(FLUSH_TIMEOUT)
        {
            tracing::warn!(%error, "the last spans were not exported");
        }
    }
}

/// Spans of requests are at level info. Below are those of the transport, the exporter's own among them: to export these would never end.
fn exported() -> Targets {
    Targets::new().with_default(LevelFilter::INFO).with_target("openraft", LevelFilter::WARN)
}

/// Puts the status of the answer into the exported span; only this server's failures make the span an error. Not a field of the span, because
/// the log would format all its fields anew.
pub fn tell_http_status(span: &tracing::Span, status: u16) {
    span.set_attribute("http.response.status_code", i64::from(status));
    if status >= 500 {
        span.set_status(opentelemetry::trace::Status::error(""));
    }
}

/// Writes the current span's context into outgoing headers (`traceparent`, W3C Trace Context).
pub fn inject_context(carrier: &mut dyn Injector) {
    let context = tracing::Span::current().context();
    opentelemetry::global::get_text_map_propagator(|propagator| propagator.inject_context(&context, carrier));
}

/// Makes `span` a child of the context in incoming headers, if there is one.
pub fn adopt_context(span: &tracing::Span, carrier: &dyn Extractor) {
    let parent = opentelemetry::global::get_text_map_propagator(|propagator| propagator.extract(carrier));
    // Fails only without an OpenTelemetry layer: nobody exports, so there is nothing to link.
    let _ = span.set_parent(parent);
}
