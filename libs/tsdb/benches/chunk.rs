//! XOR and histogram chunks: nanoseconds per sample of appending and decoding, 120 samples per chunk.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use model::{ChunkEncoding, Histogram, Span};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tsdb::chunk::{AppendOutcome, HistogramAppender, XorAppender, XorIterator, decode_histograms, decode_xor_into};

const SAMPLES: usize = 120;
const CHUNKS: usize = 500;

/// The characters of series that servers have: most never change, many count, some wander with few digits, few are full floats.
fn value(kind: &str, rng: &mut StdRng, i: usize, last: f64) -> f64 {
    match kind {
        "constant" => 42.0,
        "counter" => last + f64::from(rng.random_range(0..500_u32)),
        "centis" => ((last + f64::from(rng.random_range(0..15_u32)) / 100.0) * 100.0).round() / 100.0,
        "walk" => last + rng.random_range(-1.0..1.0),
        // "mix" and "jitter": a quarter of the series of each.
        _ => value(["constant", "counter", "centis", "walk"][i % 4], rng, i, last),
    }
}

fn series(kind: &str) -> Vec<Vec<(i64, f64)>> {
    let mut rng = StdRng::seed_from_u64(7);
    let one = |i| {
        let mut last = f64::from(rng.random_range(0..100_000_u32));
        let start = 1_700_000_000_000 + rng.random_range(0..15_000_i64);
        (0..SAMPLES as i64)
            .map(|s| {
                last = value(kind, &mut rng, i, last);
                // Prometheus aligns its scrapes; of "jitter", one in eight comes a millisecond or two off.
                let jitter = if kind == "jitter" && rng.random_range(0..8_u32) == 0 { rng.random_range(-2..3_i64) } else { 0 };
                (start + s * 15_000 + jitter, last)
            })
            .collect()
    };
    (0..CHUNKS).map(one).collect()
}

fn encode(samples: &[(i64, f64)]) -> Vec<u8> {
    let mut appender = XorAppender::new();
    for (t, v) in samples {
        appender.append(*t, *v);
    }
    appender.finish()
}

fn xor(c: &mut Criterion) {
    for kind in ["constant", "counter", "centis", "walk", "mix", "jitter"] {
        let all = series(kind);
        let chunks: Vec<Vec<u8>> = all.iter().map(|s| encode(s)).collect();
        let mut group = c.benchmark_group(format!("xor/{kind}"));
        group.throughput(Throughput::Elements((SAMPLES * CHUNKS) as u64));
        group.bench_function("append", |b| b.iter(|| all.iter().map(|s| encode(black_box(s)).len()).sum::<usize>()));
        group.bench_function("append_in_arrival_order", |b| {
            b.iter_batched(|| vec![XorAppender::new(); CHUNKS], |appenders| arrive(&all, appenders), BatchSize::LargeInput);
        });
        let (mut times, mut values) = (Vec::new(), Vec::new());
        group.bench_function("decode_into", |b| {
            b.iter(|| {
                for chunk in &chunks {
                    times.clear();
                    values.clear();
                    decode_xor_into(black_box(chunk), i64::MIN, i64::MAX, &mut times, &mut values).expect("our own chunk");
                }
                values.len()
            });
        });
        group.bench_function("iterate", |b| b.iter(|| chunks.iter().map(|chunk| iterate(black_box(chunk))).sum::<f64>()));
        group.finish();
    }
}

/// One sample of each series, then the next of each: what a head sees.
fn arrive(all: &[Vec<(i64, f64)>], mut appenders: Vec<XorAppender>) -> Vec<XorAppender> {
    for i in 0..SAMPLES {
        for (appender, samples) in appenders.iter_mut().zip(all) {
            let (t, v) = samples[i];
            appender.append(t, v);
        }
    }
    appenders
}

fn iterate(chunk: &[u8]) -> f64 {
    let mut it = XorIterator::new(chunk).expect("our own chunk");
    let mut sum = 0.0;
    while let Some(sample) = it.next().expect("our own chunk") {
        sum += sample.v;
    }
    sum
}

fn histograms() -> Vec<Histogram> {
    let mut rng = StdRng::seed_from_u64(7);
    let mut absolute = [10_i64; 40];
    let mut next = || {
        for count in &mut absolute {
            *count += rng.random_range(0..20_i64);
        }
        let deltas = std::iter::once(absolute[0]).chain(absolute.windows(2).map(|w| w[1] - w[0])).collect();
        let count: i64 = absolute.iter().sum();
        Histogram {
            schema: 3,
            zero_threshold: 2.0_f64.powi(-128),
            count: count as u64,
            sum: count as f64 * 0.37,
            positive_spans: vec![Span { offset: -3, length: 25 }, Span { offset: 2, length: 15 }],
            positive_deltas: deltas,
            ..Histogram::default()
        }
    };
    (0..SAMPLES).map(|_| next()).collect()
}

fn encode_histograms(all: &[Histogram]) -> Vec<u8> {
    let mut appender = HistogramAppender::new();
    for (t, h) in (0..).step_by(15_000).zip(all) {
        assert_eq!(appender.append(t, h), AppendOutcome::Appended);
    }
    appender.finish()
}

fn histogram(c: &mut Criterion) {
    let all = histograms();
    let chunk = encode_histograms(&all);
    let mut group = c.benchmark_group("histogram/40_buckets");
    group.throughput(Throughput::Elements(SAMPLES as u64));
    group.bench_function("append", |b| b.iter(|| encode_histograms(black_box(&all)).len()));
    group.bench_function("decode", |b| {
        b.iter(|| decode_histograms(ChunkEncoding::Histogram, black_box(&chunk)).expect("our own chunk").len());
    });
    group.finish();
}

criterion_group!(benches, xor, histogram);
criterion_main!(benches);
