//! Who is in the cluster, and which ingesters hold which series. Pure: no I/O, no clock.
//!
//! - [`instance`]: one process in one role: identity, address, zone, state, epoch.
//! - [`snapshot`]: all instances at one version, as the coordinator hands it out.

pub mod instance;
pub mod snapshot;

pub use instance::{Instance, InstanceId, InstanceState, Role};
pub use snapshot::ClusterSnapshot;
