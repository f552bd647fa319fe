//! Who is in the cluster, and which ingesters hold which series. Pure: no I/O, no clock.
//!
//! - [`instance`]: one process in one role: identity, address, zone, state, epoch.
//! - [`domain`]: what is lost at once: a zone, or an instance without one.
//! - [`snapshot`]: all instances at one version, as the coordinator hands it out.
//! - [`token`]: the places of an instance on the ring; a function of its id. `spread`: those of numbered instances, evenly.
//! - [`ring`]: from a key's token to its replicas, by one binary search. `topology` and `replication` compute the sets when members change.
//! - [`shard`]: the few instances that hold one tenant's series, and their ring.
//! - [`quorum`]: whom to write to and when that is acknowledged; when a read is complete.
//!
//! Invariants: replicas of a key are in distinct failure domains; a join brings only the joined instance into
//! replica sets; whoever was in a tenant's shard is among those who are asked for it; what a write quorum acknowledged, every complete read has asked for.
//!
//! Never here: health learned from calls, retries, connections.

mod balance;
pub mod domain;
pub mod instance;
pub mod quorum;
mod replication;
pub mod ring;
pub mod shard;
pub mod snapshot;
mod spread;
pub mod token;
mod topology;

pub use domain::{Domain, UNZONED};
pub use instance::{Instance, InstanceId, InstanceState, Role};
pub use quorum::{Reach, ReadQuorum, Verdict, WritePlan, WriteQuorum, WriteTarget, tolerated_failures, write_quorum};
pub use ring::{InstanceIndex, ReplicaSet, Ring};
pub use shard::ShardCache;
pub use snapshot::ClusterSnapshot;
