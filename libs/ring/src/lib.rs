//! Who is in the cluster, and which ingesters hold which series. Pure: no I/O, no clock.
//!
//! - [`instance`]: one process in one role: identity, address, zone, state, epoch.
//! - [`snapshot`]: all instances at one version, as the coordinator hands it out.
//! - [`token`]: the places of an instance on the ring; a function of its id.
//! - [`ring`]: from a key's token to its replicas, by one binary search. `replication` computes the sets when members change.
//! - [`quorum`]: whom to write to and when that is acknowledged; when a read is complete.
//!
//! Invariants: replicas of a key are distinct instances, in distinct zones if there are enough; a join brings only the joined instance into
//! replica sets; what a write quorum acknowledged, every complete read has asked for.
//!
//! Never here: health learned from calls, retries, connections.

pub mod instance;
pub mod quorum;
mod replication;
pub mod ring;
pub mod snapshot;
pub mod token;

pub use instance::{Instance, InstanceId, InstanceState, Role};
pub use quorum::{ReadQuorum, Verdict, WritePlan, WriteQuorum, WriteTarget, tolerated_failures, write_quorum};
pub use ring::{InstanceIndex, ReplicaSet, Ring};
pub use snapshot::ClusterSnapshot;
