#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Chunk, CounterResetHint, FloatHistogram, Histogram, HistogramSample, HistogramValue, Labels, Sample, Span, stale_nan};
use proptest::prelude::*;

use super::recode::{Point, decode, encode};
use super::*;
use crate::fs::FaultyFs;

mod damage;
mod head;
mod matchers;
mod round_trip;
mod sidecar;
mod tombstones;

pub(crate) type Series = Vec<(Labels, Vec<Point>)>;

pub(crate) fn float(t: i64, v: f64) -> Point {
    Point::Float(Sample { t, v })
}

/// A histogram whose counts grow with `n`.
pub(crate) fn int(t: i64, n: u64) -> Point {
    let h = Histogram {
        schema: 3,
        zero_threshold: 0.001,
        zero_count: n,
        count: n * 4,
        sum: n as f64 / 3.0,
        positive_spans: vec![Span { offset: -2, length: 2 }, Span { offset: 3, length: 1 }],
        positive_deltas: vec![n as i64, 0, 0],
        ..Histogram::default()
    };
    Point::Histogram(HistogramSample { t, value: HistogramValue::Int(Box::new(h)) })
}

pub(crate) fn float_histogram(t: i64, n: f64) -> Point {
    let h = FloatHistogram {
        counter_reset_hint: CounterResetHint::Gauge,
        schema: 0,
        count: n,
        sum: -n,
        negative_spans: vec![Span { offset: 1, length: 1 }],
        negative_buckets: vec![n],
        ..FloatHistogram::default()
    };
    Point::Histogram(HistogramSample { t, value: HistogramValue::Float(Box::new(h)) })
}

/// Equal but for what a chunk's border does to hints.
pub(crate) fn without_hints(mut points: Vec<Point>) -> Vec<Point> {
    for point in &mut points {
        if let Point::Histogram(sample) = point {
            let hint = match &mut sample.value {
                HistogramValue::Int(h) => &mut h.counter_reset_hint,
                HistogramValue::Float(h) => &mut h.counter_reset_hint,
            };
            if *hint != CounterResetHint::Gauge {
                *hint = CounterResetHint::Unknown;
            }
        }
    }
    points
}

pub(crate) fn samples(chunks: &[Chunk]) -> Vec<Point> {
    without_hints(chunks.iter().flat_map(|c| decode(c).unwrap()).collect())
}

pub(crate) fn parent() -> PathBuf {
    PathBuf::from("/blocks")
}

pub(crate) fn write_at(fs: &FaultyFs, ulid: Ulid, range: (i64, i64), series: &Series, segment_bytes: u64) -> PathBuf {
    let spec = BlockSpec::level_1(ulid, range.0, range.1);
    let mut writer = BlockWriter::with_segments(Arc::new(fs.clone()), &parent(), spec, segment_bytes).unwrap();
    for (labels, points) in series {
        writer.put(labels, &encode(points.clone()).unwrap()).unwrap();
    }
    let meta = writer.finish().unwrap().unwrap();
    parent().join(meta.ulid.to_string())
}

pub(crate) fn open(fs: &FaultyFs, dir: &Path) -> Block {
    Block::open(Arc::new(fs.clone()), dir).unwrap()
}

pub(crate) fn read(block: &Block) -> Series {
    let all = block.select(&[], i64::MIN, i64::MAX).unwrap();
    all.map(|series| series.map(|s| (s.labels, samples(&s.chunks)))).collect::<Result<_, _>>().unwrap()
}

/// Ascending times with points of one kind after the other, in runs.
pub(crate) fn any_points(max: usize) -> impl Strategy<Value = Vec<Point>> {
    let step = prop_oneof![8 => Just(15_000_i64), 1 => 1_i64..100_000];
    let value = prop_oneof![8 => -100.0..100.0_f64, 1 => Just(stale_nan()), 1 => Just(f64::INFINITY)];
    let one = (step, 0..3_u8, value, any::<bool>());
    proptest::collection::vec(one, 1..max).prop_map(|steps| {
        let (mut t, mut kind, mut n) = (0, 0, 0);
        steps
            .into_iter()
            .map(|(step, other, v, change)| {
                t += step;
                n += 1;
                if change && n % 50 == 0 {
                    kind = other;
                }
                match kind {
                    0 => float(t, v),
                    1 => int(t, n),
                    _ => float_histogram(t, n as f64),
                }
            })
            .collect()
    })
}

pub(crate) fn any_series() -> impl Strategy<Value = Series> {
    let label = prop::sample::select(vec!["", "a", "b", "long value with \u{e9}", "z"]);
    let labels = (label.clone(), label).prop_map(|(a, b)| Labels::from_pairs([("__name__", "m"), ("one", a), ("two", b)]));
    proptest::collection::btree_map(labels, any_points(400), 1..8).prop_map(|map| map.into_iter().collect())
}
