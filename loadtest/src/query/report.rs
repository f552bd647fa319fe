//! What `loadtest query` prints.

use super::ask::{Asked, Costs};
use crate::figures::Latencies;

pub(super) fn each(all: &[Asked]) {
    println!("{:>9} {:>9} {:>10}  query", "CPU ms", "p50 ms", "bytes");
    for asked in all {
        let bytes = asked.answer.as_ref().map_or(0, |body| body.len());
        println!("{:>9.2} {:>9.2} {bytes:>10}  {}", asked.cpu_ms, Latencies::new(asked.latencies.clone()).ms(0.5), asked.what);
    }
}

pub(super) fn summary(name: &str, costs: &Costs) {
    println!("query, {name}: {} queries, {} asked", costs.queries, costs.latencies.len());
    println!(
        "  latency p50 / p95 / p99          {:>8.2} / {:.2} / {:.2} ms",
        costs.latencies.ms(0.50),
        costs.latencies.ms(0.95),
        costs.latencies.ms(0.99)
    );
    println!("  server CPU per query, geometric mean {:>8.2} ms", costs.cpu_ms_mean);
    println!("  server CPU, sum over the list        {:>8.1} ms", costs.cpu_ms_sum);
    println!("  RSS growth at peak                   {:>8.1} MB", costs.rss_growth as f64 / 1e6);
}
