//! [`CoordinatorOperator`] and [`KeyStore`] over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use proto::convert::InvalidMessage;
use proto::convert::coordinator as convert;
use proto::coordinator as wire;
use proto::coordinator::operator_client::OperatorClient;
use proto::coordinator::swapped::Outcome;
use ring::{InstanceId, Role};

use crate::channels::Channels;
use crate::coordinator_grpc::{GrpcCoordinatorClient, MAX_ANSWER_BYTES, Patience};
use crate::error::RpcError;
use crate::keys::{KeyEntry, KeyStore, KeysStream, KeysUpdate, Swap, Swapped};
use crate::metadata::{ClusterIdentity, request};
use crate::operator::{CoordinatorOperator, GroupMember, GroupStatus, InstanceInfo};

/// How long a change of the group may take: a learner has to catch up first.
pub const MEMBER_CHANGE_TIMEOUT: Duration = Duration::from_secs(60);

/// Asks one member how it stands.
pub async fn group_status(
    address: &str,
    channels: &Channels,
    cluster: &ClusterIdentity,
    timeout: Duration,
) -> Result<GroupStatus, RpcError> {
    let mut client = OperatorClient::new(channels.get(address)?).max_decoding_message_size(MAX_ANSWER_BYTES);
    let answer = tokio::time::timeout(timeout, client.status(request(wire::StatusRequest {}, timeout, cluster)?)).await;
    let answer = answer.map_err(|_| RpcError::unavailable(format!("{address} did not answer within {timeout:?}")))??;
    Ok(status_from_wire(answer.into_inner()))
}

/// Asks one member to have itself elected.
pub async fn elect(address: &str, channels: &Channels, cluster: &ClusterIdentity, timeout: Duration) -> Result<(), RpcError> {
    let mut client = OperatorClient::new(channels.get(address)?);
    client.elect(request(wire::ElectRequest {}, timeout, cluster)?).await?;
    Ok(())
}

/// Of a status.
#[must_use]
pub fn status_to_wire(status: GroupStatus) -> wire::StatusResponse {
    let GroupStatus { node, address, cluster_id, state, leader, term, last_log, applied, members, met, version } = status;
    let member = |GroupMember { node, address, voter, matched }| wire::Member { node, address, voter, matched };
    let members = members.into_iter().map(member).collect();
    let leader = leader.unwrap_or_default();
    wire::StatusResponse { node, address, cluster_id, state, leader, term, last_log, applied, members, met, version }
}

fn status_from_wire(message: wire::StatusResponse) -> GroupStatus {
    let wire::StatusResponse { node, address, cluster_id, state, leader, term, last_log, applied, members, met, version } = message;
    let member = |wire::Member { node, address, voter, matched }| GroupMember { node, address, voter, matched };
    let members = members.into_iter().map(member).collect();
    let leader = Some(leader).filter(|leader| !leader.is_empty());
    GroupStatus { node, address, cluster_id, state, leader, term, last_log, applied, members, met, version }
}

fn broken(error: InvalidMessage) -> RpcError {
    RpcError::internal(error.to_string())
}

fn info_from_wire(message: wire::InstanceInfo) -> Result<InstanceInfo, InvalidMessage> {
    let wire::InstanceInfo { role, id, epoch, silence_ms, version, read_only } = message;
    Ok(InstanceInfo { role: convert::role_from_wire(&role)?, id: convert::id_from_wire(&id)?, epoch, silence_ms, version, read_only })
}

/// Of a change.
#[must_use]
pub fn swap_to_wire(swap: Swap) -> wire::Swap {
    wire::Swap { key: swap.key, expected: swap.expected, value: swap.value }
}

/// To a change.
#[must_use]
pub fn swap_from_wire(message: wire::Swap) -> Swap {
    Swap { key: message.key, expected: message.expected, value: message.value }
}

/// Of an outcome.
#[must_use]
pub fn swapped_to_wire(swapped: Swapped) -> wire::Swapped {
    let (outcome, version, value) = match swapped {
        Swapped::Done { version } => (Outcome::Done, version, None),
        Swapped::Conflict { current } => (Outcome::Conflict, current.version, current.value),
        Swapped::Full => (Outcome::Full, 0, None),
    };
    wire::Swapped { outcome: outcome.into(), version, value }
}

fn swapped_from_wire(message: wire::Swapped) -> Result<Swapped, RpcError> {
    match message.outcome() {
        Outcome::Done => Ok(Swapped::Done { version: message.version }),
        Outcome::Conflict => Ok(Swapped::Conflict { current: KeyEntry { version: message.version, value: message.value } }),
        Outcome::Full => Ok(Swapped::Full),
        Outcome::Unspecified => Err(RpcError::internal("the coordinator gave an unknown outcome")),
    }
}

/// Of an update.
#[must_use]
pub fn keys_to_wire(update: KeysUpdate) -> wire::KeysUpdate {
    let entry = |(key, entry): (String, KeyEntry)| wire::KeyEntry { key, version: entry.version, value: entry.value };
    wire::KeysUpdate { reset: update.reset, version: update.version, entries: update.entries.into_iter().map(entry).collect() }
}

fn keys_from_wire(message: wire::KeysUpdate) -> KeysUpdate {
    let entry = |entry: wire::KeyEntry| (entry.key, KeyEntry { version: entry.version, value: entry.value });
    KeysUpdate { reset: message.reset, version: message.version, entries: message.entries.into_iter().map(entry).collect() }
}

#[async_trait]
impl KeyStore for GrpcCoordinatorClient {
    async fn swap(&self, swaps: Vec<Swap>) -> Result<Vec<Swapped>, RpcError> {
        let message = wire::SwapRequest { swaps: swaps.into_iter().map(swap_to_wire).collect() };
        let answer = self.call(message, |mut client, request| async move { client.swap(request).await }).await?;
        answer.swapped.into_iter().map(swapped_from_wire).collect()
    }

    async fn watch_keys(&self, prefix: &str) -> Result<KeysStream, RpcError> {
        let message = wire::WatchKeysRequest { prefix: prefix.to_owned() };
        let stream = self
            .call(message, |mut client, mut request| async move {
                // A timeout in the request would end the stream.
                request.metadata_mut().remove("grpc-timeout");
                client.watch_keys(request).await
            })
            .await?;
        Ok(stream.map(|message| Ok(keys_from_wire(message?))).boxed())
    }
}

#[async_trait]
impl CoordinatorOperator for GrpcCoordinatorClient {
    async fn instances(&self) -> Result<Vec<InstanceInfo>, RpcError> {
        let answer =
            self.operate(Patience::Usual, wire::InstancesRequest {}, |mut c, request| async move { c.instances(request).await }).await?;
        answer.instances.into_iter().map(|info| info_from_wire(info).map_err(broken)).collect()
    }

    async fn forget(&self, role: Role, id: &InstanceId, force: bool) -> Result<(), RpcError> {
        let message = wire::ForgetRequest { role: role.as_str().to_owned(), id: id.as_str().to_owned(), force };
        self.operate(Patience::Usual, message, |mut c, request| async move { c.forget(request).await }).await.map(|_| ())
    }

    async fn order(&self, role: Role, id: &InstanceId, read_only: bool) -> Result<(), RpcError> {
        let message = wire::OrderRequest { role: role.as_str().to_owned(), id: id.as_str().to_owned(), read_only };
        self.operate(Patience::Usual, message, |mut c, request| async move { c.order(request).await }).await.map(|_| ())
    }

    async fn add_member(&self, address: &str) -> Result<(), RpcError> {
        let message = wire::MemberRequest { address: address.to_owned(), force: false };
        self.operate(Patience::MemberChange, message, |mut c, request| async move { c.add_member(request).await }).await.map(|_| ())
    }

    async fn remove_member(&self, address: &str, force: bool) -> Result<(), RpcError> {
        let message = wire::MemberRequest { address: address.to_owned(), force };
        self.operate(Patience::MemberChange, message, |mut c, request| async move { c.remove_member(request).await }).await.map(|_| ())
    }

    async fn transfer(&self, address: &str) -> Result<(), RpcError> {
        let message = wire::MemberRequest { address: address.to_owned(), force: false };
        self.operate(Patience::MemberChange, message, |mut c, request| async move { c.transfer(request).await }).await.map(|_| ())
    }
}
