//! Calls to the coordinator group.

use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use futures::Stream;
use ring::{ClusterSnapshot, InstanceId, InstanceState, Role};

use crate::error::RpcError;

/// What an instance says about itself when it registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Its name.
    pub id: InstanceId,
    /// Its role.
    pub role: Role,
    /// `host:port` of its gRPC listener.
    pub address: String,
    /// Its zone.
    pub zone: String,
    /// Its first state.
    pub state: InstanceState,
    /// It has nothing of what it may have held before.
    pub empty: bool,
}

/// The right to be a member for a while. Lives in the leader's memory; renewals are not logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The member's epoch; renewals and state changes with another one are refused ([`crate::RpcErrorKind::Fenced`]).
    pub epoch: u64,
    /// How long the lease lasts without renewal. Renew at a third of it.
    pub ttl: Duration,
}

/// Snapshots of the cluster, first the current one, then each newer one (some may be skipped, none goes back). Ends when the connection does.
pub type SnapshotStream = Pin<Box<dyn Stream<Item = Result<ClusterSnapshot, RpcError>> + Send>>;

/// The coordinator group; calls find the leader by themselves.
#[async_trait]
pub trait CoordinatorClient: Send + Sync + 'static {
    /// Joins, or joins again under a new epoch.
    async fn register(&self, registration: Registration) -> Result<Lease, RpcError>;

    /// Renews a lease. [`crate::RpcErrorKind::Fenced`] tells the holder to register again.
    async fn renew(&self, role: Role, id: &InstanceId, epoch: u64) -> Result<(), RpcError>;

    /// Changes the instance's state.
    async fn set_state(&self, role: Role, id: &InstanceId, epoch: u64, state: InstanceState) -> Result<(), RpcError>;

    /// Leaves for good: the instance is forgotten.
    async fn deregister(&self, role: Role, id: &InstanceId, epoch: u64) -> Result<(), RpcError>;

    /// Follows the cluster.
    async fn watch(&self) -> Result<SnapshotStream, RpcError>;
}
