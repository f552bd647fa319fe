use std::sync::Arc;

use model::{ChunkEncoding, CounterResetHint, FloatHistogram, Labels, MatchOp, Matcher, SeriesChunks, Span};
use tsdb::chunk::{decode_histograms, decode_xor_into};

use super::{MemoryError, MemoryStorage};
use crate::storage::{Queryable, SelectHints, SelectRequest};
use crate::value::{Point, PointValue};

fn float(t: i64, v: f64) -> Point {
    Point { t, value: PointValue::Float(v) }
}

fn histogram(t: i64, count: f64) -> Point {
    let h = FloatHistogram {
        count,
        sum: count,
        positive_spans: vec![Span { offset: 0, length: 1 }],
        positive_buckets: vec![count],
        ..FloatHistogram::default()
    };
    Point { t, value: PointValue::Histogram(Arc::new(h)) }
}

fn labels(name: &str, job: &str) -> Labels {
    Labels::from_pairs([("__name__", name), ("job", job)])
}

fn select(storage: &MemoryStorage, matchers: &[Matcher], min_t: i64, max_t: i64) -> Vec<SeriesChunks> {
    let request = SelectRequest { matchers: matchers.into(), min_t, max_t, hints: SelectHints::default() };
    let mut source = storage.select(request).expect("never fails");
    let mut all = Vec::new();
    while let Some(batch) = source.next_batch().expect("never fails") {
        all.extend(batch);
    }
    all
}

fn floats(series: &SeriesChunks) -> Vec<(i64, f64)> {
    let (mut t, mut v) = (Vec::new(), Vec::new());
    for chunk in series.chunks.iter().filter(|c| c.encoding == ChunkEncoding::Xor) {
        decode_xor_into(&chunk.data, i64::MIN, i64::MAX, &mut t, &mut v).expect("own chunk");
    }
    t.into_iter().zip(v).collect()
}

#[test]
fn appends_across_chunks_and_calls() {
    let mut storage = MemoryStorage::new();
    let points: Vec<_> = (0..300).map(|i| float(i * 10, i as f64)).collect();
    for part in points.chunks(70) {
        storage.append(&labels("up", "a"), part).expect("ascending");
    }
    let series = select(&storage, &[], 0, i64::MAX);
    assert_eq!(series.len(), 1);
    assert_eq!(series[0].hash, labels("up", "a").hash());
    assert_eq!(series[0].chunks.iter().map(|c| (c.min_t, c.max_t)).collect::<Vec<_>>(), [(0, 1190), (1200, 2390), (2400, 2990)]);
    assert_eq!(floats(&series[0]), (0..300).map(|i| (i * 10, i as f64)).collect::<Vec<_>>());
}

#[test]
fn selects_by_matchers_and_time() {
    let mut storage = MemoryStorage::new();
    for job in ["a", "b"] {
        storage.append(&labels("up", job), &(0..130).map(|t| float(t, 1.0)).collect::<Vec<_>>()).expect("ascending");
    }
    storage.append(&labels("down", "a"), &[float(0, 1.0)]).expect("first");
    assert_eq!(storage.series_count(), 3);
    let up = Matcher::equal("__name__", "up");
    assert_eq!(select(&storage, std::slice::from_ref(&up), 0, 10).len(), 2);
    let not_a = Matcher::new(MatchOp::NotRegex, "job", "a|c").expect("valid");
    assert_eq!(select(&storage, &[up.clone(), not_a], 0, 10).len(), 1);
    assert_eq!(select(&storage, &[Matcher::equal("missing", "")], 0, 10).len(), 3);
    let late = select(&storage, std::slice::from_ref(&up), 125, 1000);
    assert_eq!(late[0].chunks.len(), 1);
    assert!(select(&storage, &[up], 130, 1000).is_empty());
}

/// The second histogram of a chunk is known to be no reset; a reset begins a chunk, of whose first sample nothing is known.
#[test]
fn hints_as_a_head_would_give_them() {
    let mut storage = MemoryStorage::new();
    let points = [histogram(0, 1.0), histogram(1, 2.0), histogram(2, 1.0), histogram(3, 1.0), float(4, 5.0), histogram(5, 9.0)];
    storage.append(&labels("h", "a"), &points).expect("ascending");
    let series = select(&storage, &[], 0, 10);
    let chunks = &series[0].chunks;
    assert_eq!(chunks.iter().map(|c| c.encoding).collect::<Vec<_>>(), {
        use ChunkEncoding::{FloatHistogram, Xor};
        [FloatHistogram, FloatHistogram, Xor, FloatHistogram]
    });
    let hints: Vec<_> = chunks
        .iter()
        .filter(|c| c.encoding == ChunkEncoding::FloatHistogram)
        .flat_map(|c| decode_histograms(c.encoding, &c.data).expect("own chunk"))
        .map(|s| (s.t, s.value.to_float().counter_reset_hint))
        .collect();
    use CounterResetHint::{NotReset, Unknown};
    assert_eq!(hints, [(0, Unknown), (1, NotReset), (2, Unknown), (3, NotReset), (5, Unknown)]);
}

#[test]
fn refuses_what_cannot_be_stored() {
    let mut storage = MemoryStorage::new();
    let up = labels("up", "a");
    let error = storage.append(&up, &[float(5, 1.0), float(5, 2.0), float(6, 3.0)]);
    assert_eq!(error, Err(MemoryError::OutOfOrder { labels: up.clone(), t: 5, last: 5 }));
    assert_eq!(floats(&select(&storage, &[], 0, 10)[0]), [(5, 1.0)]);
    assert!(storage.append(&up, &[float(4, 1.0)]).is_err());

    let broken = FloatHistogram { positive_buckets: vec![1.0], ..FloatHistogram::default() };
    let point = Point { t: 9, value: PointValue::Histogram(Arc::new(broken)) };
    assert!(matches!(storage.append(&up, &[point]), Err(MemoryError::Histogram { t: 9, .. })));
}
