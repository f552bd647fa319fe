#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use model::{Histogram, Span};
use proptest::prelude::*;

use super::*;

const RANGE: i64 = 10_000;
const SERIES: SeriesHash = SeriesHash(1);

fn float(t: i64) -> Point {
    Point::Float(Sample { t, v: t as f64 })
}

fn histogram(t: i64) -> Point {
    let h = Histogram {
        count: t as u64 % 7,
        sum: t as f64,
        positive_spans: vec![Span { offset: 0, length: 1 }],
        positive_deltas: vec![t % 7],
        ..Histogram::default()
    };
    Point::Histogram(HistogramSample { t, value: HistogramValue::Int(Box::new(h)) })
}

/// All samples, and the rules for chunks.
fn all(late: &Late) -> Vec<Point> {
    let mut all = late.waiting_in(i64::MIN, i64::MAX);
    assert!(all.len() <= OPEN_SAMPLES);
    for chunk in &late.chunks {
        let points = chunk.decode(SERIES).unwrap();
        assert_eq!((points[0].t(), points.last().unwrap().t()), (chunk.min_t(), chunk.max_t()));
        assert!(points.len() <= usize::from(CHUNK_SAMPLES) && points.is_sorted_by(|a, b| a.t() < b.t()));
        assert_eq!(chunk.min_t().div_euclid(RANGE), chunk.max_t().div_euclid(RANGE), "a chunk crosses the border of a range");
        all.extend(points);
    }
    assert!(late.chunks.is_sorted_by(|a, b| a.max_t() < b.min_t()));
    all.sort_by_key(Point::t);
    all
}

proptest! {
    /// Batches of any size and order, as pushes of a sender bring them.
    #[test]
    fn late_samples_are_a_sorted_map(batches in proptest::collection::vec(proptest::collection::vec((0..60_000_i64, 0..9_u8), 1..200), 1..30)) {
        let (mut late, mut model) = (Late::default(), BTreeMap::new());
        for batch in batches {
            let mut points = BTreeMap::new();
            for (t, kind) in batch {
                if !model.contains_key(&t) {
                    points.insert(t, if kind == 0 { histogram(t) } else { float(t) });
                }
            }
            model.extend(points.iter().map(|(t, p)| (*t, p.t())));
            late.add(SERIES, points.into_values().collect(), RANGE);
            prop_assert_eq!(all(&late).iter().map(Point::t).collect::<Vec<_>>(), model.keys().copied().collect::<Vec<_>>());
        }
        late.close(SERIES, RANGE);
        prop_assert_eq!(late.waiting(), 0);
        for point in all(&late) {
            let want = match &point {
                Point::Float(sample) => { prop_assert_eq!(sample.v, sample.t as f64); continue }
                Point::Histogram(sample) => histogram(sample.t),
            };
            prop_assert!(matches!((&point, &want), (Point::Histogram(a), Point::Histogram(b)) if a.value.to_float().count == b.value.to_float().count));
        }
        let dropped = late.truncate(30_000);
        prop_assert!(late.chunks.iter().all(|c| c.max_t() >= 30_000) && (dropped > 0 || late.chunks.iter().all(|c| c.min_t() >= 0)));
    }
}

/// A sender that lags, and sends in order, fills its chunks.
#[test]
fn what_comes_in_order_fills_chunks() {
    let mut late = Late::default();
    (0..2400).for_each(|t| late.add(SERIES, vec![float(t)], RANGE));
    late.close(SERIES, RANGE);
    assert_eq!(all(&late).len(), 2400);
    assert_eq!(late.chunks.len(), 2400 / usize::from(CHUNK_SAMPLES));
}

/// The work per sample does not grow with the samples that are there: chunks stay at least half full, so that few are touched.
#[test]
fn chunks_of_a_shuffled_sender_are_half_full() {
    let mut late = Late::default();
    (0..6000_i64).for_each(|i| late.add(SERIES, vec![float(i * 2_741 % 6_007)], RANGE));
    late.close(SERIES, RANGE);
    assert_eq!(all(&late).len(), 6000);
    assert!(late.chunks.len() <= 2 * 6000 / usize::from(CHUNK_SAMPLES), "{}", late.chunks.len());
}
