//! Settings of the distributor (`distributor:` in the configuration file).

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long a push may wait for its quorum, and how long a slower replica may take in the background after it. Milliseconds,
    /// default 10,000. Lower: senders see 503 when ingesters pause. Higher: a hanging ingester holds more requests in memory.
    pub push_timeout_ms: u64,
    /// The largest body as it comes over the wire, in bytes. Default 32 MiB. Lower: large batches are refused (413) and lost, because
    /// senders do not split them. Higher: one request may hold that much.
    pub max_request_bytes_compressed: usize,
    /// The largest body that a snappy header may claim, in bytes, checked before anything is allocated. Default 64 MiB, at most 1 GiB.
    pub max_request_bytes: usize,
    /// What one request may occupy when it is decoded (columns, label sets, histograms, exemplars), in bytes. Default 256 MiB, at most
    /// 2 GiB. An ordinary request of 2,000 samples occupies 160 KiB in remote write 1.0 and 800 KiB in 2.0.
    pub max_batch_bytes: u64,
    /// What all requests together may hold, compressed, decompressed and decoded, in bytes. Default 512 MiB. Beyond it requests are answered
    /// 503 with `Retry-After`. Lower than one request needs: that request never passes.
    pub max_inflight_request_bytes: u64,
    /// What pushes to one ingester may hold, in bytes. Default 128 MiB. An ingester that hangs reaches it, gets no further pushes until it
    /// answers, and counts as failed meanwhile; the others' quorum goes on.
    pub max_inflight_bytes_per_ingester: u64,
    /// Series whose labels need no check because they were checked before. Default 4,194,304; 8 bytes each, allocated as needed. Lower:
    /// more CPU per sample.
    pub known_series: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            push_timeout_ms: 10_000,
            max_request_bytes_compressed: 32 << 20,
            max_request_bytes: 64 << 20,
            max_batch_bytes: 256 << 20,
            max_inflight_request_bytes: 512 << 20,
            max_inflight_bytes_per_ingester: 128 << 20,
            known_series: 4 << 20,
        }
    }
}

/// A setting that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("distributor.{setting} is {value}, but must be {expected}")]
pub struct ConfigError {
    /// Which.
    pub setting: &'static str,
    /// Its value.
    pub value: u64,
    /// What would do.
    pub expected: &'static str,
}

impl Config {
    /// Checks all settings.
    pub fn validate(&self) -> Result<(), ConfigError> {
        // Offsets into bodies and arenas are 32 bits wide.
        let checks = [
            ("push_timeout_ms", self.push_timeout_ms, 1..=3_600_000, "1 to 3,600,000"),
            ("max_request_bytes_compressed", self.max_request_bytes_compressed as u64, 1..=1 << 30, "1 byte to 1 GiB"),
            ("max_request_bytes", self.max_request_bytes as u64, 1..=1 << 30, "1 byte to 1 GiB"),
            ("max_batch_bytes", self.max_batch_bytes, 1..=2 << 30, "1 byte to 2 GiB"),
            ("max_inflight_request_bytes", self.max_inflight_request_bytes, 1..=u64::MAX, "at least 1"),
            ("max_inflight_bytes_per_ingester", self.max_inflight_bytes_per_ingester, 1..=u64::MAX, "at least 1"),
            ("known_series", self.known_series as u64, 1..=1 << 32, "1 to 4,294,967,296"),
        ];
        match checks.into_iter().find(|(_, value, range, _)| !range.contains(value)) {
            Some((setting, value, _, expected)) => Err(ConfigError { setting, value, expected }),
            None => Ok(()),
        }
    }

    /// [`Self::push_timeout_ms`].
    #[must_use]
    pub fn push_timeout(&self) -> Duration {
        Duration::from_millis(self.push_timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn the_default_is_valid_and_extremes_are_named() {
        assert_eq!(Config::default().validate(), Ok(()));
        let error = Config { max_request_bytes: 2 << 30, ..Config::default() }.validate().unwrap_err();
        assert_eq!(error.to_string(), "distributor.max_request_bytes is 2147483648, but must be 1 byte to 1 GiB");
    }
}
