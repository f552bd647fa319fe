//! The cost of carrying a push from one process to another, per series: message building, protobuf, and the way back.
//!
//! A batch of 2,000 series with ten labels (180 to 200 bytes each) and one sample, as a Prometheus sends.
#![allow(missing_docs, reason = "a benchmark")]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use model::{BatchBuilder, LabelBlock, Labels, Sample, WriteBatch};
use prost::Message;
use proto::convert::ingester::{push_from_wire, push_to_wire};
use proto::ingester::PushRequest;

const SERIES: u32 = 2_000;

fn batch() -> WriteBatch {
    let mut builder = BatchBuilder::new(Bytes::new());
    for i in 0..SERIES {
        let labels = Labels::from_pairs([
            ("__name__", "container_network_receive_bytes_total"),
            ("cluster", "eu-west-1-prod"),
            ("container", "main"),
            ("endpoint", "https-metrics"),
            ("instance", &format!("10.11.{}.{}:10250", i / 250, i % 250)),
            ("interface", "eth0"),
            ("job", "kubelet"),
            ("namespace", "monitoring"),
            ("pod", &format!("node-exporter-{i:05}")),
            ("service", "kubelet"),
        ]);
        builder.sample(Sample { t: 1_700_000_000_000, v: f64::from(i) * 1.5 });
        builder.end_series_with(labels.hash(), labels.as_block());
    }
    builder.finish()
}

fn push(c: &mut Criterion) {
    let batch = batch();
    let message = push_to_wire(&batch, None, false);
    let bytes = Bytes::from(message.encode_to_vec());
    let mut group = c.benchmark_group("push_2000_series");
    group.throughput(Throughput::Elements(u64::from(SERIES)));
    group.bench_function("to_message", |b| b.iter(|| push_to_wire(black_box(&batch), None, false)));
    group.bench_function("to_bytes", |b| b.iter(|| push_to_wire(black_box(&batch), None, false).encode_to_vec()));
    group.bench_function("parse", |b| b.iter(|| PushRequest::decode(black_box(bytes.clone())).expect("our own bytes")));
    let decoded = || PushRequest::decode(bytes.clone()).expect("our own bytes");
    group.bench_function("to_batch", |b| {
        b.iter_batched(decoded, |message| push_from_wire(message).expect("our own message"), BatchSize::SmallInput);
    });
    let blocks: Vec<_> = batch.series.iter().map(|s| batch.labels(s).as_bytes()).collect();
    // What is left to the head, for series that it does not know.
    group.bench_function("check_blocks", |b| b.iter(|| blocks.iter().filter(|block| LabelBlock::validate(block).is_ok()).count()));
    group.finish();
}

criterion_group!(benches, push);
criterion_main!(benches);
