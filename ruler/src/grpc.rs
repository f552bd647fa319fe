//! The gRPC service: decode, call, encode.

use proto::ruler as wire;
use proto::ruler::ruler_server::{Ruler as WireService, RulerServer};
use rpc::ruler_grpc::{MAX_ANSWER_BYTES, MAX_REQUEST_BYTES, answer_to_wire, request_from_wire};
use rpc::{CallContext, ClusterIdentity, RpcError, RulerClient};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use crate::service::Handle;

/// The ruler on the wire.
#[derive(Clone)]
pub struct RulerService {
    handle: Handle,
    cluster: ClusterIdentity,
}

/// The service for a tonic server. Calls from other clusters than `cluster` are refused.
#[must_use]
pub fn server(handle: Handle, cluster: ClusterIdentity) -> RulerServer<RulerService> {
    RulerServer::new(RulerService { handle, cluster })
        .max_decoding_message_size(MAX_REQUEST_BYTES)
        .max_encoding_message_size(MAX_ANSWER_BYTES)
}

impl RulerService {
    fn context(&self, metadata: &MetadataMap) -> Result<CallContext, RpcError> {
        rpc::metadata::tenant_context(metadata, &*self.handle.cluster.clock, &self.cluster)
    }
}

#[tonic::async_trait]
impl WireService for RulerService {
    async fn rules(&self, request: Request<wire::RulesRequest>) -> Result<Response<wire::RulesResponse>, Status> {
        let span = rpc::metadata::server_span("ruler.rules", request.metadata());
        let ctx = self.context(request.metadata())?;
        let groups = self.handle.rules(&ctx, request_from_wire(request.into_inner())?).instrument(span).await?;
        Ok(Response::new(answer_to_wire(groups)))
    }

    async fn sync(&self, request: Request<wire::SyncRequest>) -> Result<Response<wire::SyncResponse>, Status> {
        let span = rpc::metadata::server_span("ruler.sync", request.metadata());
        let ctx = self.context(request.metadata())?;
        self.handle.sync(&ctx).instrument(span).await?;
        Ok(Response::new(wire::SyncResponse {}))
    }
}
