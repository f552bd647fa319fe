//! The gRPC service: decode, call, encode.

use std::pin::Pin;

use futures::{Stream, StreamExt};
use model::Labels;
use proto::convert::InvalidMessage;
use proto::convert::ingester as convert;
use proto::ingester as wire;
use proto::ingester::ingester_server::{Ingester as WireService, IngesterServer};
use rpc::ingester_grpc::{MAX_ANSWER_MESSAGE_BYTES, MAX_REQUEST_MESSAGE_BYTES, messages};
use rpc::{CallContext, ClusterIdentity, IngesterClient, PushSlice, RpcError, RpcErrorKind};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use crate::service::Ingester;

/// A message of label sets ends when it has this many bytes.
const SERIES_MESSAGE_BYTES: usize = 1 << 20;

/// The ingester on the wire.
#[derive(Debug, Clone)]
pub struct IngesterService {
    ingester: Ingester,
    cluster: ClusterIdentity,
}

/// The service for a tonic server. Calls from other clusters than `cluster` are refused.
#[must_use]
pub fn server(ingester: Ingester, cluster: ClusterIdentity) -> IngesterServer<IngesterService> {
    bounded(service(ingester, cluster))
}

pub(crate) fn service(ingester: Ingester, cluster: ClusterIdentity) -> IngesterService {
    IngesterService { ingester, cluster }
}

pub(crate) fn bounded<S: WireService>(service: S) -> IngesterServer<S> {
    IngesterServer::new(service).max_decoding_message_size(MAX_REQUEST_MESSAGE_BYTES).max_encoding_message_size(MAX_ANSWER_MESSAGE_BYTES)
}

type AnswerStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl IngesterService {
    fn context(&self, metadata: &MetadataMap) -> Result<CallContext, RpcError> {
        rpc::metadata::tenant_context(metadata, &*self.ingester.shared.clock, &self.cluster)
    }

    /// Takes a request apart and runs `call` on it in a span that is a child of the caller's.
    async fn serve<M, A, F>(
        &self,
        method: &'static str,
        request: Request<M>,
        call: impl FnOnce(CallContext, M) -> F,
    ) -> Result<Response<A>, Status>
    where
        F: Future<Output = Result<A, RpcError>>,
    {
        let span = rpc::metadata::server_span(method, request.metadata());
        let ctx = self.context(request.metadata())?;
        let answer = call(ctx, request.into_inner()).instrument(span).await?;
        Ok(Response::new(answer))
    }
}

fn invalid(error: InvalidMessage) -> RpcError {
    RpcError::new(RpcErrorKind::InvalidRequest, error.to_string())
}

#[tonic::async_trait]
impl WireService for IngesterService {
    async fn push(&self, request: Request<wire::PushRequest>) -> Result<Response<wire::PushResponse>, Status> {
        let call = |ctx: CallContext, message| async move {
            let batch = convert::push_from_wire(message).map_err(invalid)?;
            let slice = PushSlice { batch: batch.into(), series: None, metadata: true };
            self.ingester.push(&ctx, slice).await.map(convert::report_to_wire)
        };
        self.serve("ingester.push", request, call).await
    }

    type SelectStream = AnswerStream<wire::SelectResponse>;

    async fn select(&self, request: Request<wire::SelectRequest>) -> Result<Response<Self::SelectStream>, Status> {
        let call = |ctx: CallContext, message: wire::SelectRequest| async move {
            let request = messages::select_from_wire(&message).map_err(invalid)?;
            let some_labels = request.projection.labels.is_some();
            let batches = self.ingester.select(&ctx, request).await?;
            let answer: Self::SelectStream = Box::pin(batches.map(move |batch| {
                let series = batch?.into_iter().map(|series| convert::chunks_to_wire(series, some_labels)).collect();
                Ok(wire::SelectResponse { series })
            }));
            Ok(answer)
        };
        self.serve("ingester.select", request, call).await
    }

    type SeriesStream = AnswerStream<wire::SeriesResponse>;

    async fn series(&self, request: Request<wire::SeriesRequest>) -> Result<Response<Self::SeriesStream>, Status> {
        let call = |ctx: CallContext, message: wire::SeriesRequest| async move {
            let request = messages::series_from_wire(&message).map_err(invalid)?;
            let series = self.ingester.series(&ctx, request).await?;
            let answer: Self::SeriesStream = Box::pin(futures::stream::iter(SeriesMessages(series.into_iter()).map(Ok)));
            Ok(answer)
        };
        self.serve("ingester.series", request, call).await
    }

    async fn label_names(&self, request: Request<wire::SeriesRequest>) -> Result<Response<wire::StringsResponse>, Status> {
        let call = |ctx: CallContext, message: wire::SeriesRequest| async move {
            let request = messages::series_from_wire(&message).map_err(invalid)?;
            Ok(wire::StringsResponse { values: self.ingester.label_names(&ctx, request).await? })
        };
        self.serve("ingester.label_names", request, call).await
    }

    async fn label_values(&self, request: Request<wire::LabelValuesRequest>) -> Result<Response<wire::StringsResponse>, Status> {
        let call = |ctx: CallContext, message| async move {
            let request = messages::label_values_from_wire(message).map_err(invalid)?;
            Ok(wire::StringsResponse { values: self.ingester.label_values(&ctx, request).await? })
        };
        self.serve("ingester.label_values", request, call).await
    }

    async fn metadata(&self, request: Request<wire::MetadataRequest>) -> Result<Response<wire::MetadataResponse>, Status> {
        let call = |ctx: CallContext, message: wire::MetadataRequest| async move {
            let family = (!message.family.is_empty()).then_some(message.family);
            let metadata = IngesterClient::metadata(&self.ingester, &ctx, family).await?;
            Ok(wire::MetadataResponse { metadata: metadata.into_iter().map(convert::metadata_to_wire).collect() })
        };
        self.serve("ingester.metadata", request, call).await
    }

    async fn exemplars(&self, request: Request<wire::SeriesRequest>) -> Result<Response<wire::ExemplarsResponse>, Status> {
        let call = |ctx: CallContext, message: wire::SeriesRequest| async move {
            let request = messages::series_from_wire(&message).map_err(invalid)?;
            Ok(messages::exemplars_to_wire(&self.ingester.exemplars(&ctx, request).await?))
        };
        self.serve("ingester.exemplars", request, call).await
    }

    async fn cardinality(&self, request: Request<wire::CardinalityRequest>) -> Result<Response<wire::CardinalityResponse>, Status> {
        let call = |ctx: CallContext, message| async move {
            let request = messages::cardinality_request_from_wire(message).map_err(invalid)?;
            Ok(messages::cardinality_to_wire(self.ingester.cardinality(&ctx, request).await?))
        };
        self.serve("ingester.cardinality", request, call).await
    }

    async fn held_blocks(&self, request: Request<wire::HeldBlocksRequest>) -> Result<Response<wire::HeldBlocksResponse>, Status> {
        let call = |ctx: CallContext, message: wire::HeldBlocksRequest| async move {
            Ok(messages::held_blocks_to_wire(&self.ingester.held_blocks(&ctx, message.min_t, message.max_t).await?))
        };
        self.serve("ingester.held_blocks", request, call).await
    }
}

/// Cuts label sets into messages, each made when it is sent.
struct SeriesMessages(std::vec::IntoIter<Labels>);

impl Iterator for SeriesMessages {
    type Item = wire::SeriesResponse;

    fn next(&mut self) -> Option<Self::Item> {
        let mut message = wire::SeriesResponse::default();
        let mut bytes = 0;
        while bytes < SERIES_MESSAGE_BYTES {
            let Some(labels) = self.0.next() else { break };
            bytes += labels.as_bytes().len();
            message.labels.push(convert::labels_to_wire(&labels));
        }
        (!message.labels.is_empty()).then_some(message)
    }
}
