//! All instances at one version.

use serde::{Deserialize, Serialize};

use crate::instance::{Instance, Role};

/// What the coordinator knows about the cluster at one version. Roles work on with the last one that they saw.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterSnapshot {
    /// Made once, when the Raft group is formed; two clusters never merge.
    pub cluster_id: String,
    /// Grows with every change; a watcher never goes back.
    pub version: u64,
    /// All instances, ordered by role and id.
    pub instances: Vec<Instance>,
}

impl ClusterSnapshot {
    /// The instances of a role.
    pub fn of_role(&self, role: Role) -> impl Iterator<Item = &Instance> {
        self.instances.iter().filter(move |instance| instance.role == role)
    }
}
