//! Which figures the table has, and what they are called.

use super::measure::{Measured, Plan};
use super::table::{Better, Figure, Table};
use crate::mixed::Mixed;
use crate::write::{Shape, Written};

const STEADY: Figure = Figure("samples per server CPU second, series known", "samples", Better::More);
const STEADY_V2: Figure = Figure("the same, remote write 2.0", "samples", Better::More);
const NEW_SERIES: Figure = Figure("CPU per new series (first scrape)", "µs", Better::Less);
const CPU_PER_MILLION: Figure = Figure("CPU per million samples, all of the load", "s", Better::Less);
const RSS_GROWTH: Figure = Figure("RSS growth per series", "B", Better::Less);
const RSS_PEAK: Figure = Figure("peak RSS per series while writing", "B", Better::Less);
const PUSH_P50: Figure = Figure("push latency p50", "ms", Better::Less);
const PUSH_P99: Figure = Figure("push latency p99", "ms", Better::Less);
const LOG: Figure = Figure("write-ahead log per sample", "B", Better::Less);
const DATA: Figure = Figure("data directory per sample after the load", "B", Better::Less);
const CUT: Figure = Figure("blocks as cut, per sample", "B", Better::Less);
const MERGED: Figure = Figure("after a merge, per sample", "B", Better::Less);
const MEAN: Figure = Figure("45 queries: CPU, geometric mean", "ms", Better::Less);
const SUM: Figure = Figure("45 queries: CPU, sum", "ms", Better::Less);
const QUERY_P50: Figure = Figure("45 queries: latency p50", "ms", Better::Less);
const QUERY_P99: Figure = Figure("45 queries: latency p99", "ms", Better::Less);
const QUERY_RSS: Figure = Figure("45 queries: RSS growth at peak", "MB", Better::Less);
const READY: Figure = Figure("ready after a kill", "s", Better::Less);

const LIVE_P50: Figure = Figure("push latency p50", "ms", Better::Less);
const LIVE_P99: Figure = Figure("push latency p99", "ms", Better::Less);
const LIVE_QUERY_P50: Figure = Figure("query latency p50", "ms", Better::Less);
const LIVE_QUERY_P95: Figure = Figure("query latency p95", "ms", Better::Less);
const CORES: Figure = Figure("cores", "cores", Better::Less);
const PEAK: Figure = Figure("peak RSS", "MB", Better::Less);
const RATE: Figure = Figure("live samples per second", "samples", Better::More);

/// The figures of one server under one load.
pub(super) fn measured(table: &mut Table, server: &str, plan: &Plan, m: &Measured) {
    let (w, shape) = (&m.written, plan.load.shape);
    let samples = w.samples as f64;
    let per_sample = |bytes: u64| bytes as f64 / samples;
    let rows = [
        (STEADY, w.steady_samples_per_cpu_second()),
        (NEW_SERIES, Some(w.cpu_us_per_new_series())),
        (CPU_PER_MILLION, Some((w.after.cpu_seconds - w.before.cpu_seconds) / samples * 1e6)),
        (RSS_GROWTH, Some(w.rss_growth() as f64 / plan.load.series_ever() as f64)),
        (RSS_PEAK, Some(w.after.peak_rss_bytes as f64 / plan.load.series_ever() as f64)),
        (PUSH_P50, Some(w.latencies.ms(0.50))),
        (PUSH_P99, Some(w.latencies.ms(0.99))),
        (LOG, m.disk.and_then(|disk| disk.log_bytes).map(per_sample)),
        (DATA, m.disk.map(|disk| per_sample(disk.all_bytes))),
        (CUT, m.long_term.as_cut),
        (MERGED, m.long_term.merged),
        (MEAN, Some(m.costs.cpu_ms_mean)),
        (SUM, Some(m.costs.cpu_ms_sum)),
        (QUERY_P50, Some(m.costs.latencies.ms(0.50))),
        (QUERY_P99, Some(m.costs.latencies.ms(0.99))),
        (QUERY_RSS, Some(m.costs.rss_growth as f64 / 1e6)),
        (READY, m.ready_after_kill.map(|took| took.as_secs_f64())),
    ];
    let section = section(shape, plan);
    for (figure, value) in rows {
        table.set(&section, figure, server, value);
    }
}

/// How fast the same load is by remote write 2.0.
pub(super) fn second_protocol(table: &mut Table, server: &str, plan: &Plan, w: &Written) {
    table.set(&section(plan.load.shape, plan), STEADY_V2, server, w.steady_samples_per_cpu_second());
}

fn section(shape: Shape, plan: &Plan) -> String {
    let load = &plan.load;
    let churn = if shape == Shape::Churn { ", half of the series replaced every hour" } else { "" };
    format!("{}: {} series × {} scrapes{churn}", shape.name(), load.series, load.scrapes)
}

/// The figures of the mixed load.
pub(super) fn mixed(table: &mut Table, server: &str, m: &Mixed) {
    let rows = [
        (RATE, m.samples_per_second),
        (LIVE_P50, m.writes.ms(0.50)),
        (LIVE_P99, m.writes.ms(0.99)),
        (LIVE_QUERY_P50, m.queries.ms(0.50)),
        (LIVE_QUERY_P95, m.queries.ms(0.95)),
        (CORES, m.cores),
        (PEAK, m.peak_rss_bytes as f64 / 1e6),
    ];
    for (figure, value) in rows {
        table.set("mixed: live samples and a dashboard over an hour of history", figure, server, Some(value));
    }
}
