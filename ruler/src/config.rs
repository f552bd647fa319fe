//! Settings of the ruler.

use std::collections::BTreeMap;
use std::time::Duration;

use model::TenantId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::alert::Grace;

/// Settings of the ruler. In YAML: `ruler:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Patterns of rule files (`*`, `?`, `[…]`). None: only what is stored through the API is evaluated.
    pub rule_files: Vec<String>,
    /// The tenant whose rules the files hold.
    pub tenant: String,
    /// Time between evaluations of groups that name none, in seconds. 60 as in Prometheus. Short intervals cost a query per rule each.
    pub evaluation_interval_seconds: u64,
    /// How far back in time queries look, in seconds, where a group has no `query_offset`. 0. More waits for late samples, and alerts later.
    pub query_offset_seconds: u64,
    /// Groups that are evaluated at a time; others wait. 8.
    pub max_concurrent_groups: usize,
    /// Groups of one tenant that are evaluated at a time, so that others have their turn. 4; no more than `max_concurrent_groups`.
    pub max_concurrent_groups_per_tenant: usize,
    /// Longest time one query or one write of a rule may take, in seconds. 60.
    pub timeout_seconds: u64,
    /// How often rule files are looked at for changes, in seconds; SIGHUP looks at once. 10.
    pub poll_interval_seconds: u64,
    /// How often the object store is looked at for changed rule groups, in seconds. What is changed through the API is taken up at once by all rulers that
    /// can be reached; this is for the others and for whoever writes into the bucket. 60.
    pub store_poll_interval_seconds: u64,
    /// Base URLs of Alertmanagers (`http://host:9093`); alerts go to each. None: alerts are evaluated and recorded only.
    pub alertmanager_urls: Vec<String>,
    /// Labels that alerts carry to Alertmanagers and that templates see.
    pub external_labels: BTreeMap<String, String>,
    /// Where people reach this server, for links in alerts.
    pub external_url: String,
    /// How soon an alert that fires on is told again, in seconds. 60 as in Prometheus.
    pub resend_delay_seconds: u64,
    /// Alerts that wait for one Alertmanager; one more drops the oldest. 10,000.
    pub notification_queue_capacity: usize,
    /// How long an Alertmanager may take to answer, in seconds. 10.
    pub notification_timeout_seconds: u64,
    /// After a restart an alert does not fire earlier than this, in seconds, and alerts with a shorter `for` begin anew. 600 as in Prometheus.
    pub for_grace_period_seconds: u64,
    /// How long ago the state of alerts may have been written to count after a restart, in seconds. 3,600 as in Prometheus.
    pub for_outage_tolerance_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rule_files: Vec::new(),
            tenant: model::tenant::ANONYMOUS.to_owned(),
            evaluation_interval_seconds: 60,
            query_offset_seconds: 0,
            max_concurrent_groups: 8,
            max_concurrent_groups_per_tenant: 4,
            timeout_seconds: 60,
            poll_interval_seconds: 10,
            store_poll_interval_seconds: 60,
            alertmanager_urls: Vec::new(),
            external_labels: BTreeMap::new(),
            external_url: String::new(),
            resend_delay_seconds: 60,
            notification_queue_capacity: 10_000,
            notification_timeout_seconds: 10,
            for_grace_period_seconds: 600,
            for_outage_tolerance_seconds: 3_600,
        }
    }
}

/// Longer times than a year are slips.
const LONGEST_SECONDS: u64 = 366 * 86_400;

impl Config {
    /// Checks what types cannot.
    pub fn validate(&self) -> Result<(), String> {
        TenantId::new(&self.tenant).map_err(|e| format!("ruler.tenant: {e}"))?;
        for (name, value, least) in [
            ("evaluation_interval_seconds", self.evaluation_interval_seconds, 1),
            ("timeout_seconds", self.timeout_seconds, 1),
            ("poll_interval_seconds", self.poll_interval_seconds, 1),
            ("store_poll_interval_seconds", self.store_poll_interval_seconds, 1),
            ("notification_timeout_seconds", self.notification_timeout_seconds, 1),
            ("query_offset_seconds", self.query_offset_seconds, 0),
            ("resend_delay_seconds", self.resend_delay_seconds, 0),
            ("for_grace_period_seconds", self.for_grace_period_seconds, 0),
            ("for_outage_tolerance_seconds", self.for_outage_tolerance_seconds, 0),
            ("max_concurrent_groups", self.max_concurrent_groups as u64, 1),
            ("max_concurrent_groups_per_tenant", self.max_concurrent_groups_per_tenant as u64, 1),
            ("notification_queue_capacity", self.notification_queue_capacity as u64, 1),
        ] {
            if !(least..=LONGEST_SECONDS).contains(&value) {
                return Err(format!("ruler.{name} is {value}, but must be {least} to {LONGEST_SECONDS}"));
            }
        }
        for url in &self.alertmanager_urls {
            let parsed = reqwest::Url::parse(url).map_err(|e| format!("ruler.alertmanager_urls: {url:?}: {e}"))?;
            if parsed.scheme() != "http" || !parsed.has_host() {
                return Err(format!("ruler.alertmanager_urls: {url:?} is not of the form http://host:port/path"));
            }
        }
        Ok(())
    }

    pub(crate) fn grace(&self) -> Grace {
        Grace { outage_tolerance_ms: ms(self.for_outage_tolerance_seconds), for_grace_ms: ms(self.for_grace_period_seconds) }
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }
}

/// Milliseconds of seconds, which [`Config::validate`] bounds.
pub(crate) fn ms(seconds: u64) -> i64 {
    i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn slips_are_told() {
        assert_eq!(Config::default().validate(), Ok(()));
        let wrong = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.validate().expect_err("wrong")
        };
        assert!(wrong(|c| c.evaluation_interval_seconds = 0).contains("ruler.evaluation_interval_seconds is 0"));
        assert!(wrong(|c| c.tenant = "../x".to_owned()).contains("ruler.tenant"));
        assert!(wrong(|c| c.alertmanager_urls = vec!["localhost:9093".to_owned()]).contains("http://host:port"));
        assert!(wrong(|c| c.alertmanager_urls = vec!["https://a".to_owned()]).contains("http://host:port"));
    }
}
