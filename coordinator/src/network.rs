//! Raft between members, over gRPC.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use openraft::error::{InstallSnapshotError, NetworkError, RPCError, RaftError, RemoteError, Unreachable};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{AnyError, BasicNode};
use proto::coordinator::RaftMessage;
use proto::coordinator::raft_client::RaftClient;
use rpc::{Channels, ClusterIdentity, RpcError, RpcErrorKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::raft::Types;

/// How long openraft waits before it tries an unreachable member again. A member that comes back hears of the leader within this.
const BACKOFF: Duration = Duration::from_millis(250);

/// The largest message between members: a chunk of a snapshot or some hundred entries, as JSON.
pub(crate) const MAX_MESSAGE_BYTES: usize = 8 << 20;

type Failure<E = openraft::error::Infallible> = RPCError<u64, BasicNode, RaftError<u64, E>>;

/// Makes connections to members.
pub(crate) struct Network {
    pub(crate) channels: Channels,
    pub(crate) cluster: ClusterIdentity,
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> Peer {
        Peer { target, address: node.addr.clone(), channels: self.channels.clone(), cluster: self.cluster.clone() }
    }
}

/// The connection to one member.
pub(crate) struct Peer {
    target: u64,
    address: String,
    channels: Channels,
    cluster: ClusterIdentity,
}

impl Peer {
    /// Sends a request and takes apart the answer: the remote member's answer, its refusal, or none at all.
    async fn call<Q, A, E, F>(
        &self,
        message: &Q,
        option: &RPCOption,
        method: impl FnOnce(RaftClient<Channel>, Request<RaftMessage>) -> F,
    ) -> Result<A, Failure<E>>
    where
        Q: Serialize,
        A: DeserializeOwned,
        E: std::error::Error + DeserializeOwned,
        F: Future<Output = Result<Response<RaftMessage>, Status>>,
    {
        let payload = serde_json::to_vec(message).map_err(|e| RPCError::Network(NetworkError::new(&e)))?;
        let message = RaftMessage { cluster_id: self.cluster.get().unwrap_or_default().to_owned(), payload, node: self.target };
        let channel = self.channels.get(&self.address).map_err(|e| self.unreachable(&e))?;
        let client = RaftClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES).max_encoding_message_size(MAX_MESSAGE_BYTES);
        let mut request = Request::new(message);
        request.set_timeout(option.hard_ttl());
        let answer = tokio::time::timeout(option.hard_ttl(), method(client, request)).await;
        let answer = answer.map_err(|_| self.unreachable(&"no answer in time"))?.map_err(|status| self.broken(status))?;
        let result: Result<A, RaftError<u64, E>> =
            serde_json::from_slice(&answer.into_inner().payload).map_err(|e| RPCError::Network(NetworkError::new(&e)))?;
        result.map_err(|e| RPCError::RemoteError(RemoteError::new(self.target, e)))
    }

    fn broken<E: std::error::Error>(&self, status: Status) -> Failure<E> {
        let error = RpcError::from(status);
        match error.kind {
            RpcErrorKind::Unavailable | RpcErrorKind::DeadlineExceeded => self.unreachable(&error),
            _ => {
                tracing::warn!(peer = self.address, %error, "a coordinator refused a raft message");
                self.unreachable(&error)
            }
        }
    }

    /// Openraft pauses before it tries an unreachable member again; it does not after other errors.
    fn unreachable<E: std::error::Error>(&self, problem: &dyn Display) -> Failure<E> {
        RPCError::Unreachable(Unreachable::new(&AnyError::error(format!("coordinator {}: {problem}", self.address))))
    }
}

impl RaftNetwork<Types> for Peer {
    async fn append_entries(
        &mut self,
        message: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, Failure> {
        self.call(&message, &option, |mut client, request| async move { client.append_entries(request).await }).await
    }

    async fn install_snapshot(
        &mut self,
        message: InstallSnapshotRequest<Types>,
        option: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, Failure<InstallSnapshotError>> {
        self.call(&message, &option, |mut client, request| async move { client.install_snapshot(request).await }).await
    }

    async fn vote(&mut self, message: VoteRequest<u64>, option: RPCOption) -> Result<VoteResponse<u64>, Failure> {
        self.call(&message, &option, |mut client, request| async move { client.vote(request).await }).await
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(BACKOFF))
    }
}
