//! What `loadtest write` prints.

use std::time::Duration;

use super::load::Load;
use super::run::Written;
use crate::server::Server;

pub(super) fn load(server: &Server, load: &Load, w: &Written) {
    let cpu = w.after.cpu_seconds - w.before.cpu_seconds;
    println!(
        "write, {}, {:?}, {:?}: {} series, {} samples in {:.1} s",
        server.kind.name(),
        load.shape,
        load.protocol,
        w.series,
        w.samples,
        w.wall.as_secs_f64()
    );
    println!("  samples per second                     {:>12.0}", w.samples as f64 / w.wall.as_secs_f64());
    println!("  server CPU seconds per million samples {:>12.3}", cpu / w.samples as f64 * 1e6);
    if let Some(steady) = w.steady_samples_per_cpu_second() {
        println!("  steady samples per server CPU second   {steady:>12.0}");
    }
    println!("  CPU per new series (first scrape)      {:>12.1} us", w.cpu_us_per_new_series());
    println!("  RSS growth per series                  {:>12.0} B", w.per_series(w.rss_growth()));
    println!("  peak RSS per series                    {:>12.0} B", w.per_series(w.after.peak_rss_bytes));
    if let Some(disk) = server.disk() {
        println!("  bytes on disk per sample               {:>12.2} B", disk.all_bytes as f64 / w.samples as f64);
    }
    println!("  push latency p50 / p99                 {:>8.1} / {:.1} ms", w.latencies.ms(0.50), w.latencies.ms(0.99));
}

/// Where the memory is by the server's own account, and what of it the system sees.
pub(super) async fn memory(server: &Server, w: &Written) -> anyhow::Result<()> {
    let per_series = |bytes: f64| bytes / w.series as f64;
    let usage = server.usage()?;
    println!("memory per series, after {} samples each", w.scrapes);
    let mut accounted = 0.0;
    for (name, bytes) in server.metrics("plimsoll_ingester_memory_bytes").await? {
        let structure = name.split('"').nth(1).unwrap_or(&name);
        println!("  {structure:<38} {:>12.1} B", per_series(bytes));
        accounted += bytes;
    }
    println!("  {:<38} {:>12.1} B", "together", per_series(accounted));
    println!("  {:<38} {:>12.1} B", "RSS, files and what was there before", per_series(usage.rss_bytes as f64));
    println!("  {:<38} {:>12.1} B", "RSS growth", per_series(usage.rss_bytes.saturating_sub(w.before.rss_bytes) as f64));
    println!("  {:<38} {:>12.1} B", "of RSS: mapped files", per_series(usage.file_rss_bytes as f64));
    Ok(())
}

pub(super) fn restart(server: &Server, w: &Written, took: Duration) -> anyhow::Result<()> {
    let usage = server.usage()?;
    println!("start after a kill: ready after {:.1} s, {:.1} CPU seconds", took.as_secs_f64(), usage.cpu_seconds);
    println!("  RSS per series                         {:>12.0} B", w.per_series(usage.rss_bytes));
    println!("  peak RSS per series                    {:>12.0} B", w.per_series(usage.peak_rss_bytes));
    Ok(())
}
