//! Decoding of whole requests: 2,000 series with 11 labels and one sample each, as a kube-prometheus cluster sends them.
//!
//! `known`: the labels were seen before, from 200,000 series in turn, so that the cache of verdicts does not lie in the CPU's caches.
//! `new`: they were not. `snappy` is the decompression alone, `snappy and known` all that happens to a request between
//! its arrival and the push. Throughput is in samples.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use distributor::decode::snappy::decompress;
use distributor::decode::{BufferPool, Decoded, KnownSeries, Protocol, Rules, decode};
use distributor::inflight::InflightBytes;
use limits::Limits;
use model::TenantId;
use prost::Message;

const SERIES: usize = 2_000;
const REQUESTS: usize = 100;

/// The labels of a series, ascending; about 318 encoded bytes.
fn labels(series: usize) -> [(String, String); 11] {
    let pod = series / 40;
    let pair = |name: &str, value: String| (name.to_owned(), value);
    [
        pair("__name__", format!("container_network_receive_packets_dropped_{}_total", series % 40)),
        pair("container", "POD".to_owned()),
        pair("endpoint", "https-metrics".to_owned()),
        pair("id", format!("/kubepods/burstable/pod{pod:08x}/{:016x}", pod * 7_919)),
        pair("image", "registry.example/pause:3.9".to_owned()),
        pair("instance", format!("10.{}.{}.17:10250", pod % 200, pod % 250)),
        pair("job", "kubelet".to_owned()),
        pair("metrics_path", "/metrics/cadvisor".to_owned()),
        pair("namespace", format!("team-{}", pod % 50)),
        pair("node", format!("worker-{:03}.cluster.local", pod % 120)),
        pair("pod", format!("checkout-service-{pod:06x}-x2v9q")),
    ]
}

fn value(series: usize) -> f64 {
    (series * 12_345) as f64 / 100.0
}

const TIME: i64 = 1_763_900_000_000;

fn v1(request: usize) -> Vec<u8> {
    use proto::remote_write_v1::{Label, Sample, TimeSeries, WriteRequest};
    let series = |i: usize| TimeSeries {
        labels: labels(i).into_iter().map(|(name, value)| Label { name, value }).collect(),
        samples: vec![Sample { value: value(i), timestamp: TIME }],
        ..TimeSeries::default()
    };
    let timeseries = (request * SERIES..(request + 1) * SERIES).map(series).collect();
    WriteRequest { timeseries, metadata: Vec::new() }.encode_to_vec()
}

fn v2(request: usize) -> Vec<u8> {
    use proto::remote_write_v2::{Request, Sample, TimeSeries};
    let mut symbols = vec![String::new()];
    let mut numbers = std::collections::HashMap::new();
    let mut intern = |text: String| {
        *numbers.entry(text.clone()).or_insert_with(|| {
            symbols.push(text);
            symbols.len() as u32 - 1
        })
    };
    let mut timeseries = Vec::new();
    for i in request * SERIES..(request + 1) * SERIES {
        let labels_refs = labels(i).into_iter().flat_map(|(name, value)| [name, value]).map(&mut intern).collect();
        let samples = vec![Sample { value: value(i), timestamp: TIME, start_timestamp: 0 }];
        timeseries.push(TimeSeries { labels_refs, samples, ..TimeSeries::default() });
    }
    Request { symbols, timeseries }.encode_to_vec()
}

fn rules(known: &KnownSeries) -> Rules {
    let limits = Arc::new(Limits::default());
    let key = known.key(&TenantId::anonymous(), &limits);
    Rules { limits, known: known.table(), key, max_batch_bytes: 256 << 20 }
}

fn run(protocol: Protocol, body: &Bytes, rules: &Rules, inflight: &Arc<InflightBytes>) -> Decoded {
    let decoded = decode(protocol, body, rules, inflight.guard()).expect("the request is well-formed");
    assert_eq!(decoded.batch.series.len(), SERIES);
    decoded
}

fn bench(c: &mut Criterion) {
    let inflight = InflightBytes::new(1 << 30);
    for (name, protocol, bodies) in [
        ("rw1", Protocol::V1, (0..REQUESTS).map(v1).map(Bytes::from).collect::<Vec<_>>()),
        ("rw2", Protocol::V2, (0..REQUESTS).map(v2).map(Bytes::from).collect::<Vec<_>>()),
    ] {
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements(SERIES as u64));
        let known = KnownSeries::new(4 << 20, 7);
        for body in &bodies {
            run(protocol, body, &rules(&known), &inflight);
            known.make_room();
        }
        let warm = rules(&known);
        // Some were pushed out while the table was small.
        bodies.iter().for_each(|body| drop(run(protocol, body, &warm, &inflight)));
        let again: u64 = bodies.iter().map(|body| run(protocol, body, &warm, &inflight).known_series).sum();
        assert!(again > (SERIES * REQUESTS) as u64 * 99 / 100, "almost all series are known: {again}");
        let mut next = (0..REQUESTS).cycle();
        group.bench_function(BenchmarkId::from_parameter("known"), |b| {
            b.iter(|| black_box(run(protocol, &bodies[next.next().unwrap_or(0)], &warm, &inflight)));
        });
        group.bench_function(BenchmarkId::from_parameter("new"), |b| {
            b.iter_batched(
                || rules(&KnownSeries::new(1 << 13, 7)),
                |cold| black_box(run(protocol, &bodies[next.next().unwrap_or(0)], &cold, &inflight)),
                criterion::BatchSize::LargeInput,
            );
        });
        let compressed: Vec<Vec<u8>> =
            bodies.iter().map(|body| snap::raw::Encoder::new().compress_vec(body).expect("it is not 4 GiB long")).collect();
        let buffers = BufferPool::new();
        group.bench_function(BenchmarkId::from_parameter("snappy"), |b| {
            b.iter(|| black_box(decompress(&compressed[next.next().unwrap_or(0)], 64 << 20, &buffers, inflight.guard())));
        });
        group.bench_function(BenchmarkId::from_parameter("snappy and known"), |b| {
            b.iter(|| {
                let body = decompress(&compressed[next.next().unwrap_or(0)], 64 << 20, &buffers, inflight.guard())
                    .expect("it was compressed above");
                black_box(run(protocol, &body, &warm, &inflight))
            });
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = bench
}
criterion_main!(benches);
