//! Logs and spans.

use std::io::IsTerminal;

use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

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
    /// Starts logging to standard error and, if an endpoint is given, exporting spans. Needs a tokio runtime for the latter.
    pub fn start(options: &TelemetryOptions) -> Result<Self, TelemetryError> {
        let filter =
            || EnvFilter::try_new(&options.filter).map_err(|source| TelemetryError::Filter { filter: options.filter.clone(), source });
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        let provider = options.otlp_endpoint.as_deref().map(|endpoint| exporter(endpoint, &options.instance)).transpose()?;
        let spans = match &provider {
            Some(provider) => Some(tracing_opentelemetry::layer().with_tracer(provider.tracer("plimsoll")).with_filter(filter()?)),
            None => None,
        };
        let json = match options.format {
            LogFormat::Auto => !std::io::stderr().is_terminal(),
            LogFormat::Text => false,
            LogFormat::Json => true,
        };
        let logs = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let logs = if json { logs.json().flatten_event(true).boxed() } else { logs.compact().boxed() };
        tracing_subscriber::registry().with(spans).with(logs.with_filter(filter()?)).try_init()?;
        Ok(Self { provider })
    }

    /// Sends what is still queued. Blocks for at most the exporter's timeout.
    pub fn flush(self) {
        if let Some(provider) = self.provider {
            // Nothing is left to report a failure to: the process ends.
            let _ = provider.shutdown();
        }
    }
}

fn exporter(endpoint: &str, instance: &str) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .map_err(|source| TelemetryError::Exporter { endpoint: endpoint.to_owned(), source })?;
    let resource = opentelemetry_sdk::Resource::builder()
        .with_service_name("plimsoll")
        .with_attribute(opentelemetry::KeyValue::new("service.instance.id", instance.to_owned()))
        .with_attribute(opentelemetry::KeyValue::new("service.version", crate::build_info::VERSION))
        .build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
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
