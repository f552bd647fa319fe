//! [`CoordinatorClient`] over gRPC.
//!
//! A call starts at the member that answered last, follows the leader's address where a member names it, and otherwise goes round the
//! addresses, until one answers, the answer is final, or [`CALL_TIMEOUT`] has passed.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use parking_lot::Mutex;
use proto::convert::coordinator as convert;
use proto::coordinator as wire;
use proto::coordinator::coordinator_client::CoordinatorClient as WireClient;
use proto::coordinator::operator_client::OperatorClient;
use ring::{InstanceId, InstanceState, Role};
use runtime::Deadline;
use runtime::clock::SharedClock;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::channels::Channels;
use crate::coordinator::{CoordinatorClient, Lease, Registration, SnapshotStream};
use crate::error::{RpcError, RpcErrorKind};
use crate::metadata::{ClusterIdentity, request};
use crate::operator_grpc::MEMBER_CHANGE_TIMEOUT;

/// Metadata key with which a member that is not the leader names the leader's address.
pub const LEADER_KEY: &str = "x-plimsoll-leader";

/// How long a call goes on looking for the leader: longer than an election.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one member may take to answer.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);

/// The pause after each failed attempt.
const PAUSE: Duration = Duration::from_millis(100);

/// The largest answer: a snapshot of the whole cluster, some hundred bytes per instance.
pub(crate) const MAX_ANSWER_BYTES: usize = 16 << 20;

/// How long a call may take.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Patience {
    /// [`CALL_TIMEOUT`] in all, [`ATTEMPT_TIMEOUT`] each.
    Usual,
    /// A learner catches up, or another leader is elected.
    MemberChange,
}

impl Patience {
    fn in_all(self) -> Duration {
        match self {
            Self::Usual => CALL_TIMEOUT,
            Self::MemberChange => MEMBER_CHANGE_TIMEOUT,
        }
    }

    fn of_one(self) -> Duration {
        match self {
            Self::Usual => ATTEMPT_TIMEOUT,
            Self::MemberChange => MEMBER_CHANGE_TIMEOUT,
        }
    }
}

/// The coordinator group behind a list of addresses.
#[derive(Clone)]
pub struct GrpcCoordinatorClient {
    addresses: Arc<[String]>,
    channels: Channels,
    clock: SharedClock,
    cluster: ClusterIdentity,
    /// Where the next call starts; may be an address that is not in the list.
    favourite: Arc<Mutex<String>>,
}

impl GrpcCoordinatorClient {
    /// A client of the members at these addresses (`host:port`). None at all makes every call fail.
    #[must_use]
    pub fn new(addresses: Vec<String>, channels: Channels, clock: SharedClock, cluster: ClusterIdentity) -> Self {
        let favourite = addresses.first().cloned().unwrap_or_default();
        Self { addresses: addresses.into(), channels, clock, cluster, favourite: Arc::new(Mutex::new(favourite)) }
    }

    /// Calls until there is an answer. All calls of the service may be repeated: a second registration just takes another epoch.
    pub(crate) async fn call<M, A, F>(&self, message: M, method: impl Fn(WireClient<Channel>, Request<M>) -> F) -> Result<A, RpcError>
    where
        M: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        self.seek(Patience::Usual, message, |channel, request| {
            method(WireClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES), request)
        })
        .await
    }

    /// The same, of the service for operators.
    pub(crate) async fn operate<M, A, F>(
        &self,
        patience: Patience,
        message: M,
        method: impl Fn(OperatorClient<Channel>, Request<M>) -> F,
    ) -> Result<A, RpcError>
    where
        M: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        self.seek(patience, message, |channel, request| {
            method(OperatorClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES), request)
        })
        .await
    }

    async fn seek<M, A, F>(&self, patience: Patience, message: M, method: impl Fn(Channel, Request<M>) -> F) -> Result<A, RpcError>
    where
        M: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let deadline = Deadline::after(&*self.clock, patience.in_all());
        let mut address = self.favourite.lock().clone();
        loop {
            let failure =
                match self.attempt(&address, message.clone(), deadline.remaining(&*self.clock).min(patience.of_one()), &method).await {
                    Ok(answer) => {
                        *self.favourite.lock() = address;
                        return Ok(answer);
                    }
                    Err(failure) => failure,
                };
            let error = RpcError::from(failure.clone());
            // A timeout or a broken connection says nothing about the others.
            let final_answer = !error.is_retriable_elsewhere() || error.kind == RpcErrorKind::Fenced;
            if final_answer || deadline.remaining(&*self.clock) <= PAUSE {
                return Err(RpcError::new(error.kind, format!("coordinator {address}: {}", error.message)));
            }
            let leader = failure.metadata().get(LEADER_KEY).and_then(|value| value.to_str().ok());
            address = match leader.filter(|leader| *leader != address) {
                Some(leader) => leader.to_owned(),
                None => {
                    tokio::time::sleep(PAUSE).await;
                    self.after(&address)
                }
            };
        }
    }

    async fn attempt<M, A, F>(
        &self,
        address: &str,
        message: M,
        time_left: Duration,
        method: impl Fn(Channel, Request<M>) -> F,
    ) -> Result<A, Status>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let channel = self.channels.get(address)?;
        let request = request(message, time_left, &self.cluster)?;
        match tokio::time::timeout(time_left, method(channel, request)).await {
            Ok(answer) => answer.map(Response::into_inner),
            Err(_) => Err(Status::deadline_exceeded(format!("no answer within {time_left:?}"))),
        }
    }

    /// The address that comes after this one in the list; the first one after a leader that is not in the list.
    fn after(&self, address: &str) -> String {
        let place = self.addresses.iter().position(|a| a == address).map_or(0, |place| place + 1);
        self.addresses.get(place).or_else(|| self.addresses.first()).cloned().unwrap_or_default()
    }

    async fn open_watch(&self) -> Result<tonic::Streaming<wire::WatchResponse>, RpcError> {
        // A timeout in the request would end the stream; `attempt` bounds the wait for its beginning, and pings find a dead peer.
        self.call(wire::WatchRequest {}, |mut client, mut request| async move {
            request.metadata_mut().remove("grpc-timeout");
            client.watch(request).await
        })
        .await
    }
}

impl std::fmt::Debug for GrpcCoordinatorClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GrpcCoordinatorClient").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

#[async_trait]
impl CoordinatorClient for GrpcCoordinatorClient {
    async fn register(&self, registration: Registration) -> Result<Lease, RpcError> {
        let message = wire::RegisterRequest {
            id: registration.id.as_str().to_owned(),
            role: registration.role.as_str().to_owned(),
            address: registration.address,
            zone: registration.zone,
            state: registration.state.as_str().to_owned(),
            version: runtime::build_info::VERSION.to_owned(),
            empty: registration.empty,
        };
        let answer = self.call(message, |mut client, request| async move { client.register(request).await }).await?;
        if !self.cluster.learn(&answer.cluster_id) {
            return Err(RpcError::new(
                RpcErrorKind::Fenced,
                format!("the coordinator belongs to another cluster, {:?}", answer.cluster_id),
            ));
        }
        Ok(Lease { epoch: answer.epoch, ttl: Duration::from_millis(answer.lease_ms) })
    }

    async fn renew(&self, role: Role, id: &InstanceId, epoch: u64) -> Result<(), RpcError> {
        let message = wire::RenewRequest { role: role.as_str().to_owned(), id: id.as_str().to_owned(), epoch };
        self.call(message, |mut client, request| async move { client.renew(request).await }).await.map(|_| ())
    }

    async fn set_state(&self, role: Role, id: &InstanceId, epoch: u64, state: InstanceState) -> Result<(), RpcError> {
        let message =
            wire::SetStateRequest { role: role.as_str().to_owned(), id: id.as_str().to_owned(), epoch, state: state.as_str().to_owned() };
        self.call(message, |mut client, request| async move { client.set_state(request).await }).await.map(|_| ())
    }

    async fn deregister(&self, role: Role, id: &InstanceId, epoch: u64) -> Result<(), RpcError> {
        let message = wire::DeregisterRequest { role: role.as_str().to_owned(), id: id.as_str().to_owned(), epoch };
        self.call(message, |mut client, request| async move { client.deregister(request).await }).await.map(|_| ())
    }

    async fn watch(&self) -> Result<SnapshotStream, RpcError> {
        let stream = self.open_watch().await?;
        Ok(stream
            .map(|message| {
                let message = message.map_err(RpcError::from)?;
                convert::snapshot_from_wire(message).map_err(|e| RpcError::internal(e.to_string()))
            })
            .boxed())
    }
}
