//! The queries that `loadtest query` asks: what dashboards, rules and people ask.

/// Over how long a query runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// At the last scrape.
    Instant,
    /// The last hour at 15 s.
    Hour,
    /// The last 6 hours at 60 s.
    SixHours,
}

/// Expressions; each is asked over its range, shortened to what the data set holds.
pub(crate) const QUERIES: [(Over, &str); 42] = [
    (Over::Instant, "go_goroutines"),
    (Over::Instant, "go_goroutines{job=\"application\"}"),
    (Over::Instant, "node_cpu_seconds_total{mode=\"idle\",cpu=\"0\"}"),
    (Over::Instant, "{namespace=\"payments\",container=~\"app-00.*\"}"),
    (Over::Instant, "container_memory_working_set_bytes{pod=~\"app-0[0-3].*\",namespace!=\"default\"}"),
    (Over::Instant, "count by (job) ({__name__!=\"\"})"),
    (Over::Instant, "sum(container_memory_rss)"),
    (Over::Instant, "sum by (namespace) (container_memory_working_set_bytes)"),
    (Over::Instant, "topk(10, sum by (pod) (rate(container_cpu_usage_seconds_total[5m])))"),
    (Over::Instant, "bottomk(5, process_resident_memory_bytes)"),
    (Over::Instant, "quantile(0.9, go_goroutines)"),
    (Over::Instant, "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))"),
    (Over::Instant, "avg_over_time(go_goroutines[10m])"),
    (Over::Instant, "max_over_time(container_memory_rss[10m])"),
    (Over::Instant, "quantile_over_time(0.5, go_goroutines[10m])"),
    (Over::Instant, "absent(nonexistent_metric{job=\"x\"})"),
    (Over::Instant, "label_replace(kube_pod_info, \"short\", \"$1\", \"pod\", \"(app-[0-9]+).*\")"),
    (Over::Instant, "container_memory_rss / on (pod, namespace, id) container_memory_working_set_bytes"),
    (
        Over::Instant,
        "sum by (pod, namespace) (rate(container_cpu_usage_seconds_total[5m])) * on (pod, namespace) group_left (node) kube_pod_info",
    ),
    (Over::Instant, "kube_pod_status_ready == 1 and on (pod) kube_pod_info"),
    (Over::Instant, "sum(rate(container_network_receive_bytes_total[5m])) by (node) > 1000"),
    (Over::Instant, "count_values(\"v\", go_goroutines)"),
    (Over::Instant, "max_over_time(sum(rate(container_network_receive_bytes_total[2m]))[10m:1m])"),
    (Over::Instant, "changes(go_goroutines[10m])"),
    (Over::Instant, "deriv(process_resident_memory_bytes[10m])"),
    (Over::Hour, "go_goroutines{namespace=\"search\"}"),
    (Over::Hour, "sum by (mode) (rate(node_cpu_seconds_total[5m]))"),
    (Over::Hour, "sum by (namespace) (rate(container_network_receive_bytes_total[5m]))"),
    (Over::Hour, "topk(5, rate(container_cpu_usage_seconds_total[5m]))"),
    (Over::Hour, "histogram_quantile(0.9, sum by (le, namespace) (rate(grpc_server_handling_seconds_bucket[5m])))"),
    (Over::Hour, "100 - avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[5m])) * 100"),
    (Over::Hour, "avg without (cpu, mode) (irate(node_cpu_seconds_total[5m]))"),
    (Over::Hour, "sum(increase(http_request_duration_seconds_count[5m]))"),
    (Over::SixHours, "sum by (mode) (rate(node_cpu_seconds_total[5m]))"),
    (Over::SixHours, "histogram_quantile(0.99, sum by (le, namespace) (rate(http_request_duration_seconds_bucket[5m])))"),
    (Over::SixHours, "sum by (namespace) (container_memory_working_set_bytes)"),
    (Over::SixHours, "max by (node) (container_memory_rss)"),
    (Over::SixHours, "avg_over_time(process_resident_memory_bytes{job=\"application\"}[10m])"),
    (Over::SixHours, "stddev by (namespace) (go_goroutines)"),
    (Over::SixHours, "sum(rate(http_request_duration_seconds_sum[5m])) / sum(rate(http_request_duration_seconds_count[5m]))"),
    (
        Over::SixHours,
        "sum by (namespace) (rate(container_fs_writes_bytes_total[5m])) / on (namespace) group_left sum by (namespace) (container_memory_rss)",
    ),
    (Over::Instant, "last_over_time({__name__=~\"container_.*\"}[5m])"),
];

/// Metadata requests: path and query string.
pub(crate) const METADATA: [&str; 3] = ["series?match[]=go_goroutines", "labels", "label/namespace/values?match[]=container_memory_rss"];
