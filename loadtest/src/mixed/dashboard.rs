//! A dashboard: twelve panels over the last hour or of now, asked one after the other.

use std::time::{Duration, Instant};

use crate::query::{client, encoded, get};
use crate::server::Server;
use crate::write::now_ms;

/// The last hour at 15 s.
const RANGES: [&str; 8] = [
    "sum by (mode) (rate(node_cpu_seconds_total[5m]))",
    "100 - avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\",namespace=\"payments\"}[5m])) * 100",
    "sum by (namespace) (container_memory_working_set_bytes)",
    "sum by (namespace) (rate(container_network_receive_bytes_total[5m]))",
    "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket{namespace=\"search\"}[5m])))",
    "sum(rate(http_request_duration_seconds_count[5m]))",
    "topk(5, rate(container_cpu_usage_seconds_total{namespace=\"checkout\"}[5m]))",
    "go_goroutines{namespace=\"monitoring\"}",
];
/// Now.
const INSTANTS: [&str; 4] = [
    "count(kube_pod_info)",
    "sum(container_memory_rss)",
    "topk(10, sum by (pod) (rate(container_cpu_usage_seconds_total[5m])))",
    "kube_pod_status_ready{namespace=\"payments\"} == 1",
];

/// Asks the dashboard every `refresh` until the time is over; how long each query took.
pub(super) async fn ask(server: &Server, refresh: Duration, until: Instant) -> anyhow::Result<Vec<Duration>> {
    let client = client()?;
    let mut latencies = Vec::new();
    let mut due = Instant::now();
    while due < until {
        tokio::time::sleep_until(due.into()).await;
        for call in calls(now_ms()? / 1_000) {
            if Instant::now() >= until {
                return Ok(latencies);
            }
            let started = Instant::now();
            get(&client, &server.api_url(&format!("{call}{}", server.kind.uncached()))).await?;
            latencies.push(started.elapsed());
        }
        due = (due + refresh).max(Instant::now());
    }
    Ok(latencies)
}

fn calls(now: i64) -> impl Iterator<Item = String> {
    let end = now / 15 * 15;
    let ranges = RANGES.iter().map(move |q| format!("query_range?query={}&start={}&end={end}&step=15", encoded(q), end - 3_600));
    ranges.chain(INSTANTS.iter().map(move |q| format!("query?query={}&time={now}", encoded(q))))
}
