//! The doors of a member: decode, call, encode.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use proto::convert::InvalidMessage;
use proto::convert::coordinator as convert;
use proto::coordinator as wire;
use proto::coordinator::coordinator_server;
use proto::coordinator::operator_server;
use proto::coordinator::raft_server;
use ring::{InstanceId, Role};
use rpc::coordinator_grpc::LEADER_KEY;
use rpc::metadata::{deadline, server_span};
use rpc::operator_grpc::{keys_to_wire, swap_from_wire, swapped_to_wire};
use rpc::{Registration, RpcError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use crate::error::Error;
use crate::handle::{Handle, Settled};
use crate::network::MAX_MESSAGE_BYTES;

mod operator;

/// The largest request of a member: a few names, or as many small values as one command may change.
const MAX_REQUEST_BYTES: usize = 256 << 10;

/// The service `Coordinator`.
pub type CoordinatorServer = coordinator_server::CoordinatorServer<Door>;
/// The service `Raft`.
pub type RaftServer = raft_server::RaftServer<Door>;
/// The service `Operator`.
pub type OperatorServer = operator_server::OperatorServer<Door>;

/// The services of one member.
pub(crate) fn services(handle: &Handle) -> (CoordinatorServer, RaftServer, OperatorServer) {
    let door = Arc::new(Door { handle: handle.clone() });
    (
        CoordinatorServer::from_arc(Arc::clone(&door)).max_decoding_message_size(MAX_REQUEST_BYTES),
        RaftServer::from_arc(Arc::clone(&door)).max_decoding_message_size(MAX_MESSAGE_BYTES).max_encoding_message_size(MAX_MESSAGE_BYTES),
        OperatorServer::from_arc(door).max_decoding_message_size(MAX_REQUEST_BYTES),
    )
}

/// The longest version of a program, in bytes.
const MAX_VERSION_BYTES: usize = 64;

/// Implements the services.
pub struct Door {
    handle: Handle,
}

impl Door {
    /// Refuses callers of another cluster. The deadline is not needed: proposals have a shorter bound of their own.
    fn check<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let inner = &self.handle.inner;
        deadline(request.metadata(), &*inner.clock, &inner.cluster).map(|_| ()).map_err(Status::from)
    }

    fn answer<T, W>(result: Result<T, Error>, encode: impl FnOnce(T) -> W) -> Result<Response<W>, Status> {
        match result {
            Ok(value) => Ok(Response::new(encode(value))),
            Err(error) => {
                let leader = match &error {
                    Error::NotLeader { leader } => leader.as_deref().and_then(|address| address.parse().ok()),
                    _ => None,
                };
                let mut status = Status::from(RpcError::from(error));
                if let Some(leader) = leader {
                    status.metadata_mut().insert(LEADER_KEY, leader);
                }
                Err(status)
            }
        }
    }

    /// Takes a Raft message apart and puts the answer, be it an error of openraft, into another.
    async fn raft<Q, A, F>(
        &self,
        request: Request<wire::RaftMessage>,
        call: impl FnOnce(Q) -> F,
    ) -> Result<Response<wire::RaftMessage>, Status>
    where
        Q: DeserializeOwned,
        A: Serialize,
        F: Future<Output = A>,
    {
        let wire::RaftMessage { cluster_id: theirs, payload, node } = request.into_inner();
        let ours = self.handle.inner.cluster.get().unwrap_or_default();
        if !ours.is_empty() && !theirs.is_empty() && ours != theirs {
            return Err(Status::failed_precondition(format!("the message is for cluster {theirs}, this coordinator belongs to {ours}")));
        }
        // One that lost its store is somebody else at the same address: openraft takes it badly when a member's log gets shorter.
        let own = self.handle.inner.id;
        if node != own {
            return Err(Status::unavailable(format!("the message is for coordinator {node}, and this is {own}")));
        }
        // Whose store is empty must not vote before it knows whether it has voted before.
        if *self.handle.inner.settled.borrow() != Settled::Yes {
            return Err(Status::unavailable("this coordinator does not know yet whether there is a group"));
        }
        let message = serde_json::from_slice(&payload).map_err(|e| Status::invalid_argument(format!("not a raft message: {e}")))?;
        let answer = serde_json::to_vec(&call(message).await).map_err(|e| Status::internal(e.to_string()))?;
        Ok(Response::new(wire::RaftMessage { cluster_id: ours.to_owned(), payload: answer, node: 0 }))
    }
}

fn invalid(error: InvalidMessage) -> Status {
    Status::invalid_argument(error.to_string())
}

fn member(role: &str, id: &str) -> Result<(Role, InstanceId), Status> {
    Ok((convert::role_from_wire(role).map_err(invalid)?, convert::id_from_wire(id).map_err(invalid)?))
}

#[tonic::async_trait]
impl coordinator_server::Coordinator for Door {
    async fn register(&self, request: Request<wire::RegisterRequest>) -> Result<Response<wire::RegisterResponse>, Status> {
        self.check(&request)?;
        let span = server_span("Coordinator/Register", request.metadata());
        let message = request.into_inner();
        let (role, id) = member(&message.role, &message.id)?;
        let state = convert::state_from_wire(&message.state).map_err(invalid)?;
        let registration = Registration { id, role, address: message.address, zone: message.zone, state, empty: message.empty };
        // Only for people: what is too long, or not printable, is left out.
        let version = Some(message.version).filter(|v| v.len() <= MAX_VERSION_BYTES && v.bytes().all(|b| b.is_ascii_graphic()));
        let result = self.handle.register_version(registration, version.unwrap_or_default()).instrument(span).await;
        Self::answer(result, |lease| wire::RegisterResponse {
            epoch: lease.epoch,
            lease_ms: u64::try_from(lease.ttl.as_millis()).unwrap_or(u64::MAX),
            cluster_id: self.handle.snapshot().cluster_id,
        })
    }

    async fn renew(&self, request: Request<wire::RenewRequest>) -> Result<Response<wire::RenewResponse>, Status> {
        self.check(&request)?;
        let message = request.into_inner();
        let (role, id) = member(&message.role, &message.id)?;
        Self::answer(self.handle.renew(role, &id, message.epoch).await, |()| wire::RenewResponse {})
    }

    async fn set_state(&self, request: Request<wire::SetStateRequest>) -> Result<Response<wire::SetStateResponse>, Status> {
        self.check(&request)?;
        let span = server_span("Coordinator/SetState", request.metadata());
        let message = request.into_inner();
        let (role, id) = member(&message.role, &message.id)?;
        let state = convert::state_from_wire(&message.state).map_err(invalid)?;
        let result = self.handle.set_state(role, &id, message.epoch, state).instrument(span).await;
        Self::answer(result, |()| wire::SetStateResponse {})
    }

    async fn deregister(&self, request: Request<wire::DeregisterRequest>) -> Result<Response<wire::DeregisterResponse>, Status> {
        self.check(&request)?;
        let span = server_span("Coordinator/Deregister", request.metadata());
        let message = request.into_inner();
        let (role, id) = member(&message.role, &message.id)?;
        let result = self.handle.deregister(role, &id, message.epoch).instrument(span).await;
        Self::answer(result, |()| wire::DeregisterResponse {})
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<wire::WatchResponse, Status>> + Send>>;

    async fn watch(&self, request: Request<wire::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        self.check(&request)?;
        let snapshots = self.handle.watch().map(|snapshot| Ok(convert::snapshot_to_wire(&snapshot)));
        Ok(Response::new(snapshots.boxed()))
    }

    async fn swap(&self, request: Request<wire::SwapRequest>) -> Result<Response<wire::SwapResponse>, Status> {
        self.check(&request)?;
        let span = server_span("Coordinator/Swap", request.metadata());
        let swaps = request.into_inner().swaps.into_iter().map(swap_from_wire).collect();
        let result = self.handle.swap(swaps).instrument(span).await;
        Self::answer(result, |swapped| wire::SwapResponse { swapped: swapped.into_iter().map(swapped_to_wire).collect() })
    }

    type WatchKeysStream = Pin<Box<dyn Stream<Item = Result<wire::KeysUpdate, Status>> + Send>>;

    async fn watch_keys(&self, request: Request<wire::WatchKeysRequest>) -> Result<Response<Self::WatchKeysStream>, Status> {
        self.check(&request)?;
        let updates = self.handle.watch_keys(request.into_inner().prefix).map(|update| Ok(keys_to_wire(update)));
        Ok(Response::new(updates.boxed()))
    }
}

#[tonic::async_trait]
impl raft_server::Raft for Door {
    async fn append_entries(&self, request: Request<wire::RaftMessage>) -> Result<Response<wire::RaftMessage>, Status> {
        self.raft(request, |message| self.handle.inner.raft.append_entries(message)).await
    }

    async fn vote(&self, request: Request<wire::RaftMessage>) -> Result<Response<wire::RaftMessage>, Status> {
        self.raft(request, |message| self.handle.inner.raft.vote(message)).await
    }

    async fn install_snapshot(&self, request: Request<wire::RaftMessage>) -> Result<Response<wire::RaftMessage>, Status> {
        self.raft(request, |message| self.handle.inner.raft.install_snapshot(message)).await
    }
}
