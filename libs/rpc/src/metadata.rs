//! What every gRPC call carries beside its message, out of and into gRPC metadata.
//!
//! | key | what |
//! |---|---|
//! | `x-scope-orgid` | the tenant, on calls that have one |
//! | `grpc-timeout` | the time left until the caller's deadline; clocks of two machines are never compared |
//! | `traceparent` | the caller's span (W3C Trace Context) |
//! | `x-plimsoll-cluster` | the caller's cluster; a callee of another cluster refuses with [`RpcErrorKind::Fenced`], and with tenants' data one that says none, too |

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use model::TenantId;
use opentelemetry::propagation::{Extractor, Injector};
use runtime::{Clock, Deadline};
use tonic::Request;
use tonic::metadata::{AsciiMetadataValue, KeyRef, MetadataKey, MetadataMap};

use crate::context::CallContext;
use crate::error::{RpcError, RpcErrorKind};

/// Metadata key of the tenant.
pub const TENANT_KEY: &str = "x-scope-orgid";
/// Metadata key of the cluster's id.
pub const CLUSTER_KEY: &str = "x-plimsoll-cluster";
/// Metadata key of the time left, as gRPC defines it.
const TIMEOUT_KEY: &str = "grpc-timeout";
/// The deadline of calls that came without one. Our own callers always set one; this bounds the work for others.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// Longer timeouts are cut to this.
const MAX_TIMEOUT: Duration = Duration::from_secs(600);
/// The longest time that gRPC's eight digits of milliseconds can say is 27 hours; we stop far before.
const MAX_TIMEOUT_DIGITS: usize = 8;

/// The id of the cluster that this process belongs to, as soon as it is known. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct ClusterIdentity(Arc<OnceLock<Box<str>>>);

impl ClusterIdentity {
    /// Not known yet: calls go out without it and are taken from anybody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Learns the id, normally from the first snapshot of the coordinator. An empty id is none. The first one stays: a process never changes
    /// its cluster; `false` says that it was told of another one.
    pub fn learn(&self, id: &str) -> bool {
        id.is_empty() || **self.0.get_or_init(|| id.into()) == *id
    }

    /// The id, if it is known.
    #[must_use]
    pub fn get(&self) -> Option<&str> {
        self.0.get().map(|id| &**id)
    }

    /// Whether a caller may talk to us: it may if either side does not know its cluster yet.
    fn check(&self, metadata: &MetadataMap) -> Result<(), RpcError> {
        let (Some(ours), Some(theirs)) = (self.get(), metadata.get(CLUSTER_KEY)) else { return Ok(()) };
        if theirs.as_bytes() == ours.as_bytes() {
            return Ok(());
        }
        Err(RpcError::new(RpcErrorKind::Fenced, format!("the call is for cluster {theirs:?}, this process belongs to {ours:?}")))
    }
}

/// A request for a tenant with all that goes with it. Fails if the deadline has passed.
pub fn tenant_request<T>(message: T, ctx: &CallContext, clock: &dyn Clock, cluster: &ClusterIdentity) -> Result<Request<T>, RpcError> {
    let mut request = request(message, ctx.deadline.remaining(clock), cluster)?;
    // A tenant's characters are all legal in a header.
    if let Ok(value) = AsciiMetadataValue::try_from(ctx.tenant.as_str()) {
        request.metadata_mut().insert(TENANT_KEY, value);
    }
    Ok(request)
}

/// A request without a tenant (calls between processes about the cluster itself). Fails if no time is left.
pub fn request<T>(message: T, time_left: Duration, cluster: &ClusterIdentity) -> Result<Request<T>, RpcError> {
    if time_left.is_zero() {
        return Err(RpcError::new(RpcErrorKind::DeadlineExceeded, "the deadline passed before the call was made"));
    }
    let mut request = Request::new(message);
    request.set_timeout(time_left.min(MAX_TIMEOUT));
    let metadata = request.metadata_mut();
    if let Some(value) = cluster.get().and_then(|id| AsciiMetadataValue::try_from(id).ok()) {
        metadata.insert(CLUSTER_KEY, value);
    }
    runtime::telemetry::inject_context(&mut Outgoing(metadata));
    Ok(request)
}

/// The context of a call that must name a tenant; refuses callers of another cluster, and those that name none as soon as our own is known: whoever found us did so through
/// the coordinator, and knows it.
pub fn tenant_context(metadata: &MetadataMap, clock: &dyn Clock, cluster: &ClusterIdentity) -> Result<CallContext, RpcError> {
    let deadline = deadline(metadata, clock, cluster)?;
    if let (Some(ours), None) = (cluster.get(), metadata.get(CLUSTER_KEY)) {
        return Err(RpcError::new(
            RpcErrorKind::Fenced,
            format!("the call names no cluster ({CLUSTER_KEY}), this process belongs to {ours:?}"),
        ));
    }
    let invalid = |message: String| RpcError::new(RpcErrorKind::InvalidRequest, message);
    let name = metadata.get(TENANT_KEY).ok_or_else(|| invalid(format!("the call has no {TENANT_KEY}")))?;
    let name = name.to_str().map_err(|_| invalid(format!("{TENANT_KEY} is not ASCII")))?;
    let tenant = TenantId::new(name).map_err(|e| invalid(format!("{TENANT_KEY}: {e}")))?;
    Ok(CallContext { tenant, deadline })
}

/// The deadline of a call without a tenant; refuses callers of another cluster.
pub fn deadline(metadata: &MetadataMap, clock: &dyn Clock, cluster: &ClusterIdentity) -> Result<Deadline, RpcError> {
    cluster.check(metadata)?;
    let timeout = match metadata.get(TIMEOUT_KEY) {
        None => DEFAULT_TIMEOUT,
        Some(value) => parse_timeout(value.as_bytes())
            .ok_or_else(|| RpcError::new(RpcErrorKind::InvalidRequest, format!("{TIMEOUT_KEY} {value:?} is not a gRPC timeout")))?,
    };
    Ok(Deadline::after(clock, timeout.min(MAX_TIMEOUT)))
}

/// The span of a call taken, a child of the caller's. `method` is the name of the RPC.
#[must_use]
pub fn server_span(method: &'static str, metadata: &MetadataMap) -> tracing::Span {
    let tenant = metadata.get(TENANT_KEY).and_then(|value| value.to_str().ok());
    let span = tracing::info_span!("rpc", otel.name = method, otel.kind = "server", tenant);
    runtime::telemetry::adopt_context(&span, &Incoming(metadata));
    span
}

/// A number of at most eight digits and a unit.
fn parse_timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > MAX_TIMEOUT_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let n: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    match unit {
        b'H' => Some(Duration::from_secs(n * 3_600)),
        b'M' => Some(Duration::from_secs(n * 60)),
        b'S' => Some(Duration::from_secs(n)),
        b'm' => Some(Duration::from_millis(n)),
        b'u' => Some(Duration::from_micros(n)),
        b'n' => Some(Duration::from_nanos(n)),
        _ => None,
    }
}

struct Outgoing<'a>(&'a mut MetadataMap);

impl Injector for Outgoing<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(key), Ok(value)) = (MetadataKey::from_bytes(key.as_bytes()), AsciiMetadataValue::try_from(value)) {
            self.0.insert(key, value);
        }
    }
}

struct Incoming<'a>(&'a MetadataMap);

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0
            .keys()
            .filter_map(|key| match key {
                KeyRef::Ascii(key) => Some(key.as_str()),
                KeyRef::Binary(_) => None,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
