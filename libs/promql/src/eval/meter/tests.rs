//! Figures that Prometheus gives for the same queries on the same samples.

use std::sync::Arc;

use model::{FloatHistogram, Labels, Span};

use crate::value::{Point, PointValue, SampleFigures};
use crate::{Engine, MemoryStorage, ParseOptions, QueryContext, parse};

/// A sample every ten seconds, up to 1,000 s: one series, three series, and one of histograms with four buckets in one span.
fn store() -> MemoryStorage {
    let mut storage = MemoryStorage::new();
    let times = || (0..=100_i64).map(|i| i * 10_000);
    let floats: Vec<Point> = times().map(|t| Point { t, value: PointValue::Float(t as f64) }).collect();
    let one = Labels::from_pairs([("__name__", "one")]);
    storage.append(&one, &floats).expect("ascending");
    for (a, b) in [("1", "1"), ("2", "2"), ("3", "2")] {
        storage.append(&Labels::from_pairs([("__name__", "three"), ("a", a), ("b", b)]), &floats).expect("ascending");
    }
    let histogram = |t: i64| FloatHistogram {
        count: 10.0 * t as f64,
        sum: 1.0,
        positive_spans: vec![Span { offset: 0, length: 4 }],
        positive_buckets: vec![t as f64 + 1.0; 4],
        ..FloatHistogram::default()
    };
    let histograms: Vec<Point> = times().map(|t| Point { t, value: PointValue::Histogram(Arc::new(histogram(t))) }).collect();
    storage.append(&Labels::from_pairs([("__name__", "histogram")]), &histograms).expect("ascending");
    storage
}

fn figures(text: &str, (start, end, step): (i64, i64, i64)) -> SampleFigures {
    let ctx = QueryContext { count_samples: true, ..QueryContext::new(Arc::new(store())) };
    let expr = parse(text, &ParseOptions::default()).expect(text);
    let engine = Engine::default();
    let result = if step == 0 { engine.instant(&expr, start, &ctx) } else { engine.range(&expr, start, end, step, &ctx) };
    result.expect(text).samples.expect("asked for")
}

#[test]
fn instant_queries() {
    for (text, t, want) in [
        ("\"text\"", 21, 0),
        ("1", 21, 0),
        ("one", 21, 1),
        ("histogram", 21, 13),
        ("timestamp(one)", 21, 1),
        ("timestamp(histogram)", 21, 1),
        ("one offset 10s", 21, 1),
        ("one @ 15", 21, 1),
        ("three{a=\"1\"}[20s] @ 19", 21, 2),
        ("three", 21, 3),
        ("one[60s]", 201, 6),
        ("histogram[60s]", 201, 78),
        ("max_over_time(one[60s])[20s:5s]", 201, 24),
        ("max_over_time(one[61s])[20s:5s]", 201, 26),
        ("max_over_time(histogram[60s])[20s:5s]", 201, 312),
        ("one[60s] @ 30", 201, 4),
        ("sum by (b) (max_over_time(three[60s] @ 30))", 201, 12),
        ("absent_over_time(one[60s])", 201, 6),
        ("max_over_time(three[60s])", 201, 18),
        ("one[60s:5s] offset 10s", 201, 12),
        ("max_over_time(three[60s:5s])", 201, 36),
        ("sum(max_over_time(three[60s:5s])) + sum(max_over_time(three[60s:5s]))", 201, 72),
    ] {
        let want = SampleFigures { total: want, per_step: vec![(t * 1000, want)] };
        assert_eq!(figures(text, (t * 1000, t * 1000, 0)), want, "{text}");
    }
}

#[test]
fn range_queries() {
    for (text, range, want) in [
        ("three{a=\"1\"}", (201, 220, 5), [1; 4]),
        ("histogram", (204, 223, 5), [13; 4]),
        ("timestamp(histogram)", (201, 220, 5), [1; 4]),
        ("max_over_time(three{a=\"1\"}[10s])", (991, 1021, 10), [1, 1, 0, 0]),
        ("max_over_time(three[60s] @ 30)", (201, 220, 5), [12; 4]),
        ("max_over_time(three[60s])", (201, 220, 5), [18; 4]),
        ("max_over_time(three[60s:5s])", (201, 220, 5), [36; 4]),
        ("sum(max_over_time(three[60s:5s])) + sum(max_over_time(one[60s:5s]))", (201, 220, 5), [48; 4]),
    ] {
        let (start, end, step) = range;
        let got = figures(text, (start * 1000, end * 1000, step * 1000));
        assert_eq!(got.total, want.iter().sum::<u64>(), "{text}");
        let per_step: Vec<(i64, u64)> = want.iter().zip(0..).map(|(n, i)| ((start + step * i) * 1000, *n)).collect();
        assert_eq!(got.per_step, per_step, "{text}");
    }
}
