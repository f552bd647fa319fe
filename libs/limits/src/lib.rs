//! What one tenant may ask of the cluster.
//!
//! Every limit has a safe default, a unit in its type or name, and is named in the error of whoever hits it. A limit is data: it is
//! read by the role that enforces it at the moment of enforcement, so a change is live at once.

use std::sync::Arc;

use model::TenantId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The limits of a tenant. In YAML: `limits:` for all tenants. Zero means "no limit" only where the field says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Labels per series, `__name__` included. 40.
    pub max_label_names_per_series: usize,
    /// Bytes of a label name. 1,024.
    pub max_label_name_length: usize,
    /// Bytes of a label value. 2,048 as in Mimir; Kubernetes annotations rarely need more.
    pub max_label_value_length: usize,
    /// Bytes of a metric's help text plus its name; longer texts are cut, not refused. 1,024.
    pub max_metadata_length: usize,
    /// Characters of an exemplar's labels together, as OpenMetrics says. 128.
    pub max_exemplar_label_length: usize,
    /// How far ahead of the ingester's clock a sample may be, in milliseconds. 10 minutes.
    pub creation_grace_period_ms: i64,
    /// How much older than the newest sample of its series a sample may be that is not there yet, in milliseconds. 10 minutes; 0 refuses what is out of
    /// order. What is newer than its series' newest sample is taken however late it comes, within the ingester's retention.
    pub out_of_order_time_window_ms: i64,
    /// Series of the tenant in one ingester. 5,000,000; 0 is no limit.
    pub max_series: usize,
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
    /// Length of a query's time range, in milliseconds. 0 is no limit.
    pub max_query_length_ms: i64,
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
            max_label_names_per_series: 40,
            max_label_name_length: 1_024,
            max_label_value_length: 2_048,
            max_metadata_length: 1_024,
            max_exemplar_label_length: 128,
            creation_grace_period_ms: 10 * 60 * 1_000,
            out_of_order_time_window_ms: 10 * 60 * 1_000,
            max_series: 5_000_000,
            max_exemplars: 10_000,
            max_metadata: 20_000,
            blocks_retention_ms: 0,
            max_query_series: 1_000_000,
            max_query_samples: 500_000_000,
            max_query_memory_bytes: 512 << 20,
            max_query_expression_bytes: 64 << 10,
            max_query_expression_depth: 200,
            max_query_length_ms: 0,
            promql: PromqlFeatures::default(),
        }
    }
}

/// Where the roles look a tenant's limits up. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct LimitsProvider {
    defaults: Arc<Limits>,
}

impl LimitsProvider {
    /// The same limits for every tenant.
    #[must_use]
    pub fn new(defaults: Limits) -> Self {
        Self { defaults: Arc::new(defaults) }
    }

    /// The limits of a tenant.
    #[must_use]
    pub fn of(&self, _tenant: &TenantId) -> Arc<Limits> {
        Arc::clone(&self.defaults)
    }
}
