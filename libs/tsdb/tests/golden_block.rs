//! One small block, pinned byte by byte: what was written once must be read for ever, and the writer must not change unnoticed (`docs/formats/block.md`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Histogram, HistogramSample, HistogramValue, Labels, Sample, Span, stale_nan};
use tsdb::block::recode::{Point, encode};
use tsdb::block::{Block, BlockSpec, HashedBlock, ThanosMeta, Tombstones, Ulid, dump, verify, write_block};
use tsdb::fs::RealFs;

const T0: i64 = 1_600_000_200_000;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden-block/01EJ3KV3M0CCCCCCCCCCCCCCCC")
}

fn ulid() -> Ulid {
    "01EJ3KV3M0CCCCCCCCCCCCCCCC".parse().expect("a ULID")
}

/// Floats, a stale marker, integer histograms, two chunks in a series, labels that are not ASCII.
fn write(parent: &Path) -> PathBuf {
    let floats = |n: i64| (0..n).map(|i| Point::Float(Sample { t: T0 + i * 15_000, v: (i * i) as f64 / 4.0 })).collect::<Vec<_>>();
    let histogram = |i: i64| {
        let n = i as u64;
        let h = Histogram {
            schema: 1,
            zero_threshold: 0.25,
            zero_count: n,
            count: n * 3,
            sum: i as f64 * 0.5,
            positive_spans: vec![Span { offset: 0, length: 1 }, Span { offset: 2, length: 1 }],
            positive_deltas: vec![i, 0],
            ..Histogram::default()
        };
        Point::Histogram(HistogramSample { t: T0 + i * 15_000, value: HistogramValue::Int(Box::new(h)) })
    };
    let mut ends = floats(3);
    ends.push(Point::Float(Sample { t: T0 + 45_000, v: stale_nan() }));
    let series = [
        (vec![("__name__", "a"), ("job", "x")], floats(130)),
        (vec![("__name__", "a"), ("job", "ü")], ends),
        (vec![("__name__", "h"), ("job", "x")], (1..6).map(histogram).collect()),
    ];
    let series = series.into_iter().map(|(labels, points)| Ok((Labels::from_pairs(labels), encode(points)?)));
    let mut spec = BlockSpec::level_1(ulid(), T0 / 7_200_000 * 7_200_000, T0 / 7_200_000 * 7_200_000 + 7_200_000);
    spec.thanos = Some(ThanosMeta { source: "receive".to_owned(), ..ThanosMeta::default() });
    write_block(Arc::new(RealFs), parent, spec, series).expect("write").expect("a block");
    let dir = parent.join(ulid().to_string());
    let mut stones = Tombstones::default();
    stones.add(Block::open(Arc::new(RealFs), &dir).expect("open").index().postings("job", "ü").expect("a list")[0], T0, T0 + 15_000);
    stones.write(&RealFs, &dir).expect("tombstones");
    dir
}

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for sub in ["", "chunks"] {
        for entry in std::fs::read_dir(dir.join(sub)).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                let name = path.strip_prefix(dir).expect("inside").display().to_string();
                all.insert(name, std::fs::read(&path).expect("read"));
            }
        }
    }
    all
}

#[test]
fn the_writer_writes_what_it_always_wrote() {
    let parent = tempfile::tempdir().expect("temporary directory").keep();
    let dir = write(&parent);
    let (got, want) = (files(&dir), files(&golden()));
    assert!(got.keys().eq(want.keys()), "{:?} and {:?}", got.keys(), want.keys());
    for (name, bytes) in want {
        assert!(got[&name] == bytes, "{name} in {} differs from the one in {}", dir.display(), golden().display());
    }
    std::fs::remove_dir_all(&parent).expect("remove");
}

#[test]
fn the_reader_reads_what_was_always_there() {
    let block = Block::open(Arc::new(RealFs), &golden()).expect("the golden block");
    let found = verify(&block);
    assert!(found.is_sound(), "{:?}", found.problems);
    assert_eq!((found.stats.num_series, found.stats.num_chunks, found.stats.num_samples), (3, 4, 139));
    let mut text = Vec::new();
    dump(&block, &mut text).expect("a sound block");
    let text = String::from_utf8(text).expect("text");
    let line = format!("{{__name__=\"a\", job=\"ü\"}} 1 {}", T0 + 30_000);
    assert!(text.lines().any(|l| l == line), "{text}");
    assert!(!text.contains(&format!("ü\"}} 0.25 {}", T0 + 15_000)), "it was deleted:\n{text}");
    let hashed = HashedBlock::open(Arc::new(RealFs), &golden()).expect("the golden block");
    assert_eq!(hashed.select(&[], i64::MIN, i64::MAX).expect("a sound block").len(), 3);
}
