//! Settings of the coordinator role, and the constants that are none.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The section `coordinator` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long a member may be silent before it is UNHEALTHY (an ingester) or forgotten (any other role), in seconds; 1 to 300,
    /// default 10. Members renew at a third of it. Short: a pause of a few seconds moves writes away from an ingester and back. Long: readers
    /// and writers find out about a dead ingester from failed calls only.
    pub lease_ttl_seconds: u64,
    /// How long an ingester must have been UNHEALTHY, and all ingesters of all other zones well meanwhile, before it is forgotten by itself, in seconds; and then only if
    /// there are as many zones as replicas, three at least, and would be without it. 14,400 (four hours), by when what it held with others has been shipped to the object
    /// store by those; 0 is never; at most 31,536,000. Short (minutes): a pod that takes longer to come back finds its place given away, and until the others
    /// have shipped, samples that it held have a copy less. One that left after `/ingester/prepare-shutdown` is forgotten at once, whatever this says.
    pub auto_forget_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { lease_ttl_seconds: 10, auto_forget_seconds: 4 * 3_600 }
    }
}

impl Config {
    /// Checks the bounds.
    pub fn validate(&self) -> Result<(), Error> {
        if !(1..=300).contains(&self.lease_ttl_seconds) {
            return Err(Error::Config(format!("coordinator.lease_ttl_seconds is {}, not between 1 and 300", self.lease_ttl_seconds)));
        }
        if self.auto_forget_seconds > 31_536_000 {
            return Err(Error::Config(format!("coordinator.auto_forget_seconds is {}, more than 31536000", self.auto_forget_seconds)));
        }
        Ok(())
    }

    pub(crate) fn auto_forget(&self) -> Duration {
        Duration::from_secs(self.auto_forget_seconds)
    }

    pub(crate) fn lease_ttl(&self) -> Duration {
        Duration::from_secs(self.lease_ttl_seconds)
    }
}

/// How long a proposal may take to be committed by a quorum and applied: an election and some.
pub const PROPOSE_TIMEOUT: Duration = Duration::from_secs(4);

/// A snapshot is taken after so many log entries, and as many entries are kept behind it, so that a member that was away for a moment
/// gets entries and not a snapshot. Transitions are rare; a thousand of them are a few hundred kilobytes.
const ENTRIES_PER_SNAPSHOT: u64 = 1_000;

/// Bytes of a snapshot per message. As JSON array of numbers it takes four times as much and must stay below gRPC's 4 MiB.
const SNAPSHOT_CHUNK_BYTES: u64 = 256 << 10;

/// Entries per AppendEntries message: one is mostly below 2 KiB, and below 400 KiB if it changes as many small values as it may, each byte escaped.
const ENTRIES_PER_MESSAGE: u64 = 16;

/// Followers hear from the leader every 150 ms. After a second of silence they may vote again, and half a second to a second later the
/// first one asks for votes: a failover takes less than three seconds.
#[must_use]
pub fn raft_config() -> openraft::Config {
    openraft::Config {
        cluster_name: "plimsoll".to_owned(),
        heartbeat_interval: 150,
        election_timeout_min: 500,
        election_timeout_max: 1_000,
        install_snapshot_timeout: 5_000,
        max_payload_entries: ENTRIES_PER_MESSAGE,
        snapshot_policy: openraft::SnapshotPolicy::LogsSinceLast(ENTRIES_PER_SNAPSHOT),
        max_in_snapshot_log_to_keep: ENTRIES_PER_SNAPSHOT,
        replication_lag_threshold: 4 * ENTRIES_PER_SNAPSHOT,
        purge_batch_size: 64,
        snapshot_max_chunk_size: SNAPSHOT_CHUNK_BYTES,
        ..openraft::Config::default()
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, raft_config};

    #[test]
    fn bounds_are_checked() {
        assert!(Config::default().validate().is_ok());
        assert!(
            Config { lease_ttl_seconds: 0, ..Config::default() }
                .validate()
                .unwrap_err()
                .to_string()
                .contains("coordinator.lease_ttl_seconds")
        );
        assert!(
            Config { auto_forget_seconds: u64::MAX, ..Config::default() }
                .validate()
                .unwrap_err()
                .to_string()
                .contains("auto_forget_seconds")
        );
        assert!(raft_config().validate().is_ok());
    }
}
