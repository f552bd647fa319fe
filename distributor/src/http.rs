//! The remote-write door: decode, push, answer.

mod body;
mod reply;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use limits::{Limits, LimitsProvider};
use model::{PushReport, TenantId, WriteBatch};
use rpc::CallContext;
use runtime::clock::SharedClock;
use runtime::failpoint::{self, Failpoint};
use runtime::{Deadline, Tasks};

use crate::config::Config;
use crate::decode::snappy::{claimed_len, decompress};
use crate::decode::{BufferPool, Decoded, KnownSeries, Protocol, Rules, decode, negotiate};
use crate::error::RequestError;
use crate::ha::Ha;
use crate::inflight::{InflightBytes, InflightGuard};
use crate::metrics::{GaugeGuard, Metrics};
use crate::push::Distributor;
use crate::rate_limit::{RateLimiter, Refusal};
use crate::refusals::{Counts, Refusals};

/// Bodies that decompress to more than this are decoded on the blocking pool: some milliseconds of work, during which a thread that
/// serves connections would serve nobody.
const OFFLOAD_BYTES: usize = 2 << 20;

/// All that the door needs.
pub(crate) struct Receiver {
    pub(crate) ha: Ha,
    pub(crate) config: Config,
    pub(crate) distributor: Distributor,
    pub(crate) limits: LimitsProvider,
    pub(crate) rates: Arc<RateLimiter>,
    pub(crate) known: KnownSeries,
    pub(crate) buffers: Arc<BufferPool>,
    pub(crate) inflight: Arc<InflightBytes>,
    pub(crate) metrics: Metrics,
    pub(crate) clock: SharedClock,
    pub(crate) tasks: Tasks,
}

/// The routes.
pub(crate) fn router(receiver: Arc<Receiver>) -> Router {
    Router::new().route("/api/v1/push", post(push)).route("/api/v1/write", post(push)).with_state(receiver)
}

async fn push(State(receiver): State<Arc<Receiver>>, request: Request) -> Response {
    let started = receiver.clock.monotonic();
    let running = GaugeGuard::new(&receiver.metrics.inflight_requests);
    let protocol = negotiate(request.headers());
    let outcome = match &protocol {
        Ok(protocol) => receiver.receive(*protocol, request).await,
        Err(e) => Err(e.clone()),
    };
    drop(running);
    let metrics = &receiver.metrics;
    metrics.inflight_bytes.set(i64::try_from(receiver.inflight.used()).unwrap_or(i64::MAX));
    metrics.request_duration.observe(receiver.clock.monotonic().saturating_sub(started).as_secs_f64());
    match (protocol, outcome) {
        (Ok(protocol), Ok(Taken { received, refusals, deduped })) => {
            metrics.written(received, &refusals, deduped);
            reply::written(protocol, received, &refusals, deduped)
        }
        (protocol, Err(error)) => {
            metrics.requests_failed.inc();
            tracing::debug!(%error, "write request refused");
            reply::failed(protocol.ok(), &error)
        }
        (Err(error), Ok(_)) => reply::failed(None, &error),
    }
}

/// What became of a request.
struct Taken {
    /// What was in it.
    received: Counts,
    refusals: Refusals,
    /// What was dropped, because an equal sender is written.
    deduped: Counts,
}

impl Receiver {
    /// Takes one request.
    async fn receive(self: &Arc<Self>, protocol: Protocol, request: Request) -> Result<Taken, RequestError> {
        let (head, body) = request.into_parts();
        let tenant = head.extensions.get::<TenantId>().cloned().ok_or(RequestError::NoTenant)?;
        let promised = head.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
        let limits = self.limits.of(&tenant);
        // Who has used up everything costs neither memory nor work.
        self.take_samples(&tenant, &limits, 0)?;
        let mut inflight = self.inflight.guard();
        let compressed = body::read(body, promised, self.config.max_request_bytes_compressed, &mut inflight).await?;
        self.metrics.received_bytes.inc_by(compressed.len() as u64);
        failpoint::hit(Failpoint::RwDecode).await?;
        let decoded = self.decode(protocol, &tenant, compressed, inflight).await?;
        let Decoded { batch, mut refusals, received, known_series, new_series, inflight } = decoded;
        self.metrics.known_series.inc_by(known_series);
        if new_series > 0 {
            self.metrics.new_series.inc_by(new_series);
            self.known.make_room();
        }
        let (batch, deduped) = match limits.accept_ha_samples {
            true => self.ha.dedupe(&tenant, &limits, batch, &mut refusals).await,
            false => (batch, Counts::default()),
        };
        let good = received.minus(refusals.total()).minus(deduped);
        self.take_samples(&tenant, &limits, good.samples + good.histograms + good.exemplars + batch.metadata.len() as u64)?;
        let batch = Arc::new(batch);
        // The push timeout is applied by the distributor; this one only has to be later.
        let deadline = Deadline::after(&*self.clock, self.config.push_timeout() + Duration::from_secs(1));
        let report = self.distributor.push(&CallContext { tenant, deadline }, &batch).await?;
        failpoint::hit(Failpoint::RwAck).await?;
        tell_report(report, &batch, &mut refusals);
        drop(inflight);
        Ok(Taken { received, refusals, deduped })
    }

    /// Takes samples from what the tenant may write now.
    fn take_samples(&self, tenant: &TenantId, limits: &Limits, samples: u64) -> Result<(), RequestError> {
        self.rates.take(tenant, limits, samples, self.clock.monotonic()).map_err(|refusal| {
            self.metrics.rate_limited(samples);
            match refusal {
                Refusal::Wait(wait) => RequestError::RateLimited { samples, rate: limits.ingestion_rate, wait },
                Refusal::Never => RequestError::MoreThanBurst { samples, burst: limits.ingestion_burst_size },
            }
        })
    }

    async fn decode(
        self: &Arc<Self>,
        protocol: Protocol,
        tenant: &TenantId,
        compressed: Bytes,
        inflight: InflightGuard,
    ) -> Result<Decoded, RequestError> {
        if claimed_len(&compressed, self.config.max_request_bytes)? <= OFFLOAD_BYTES {
            return self.decode_here(protocol, tenant, &compressed, inflight);
        }
        let (receiver, tenant) = (Arc::clone(self), tenant.clone());
        let work = move || receiver.decode_here(protocol, &tenant, &compressed, inflight);
        // An error means a panic, which the panic hook has logged.
        self.tasks.spawn_blocking(work).await.unwrap_or(Err(RequestError::Decoder))
    }

    fn decode_here(
        &self,
        protocol: Protocol,
        tenant: &TenantId,
        compressed: &[u8],
        inflight: InflightGuard,
    ) -> Result<Decoded, RequestError> {
        let limits = self.limits.of(tenant);
        let body = decompress(compressed, self.config.max_request_bytes, &self.buffers, inflight)?;
        self.metrics.decompressed_bytes.inc_by(body.len() as u64);
        let key = self.known.key(tenant, &limits);
        let rules = Rules { limits, known: self.known.table(), key, max_batch_bytes: self.config.max_batch_bytes };
        decode(protocol, &body, &rules, self.inflight.guard())
    }
}

/// Adds what the ingesters refused to what the decoder refused.
fn tell_report(report: PushReport, batch: &WriteBatch, refusals: &mut Refusals) {
    for entry in report.rejected {
        let counts =
            Counts { samples: u64::from(entry.samples), histograms: u64::from(entry.histograms), exemplars: u64::from(entry.exemplars) };
        let labels = batch.series.get(entry.series as usize).map(|series| batch.labels(series));
        refusals.add(entry.reason, counts, entry.detail, || labels.map_or_else(String::new, |block| format!("{block:?}")));
    }
}

#[cfg(test)]
mod tests;
