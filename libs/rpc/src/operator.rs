//! What people and their tools ask of the coordinator group.

use async_trait::async_trait;
use ring::{InstanceId, Role};
use serde::Serialize;

use crate::error::RpcError;

/// How a member of the group stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupStatus {
    /// Its number.
    pub node: u64,
    /// `host:port` of its gRPC listener.
    pub address: String,
    /// The cluster; empty before it is formed.
    pub cluster_id: String,
    /// `Leader`, `Follower`, `Candidate`, `Learner` or `Shutdown`.
    pub state: String,
    /// The leader's address, if it knows one.
    pub leader: Option<String>,
    /// The Raft term.
    pub term: u64,
    /// The last entry of its log; 0 if there is none.
    pub last_log: u64,
    /// The last entry that it has applied; 0 if there is none.
    pub applied: u64,
    /// All members as it knows them.
    pub members: Vec<GroupMember>,
    /// Numbers of members, former ones among them, that are known to have had a store.
    pub met: Vec<u64>,
    /// Version of its program.
    pub version: String,
}

/// A member as another one sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupMember {
    /// Its number.
    pub node: u64,
    /// Its address.
    pub address: String,
    /// Whether it votes; a learner only listens.
    pub voter: bool,
    /// The last entry that it is known to have. Only the leader knows.
    pub matched: Option<u64>,
}

/// What the leader knows of an instance beside the snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstanceInfo {
    /// Its role.
    pub role: Role,
    /// Its name.
    pub id: InstanceId,
    /// Its epoch.
    pub epoch: u64,
    /// Milliseconds since it was last heard of; `None` if its lease has run out.
    pub silence_ms: Option<u64>,
    /// Version of its program; empty if it did not say.
    pub version: String,
    /// Whether it is READ_ONLY by order of a person.
    pub read_only: bool,
}

/// The group, as operators use it.
#[async_trait]
pub trait CoordinatorOperator: Send + Sync + 'static {
    /// What the leader knows of every instance.
    async fn instances(&self) -> Result<Vec<InstanceInfo>, RpcError>;

    /// Forgets an instance whose lease has run out; refused, without `force`, where samples may be lost by it.
    async fn forget(&self, role: Role, id: &InstanceId, force: bool) -> Result<(), RpcError>;

    /// Makes an instance READ_ONLY, or takes that back; holds over its restarts.
    async fn order(&self, role: Role, id: &InstanceId, read_only: bool) -> Result<(), RpcError>;

    /// Makes the coordinator at this address a learner, and a voter when it has caught up.
    async fn add_member(&self, address: &str) -> Result<(), RpcError>;

    /// Takes a member out of the group; refused, without `force`, where those left that can be reached would be no quorum.
    async fn remove_member(&self, address: &str, force: bool) -> Result<(), RpcError>;

    /// Makes the member at this address the leader.
    async fn transfer(&self, address: &str) -> Result<(), RpcError>;
}
