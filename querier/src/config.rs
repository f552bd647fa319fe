//! Settings of the querier.

use std::time::Duration;

use limits::MAX_LOOKBACK_MS;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of the querier. In YAML: `querier:`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Longest time a query may run, in seconds; a request's `timeout` can shorten it. 120 as in Prometheus. Short values refuse heavy
    /// dashboards; long ones let abandoned work run on.
    pub timeout_seconds: u64,
    /// How old a sample may be and still stand for "now", in seconds. 300, Prometheus's lookback delta.
    pub lookback_seconds: u64,
    /// Step of subqueries that name none, in seconds. 60, Prometheus's default `evaluation_interval`.
    pub default_subquery_step_seconds: u64,
    /// Queries that compute at a time; others wait, each tenant in a line of its own, and lines are served in turn. 0 takes twice the number of cores.
    pub max_concurrent: usize,
    /// Queries that may wait for their turn; one more is refused with 429, or puts out the newest of a tenant that has more waiting. 200.
    pub max_queued: usize,
    /// Once enough ingesters have answered for a complete result, how long the others are waited for, in milliseconds: as long again as those took, from 50 up to this. 500. The same time
    /// passes before an ingester that keeps the others waiting is given up for one of the zone that was not asked; then 50 is the least. After three
    /// queries a hanging ingester is not asked where others are enough, but for a try once in a while; 0 does not wait.
    pub straggler_wait_ms: u64,
    /// How far back an ingester may be the only one that has what it took, in seconds. 21,600; at most 604,800. A sample is cut into a block and shown by the bucket index within four hours,
    /// late ones within five. So long an ingester that came from another zone, or with a new disk, is read with care (`docs/adr/0008-failure-domains.md`). A tenant with `limits.ingestion_shard_size` is read from the ingesters to which it was written in that time; ingesters that were its own before that are not
    /// asked. Raise it while blocks cannot be shipped. Lower than blocks take: what was written before a change of the shard is missing in answers until it is in the store. 0: every query
    /// asks every ingester.
    pub shard_lookback_seconds: u64,
    /// How old a tenant's bucket index may be before a query asks the store for a newer one, in seconds. 30; 1 to 300. Less asks more often (an answer without a body, if
    /// nothing changed); more shows blocks that were brought in from elsewhere later. What ingesters took is seen at once in any case.
    pub bucket_index_refresh_seconds: u64,
    /// Bytes of the object store's blocks that are kept on the local disk, below `<data-dir>/blocks-cache`. 10 GiB; at least 64 MiB. What a query reads must fit, so this also
    /// bounds it; more makes repeated queries over old data faster. Not used if the store is a folder of this machine.
    pub block_cache_bytes: u64,
    /// Queries that take at least this long are logged with their text, their tenant and the dashboard and panel that they are for, in milliseconds. 10,000; 0 logs
    /// none.
    pub slow_query_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            timeout_seconds: 120,
            lookback_seconds: 300,
            default_subquery_step_seconds: 60,
            max_concurrent: 0,
            max_queued: 200,
            straggler_wait_ms: 500,
            shard_lookback_seconds: 21_600,
            bucket_index_refresh_seconds: 30,
            block_cache_bytes: 10 << 30,
            slow_query_ms: 10_000,
        }
    }
}

impl Config {
    /// Checks what types cannot.
    pub fn validate(&self) -> Result<(), String> {
        if self.timeout_seconds == 0 {
            return Err("querier.timeout_seconds must be at least 1".to_owned());
        }
        if self.lookback_seconds == 0 || self.default_subquery_step_seconds == 0 {
            return Err("querier.lookback_seconds and querier.default_subquery_step_seconds must be at least 1".to_owned());
        }
        if self.shard_lookback_seconds > MAX_LOOKBACK_MS.unsigned_abs() / 1_000 {
            return Err("querier.shard_lookback_seconds must be at most 604800".to_owned());
        }
        if !(1..=300).contains(&self.bucket_index_refresh_seconds) {
            return Err("querier.bucket_index_refresh_seconds must be 1 to 300".to_owned());
        }
        if self.block_cache_bytes < 64 << 20 {
            return Err("querier.block_cache_bytes must be at least 67108864".to_owned());
        }
        Ok(())
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }

    pub(crate) fn shard_lookback_ms(&self) -> i64 {
        i64::try_from(self.shard_lookback_seconds).unwrap_or(i64::MAX / 1_000).saturating_mul(1_000)
    }

    pub(crate) fn bucket_index_refresh(&self) -> Duration {
        Duration::from_secs(self.bucket_index_refresh_seconds)
    }

    pub(crate) fn straggler_wait(&self) -> Duration {
        Duration::from_millis(self.straggler_wait_ms)
    }
}
