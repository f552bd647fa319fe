//! Reading six hours of many series from a head, and from the three blocks that were cut from it, in order of hashes.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use model::{BatchBuilder, Labels, Matcher, Sample, SeriesChunks};
use tsdb::block::{BlockSpec, HashedBlock, Ulid, write_sealed_range};
use tsdb::fs::RealFs;
use tsdb::head::{HeadConfig, SelectOrder};
use tsdb::{AppendOutcome, Generation, Head, HeadLimits, Selection};

const SERIES: usize = 20_000;
const SCRAPES: i64 = 6 * 240;
/// A multiple of two hours.
const T0: i64 = 1_699_999_200_000;

fn labels() -> Vec<Labels> {
    let pod = |n: usize| format!("pod-{:05}-{:x}", n / 20, n.wrapping_mul(0x9e37_79b9) % 0xfffff);
    (0..SERIES)
        .map(|n| {
            Labels::from_pairs([
                ("__name__", format!("container_metric_{}_total", n % 20)),
                ("cluster", "production-1".to_owned()),
                ("container", "main".to_owned()),
                ("instance", format!("10.0.{}.{}:9100", n / 5_000, n / 20 % 250)),
                ("job", "kubelet".to_owned()),
                ("namespace", format!("team-{}", n / 200 % 40)),
                ("pod", pod(n)),
            ])
        })
        .collect()
}

fn filled() -> Head {
    let head =
        Head::new(HeadConfig { limits: HeadLimits { creation_grace_ms: i64::MAX, ..HeadLimits::default() }, ..HeadConfig::default() });
    let labels = labels();
    let mut out = AppendOutcome::new();
    for scrape in 0..SCRAPES {
        let mut builder = BatchBuilder::new(Bytes::new());
        for (n, labels) in labels.iter().enumerate() {
            let v = if n % 3 == 0 { (scrape * n as i64) as f64 } else { ((scrape * 7_919 + n as i64) % 1_000) as f64 / 8.0 };
            builder.sample(Sample { t: T0 + scrape * 15_000 + n as i64 % 15_000, v });
            builder.end_series_with(labels.hash(), labels.as_block());
        }
        head.append(&builder.finish(), Selection::All, Generation(1), T0, &mut out);
        head.confirm(&out);
    }
    head
}

fn cut(head: &Head, dir: &Path) -> Vec<HashedBlock> {
    let ranges = head.seal(i64::MAX);
    let made = ranges.iter().zip(1..).map(|(start, n)| {
        let spec = BlockSpec::level_1(Ulid::new(n, 0), *start, start + head.chunk_range_ms());
        let meta = write_sealed_range(Arc::new(RealFs), dir, head, spec, &|| true).unwrap().unwrap();
        HashedBlock::open(Arc::new(RealFs), &dir.join(meta.ulid.to_string())).unwrap()
    });
    made.collect()
}

fn read_head(head: &Head, matchers: &[Matcher]) -> usize {
    let ids = head.select_ids(matchers, SelectOrder::ByHash);
    let mut chunks = 0;
    for ids in ids.chunks(256) {
        let mut batch: Vec<SeriesChunks> = Vec::new();
        head.read_series(ids, T0, i64::MAX, &mut batch).unwrap();
        chunks += black_box(batch).iter().map(|s| s.chunks.len()).sum::<usize>();
    }
    chunks
}

fn read_blocks(blocks: &[HashedBlock], matchers: &[Matcher]) -> usize {
    let mut chunks = 0;
    for block in blocks {
        let mut reader = block.reader();
        for position in block.select(matchers, T0, i64::MAX).unwrap() {
            chunks += black_box(reader.read(position, T0, i64::MAX).unwrap()).1.len();
        }
    }
    chunks
}

fn bench(c: &mut Criterion) {
    let head = filled();
    let dir = tempfile::tempdir().unwrap();
    let blocks = cut(&head, dir.path());
    assert_eq!(blocks.len(), 3);
    let all: [Matcher; 0] = [];
    let some = [Matcher::equal("__name__", "container_metric_7_total")];
    assert_eq!(read_head(&head, &all), read_blocks(&blocks, &all));
    let mut group = c.benchmark_group("six_hours");
    group.sample_size(10);
    group.bench_function("head_all", |b| b.iter(|| read_head(&head, &all)));
    group.bench_function("blocks_all", |b| b.iter(|| read_blocks(&blocks, &all)));
    group.bench_function("head_one_metric", |b| b.iter(|| read_head(&head, &some)));
    group.bench_function("blocks_one_metric", |b| b.iter(|| read_blocks(&blocks, &some)));
    group.bench_function("cut_two_hours", |b| {
        let mut n = 100;
        b.iter(|| {
            n += 1;
            let spec = BlockSpec::level_1(Ulid::new(n, 0), T0, T0 + head.chunk_range_ms());
            write_sealed_range(Arc::new(RealFs), dir.path(), &head, spec, &|| true).unwrap()
        });
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
