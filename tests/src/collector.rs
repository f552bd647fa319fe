//! A collector of spans: OTLP over gRPC, as little of it as the tests read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_prost::ProstCodec;

use crate::process::eventually;

/// How long spans may take to arrive: exporters send every five seconds.
const ARRIVES_WITHIN: Duration = Duration::from_secs(20);

/// The messages of `opentelemetry/proto/{collector/trace,trace,resource,common}/v1`, without the fields that no test reads.
mod wire {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct ExportRequest {
        #[prost(message, repeated, tag = "1")]
        pub(super) resource_spans: Vec<ResourceSpans>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct ExportResponse {}

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct ResourceSpans {
        #[prost(message, optional, tag = "1")]
        pub(super) resource: Option<Resource>,
        #[prost(message, repeated, tag = "2")]
        pub(super) scope_spans: Vec<ScopeSpans>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Resource {
        #[prost(message, repeated, tag = "1")]
        pub(super) attributes: Vec<KeyValue>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct ScopeSpans {
        #[prost(message, repeated, tag = "2")]
        pub(super) spans: Vec<Span>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Span {
        #[prost(bytes = "vec", tag = "1")]
        pub(super) trace_id: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        pub(super) span_id: Vec<u8>,
        #[prost(bytes = "vec", tag = "4")]
        pub(super) parent_span_id: Vec<u8>,
        #[prost(string, tag = "5")]
        pub(super) name: String,
        #[prost(message, repeated, tag = "9")]
        pub(super) attributes: Vec<KeyValue>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct KeyValue {
        #[prost(string, tag = "1")]
        pub(super) key: String,
        #[prost(message, optional, tag = "2")]
        pub(super) value: Option<AnyValue>,
    }

    /// A `oneof` in the original; on the wire that is a field that is there and others that are not.
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct AnyValue {
        #[prost(string, optional, tag = "1")]
        pub(super) text: Option<String>,
        #[prost(int64, optional, tag = "3")]
        pub(super) int: Option<i64>,
    }
}

/// A span that was exported. Ids are in hexadecimal.
#[derive(Debug, Clone)]
pub struct Span {
    /// `service.instance.id` of the process that made it.
    pub instance: String,
    /// The trace.
    pub trace_id: String,
    /// Its own id.
    pub span_id: String,
    /// Its parent's; empty for a root.
    pub parent_span_id: String,
    /// Its name.
    pub name: String,
    /// Attributes that are text or integers.
    pub attributes: BTreeMap<String, String>,
}

/// Takes spans until it is dropped.
pub struct Collector {
    address: String,
    spans: Arc<Mutex<Vec<Span>>>,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Collector {
    /// Listens on loopback.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listen for spans")?;
        let address = format!("127.0.0.1:{}", listener.local_addr()?.port());
        let spans = Arc::default();
        let service = Export { spans: Arc::clone(&spans) };
        let server = tokio::spawn(Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener)));
        Ok(Self { address, spans, server })
    }

    /// What to configure as the endpoint.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that has come so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().clone()
    }

    /// The spans of a trace, as soon as `enough` of them are there.
    pub async fn trace(&self, trace_id: &str, enough: impl Fn(&[Span]) -> bool) -> anyhow::Result<Vec<Span>> {
        let of_trace = || self.spans().into_iter().filter(|s| s.trace_id == trace_id).collect::<Vec<_>>();
        let there = eventually("the spans of the trace", ARRIVES_WITHIN, || async { enough(&of_trace()) }).await;
        there.with_context(|| format!("trace {trace_id} has {:#?}", of_trace()))?;
        Ok(of_trace())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The service as tonic's generated code would have it.
#[derive(Clone)]
struct Export {
    spans: Arc<Mutex<Vec<Span>>>,
}

impl NamedService for Export {
    const NAME: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
}

impl Service<http::Request<Body>> for Export {
    type Response = http::Response<Body>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let spans = Arc::clone(&self.spans);
        let export = tower::service_fn(move |request: tonic::Request<wire::ExportRequest>| {
            spans.lock().extend(request.into_inner().resource_spans.into_iter().flat_map(of_resource));
            std::future::ready(Ok(tonic::Response::new(wire::ExportResponse {})))
        });
        Box::pin(async move {
            let known = request.uri().path() == format!("/{}/Export", Self::NAME);
            Ok(match known {
                true => Grpc::new(ProstCodec::default()).unary(export, request).await,
                false => tonic::Status::unimplemented("only Export is").into_http(),
            })
        })
    }
}

fn of_resource(of_one: wire::ResourceSpans) -> Vec<Span> {
    let resource = attributes(of_one.resource.unwrap_or_default().attributes);
    let instance = resource.get("service.instance.id").cloned().unwrap_or_default();
    let spans = of_one.scope_spans.into_iter().flat_map(|scope| scope.spans);
    let span = |span: wire::Span| Span {
        instance: instance.clone(),
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent_span_id: hex(&span.parent_span_id),
        name: span.name,
        attributes: attributes(span.attributes),
    };
    spans.map(span).collect()
}

fn attributes(pairs: Vec<wire::KeyValue>) -> BTreeMap<String, String> {
    let value = |value: wire::AnyValue| value.text.or_else(|| value.int.map(|i| i.to_string()));
    pairs.into_iter().filter_map(|pair| Some((pair.key, value(pair.value?)?))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
