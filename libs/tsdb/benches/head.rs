//! The head under the load of `targets.md`: 200,000 series of a Kubernetes cluster, 2,000 samples a push.
//!
//! `cargo bench -p plimsoll-tsdb --bench head`. Besides criterion's figures it prints where the memory is.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr, clippy::disallowed_methods, reason = "a benchmark")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use model::{BatchBuilder, LabelBlock, Labels, Matcher, Sample, TenantId, WriteBatch};
use tsdb::head::SelectOrder;
use tsdb::{AppendOutcome, Generation, Head, HeadConfig, HeadLimits, Selection, Wal, WalConfig};

const SERIES: usize = 200_000;
const PUSH: usize = 2_000;
const SCRAPE_MS: i64 = 15_000;
const START: i64 = 1_700_000_000_000;

/// Series `n` of a cluster: 11 labels, about 300 bytes.
fn labels(n: usize) -> Labels {
    let (pod, of_pod) = (n / 100, n % 100);
    let (family, le) = (of_pod / 12, of_pod % 12);
    let namespace = pod % 40;
    Labels::from_pairs([
        ("__name__", format!("http_request_duration_family_{family}_seconds_bucket")),
        ("cluster", "eu-west-1-production".to_owned()),
        ("container", format!("service-container-{}", pod % 50)),
        ("endpoint", "metrics-http".to_owned()),
        ("instance", format!("10.{}.{}.{}:9090", pod >> 16, pod >> 8 & 255, pod & 255)),
        ("job", format!("monitoring/service-{namespace}")),
        ("le", format!("{}", f64::from(le as u32) * 0.25)),
        ("namespace", format!("team-namespace-{namespace}")),
        ("node", format!("ip-10-0-{}-{}.eu-west-1.compute.internal", pod % 100, pod % 7)),
        ("pod", format!("service-{namespace}-7d9f8b6c5d-{pod:05x}")),
        ("service", format!("service-{namespace}")),
    ])
}

/// A value as `targets.md` describes: counters of many rates, counters of 1/100 s, walks, gauges, constants.
fn value(n: usize, scrape: i64) -> f64 {
    let noise = (n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(scrape as u64 * 7919) >> 33;
    match n % 5 {
        0 | 1 => (scrape * 10_i64.pow(n as u32 / 5 % 5) * 15 + noise as i64 % 10) as f64,
        2 => ((scrape * 700 + noise as i64 % 100) as f64) / 100.0,
        3 => (noise % 1000) as f64 + if n.is_multiple_of(2) { noise as f64 / 1e9 } else { 0.0 },
        _ => (n % 3) as f64,
    }
}

struct Load {
    labels: Vec<Labels>,
}

impl Load {
    fn new(series: usize) -> Self {
        Self { labels: (0..series).map(labels).collect() }
    }

    /// The pushes of one scrape; label blocks in the body, as a remote-write request has them.
    fn scrape(&self, scrape: i64) -> Vec<WriteBatch> {
        (0..self.labels.len() / PUSH).map(|push| self.push(scrape, push)).collect()
    }

    fn push(&self, scrape: i64, push: usize) -> WriteBatch {
        let (t, first) = (START + scrape * SCRAPE_MS, push * PUSH);
        batch(&self.labels[first..first + PUSH], |i| Sample { t, v: value(first + i, scrape) })
    }
}

fn batch(labels: &[Labels], sample: impl Fn(usize) -> Sample) -> WriteBatch {
    let body: Vec<u8> = labels.iter().flat_map(|l| l.as_bytes().iter().copied()).collect();
    let body = Bytes::from(body);
    let mut builder = BatchBuilder::new(body.clone());
    let mut at = 0;
    for (i, labels) in labels.iter().enumerate() {
        let end = at + labels.as_bytes().len();
        builder.sample(sample(i));
        builder.end_series_in_body(LabelBlock::from_validated(&body[at..end]).hash(), at..end);
        at = end;
    }
    builder.finish()
}

fn push_all(head: &Head, batches: &[WriteBatch], out: &mut AppendOutcome) {
    for batch in batches {
        head.append(batch, Selection::All, Generation(1), i64::MAX - 1_000_000, out);
        head.confirm(out);
        assert!(out.rejected.is_empty());
    }
}

fn append(c: &mut Criterion) {
    let mut group = c.benchmark_group("append");
    for (name, series) in [("20k series, 2000 a push", 20_000), ("200k series, 2000 a push", SERIES)] {
        let load = Load::new(series);
        let head = Head::new(HeadConfig::default());
        let mut out = AppendOutcome::new();
        push_all(&head, &load.scrape(0), &mut out);
        let mut pushes = 0;
        let mut logged = 0;
        group.throughput(Throughput::Elements(PUSH as u64)).sample_size(20);
        group.bench_function(name, |b| {
            b.iter_custom(|rounds| {
                let mut time = Duration::ZERO;
                for _ in 0..rounds {
                    // The batch is in the caches, as a decoder has just left it there.
                    let (scrape, push) = (1 + pushes / (series / PUSH), pushes % (series / PUSH));
                    let batch = load.push(scrape as i64, push);
                    let start = Instant::now();
                    head.append(&batch, Selection::All, Generation(1), i64::MAX - 1_000_000, &mut out);
                    time += start.elapsed();
                    assert_eq!(out.samples, PUSH as u64);
                    pushes += 1;
                    logged += out.record().body.len();
                }
                time
            });
        });
        if pushes > 0 {
            eprintln!("log: {:.2} bytes per sample", logged as f64 / (pushes * PUSH) as f64);
        }
    }
    group.finish();
}

/// Late samples: each push brings one for 2,000 series that have newer ones; and 2,000 of one series in no order, as a sender with many shards brings them.
fn late(c: &mut Criterion) {
    let limits = HeadLimits { out_of_order_time_window_ms: i64::MAX, ..HeadLimits::default() };
    let config = HeadConfig { limits, ..HeadConfig::default() };
    let load = Load::new(20_000);
    let head = Head::new(config.clone());
    let mut out = AppendOutcome::new();
    (0..60).for_each(|scrape| push_all(&head, &load.scrape(scrape), &mut out));
    let mut push = |head: &Head, batch: &WriteBatch| {
        let start = Instant::now();
        head.append(batch, Selection::All, Generation(1), i64::MAX - 1_000_000, &mut out);
        let time = start.elapsed();
        assert_eq!(out.samples, PUSH as u64);
        time
    };
    let mut group = c.benchmark_group("late");
    group.throughput(Throughput::Elements(PUSH as u64)).sample_size(20);
    let mut pushes = 0;
    group.bench_function("20k series, one late sample each", |b| {
        b.iter_custom(|rounds| {
            (0..rounds).fold(Duration::ZERO, |time, _| {
                // Between two scrapes, going backwards.
                let (round, first) = ((pushes / 10) as i64, pushes % 10 * PUSH);
                let t = START + (58 - round % 59) * SCRAPE_MS + 1 + round / 59;
                pushes += 1;
                time + push(&head, &batch(&load.labels[first..first + PUSH], |i| Sample { t, v: value(i, round) }))
            })
        });
    });
    let head = Head::new(config);
    let one = std::slice::from_ref(&load.labels[0]);
    push_all(&head, &[batch(one, |_| Sample { t: START + 20_000_000, v: 1.0 })], &mut AppendOutcome::new());
    let mut sent = 0_i64;
    group.bench_function("one series, 2000 a push, shuffled over 3 hours", |b| {
        b.iter_custom(|rounds| {
            (0..rounds).fold(Duration::ZERO, |time, _| {
                let mut builder = BatchBuilder::new(Bytes::new());
                for _ in 0..PUSH {
                    // A step without a common factor with the prime: each time comes once.
                    builder.sample(Sample { t: START + sent * 7_919_777 % 10_000_019, v: sent as f64 });
                    sent += 1;
                }
                builder.end_series_with(one[0].hash(), one[0].as_block());
                time + push(&head, &builder.finish())
            })
        });
    });
    group.finish();
    let stats = head.stats();
    eprintln!("one series: {sent} late samples in {} chunks, {} waiting", stats.late_chunks, stats.late_open_samples);
}

/// A label of 100,000 values: what patterns cost, and how long a push of a new series waits for the index meanwhile.
fn patterns(c: &mut Criterion) {
    let head = Head::new(HeadConfig::default());
    let mut out = AppendOutcome::new();
    let series = |i: usize| Labels::from_pairs([("__name__", format!("m{}", i % 100)), ("pod", format!("service-{}-{i:06x}", i % 500))]);
    let all: Vec<Labels> = (0..100_000).map(series).collect();
    all.chunks(PUSH).for_each(|labels| push_all(&head, &[batch(labels, |_| Sample { t: START, v: 1.0 })], &mut out));
    let pod = |value: &str| Matcher::new(model::MatchOp::Regex, "pod", value).unwrap();
    let cases = [
        ("prefix", vec![pod("service-77-.*")]),
        ("suffix", vec![pod(".*77")]),
        ("contains", vec![pod(".*-77.*")]),
        ("prefixes", vec![pod("service-7-.*|service-77-.*")]),
        ("automaton", vec![pod("service-[0-9]+7-.*[a-f]")]),
        ("name and automaton, 1,000 series", vec![Matcher::equal("__name__", "m7"), pod("service-[0-9]+7-.*[a-f]")]),
    ];
    let mut group = c.benchmark_group("100k values");
    group.sample_size(20);
    for (what, matchers) in &cases {
        group.bench_function(*what, |b| b.iter(|| head.select_ids(matchers, SelectOrder::Any)));
    }
    group.finish();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (longest, selections) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut selections = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                black_box(head.select_ids(&cases[4].1, SelectOrder::Any));
                selections += 1;
            }
            selections
        });
        let new: Vec<WriteBatch> =
            (0..40_000).map(|i| batch(&[Labels::from_pairs([("new", i.to_string())])], |_| Sample { t: START, v: 1.0 })).collect();
        let mut times: Vec<Duration> = new
            .iter()
            .map(|batch| {
                let start = Instant::now();
                push_all(&head, std::slice::from_ref(batch), &mut out);
                start.elapsed()
            })
            .collect();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        times.sort_unstable();
        ([times[times.len() / 2], times[times.len() * 99 / 100], times[times.len() - 1]], reader.join().unwrap())
    });
    eprintln!("40,000 new series during {selections} selections by a pattern: median, p99, longest {longest:?}");
}

fn create(c: &mut Criterion) {
    let load = Load::new(SERIES);
    let batches = load.scrape(0);
    let mut group = c.benchmark_group("create");
    group.throughput(Throughput::Elements(SERIES as u64)).sample_size(10);
    group.bench_function("200k new series", |b| {
        b.iter_batched(
            || Head::new(HeadConfig::default()),
            |head| {
                push_all(&head, &batches, &mut AppendOutcome::new());
                head
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// Resident memory of this process in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<usize>().ok()).unwrap_or_default() * 1024
}

/// Where the memory is. Runs first, while the allocator has nothing to give again.
fn memory(_: &mut Criterion) {
    let load = Load::new(SERIES);
    let head = Head::new(HeadConfig::default());
    let mut out = AppendOutcome::new();
    push_all(&Head::new(HeadConfig::default()), &[load.push(0, 0)], &mut out);
    let before = resident();
    for scrape in 0..40 {
        for push in 0..SERIES / PUSH {
            push_all(&head, &[load.push(scrape, push)], &mut out);
        }
    }
    eprintln!("{SERIES} series, 40 scrapes: {} bytes of resident memory per series", (resident() - before) / SERIES);
    report(&head);
    small_tenants(&load);
}

fn small_tenants(load: &Load) {
    const TENANTS: usize = 2_000;
    let before = resident();
    let heads: Vec<Head> = (0..TENANTS).map(|_| Head::new(HeadConfig::default())).collect();
    let mut out = AppendOutcome::new();
    for scrape in 0..40 {
        let batch = batch(&load.labels[..100], |i| Sample { t: START + scrape * SCRAPE_MS, v: value(i, scrape) });
        heads.iter().for_each(|head| push_all(head, std::slice::from_ref(&batch), &mut out));
    }
    eprintln!("{TENANTS} tenants of 100 series: {} bytes of resident memory per series", (resident() - before) / (TENANTS * 100));
    report(&heads[0]);
}

fn select(c: &mut Criterion) {
    let load = Load::new(SERIES);
    let mut out = AppendOutcome::new();
    let head = Head::new(HeadConfig::default());
    for scrape in 0..40 {
        for push in 0..SERIES / PUSH {
            push_all(&head, &[load.push(scrape, push)], &mut out);
        }
    }
    let name = |family: &str| Matcher::equal("__name__", &format!("http_request_duration_family_{family}_seconds_bucket"));
    let regex = |name: &str, value: &str| Matcher::new(model::MatchOp::Regex, name, value).unwrap();
    let cases = [
        ("one name, 24k series", vec![name("3")]),
        ("name and namespace, 600 series", vec![name("3"), Matcher::equal("namespace", "team-namespace-7")]),
        ("name and pod regex", vec![name("3"), regex("pod", "service-7-.*")]),
        ("everything", vec![regex("__name__", ".+")]),
    ];
    let mut group = c.benchmark_group("select");
    group.sample_size(10);
    for (what, matchers) in cases {
        group.bench_function(format!("ids: {what}"), |b| b.iter(|| head.select_ids(&matchers, SelectOrder::ByHash)));
        group.bench_function(format!("chunks: {what}"), |b| {
            b.iter(|| black_box(head.select(&matchers, i64::MIN, i64::MAX)).map_or(0, |s| s.len()));
        });
    }
    group.finish();
}

fn report(head: &Head) {
    let stats = head.stats();
    let per_series = |bytes: usize| bytes as f64 / stats.series as f64;
    let m = &stats.memory;
    eprintln!("bytes per series after 40 scrapes, {} series, {} label pairs:", stats.series, stats.label_pairs);
    let parts = [
        ("tables", m.tables),
        ("hot", m.hot),
        ("cold", m.cold),
        ("series labels", m.series_labels),
        ("open chunks", m.open_chunks),
        ("closed chunks", m.closed_chunks),
        ("label text", m.label_text),
        ("label pairs", m.label_pairs),
        ("postings", m.postings),
        ("total", m.total()),
    ];
    for (name, bytes) in parts {
        eprintln!("  {name:14} {:7.1}", per_series(bytes));
    }
}

fn wal(c: &mut Criterion) {
    let load = Load::new(SERIES);
    let tenant = TenantId::anonymous();
    let dir = tempfile::tempdir().unwrap();
    let fs = std::sync::Arc::new(tsdb::fs::RealFs);
    {
        let (wal, _) = Wal::open(dir.path(), WalConfig::default(), fs.clone()).unwrap();
        let head = Head::new(HeadConfig::default());
        let mut out = AppendOutcome::new();
        let mut scrape = 0;
        let mut group = c.benchmark_group("wal");
        group.throughput(Throughput::Elements(SERIES as u64)).sample_size(20);
        group.bench_function("append and log, 200k series", |b| {
            b.iter_batched_ref(
                || {
                    scrape += 1;
                    load.scrape(scrape)
                },
                |batches| {
                    for batch in batches.iter() {
                        head.append(batch, Selection::All, wal.generation(), i64::MAX - 1_000_000, &mut out);
                        wal.append(&tenant, out.take_record()).unwrap();
                        head.confirm(&out);
                    }
                },
                BatchSize::PerIteration,
            );
        });
        group.finish();
        if scrape > 0 {
            let bytes = wal.stats().bytes as f64;
            eprintln!("log: {:.2} bytes per sample over {scrape} scrapes, definitions included", bytes / (scrape as usize * SERIES) as f64);
        }
    }
    let mut group = c.benchmark_group("replay");
    group.sample_size(10);
    for workers in [1, 2] {
        group.bench_function(format!("{workers} workers"), |b| {
            b.iter(|| {
                let head = std::sync::Arc::new(Head::new(HeadConfig::default()));
                let (_wal, replay) = Wal::open(dir.path(), WalConfig::default(), fs.clone()).unwrap();
                let report = replay.run(&|_: &TenantId| Some(head.clone()), workers).unwrap();
                assert_eq!(report.heads.orphans + report.quarantined, 0);
                report.heads.samples
            });
        });
    }
    group.finish();
}

criterion_group!(benches, memory, append, late, create, select, patterns, wal);
criterion_main!(benches);
