//! Settings of the compactor.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tsdb::compact::plan::Levels;

/// Settings of the compactor. In YAML: `compactor:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Widths of blocks after each level of compaction, in seconds, each a multiple of the one before. 7,200, 43,200 and 86,400: 2 h, 12 h, a day. Wider
    /// blocks are fewer and smaller, but take longer to merge and more disk meanwhile.
    pub block_ranges_seconds: Vec<u64>,
    /// How often each tenant is looked at, in seconds. 60; 1 to 86,400. This is also how old a bucket index is at most while all is well.
    pub interval_seconds: u64,
    /// How long after its end a range is still expected to get blocks, in seconds. 10,800 (3 h): ingesters cut an hour after the end and ship at
    /// once. A block that comes later costs one more merge.
    pub settle_seconds: u64,
    /// How long a block that is marked for deletion stays, in seconds. 43,200 (12 h); at least 10 times `interval_seconds`, so that no
    /// querier still counts on it.
    pub deletion_delay_seconds: u64,
    /// When the leftovers of an upload are deleted, in seconds since the youngest of them was written. 86,400 (a day): longer than any upload takes.
    pub partial_delay_seconds: u64,
    /// Tenants whose blocks are merged at a time. 1; 1 to 64. Each takes a core, and disk for the blocks of one job twice.
    pub max_concurrent_tenants: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            block_ranges_seconds: vec![7_200, 43_200, 86_400],
            interval_seconds: 60,
            settle_seconds: 3 * 3_600,
            deletion_delay_seconds: 12 * 3_600,
            partial_delay_seconds: 24 * 3_600,
            max_concurrent_tenants: 1,
        }
    }
}

/// A hundred years; keeps milliseconds far from overflow.
const MAX_SECONDS: u64 = 100 * 365 * 86_400;

impl Config {
    /// Checks what types cannot.
    pub fn validate(&self) -> Result<(), String> {
        self.levels().map_err(|e| format!("compactor.block_ranges_seconds: {e}"))?;
        if !(1..=86_400).contains(&self.interval_seconds) {
            return Err("compactor.interval_seconds must be 1 to 86400".to_owned());
        }
        if self.deletion_delay_seconds < 10 * self.interval_seconds || self.deletion_delay_seconds > MAX_SECONDS {
            return Err("compactor.deletion_delay_seconds must be at least 10 times compactor.interval_seconds".to_owned());
        }
        if self.settle_seconds > MAX_SECONDS || self.partial_delay_seconds > MAX_SECONDS {
            return Err(format!("compactor.settle_seconds and compactor.partial_delay_seconds must be at most {MAX_SECONDS}"));
        }
        if !(1..=64).contains(&self.max_concurrent_tenants) {
            return Err("compactor.max_concurrent_tenants must be 1 to 64".to_owned());
        }
        Ok(())
    }

    pub(crate) fn levels(&self) -> Result<Levels, String> {
        let width = |seconds: &u64| i64::try_from(*seconds.min(&MAX_SECONDS)).unwrap_or(i64::MAX / 1_000).saturating_mul(1_000);
        Levels::new(self.block_ranges_seconds.iter().map(width).collect()).map_err(|e| e.to_string())
    }
}

/// Seconds of a setting as milliseconds.
pub(crate) fn millis(seconds: u64) -> i64 {
    i64::try_from(seconds.min(MAX_SECONDS)).unwrap_or_default().saturating_mul(1_000)
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
        assert!(bad(|c| c.block_ranges_seconds = vec![7_200, 10_000]).contains("block_ranges_seconds"));
        assert!(bad(|c| c.block_ranges_seconds.clear()).contains("block_ranges_seconds"));
        assert!(bad(|c| c.interval_seconds = 0).contains("interval_seconds"));
        assert!(bad(|c| c.deletion_delay_seconds = 5).contains("deletion_delay_seconds"));
        assert!(bad(|c| c.max_concurrent_tenants = 0).contains("max_concurrent_tenants"));
    }
}
