//! [`RulerClient`] over gRPC.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use proto::ruler as wire;
use proto::ruler::ruler_client::RulerClient as WireClient;
use ring::Instance;
use runtime::clock::SharedClock;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::channels::Channels;
use crate::context::CallContext;
use crate::error::{RpcError, RpcErrorKind};
use crate::metadata::{ClusterIdentity, tenant_request};
use crate::ruler::{RulerClient, RulerPool, RulesGroup, RulesPart, RulesRequest};

/// The largest request: the parameters of an HTTP request.
pub const MAX_REQUEST_BYTES: usize = 1 << 20;

/// The largest answer: all groups of a tenant at one ruler, about a kilobyte per rule.
pub const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Hands out gRPC clients. Cheap to clone; clones share the connections.
#[derive(Clone)]
pub struct GrpcRulerPool {
    channels: Channels,
    clock: SharedClock,
    cluster: ClusterIdentity,
}

impl GrpcRulerPool {
    /// A pool over these connections.
    #[must_use]
    pub fn new(channels: Channels, clock: SharedClock, cluster: ClusterIdentity) -> Self {
        Self { channels, clock, cluster }
    }
}

impl RulerPool for GrpcRulerPool {
    fn client(&self, instance: &Instance) -> Arc<dyn RulerClient> {
        Arc::new(GrpcRulerClient { pool: self.clone(), id: instance.id.to_string(), address: instance.address.clone() })
    }
}

struct GrpcRulerClient {
    pool: GrpcRulerPool,
    id: String,
    address: String,
}

impl GrpcRulerClient {
    async fn call<M, A, F>(
        &self,
        ctx: &CallContext,
        message: M,
        method: impl FnOnce(WireClient<Channel>, Request<M>) -> F,
    ) -> Result<A, RpcError>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let pool = &self.pool;
        let client = WireClient::new(pool.channels.get(&self.address)?)
            .max_encoding_message_size(MAX_REQUEST_BYTES)
            .max_decoding_message_size(MAX_ANSWER_BYTES);
        let request = tenant_request(message, ctx, &*pool.clock, &pool.cluster)?;
        match tokio::time::timeout(ctx.deadline.remaining(&*pool.clock), method(client, request)).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => {
                let RpcError { kind, message } = RpcError::from(status);
                Err(RpcError::new(kind, format!("ruler {} ({}): {message}", self.id, self.address)))
            }
            Err(_) => {
                let message = format!("ruler {} ({}): no answer before the deadline", self.id, self.address);
                Err(RpcError::new(RpcErrorKind::DeadlineExceeded, message))
            }
        }
    }
}

#[async_trait]
impl RulerClient for GrpcRulerClient {
    async fn rules(&self, ctx: &CallContext, request: RulesRequest) -> Result<Vec<RulesGroup>, RpcError> {
        let message = request_to_wire(request);
        let answer = self.call(ctx, message, |mut client, request| async move { client.rules(request).await }).await?;
        let group = |g: wire::Group| RulesGroup { file: g.file, name: g.name, evaluated_at_ms: g.evaluated_at_ms, json: g.json };
        Ok(answer.groups.into_iter().map(group).collect())
    }

    async fn sync(&self, ctx: &CallContext) -> Result<(), RpcError> {
        self.call(ctx, wire::SyncRequest {}, |mut client, request| async move { client.sync(request).await }).await.map(|_| ())
    }
}

fn request_to_wire(request: RulesRequest) -> wire::RulesRequest {
    let part = match request.part {
        RulesPart::Rules => wire::Part::Rules,
        RulesPart::Alerts => wire::Part::Alerts,
    };
    let parameter = |(name, value)| wire::Parameter { name, value };
    wire::RulesRequest { part: part.into(), parameters: request.parameters.into_iter().map(parameter).collect() }
}

/// A request as it came; refuses a part that this version does not know.
pub fn request_from_wire(message: wire::RulesRequest) -> Result<RulesRequest, RpcError> {
    let part = match wire::Part::try_from(message.part) {
        Ok(wire::Part::Rules) => RulesPart::Rules,
        Ok(wire::Part::Alerts) => RulesPart::Alerts,
        Err(_) => return Err(RpcError::new(RpcErrorKind::InvalidRequest, format!("part {} is not known", message.part))),
    };
    Ok(RulesRequest { part, parameters: message.parameters.into_iter().map(|p| (p.name, p.value)).collect() })
}

/// An answer as it goes out.
#[must_use]
pub fn answer_to_wire(groups: Vec<RulesGroup>) -> wire::RulesResponse {
    let group = |g: RulesGroup| wire::Group { file: g.file, name: g.name, evaluated_at_ms: g.evaluated_at_ms, json: g.json };
    wire::RulesResponse { groups: groups.into_iter().map(group).collect() }
}
