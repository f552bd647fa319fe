//! The limits themselves.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The highest rate that can be given: with it, an hour of billionths of samples still fits 128 bits by far.
const MAX_RATE: u64 = 1 << 50;

/// The limits of a tenant. In YAML: `limits:` for all tenants, and a part of them per tenant in the overrides file. Zero means "no limit" only where the
/// field says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Samples per second that the tenant may write, over all distributors together; a histogram, an exemplar and a metadata entry count as one each.
    /// 1,000,000: about what a core takes, so that a tenant needs a word before it occupies a cluster. Lower: senders are refused with 429, and those that do not try
    /// again lose samples. 0 is no limit. What rules write is not counted.
    pub ingestion_rate: u64,
    /// Samples that may come at once after a pause, at each distributor. 10,000,000: ten seconds of the rate, so that a sender that was cut off catches up.
    /// Lower than what one request has: that request never passes (413).
    pub ingestion_burst_size: u64,
    /// Whether samples of several equal senders ("replicas", such as two Prometheus servers that scrape the same targets) are taken from one of them at a time. Off. On: series with both
    /// of the labels below are, and the label of the replica is taken off; others are as ever.
    pub accept_ha_samples: bool,
    /// The label that names a group of replicas. `cluster`.
    pub ha_cluster_label: String,
    /// The label that names a replica within its group. `__replica__`.
    pub ha_replica_label: String,
    /// Groups of replicas. 100; 0 is no limit. Series of more groups are refused.
    pub ha_max_clusters: usize,
    /// How long the replica that is taken may be silent before another one is, in milliseconds. 30,000; 1,000 to 3,600,000. Less than twice the scrape interval: replicas take
    /// turns without need, each time with a small gap or overlap. More: a gap of that length when a replica is lost.
    pub ha_failover_timeout_ms: i64,
    /// Ingesters that take the tenant's series, in all zones together; rounded up to the replication factor and to a multiple of the zones. 0, the default, is all. With some of
    /// them only, what one tenant does is felt by few others, and a query asks few. Lower than its series need: its ingesters are fuller than others. Read `docs/limits.md` before you
    /// change it in `limits:`; single tenants may change at any time.
    pub ingestion_shard_size: usize,
    /// Labels per series, `__name__` included. 40.
    pub max_label_names_per_series: usize,
    /// Bytes of a label name. 1,024.
    pub max_label_name_length: usize,
    /// Bytes of a label value. 2,048 as in Mimir; Kubernetes annotations rarely need more.
    pub max_label_value_length: usize,
    /// Buckets of a native histogram, positive and negative together. 1,000; clients stop at 160. Lower: histograms of wide distributions are refused.
    /// 0 is no limit.
    pub max_native_histogram_buckets: usize,
    /// Bytes of a metric's help text plus its name; longer texts are cut, not refused. 1,024.
    pub max_metadata_length: usize,
    /// Characters of an exemplar's labels together, as OpenMetrics says. 128.
    pub max_exemplar_label_length: usize,
    /// How far ahead of the ingester's clock a sample may be, in milliseconds. 10 minutes.
    pub creation_grace_period_ms: i64,
    /// How much older than the newest sample of its series a sample may be that is not there yet, in milliseconds. 10 minutes; 0 refuses what is out of
    /// order. What is newer than its series' newest sample is taken however late it comes, within the ingester's retention or, if that is longer, this window.
    pub out_of_order_time_window_ms: i64,
    /// Series of the tenant in one ingester. 5,000,000; 0 is no limit.
    pub max_series: usize,
    /// Series of one metric name of the tenant in one ingester. 500,000; 0 is no limit. What a label with too many values hits before the tenant's other
    /// metrics are refused as well.
    pub max_series_per_metric: usize,
    /// Exemplars kept per tenant and ingester; the oldest goes first. 10,000; 0 keeps none.
    pub max_exemplars: usize,
    /// Metric families with metadata per tenant and ingester. 20,000; 0 keeps none.
    pub max_metadata: usize,
    /// How long blocks are kept in the object store, in milliseconds. 0, the default, keeps them for ever.
    pub blocks_retention_ms: i64,
    /// Series that one query may read. 1,000,000.
    pub max_query_series: usize,
    /// Samples that one query may decode. 500,000,000.
    pub max_query_samples: u64,
    /// Bytes that one query may hold at a time. 512 MiB.
    pub max_query_memory_bytes: u64,
    /// Bytes of a PromQL expression. 64 KiB.
    pub max_query_expression_bytes: usize,
    /// Nesting of a PromQL expression; a chain of operators counts one level each. 200, at most 500.
    pub max_query_expression_depth: usize,
    /// Length of a range query's time range, in milliseconds. 0, the default, is no limit: a range query has 11,000 steps at most, as with Prometheus, and the other limits bound
    /// what each reads.
    pub max_query_length_ms: i64,
    /// Steps of a range query or of a subquery. 1,000,000: a month at 3 seconds; 0 is no limit. Range queries have at most 11,001 of them, as in Prometheus.
    pub max_query_steps: u64,
    /// How far back from now queries evaluate, in milliseconds: earlier steps are left out, and the answer says so. 0, the default, leaves nothing out.
    pub max_query_lookback_ms: i64,
    /// Queries of the tenant that may compute at a time in one querier. 0, the default: all of `querier.max_concurrent` but one, so that another tenant always finds
    /// a place. Others wait for their turn.
    pub max_concurrent_queries: usize,
    /// Length of the time range of `series`, `labels` and `label/…/values`, in milliseconds: a longer one is cut at its start, and the answer says so.
    /// 0, the default, cuts nothing.
    pub max_labels_query_length_ms: i64,
    /// Entries that an answer of `series`, `labels` or `label/…/values` may have. 200,000. More is an error, unless the caller's `limit` asks for fewer.
    pub max_label_results: usize,
    /// Rules of one group that is stored through the API. 100; 0 is no limit. Groups that lie in the object store already are evaluated as they are.
    pub ruler_max_rules_per_rule_group: usize,
    /// Rule groups that the tenant may store through the API. 500; 0 is no limit.
    pub ruler_max_rule_groups_per_tenant: usize,
    /// Features of PromQL that Prometheus has behind flags.
    pub promql: PromqlFeatures,
}

/// What a tenant's expressions may say and how they are evaluated, where Prometheus has a flag. In YAML: `limits.promql:`. The defaults are
/// those of Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PromqlFeatures {
    /// Functions and aggregations that may still change. Off.
    pub experimental_functions: bool,
    /// Arithmetic in ranges, steps and offsets: `x[5m + step()]`. On.
    pub duration_expressions: bool,
    /// `anchored` and `smoothed`. Off.
    pub extended_range_selectors: bool,
    /// `fill`, `fill_left` and `fill_right` of binary operators. Off.
    pub binop_fill_modifiers: bool,
    /// `__name__`, `__type__` and `__unit__` are dropped at the end of a query rather than by each function. Off.
    pub delayed_name_removal: bool,
    /// Functions of counters look at when a counter began, where that is known. Off.
    pub start_timestamps: bool,
    /// The label `__type__` says whether a metric is a counter, rather than the end of its name. Off.
    pub type_and_unit_labels: bool,
}

impl Default for PromqlFeatures {
    fn default() -> Self {
        Self {
            experimental_functions: false,
            duration_expressions: true,
            extended_range_selectors: false,
            binop_fill_modifiers: false,
            delayed_name_removal: false,
            start_timestamps: false,
            type_and_unit_labels: false,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            ingestion_rate: 1_000_000,
            ingestion_burst_size: 10_000_000,
            accept_ha_samples: false,
            ha_cluster_label: "cluster".to_owned(),
            ha_replica_label: "__replica__".to_owned(),
            ha_max_clusters: 100,
            ha_failover_timeout_ms: 30_000,
            ingestion_shard_size: 0,
            max_label_names_per_series: 40,
            max_label_name_length: 1_024,
            max_label_value_length: 2_048,
            max_native_histogram_buckets: 1_000,
            max_metadata_length: 1_024,
            max_exemplar_label_length: 128,
            creation_grace_period_ms: 10 * 60 * 1_000,
            out_of_order_time_window_ms: 10 * 60 * 1_000,
            max_series: 5_000_000,
            max_series_per_metric: 500_000,
            max_exemplars: 10_000,
            max_metadata: 20_000,
            blocks_retention_ms: 0,
            max_query_series: 1_000_000,
            max_query_samples: 500_000_000,
            max_query_memory_bytes: 512 << 20,
            max_query_expression_bytes: 64 << 10,
            max_query_expression_depth: 200,
            max_query_length_ms: 0,
            max_query_steps: 1_000_000,
            max_query_lookback_ms: 0,
            max_concurrent_queries: 0,
            max_labels_query_length_ms: 0,
            max_label_results: 200_000,
            ruler_max_rules_per_rule_group: 100,
            ruler_max_rule_groups_per_tenant: 500,
            promql: PromqlFeatures::default(),
        }
    }
}

impl Limits {
    /// Checks what types cannot; names the limit.
    pub fn validate(&self) -> Result<(), String> {
        let times = [
            ("creation_grace_period_ms", self.creation_grace_period_ms),
            ("out_of_order_time_window_ms", self.out_of_order_time_window_ms),
            ("blocks_retention_ms", self.blocks_retention_ms),
            ("max_query_length_ms", self.max_query_length_ms),
            ("max_query_lookback_ms", self.max_query_lookback_ms),
            ("max_labels_query_length_ms", self.max_labels_query_length_ms),
        ];
        if let Some((name, value)) = times.into_iter().find(|(_, value)| *value < 0) {
            return Err(format!("{name} is {value}, but must not be negative"));
        }
        if !(1_000..=3_600_000).contains(&self.ha_failover_timeout_ms) {
            return Err(format!("ha_failover_timeout_ms is {}, but must be 1000 to 3600000", self.ha_failover_timeout_ms));
        }
        if self.ha_cluster_label.is_empty() || self.ha_replica_label.is_empty() || self.ha_cluster_label == self.ha_replica_label {
            return Err("ha_cluster_label and ha_replica_label must be names of two labels".to_owned());
        }
        for (name, value) in [("ingestion_rate", self.ingestion_rate), ("ingestion_burst_size", self.ingestion_burst_size)] {
            if value > MAX_RATE {
                return Err(format!("{name} is {value}, but must be at most {MAX_RATE} (0 for ingestion_rate is no limit)"));
            }
        }
        if self.ingestion_rate > 0 && self.ingestion_burst_size == 0 {
            return Err("ingestion_burst_size is 0, with which nothing could be written: it must be at least 1".to_owned());
        }
        Ok(())
    }
}
