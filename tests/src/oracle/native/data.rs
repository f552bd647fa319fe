//! The data set: counters without and with resets, gauges, float counts, custom bounds, two schemas, three zero buckets, series of mixed kinds.

use std::ops::Range;

use model::Labels;
use proto::remote_write_v1 as v1;
use proto::remote_write_v1::histogram::{Count, ResetHint, ZeroCount};

use crate::oracle::random::Random;

/// Scrapes of each series.
const SCRAPES: i64 = 60;
const SCRAPE_MS: i64 = 30_000;
/// The time of the first scrape to that of the last.
pub const SPAN_MS: i64 = SCRAPES * SCRAPE_MS;
/// As in the other data set: both servers come to know all series in one order, by a stale marker.
const PRELUDE_MS: i64 = 400_000;
const STALE: u64 = 0x7ff0_0000_0000_0002;
/// The series of custom buckets.
const CUSTOM: i32 = -53;

/// Scrapes per request, and scrapes until a series of mixed kinds changes its kind: a request's numbers and histograms are not taken in order.
const SLICE: i64 = 6;
/// Where exponential buckets begin, by instance: above the zero bucket.
const FIRST: [i32; 3] = [-6, -6, 0];
/// Exponential buckets: a run, a gap, a run.
const RUNS: (u32, i32, u32) = (5, 3, 6);

/// How a series behaves.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Counter,
    Resets,
    Gauge,
    Float,
    Custom,
    Mixed,
}

/// One scrape of a series.
enum Sample {
    Number(f64),
    Histogram(Box<v1::Histogram>),
}

/// The requests that bring all series to a server; times from `base` on.
#[must_use]
pub fn requests(seed: u64, base: i64) -> Vec<v1::WriteRequest> {
    let mut random = Random::new(seed);
    let mut all: Vec<(Labels, Vec<(i64, Sample)>)> = Vec::new();
    for (name, kind) in [
        ("native_seconds", Kind::Counter),
        ("native_resets", Kind::Resets),
        ("native_gauge", Kind::Gauge),
        ("native_float", Kind::Float),
        ("native_custom", Kind::Custom),
        ("native_mixed", Kind::Mixed),
    ] {
        for job in ["api", "db"] {
            for (i, instance) in ["i0", "i1", "i2"].into_iter().enumerate() {
                let labels = Labels::from_pairs([("__name__", name), ("job", job), ("instance", instance)]);
                all.push((labels, series(&mut random, base, kind, i, job == "db")));
            }
        }
    }
    for instance in ["i0", "i1"] {
        let labels = Labels::from_pairs([("__name__", "plain"), ("job", "api"), ("instance", instance)]);
        all.push((labels, (0..SCRAPES).map(|i| (base + i * SCRAPE_MS, Sample::Number((i % 7) as f64 + 1.0))).collect()));
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    let prelude = v1::Sample { value: f64::from_bits(STALE), timestamp: base - PRELUDE_MS };
    let mut requests = vec![all.iter().map(|(labels, _)| v1::TimeSeries { samples: vec![prelude], ..named(labels) }).collect::<Vec<_>>()];
    for slice in 0..SCRAPES / SLICE {
        let from = base + slice * SLICE * SCRAPE_MS;
        let times = from..from + SLICE * SCRAPE_MS;
        requests.push(all.iter().map(|(labels, samples)| with_samples(labels, samples, &times)).collect());
    }
    requests.into_iter().map(|timeseries| v1::WriteRequest { timeseries, metadata: Vec::new() }).collect()
}

fn named(labels: &Labels) -> v1::TimeSeries {
    let labels = labels.iter().map(|(name, value)| v1::Label { name: name.to_owned(), value: value.to_owned() }).collect();
    v1::TimeSeries { labels, ..v1::TimeSeries::default() }
}

fn with_samples(labels: &Labels, samples: &[(i64, Sample)], times: &Range<i64>) -> v1::TimeSeries {
    let mut out = named(labels);
    for (t, sample) in samples.iter().filter(|(t, _)| times.contains(t)) {
        match sample {
            Sample::Number(value) => out.samples.push(v1::Sample { value: *value, timestamp: *t }),
            Sample::Histogram(h) => out.histograms.push(v1::Histogram { timestamp: *t, ..h.as_ref().clone() }),
        }
    }
    out
}

fn series(random: &mut Random, base: i64, kind: Kind, instance: usize, negative: bool) -> Vec<(i64, Sample)> {
    let jitter = if instance == 1 { 4_000 } else { 0 };
    let mut counts = start(random, kind, negative);
    let mut out = Vec::new();
    for i in 0..SCRAPES {
        let t = base + i * SCRAPE_MS + random.between(0, jitter);
        if random.percent(4) {
            continue;
        }
        if kind == Kind::Resets && random.percent(10) {
            counts.iter_mut().for_each(|count| *count = random.below(20));
        }
        for count in &mut counts {
            // Some buckets stay as they are.
            let step = if random.percent(30) { 0 } else { random.below(24) };
            *count = if kind == Kind::Gauge && random.percent(50) { count.saturating_sub(step) } else { *count + step };
        }
        if kind == Kind::Mixed && (i / SLICE) % 2 == 1 {
            out.push((t, Sample::Number(counts[0] as f64)));
        } else {
            out.push((t, Sample::Histogram(Box::new(histogram(kind, instance, negative, &counts)))));
        }
    }
    out
}

fn start(random: &mut Random, kind: Kind, negative: bool) -> Vec<u64> {
    let sides = if negative { 2 } else { 1 };
    let buckets = if kind == Kind::Custom { 4 } else { 1 + 11 * sides };
    let least = if matches!(kind, Kind::Counter | Kind::Float | Kind::Custom) { 1_000_000 } else { 200 };
    (0..buckets).map(|_| least + random.below(1_000)).collect()
}

/// A histogram of these counts: the zero bucket's, those of the positive buckets, those of the negative ones.
fn histogram(kind: Kind, instance: usize, negative: bool, counts: &[u64]) -> v1::Histogram {
    let total: u64 = counts.iter().sum();
    let mut h = v1::Histogram { sum: total as f64 * 0.375, ..v1::Histogram::default() };
    if kind == Kind::Gauge {
        h.reset_hint = ResetHint::Gauge.into();
    }
    if kind == Kind::Custom {
        h.schema = CUSTOM;
        h.custom_values = vec![0.125, 0.5, 2.0];
        h.positive_spans = vec![v1::BucketSpan { offset: 0, length: 4 }];
        h.positive_deltas = deltas(counts);
        h.count = Some(Count::CountInt(total));
        h.zero_count = Some(ZeroCount::ZeroCountInt(0));
        return h;
    }
    h.schema = [3, 3, 1][instance];
    // The third ends inside of a bucket of the first two.
    h.zero_threshold = [2.0_f64.powi(-128), 2.0_f64.powi(-10), 0.65][instance];
    let span = |offset, length| v1::BucketSpan { offset, length };
    let spans = || vec![span(FIRST[instance], RUNS.0), span(RUNS.1, RUNS.2)];
    let (zero, buckets) = counts.split_first().unwrap_or((&0, &[]));
    let (above, below) = buckets.split_at(11.min(buckets.len()));
    h.positive_spans = spans();
    if negative {
        h.negative_spans = spans();
    }
    if kind == Kind::Float {
        let eighths = |counts: &[u64]| counts.iter().map(|c| *c as f64 / 8.0).collect();
        h.positive_counts = eighths(above);
        h.negative_counts = eighths(below);
        h.count = Some(Count::CountFloat(total as f64 / 8.0));
        h.zero_count = Some(ZeroCount::ZeroCountFloat(*zero as f64 / 8.0));
    } else {
        h.positive_deltas = deltas(above);
        h.negative_deltas = deltas(below);
        h.count = Some(Count::CountInt(total));
        h.zero_count = Some(ZeroCount::ZeroCountInt(*zero));
    }
    h
}

fn deltas(counts: &[u64]) -> Vec<i64> {
    let mut previous = 0;
    counts.iter().map(|count| *count as i64 - std::mem::replace(&mut previous, *count as i64)).collect()
}
