//! The overrides file, read again when it has changed.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use xxhash_rust::xxh3::xxh3_128;

use crate::overrides::{MAX_BYTES, Overrides, OverridesError};
use crate::provider::LimitsProvider;

/// The overrides file and what became of it. Reads block on the disk; when to look is the caller's decision.
#[derive(Debug)]
pub struct OverridesFile {
    path: PathBuf,
    provider: LimitsProvider,
    metrics: Metrics,
    /// Of the bytes that were looked at last, good or bad. Times of files are not trusted: mounted ones of Kubernetes change behind a link.
    seen: Option<u128>,
    /// What was wrong the last time.
    problem: Option<String>,
}

/// What a look at the file gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reload {
    /// It is as it was.
    Unchanged,
    /// Its limits are in force.
    Loaded {
        /// Tenants with limits of their own.
        tenants: usize,
    },
    /// It cannot be used: the limits loaded before stay in force. Said once for each problem.
    Failed {
        /// What is wrong, with the file's name.
        problem: String,
    },
}

#[derive(Debug, Clone, Default)]
struct Metrics {
    failed: Gauge,
    succeeded_at: Gauge,
    tenants: Gauge,
}

impl Metrics {
    fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("plimsoll_limits");
        registry.register(
            "reload_failed",
            "1 while the overrides file cannot be used and earlier limits stay in force",
            metrics.failed.clone(),
        );
        registry.register_with_unit(
            "last_reload_success_timestamp",
            "When limits of the overrides file came into force, seconds since the epoch",
            Unit::Seconds,
            metrics.succeeded_at.clone(),
        );
        registry.register("overridden_tenants", "Tenants with limits of their own", metrics.tenants.clone());
        metrics
    }
}

impl OverridesFile {
    /// Reads the file for the first time. One that cannot be used is an error: better no start than none of the limits that somebody counts on.
    /// Registers metrics as `plimsoll_limits_…`.
    pub fn open(path: PathBuf, provider: LimitsProvider, now_ms: i64, registry: &mut Registry) -> Result<Self, OverridesError> {
        let mut file = Self { path, provider, metrics: Metrics::register(registry), seen: None, problem: None };
        match file.reload(now_ms) {
            Reload::Failed { problem } => Err(OverridesError::of(problem)),
            Reload::Loaded { .. } | Reload::Unchanged => Ok(file),
        }
    }

    /// Looks at the file; what is in it comes into force if it has changed and is good.
    pub fn reload(&mut self, now_ms: i64) -> Reload {
        match self.read(now_ms) {
            Ok(None) => Reload::Unchanged,
            Ok(Some(tenants)) => Reload::Loaded { tenants },
            Err(problem) => {
                self.metrics.failed.set(1);
                let problem = format!("{}: {problem}", self.path.display());
                if self.problem.as_ref() == Some(&problem) {
                    return Reload::Unchanged;
                }
                self.problem = Some(problem.clone());
                Reload::Failed { problem }
            }
        }
    }

    /// How many tenants have limits now, if the file is not as it was.
    fn read(&mut self, now_ms: i64) -> Result<Option<usize>, String> {
        let mut bytes = Vec::new();
        let file = File::open(&self.path).map_err(|e| self.forget(&e))?;
        // One byte more than allowed tells too many from enough.
        file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(|e| self.forget(&e))?;
        let hash = xxh3_128(&bytes);
        if self.seen == Some(hash) {
            return Ok(None);
        }
        self.seen = Some(hash);
        let text = String::from_utf8(bytes).map_err(|_| "the file is not UTF-8".to_owned())?;
        let overrides = Overrides::parse(&text, self.provider.defaults()).map_err(|e| e.to_string())?;
        let tenants = overrides.len();
        self.provider.set_overrides(overrides, now_ms);
        self.problem = None;
        self.metrics.failed.set(0);
        self.metrics.succeeded_at.set(now_ms / 1_000);
        self.metrics.tenants.set(i64::try_from(tenants).unwrap_or(i64::MAX));
        Ok(Some(tenants))
    }

    /// When a file that could not be read can be read again, it is looked at, whatever is in it.
    fn forget(&mut self, error: &std::io::Error) -> String {
        self.seen = None;
        error.to_string()
    }
}

#[cfg(test)]
mod tests {
    use model::TenantId;
    use prometheus_client::registry::Registry;

    use super::{OverridesFile, Reload};
    use crate::{Limits, LimitsProvider};

    #[test]
    fn a_changed_file_is_live_and_a_bad_one_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("overrides.yaml");
        let (provider, mut registry) = (LimitsProvider::new(Limits::default()), Registry::default());
        let missing = OverridesFile::open(path.clone(), provider.clone(), 0, &mut Registry::default()).unwrap_err().to_string();
        assert!(missing.contains("overrides.yaml"), "{missing}");
        std::fs::write(&path, "overrides: {a: {max_series: 5}}").unwrap();
        let mut file = OverridesFile::open(path.clone(), provider.clone(), 1_000, &mut registry).unwrap();
        let series = || provider.of(&TenantId::new("a").unwrap()).max_series;
        assert_eq!((file.reload(2_000), series()), (Reload::Unchanged, 5));
        std::fs::write(&path, "overrides: {a: {max_series: 6}, b: {}}").unwrap();
        assert_eq!((file.reload(3_000), series()), (Reload::Loaded { tenants: 2 }, 6));
        let metrics = || {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
            text
        };
        assert!(metrics().contains("plimsoll_limits_reload_failed 0\n"), "{}", metrics());
        for bad in ["overrides: {a: {max_serie: 7}}", "overrides: {"] {
            std::fs::write(&path, bad).unwrap();
            let failed = file.reload(4_000);
            assert!(matches!(&failed, Reload::Failed { problem } if problem.contains("overrides.yaml")), "{failed:?}");
            assert_eq!((file.reload(5_000), series()), (Reload::Unchanged, 6), "said once, and nothing changed");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(file.reload(6_000), Reload::Failed { .. }));
        assert!(metrics().contains("plimsoll_limits_reload_failed 1\n"));
        assert!(metrics().contains("plimsoll_limits_last_reload_success_timestamp_seconds 3\n"), "{}", metrics());
        std::fs::write(&path, "overrides: {a: {max_series: 6}, b: {}}").unwrap();
        assert_eq!((file.reload(7_000), series()), (Reload::Loaded { tenants: 2 }, 6));
        assert!(metrics().contains("plimsoll_limits_reload_failed 0\n"));
        std::fs::write(&path, "").unwrap();
        assert_eq!((file.reload(8_000), series()), (Reload::Loaded { tenants: 0 }, Limits::default().max_series));
    }
}
