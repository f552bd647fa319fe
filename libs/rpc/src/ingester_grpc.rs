//! [`IngesterClient`] over gRPC.
//!
//! A call encodes its message, sends it with tenant, time left, trace and cluster ([`crate::metadata`]) over the shared connection of the
//! address ([`Channels`]), and checks whatever comes back: it was made by another process. No call outlives its deadline, streams included.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use async_trait::async_trait;
use futures::StreamExt;
use model::{Labels, Metadata, PushReport};
use proto::convert::ingester as convert;
use proto::ingester as wire;
use proto::ingester::ingester_client::IngesterClient as WireClient;
use ring::Instance;
use runtime::clock::SharedClock;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::channels::Channels;
use crate::context::CallContext;
use crate::error::{RpcError, RpcErrorKind};
use crate::ingester::{
    Cardinality, CardinalityRequest, ExemplarSeries, IngesterClient, IngesterPool, LabelNamesRequest, LabelValuesRequest, PushSlice,
    SelectStream, SeriesRequest, StreamSelectRequest,
};
use crate::metadata::{ClusterIdentity, tenant_request};

pub mod messages;

/// The largest request, in bytes, which a client sends and an ingester takes. A push of this size has some 150,000 series. In memory a
/// decoded message is about as large as on the wire; what a hostile one may become is bounded at some 50 times its size by the wire format.
pub const MAX_REQUEST_MESSAGE_BYTES: usize = 32 << 20;

/// The largest single message, in bytes, that a client takes as (part of) an answer. Streams come in batches of about a mebibyte, but a batch
/// holds at least one series, whatever its size; names, values, metadata and exemplars come in one message.
pub const MAX_ANSWER_MESSAGE_BYTES: usize = 128 << 20;

/// The most bytes of label sets that one [`IngesterClient::series`] collects.
pub const MAX_SERIES_ANSWER_BYTES: usize = 256 << 20;

/// Hands out gRPC clients. Cheap to clone; clones share the connections.
#[derive(Debug, Clone)]
pub struct GrpcIngesterPool {
    shared: Arc<Shared>,
}

struct Shared {
    channels: Channels,
    clock: SharedClock,
    cluster: ClusterIdentity,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("channels", &self.channels).field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl GrpcIngesterPool {
    /// A pool over these connections.
    #[must_use]
    pub fn new(channels: Channels, clock: SharedClock, cluster: ClusterIdentity) -> Self {
        Self { shared: Arc::new(Shared { channels, clock, cluster }) }
    }

    /// The client for `host:port`.
    #[must_use]
    pub fn at(&self, address: &str) -> GrpcIngesterClient {
        GrpcIngesterClient { shared: Arc::clone(&self.shared), address: address.into() }
    }
}

impl IngesterPool for GrpcIngesterPool {
    fn client(&self, instance: &Instance) -> Arc<dyn IngesterClient> {
        Arc::new(self.at(&instance.address))
    }
}

/// The client of the ingester at one address.
#[derive(Debug, Clone)]
pub struct GrpcIngesterClient {
    shared: Arc<Shared>,
    address: Box<str>,
}

impl GrpcIngesterClient {
    /// Makes one call: sends `message` by `method` and waits for the (first part of the) answer, at most until the deadline.
    async fn call<M, A, F>(
        &self,
        ctx: &CallContext,
        message: M,
        method: impl FnOnce(WireClient<Channel>, Request<M>) -> F,
    ) -> Result<A, RpcError>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let channel = self.shared.channels.get(&self.address)?;
        let client = WireClient::new(channel)
            .max_encoding_message_size(MAX_REQUEST_MESSAGE_BYTES)
            .max_decoding_message_size(MAX_ANSWER_MESSAGE_BYTES);
        let request = tenant_request(message, ctx, &*self.shared.clock, &self.shared.cluster)?;
        let answer = tokio::time::timeout(ctx.deadline.remaining(&*self.shared.clock), method(client, request)).await;
        match answer {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(self.error(status)),
            Err(_) => Err(self.too_late()),
        }
    }

    async fn push_message(&self, ctx: &CallContext, message: wire::PushRequest) -> Result<wire::PushResponse, RpcError> {
        self.call(ctx, message, |mut client, request| async move { client.push(request).await }).await
    }

    /// Pushes series with all their labels, and notes whether the next time hashes will do.
    async fn push_with_labels(
        &self,
        ctx: &CallContext,
        slice: &PushSlice,
        indices: Option<&[u32]>,
        takes_hashes: &AtomicBool,
    ) -> Result<PushReport, RpcError> {
        let response = self.push_message(ctx, convert::push_to_wire(&slice.batch, indices, slice.metadata)).await?;
        takes_hashes.store(response.takes_hashes, Relaxed);
        if !response.unknown.is_empty() {
            return Err(self.invalid("it says that it does not know series that came with their labels"));
        }
        convert::report_from_wire(response, indices, slice.batch.series.len()).map_err(|e| self.invalid(e))
    }

    /// The next part of a streamed answer, at most until the deadline; `None` at its end.
    async fn next<A>(&self, ctx: &CallContext, answer: &mut Streaming<A>) -> Option<Result<A, RpcError>> {
        match tokio::time::timeout(ctx.deadline.remaining(&*self.shared.clock), answer.next()).await {
            Ok(next) => next.map(|part| part.map_err(|status| self.error(status))),
            Err(_) => Some(Err(self.too_late())),
        }
    }

    /// An error with the address in it: the caller's log is where people look first.
    fn error(&self, status: Status) -> RpcError {
        let too_large = status.code() == Code::OutOfRange;
        let RpcError { kind, message } = RpcError::from(status);
        // Only tonic's message size checks say OUT_OF_RANGE.
        let kind = if too_large { RpcErrorKind::LimitExceeded } else { kind };
        RpcError::new(kind, format!("ingester {}: {message}", self.address))
    }

    fn too_late(&self) -> RpcError {
        RpcError::new(RpcErrorKind::DeadlineExceeded, format!("ingester {}: no answer before the deadline", self.address))
    }

    fn invalid(&self, problem: impl std::fmt::Display) -> RpcError {
        RpcError::internal(format!("ingester {}: {problem}", self.address))
    }
}

#[async_trait]
impl IngesterClient for GrpcIngesterClient {
    async fn push(&self, ctx: &CallContext, slice: PushSlice) -> Result<PushReport, RpcError> {
        let takes_hashes = self.shared.channels.takes_hashes(&self.address)?;
        if !takes_hashes.load(Relaxed) || !slice.batch.exemplars.is_empty() {
            return self.push_with_labels(ctx, &slice, slice.series.as_deref(), &takes_hashes).await;
        }
        let message = convert::push_by_hash_to_wire(&slice.batch, slice.series.as_deref(), slice.metadata);
        let sent = message.series_hashes.len() / size_of::<model::SeriesHash>();
        let response = match self.push_message(ctx, message).await {
            // An older version has taken the other's place.
            Err(error) if error.kind == RpcErrorKind::InvalidRequest => {
                takes_hashes.store(false, Relaxed);
                return self.push_with_labels(ctx, &slice, slice.series.as_deref(), &takes_hashes).await;
            }
            response => response?,
        };
        let mut report =
            convert::report_from_wire(response, slice.series.as_deref(), slice.batch.series.len()).map_err(|e| self.invalid(e))?;
        let unknown = std::mem::take(&mut report.unknown);
        if unknown.is_empty() {
            return Ok(report);
        }
        // Where most are new, more new ones follow: the next push brings the labels along.
        takes_hashes.store(unknown.len() * 2 < sent, Relaxed);
        let rest = PushSlice { series: Some(unknown.into()), metadata: false, ..slice };
        let rest = self.push_with_labels(ctx, &rest, rest.series.as_deref(), &AtomicBool::new(false)).await?;
        report.rejected.extend(rest.rejected);
        Ok(report)
    }

    async fn select(&self, ctx: &CallContext, request: StreamSelectRequest) -> Result<SelectStream, RpcError> {
        let message = messages::select_to_wire(&request);
        let answer = self.call(ctx, message, |mut client, request| async move { client.select(request).await }).await?;
        // The state is gone after an error: what came before it is void, and nothing comes after it.
        let state = Some((self.clone(), ctx.clone(), answer));
        let stream = futures::stream::unfold(state, |state| async move {
            let (client, ctx, mut answer) = state?;
            let batch = client.next(&ctx, &mut answer).await?.and_then(|part| {
                let series = part.series.into_iter().map(convert::chunks_from_wire);
                series.collect::<Result<Vec<_>, _>>().map_err(|e| client.invalid(e))
            });
            let state = batch.is_ok().then_some((client, ctx, answer));
            Some((batch, state))
        });
        Ok(Box::pin(stream))
    }

    async fn series(&self, ctx: &CallContext, request: SeriesRequest) -> Result<Vec<Labels>, RpcError> {
        let message = messages::series_to_wire(&request);
        let mut answer = self.call(ctx, message, |mut client, request| async move { client.series(request).await }).await?;
        let mut all = Vec::new();
        let mut bytes = 0_usize;
        while let Some(part) = self.next(ctx, &mut answer).await {
            for labels in part?.labels {
                bytes = bytes.saturating_add(labels.len());
                if bytes > MAX_SERIES_ANSWER_BYTES {
                    let message = format!("ingester {}: the series' labels are more than {MAX_SERIES_ANSWER_BYTES} bytes", self.address);
                    return Err(RpcError::new(RpcErrorKind::LimitExceeded, message));
                }
                all.push(convert::labels_from_wire(&labels).map_err(|e| self.invalid(e))?);
            }
        }
        Ok(all)
    }

    async fn label_names(&self, ctx: &CallContext, request: LabelNamesRequest) -> Result<Vec<String>, RpcError> {
        let message = messages::series_to_wire(&request);
        let answer = self.call(ctx, message, |mut client, request| async move { client.label_names(request).await }).await?;
        Ok(answer.values)
    }

    async fn label_values(&self, ctx: &CallContext, request: LabelValuesRequest) -> Result<Vec<String>, RpcError> {
        let message = messages::label_values_to_wire(&request);
        let answer = self.call(ctx, message, |mut client, request| async move { client.label_values(request).await }).await?;
        Ok(answer.values)
    }

    async fn metadata(&self, ctx: &CallContext, family: Option<String>) -> Result<Vec<Metadata>, RpcError> {
        let message = wire::MetadataRequest { family: family.unwrap_or_default() };
        let answer = self.call(ctx, message, |mut client, request| async move { client.metadata(request).await }).await?;
        Ok(answer.metadata.into_iter().map(convert::metadata_from_wire).collect())
    }

    async fn exemplars(&self, ctx: &CallContext, request: SeriesRequest) -> Result<Vec<ExemplarSeries>, RpcError> {
        let message = messages::series_to_wire(&request);
        let answer = self.call(ctx, message, |mut client, request| async move { client.exemplars(request).await }).await?;
        messages::exemplars_from_wire(answer).map_err(|e| self.invalid(e))
    }

    async fn cardinality(&self, ctx: &CallContext, request: CardinalityRequest) -> Result<Cardinality, RpcError> {
        let message = messages::cardinality_request_to_wire(&request);
        let answer = self.call(ctx, message, |mut client, request| async move { client.cardinality(request).await }).await?;
        messages::cardinality_from_wire(answer).map_err(|e| self.invalid(e))
    }

    async fn held_blocks(&self, ctx: &CallContext, min_t: i64, max_t: i64) -> Result<Vec<u128>, RpcError> {
        let message = wire::HeldBlocksRequest { min_t, max_t };
        let answer = self.call(ctx, message, |mut client, request| async move { client.held_blocks(request).await }).await?;
        messages::held_blocks_from_wire(&answer).map_err(|e| self.invalid(e))
    }
}
