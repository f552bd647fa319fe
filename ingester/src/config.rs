//! Settings of the ingester.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tsdb::wal::SyncPolicy;

/// Settings of the ingester. In YAML: `ingester:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The write-ahead log.
    pub wal: WalSettings,
    /// How long blocks stay on the disk, in seconds. 86,400 (a day). A block stays longer until the object store has it for certain. Samples that are older are refused,
    /// unless they are within the tenant's `out_of_order_time_window_ms`. More costs disk (1.5 to 3 bytes per sample); less than two hours would cut into chunks that are being
    /// written, and is refused.
    pub block_retention_seconds: u64,
    /// How often a snapshot of everything in memory is taken, in seconds; also at every orderly end. 900; 10 to 86,400. A start reads the newest snapshot and what was logged
    /// after it. More often: shorter starts after a kill and less log on the disk; each writes the open chunks of all series (about 200 bytes each). Less often: the reverse.
    pub snapshot_interval_seconds: u64,
    /// Bytes of pushes that may be in memory at a time, all tenants together; beyond it pushes are refused with `Unavailable` and the sender
    /// tries again. 256 MiB. Small values refuse bursts; large ones must fit the process's memory.
    pub max_inflight_push_bytes: usize,
    /// Tenants with samples in memory at a time. 100,000; an idle tenant costs about 2 KB, and is forgotten when its samples are.
    pub max_tenants: usize,
    /// After `POST /ingester/prepare-shutdown`: how long after the bucket index was first seen to show everything it is safe to remove the ingester, in seconds. 900; 0 to 86,400.
    /// Every querier must have read that index by then: less than a few times `querier.bucket_index_refresh_seconds`, and queries may lack samples for that long. More only takes longer.
    pub shutdown_settle_seconds: u64,
}

/// The write-ahead log. In YAML: `ingester.wal:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WalSettings {
    /// When a push is answered. `interval` (default): when the log is written; what is written survives the end of the process at once, and a
    /// power cut after at most `sync_interval_ms`. `always`: when it is on the disk; slower by one fsync per group of pushes.
    pub sync: SyncMode,
    /// How often the log is brought to the disk with `sync: interval`, in milliseconds. 1,000; 10 to 60,000.
    pub sync_interval_ms: u64,
    /// Length at which a segment of the log is closed, in bytes. 128 MiB; at least 1 MiB. Space is given back by whole segments.
    pub segment_bytes: u64,
}

/// See [`WalSettings::sync`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SyncMode {
    /// Sync every `sync_interval_ms`.
    #[default]
    Interval,
    /// Sync before each answer.
    Always,
}

/// Two chunk ranges: the one that is being written and the one before.
const MIN_RETENTION_SECONDS: u64 = 2 * 3_600;
/// A hundred years; keeps sums of milliseconds far from overflow.
const MAX_RETENTION_SECONDS: u64 = 100 * 365 * 86_400;

impl Default for Config {
    fn default() -> Self {
        Self {
            wal: WalSettings::default(),
            block_retention_seconds: 24 * 3_600,
            snapshot_interval_seconds: 900,
            max_inflight_push_bytes: 256 << 20,
            max_tenants: 100_000,
            shutdown_settle_seconds: 900,
        }
    }
}

impl Default for WalSettings {
    fn default() -> Self {
        Self { sync: SyncMode::default(), sync_interval_ms: 1_000, segment_bytes: 128 << 20 }
    }
}

impl Config {
    /// Checks what types cannot.
    pub fn validate(&self) -> Result<(), String> {
        if !(MIN_RETENTION_SECONDS..=MAX_RETENTION_SECONDS).contains(&self.block_retention_seconds) {
            return Err(format!("ingester.block_retention_seconds must be {MIN_RETENTION_SECONDS} to {MAX_RETENTION_SECONDS}"));
        }
        if !(10..=86_400).contains(&self.snapshot_interval_seconds) {
            return Err("ingester.snapshot_interval_seconds must be 10 to 86400".to_owned());
        }
        if self.max_inflight_push_bytes < 1 << 20 {
            return Err("ingester.max_inflight_push_bytes must be at least 1048576".to_owned());
        }
        if self.max_tenants == 0 {
            return Err("ingester.max_tenants must be at least 1".to_owned());
        }
        if self.shutdown_settle_seconds > 86_400 {
            return Err("ingester.shutdown_settle_seconds must be at most 86400".to_owned());
        }
        if !(10..=60_000).contains(&self.wal.sync_interval_ms) {
            return Err("ingester.wal.sync_interval_ms must be 10 to 60000".to_owned());
        }
        if self.wal.segment_bytes < 1 << 20 {
            return Err("ingester.wal.segment_bytes must be at least 1048576".to_owned());
        }
        Ok(())
    }

    pub(crate) fn retention_ms(&self) -> i64 {
        i64::try_from(self.block_retention_seconds.min(MAX_RETENTION_SECONDS)).unwrap_or(i64::MAX / 1_000).saturating_mul(1_000)
    }

    pub(crate) fn shutdown_settle_ms(&self) -> i64 {
        i64::try_from(self.shutdown_settle_seconds.min(86_400)).unwrap_or(i64::MAX / 1_000).saturating_mul(1_000)
    }

    pub(crate) fn snapshot_interval(&self) -> Duration {
        Duration::from_secs(self.snapshot_interval_seconds)
    }

    pub(crate) fn wal(&self, salt: u64) -> tsdb::WalConfig {
        let interval = Duration::from_millis(self.wal.sync_interval_ms);
        tsdb::WalConfig {
            segment_bytes: self.wal.segment_bytes,
            sync: match self.wal.sync {
                SyncMode::Interval => SyncPolicy::Interval(interval),
                SyncMode::Always => SyncPolicy::Always,
            },
            // A record is smaller than its push, so that pushes are refused at the door and not half way.
            queue_bytes: self.max_inflight_push_bytes,
            salt,
            ..tsdb::WalConfig::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn defaults_are_valid_and_extremes_are_named() {
        assert_eq!(Config::default().validate(), Ok(()));
        let bad = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.validate().unwrap_err()
        };
        assert!(bad(|c| c.block_retention_seconds = 60).contains("block_retention_seconds"));
        assert!(bad(|c| c.block_retention_seconds = u64::MAX).contains("block_retention_seconds"));
        assert!(bad(|c| c.max_inflight_push_bytes = 0).contains("max_inflight_push_bytes"));
        assert!(bad(|c| c.snapshot_interval_seconds = 0).contains("snapshot_interval_seconds"));
        assert!(bad(|c| c.max_tenants = 0).contains("max_tenants"));
        assert!(bad(|c| c.shutdown_settle_seconds = u64::MAX).contains("shutdown_settle_seconds"));
        assert!(bad(|c| c.wal.sync_interval_ms = 0).contains("sync_interval_ms"));
        assert!(bad(|c| c.wal.segment_bytes = 10).contains("segment_bytes"));
    }
}
