//! Blocks of two hours at the load of `targets.md`: 100,000 series of a Kubernetes cluster, a sample every 15 s.
//!
//! `cargo bench -p plimsoll-tsdb --bench block`. Times are of warm files: what a disk adds is the disk's.

#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods, reason = "a benchmark")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use model::{Chunk, ChunkEncoding, Labels, MatchOp, Matcher};
use tsdb::block::{Block, BlockSpec, HashedBlock, Ulid, verify, write_block};
use tsdb::chunk::XorAppender;
use tsdb::compact::{MergeSpec, merge_blocks};
use tsdb::fs::RealFs;

const SERIES: usize = 100_000;
const SCRAPE_MS: i64 = 15_000;
const START: i64 = 1_700_006_400_000;
const RANGE_MS: i64 = 2 * 3_600 * 1_000;

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

fn value(n: usize, scrape: i64) -> f64 {
    let noise = (n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(scrape as u64 * 7919) >> 33;
    match n % 5 {
        0 | 1 => (scrape * 10_i64.pow(n as u32 / 5 % 5) * 15 + noise as i64 % 10) as f64,
        2 => ((scrape * 700 + noise as i64 % 100) as f64) / 100.0,
        3 => (noise % 1000) as f64,
        _ => (n % 3) as f64,
    }
}

/// The two hours of a series, in chunks whose first ends after `first` samples.
fn chunks(n: usize, first: usize) -> Vec<Chunk> {
    let samples = (RANGE_MS / SCRAPE_MS) as usize;
    let mut out = Vec::new();
    let (mut from, mut len) = (0, first);
    while from < samples {
        let to = samples.min(from + len);
        let time = |i: usize| START + i as i64 * SCRAPE_MS;
        let mut appender = XorAppender::new();
        (from..to).for_each(|i| appender.append(time(i), value(n, i as i64)));
        let data = Bytes::from(appender.finish());
        out.push(Chunk { encoding: ChunkEncoding::Xor, min_t: time(from), max_t: time(to - 1), data });
        (from, len) = (to, 120);
    }
    out
}

type Series = Vec<(Labels, Vec<Chunk>)>;

fn series(count: usize, first: usize) -> Series {
    let mut all: Series = (0..count).map(|n| (labels(n), chunks(n, first))).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn ulid(n: u128) -> Ulid {
    Ulid::new(START, n)
}

fn write(dir: &Path, n: u128, series: &Series) {
    let spec = BlockSpec::level_1(ulid(n), START, START + RANGE_MS);
    write_block(Arc::new(RealFs), dir, spec, series.iter().map(|(labels, chunks)| Ok((labels.clone(), chunks.clone())))).unwrap();
}

fn block(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let all = series(SERIES, 120);
    let samples = SERIES as u64 * (RANGE_MS / SCRAPE_MS) as u64;
    let mut group = c.benchmark_group("block");
    group.sample_size(10);
    group.throughput(Throughput::Elements(samples));
    group.bench_function("write 100k series", |b| {
        b.iter_custom(|rounds| {
            let mut time = Duration::ZERO;
            for _ in 0..rounds {
                let started = Instant::now();
                write(dir.path(), 1, &all);
                time += started.elapsed();
                std::fs::remove_dir_all(dir.path().join(ulid(1).to_string())).unwrap();
            }
            time
        });
    });
    write(dir.path(), 1, &all);
    drop(all);
    let path = dir.path().join(ulid(1).to_string());
    let block = Block::open(Arc::new(RealFs), &path).unwrap();
    group.bench_function("verify 100k series", |b| b.iter(|| assert!(verify(&block).is_sound())));
    let matchers = [Matcher::new(MatchOp::Regex, "namespace", "team-namespace-(3|17)").unwrap()];
    group.throughput(Throughput::Elements(5_000));
    group.bench_function("select 5k of 100k series", |b| {
        b.iter(|| {
            let mut found = 0;
            for series in block.select(&matchers, i64::MIN, i64::MAX).unwrap() {
                found += usize::from(!black_box(series.unwrap()).chunks.is_empty());
            }
            assert_eq!(found, 5_000);
        });
    });
    let hashed = HashedBlock::open(Arc::new(RealFs), &path).unwrap();
    group.bench_function("select 5k of 100k series by hash", |b| {
        b.iter(|| {
            let mut reader = hashed.reader();
            let positions = hashed.select(&matchers, i64::MIN, i64::MAX).unwrap();
            assert_eq!(positions.len(), 5_000);
            for position in positions {
                black_box(reader.read(position, i64::MIN, i64::MAX).unwrap());
            }
        });
    });
    group.bench_function("open, and select 1 series", |b| {
        b.iter(|| {
            let block = Block::open(Arc::new(RealFs), &path).unwrap();
            let matchers = [Matcher::equal("pod", "service-3-7d9f8b6c5d-00003"), Matcher::equal("le", "0.25")];
            assert!(block.select(&matchers, i64::MIN, i64::MAX).unwrap().count() > 0);
        });
    });
    group.finish();
}

fn merge(c: &mut Criterion) {
    const SERIES: usize = 20_000;
    let mut group = c.benchmark_group("merge");
    group.sample_size(10).throughput(Throughput::Elements(SERIES as u64 * (RANGE_MS / SCRAPE_MS) as u64));
    // Replicas that began together have the same chunks; one that was restarted has other ones over the same samples.
    for (what, firsts) in
        [("3 replicas of 20k series, equal chunks", [120, 120, 120]), ("3 replicas of 20k series, other chunks", [120, 120, 37])]
    {
        let dir = tempfile::tempdir().unwrap();
        let mut blocks = Vec::new();
        for (n, first) in (1..).zip(firsts) {
            write(dir.path(), n, &series(SERIES, first));
            blocks.push(Block::open(Arc::new(RealFs), &dir.path().join(ulid(n).to_string())).unwrap());
        }
        let blocks: Vec<_> = blocks.iter().collect();
        group.bench_function(what, |b| {
            b.iter_custom(|rounds| {
                let mut time = Duration::ZERO;
                for _ in 0..rounds {
                    let started = Instant::now();
                    let merged = merge_blocks(Arc::new(RealFs), dir.path(), &blocks, MergeSpec { ulid: ulid(9), thanos: None }).unwrap();
                    time += started.elapsed();
                    assert_eq!(merged.meta.unwrap().stats.num_series, SERIES as u64);
                    std::fs::remove_dir_all(dir.path().join(ulid(9).to_string())).unwrap();
                }
                time
            });
        });
    }
    group.finish();
}

criterion_group!(benches, block, merge);
criterion_main!(benches);
