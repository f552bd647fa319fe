//! The queries that are asked: what dashboards, rules and people ask.

/// Over how long a query runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    /// At the last scrape.
    Instant,
    /// The last hour at 15 s.
    Hour,
    /// The last 6 hours at 60 s.
    SixHours,
}

/// Expressions; each is asked over its range, shortened to what the data set holds.
const QUERIES: [(Over, &str); 42] = [
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

/// Metadata requests: path and query string, to which times are added.
const METADATA: [&str; 3] = ["series?match[]=go_goroutines&", "labels?", "label/namespace/values?match[]=container_memory_rss&"];

/// One query, ready to be asked.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// For people.
    pub(crate) what: String,
    /// What comes after `/api/v1/`.
    pub(crate) call: String,
    /// The expression; `None` of a metadata request.
    pub(crate) expr: Option<&'static str>,
}

impl Question {
    /// Whether it is evaluated, rather than looked up.
    pub(crate) fn is_query(&self) -> bool {
        self.expr.is_some()
    }
}

/// The list over a data set that ends at `end` and is `length` long, both in seconds.
pub(crate) fn questions(end: i64, length: i64) -> Vec<Question> {
    let queries = QUERIES.iter().map(|(over, expr)| Question {
        what: format!("{over:?} {expr}"),
        call: call(*over, expr, end, length),
        expr: Some(expr),
    });
    // With their times: servers differ in how far back they look without.
    let metadata = METADATA.iter().map(|call| Question {
        what: (*call).to_owned(),
        call: format!("{}start={}&end={end}", call.replace('[', "%5B").replace(']', "%5D"), end - length),
        expr: None,
    });
    queries.chain(metadata).collect()
}

fn call(over: Over, expr: &str, end: i64, length: i64) -> String {
    let encoded = encoded(expr);
    let (seconds, step) = match over {
        Over::Instant => return format!("query?query={encoded}&time={end}"),
        Over::Hour => (3_600, 15),
        Over::SixHours => (6 * 3_600, 60),
    };
    format!("query_range?query={encoded}&start={}&end={end}&step={step}", end - seconds.min(length))
}

/// As part of a query string.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes().map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::{Over, call, questions};

    #[test]
    fn the_list_has_45_and_ranges_are_shortened_to_the_data() {
        assert_eq!(questions(1_000_000, 600).len(), 45);
        assert_eq!(call(Over::Instant, "a[5m]", 90, 600), "query?query=a%5B5m%5D&time=90");
        assert_eq!(call(Over::Hour, "a", 90_000, 600), "query_range?query=a&start=89400&end=90000&step=15");
        assert_eq!(call(Over::SixHours, "a", 90_000, 86_400), "query_range?query=a&start=68400&end=90000&step=60");
    }
}
