//! What dashboards and alerts ask of a scraped node, and when it can be asked.

use std::time::Duration;

use crate::client::Client;
use crate::process::eventually;

/// Dashboards' and alerts' questions. Ranges are whole seconds and evaluation times lie between scrapes, so that closed ranges (2.42) and
/// left-open ones (3.x, Plimsoll) hold the same samples.
pub const QUERIES: [&str; 58] = [
    "up",
    "node_load1",
    "count(up == 1)",
    "1 + 1",
    "time() - node_boot_time_seconds",
    "node_memory_MemTotal_bytes - node_memory_MemFree_bytes - node_memory_Buffers_bytes - node_memory_Cached_bytes",
    "100 * (1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)",
    "node_filesystem_avail_bytes / node_filesystem_size_bytes * 100",
    "100 - (node_filesystem_avail_bytes{fstype!~\"tmpfs|ramfs\"} * 100 / node_filesystem_size_bytes{fstype!~\"tmpfs|ramfs\"})",
    "sum by (mode) (rate(node_cpu_seconds_total[10s]))",
    "sum by (instance) (rate(node_cpu_seconds_total{mode=\"system\"}[10s])) / on (instance) group_left sum by (instance) (rate(node_cpu_seconds_total[10s]))",
    "100 - avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[10s])) * 100",
    "avg without (cpu) (irate(node_cpu_seconds_total{mode!=\"idle\"}[10s]))",
    "irate(node_network_receive_bytes_total[10s]) * 8",
    "rate(node_network_transmit_bytes_total{device!~\"veth.*\"}[10s])",
    "rate(node_disk_reads_completed_total[10s])",
    "rate(node_disk_read_bytes_total[10s]) / rate(node_disk_reads_completed_total[10s])",
    "sum(rate(node_context_switches_total[10s]))",
    "rate(node_intr_total[10s])",
    "node_procs_running",
    "deriv(node_memory_MemFree_bytes[10s])",
    "predict_linear(node_memory_MemFree_bytes[10s], 3600)",
    "delta(node_memory_MemFree_bytes[10s])",
    "increase(node_cpu_seconds_total{cpu=\"0\"}[10s])",
    "changes(node_memory_MemFree_bytes[10s])",
    "resets(process_cpu_seconds_total[10s])",
    "max_over_time(node_load1[10s])",
    "min_over_time(node_memory_MemFree_bytes[10s])",
    "avg_over_time(node_memory_MemFree_bytes[10s])",
    "stddev_over_time(node_memory_MemFree_bytes[10s])",
    "quantile_over_time(0.75, node_memory_MemFree_bytes[10s])",
    "count_over_time(up[10s])",
    "last_over_time(go_goroutines[10s])",
    "topk(3, node_memory_MemTotal_bytes or node_memory_MemFree_bytes or node_memory_Cached_bytes or node_memory_Buffers_bytes)",
    "bottomk(2, sum by (mode) (node_cpu_seconds_total))",
    "quantile(0.9, node_cpu_seconds_total)",
    "stdvar by (mode) (node_cpu_seconds_total)",
    "count by (job, instance) ({__name__=~\".+\"})",
    "group by (mode) (node_cpu_seconds_total)",
    "count_values(\"state\", up)",
    "histogram_quantile(0.9, sum by (le) (rate(prometheus_http_request_duration_seconds_bucket[10s])))",
    "histogram_quantile(0.5, sum by (le, handler) (prometheus_http_request_duration_seconds_bucket))",
    "histogram_quantile(0.99, prometheus_http_response_size_bytes_bucket)",
    "sum by (handler) (prometheus_http_request_duration_seconds_sum) / sum by (handler) (prometheus_http_request_duration_seconds_count)",
    "label_replace(node_uname_info, \"os\", \"$1\", \"sysname\", \"(.*)\")",
    "label_join(up, \"where\", \"-\", \"job\", \"instance\")",
    "node_cpu_seconds_total * on (instance) group_left (release) node_uname_info",
    "node_filesystem_size_bytes > bool 1e9",
    "up unless on (job) (go_goroutines{job=\"node\"})",
    "up and on (instance) node_load1",
    "absent(up{job=\"nothing\"})",
    "max_over_time(sum(rate(node_cpu_seconds_total[5s]))[10s:2s])",
    "node_load1 offset 3s",
    "clamp(node_load1, 0.1, 0.2) + abs(-node_load5) + ceil(node_load15)",
    "sort_desc(node_memory_MemFree_bytes)",
    "sgn(node_load1 - 1) * sqrt(node_load5) + ln(node_memory_MemTotal_bytes) - log2(node_memory_MemTotal_bytes) ^ 2 % 5",
    "scalar(node_load1) + vector(1)",
    "hour() + minute() * day_of_week() - days_in_month()",
];

/// Seconds of history before queries begin: the longest range plus the range queries' own length, with room for the slowest start.
const HISTORY_SECONDS: i64 = 40;

async fn float(client: &Client, query: &str, time: &str) -> Option<f64> {
    let data = client.query(query, time).await.ok()?;
    data["result"]
        .as_array()?
        .iter()
        .map(|s| s["value"][1].as_str().and_then(|v| v.parse::<f64>().ok()))
        .min_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal))?
}

/// A time in milliseconds as the API reads it.
#[must_use]
pub fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

/// Waits for enough history in Plimsoll; a time that both hold and that lies between scrapes, in milliseconds.
pub async fn common_time(prometheus: &Client, plimsoll: &Client) -> anyhow::Result<i64> {
    let now = || crate::ledger::now_ms() as f64 / 1_000.0;
    eventually("both targets have been scraped long enough", Duration::from_secs(120), || async {
        float(plimsoll, "min(count_over_time(up[5m]))", &now().to_string()).await.is_some_and(|n| n >= HISTORY_SECONDS as f64)
            && float(plimsoll, "count(up)", &now().to_string()).await == Some(2.0)
    })
    .await?;
    let end = (crate::ledger::now_ms() / 1_000 - 1) * 1_000;
    let offsets: Vec<i64> = prometheus.query("timestamp(up)", &(end / 1_000).to_string()).await?["result"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|s| s["value"][1].as_str().and_then(|v| v.parse::<f64>().ok()))
        .map(|t| (t * 1_000.0).round() as i64 % 1_000)
        .collect();
    // The millisecond of the second that is farthest from every target's scrape.
    let distance = |ms: i64| offsets.iter().map(|o| (ms - o).rem_euclid(1_000).min((o - ms).rem_euclid(1_000))).min().unwrap_or(1_000);
    let place = (0..1_000).step_by(10).max_by_key(|ms| distance(*ms)).unwrap_or(0);
    let t = end - 3_000 + place;
    // Remote write may lag behind: wait until it is past the time.
    eventually("samples after the chosen time have arrived", Duration::from_secs(60), || async {
        float(plimsoll, "min(timestamp(up))", &now().to_string()).await.is_some_and(|newest| newest * 1_000.0 > (t + 1_000) as f64)
    })
    .await?;
    Ok(t)
}
