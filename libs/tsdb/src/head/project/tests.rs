#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use model::batch::BatchBuilder;
use model::{FloatHistogram, HistogramSample, HistogramValue, Labels, Projection, Sample, SeriesChunks, is_stale_nan, stale_nan};
use proptest::prelude::*;

use crate::head::tests::{Point, T0, labels, limited, points, push};
use crate::head::{Head, HeadLimits, SelectOrder};

const NEWEST: Projection = Projection { newest_only: true, labels: None };

fn series(number: usize) -> Labels {
    labels(&[("__name__", "m"), ("job", ["a", "b"][number % 2]), ("number", &number.to_string())])
}

/// A sample after so many milliseconds: a float, a stale marker or a histogram.
fn any_sample() -> impl Strategy<Value = (i64, Option<f64>)> {
    let value = prop_oneof![6 => (0..9_u8).prop_map(|v| Some(f64::from(v))), 2 => Just(Some(stale_nan())), 1 => Just(None)];
    (1..60_000_i64, value)
}

fn head_of(histories: &[Vec<(i64, Option<f64>)>]) -> Head {
    let head = Head::new(limited(HeadLimits { creation_grace_ms: i64::MAX / 4, ..HeadLimits::default() }));
    let mut builder = BatchBuilder::new(bytes::Bytes::new());
    for (number, history) in histories.iter().enumerate() {
        let mut t = T0;
        for (after, value) in history {
            t += after;
            match value {
                Some(v) => builder.sample(Sample { t, v: *v }),
                None => builder.histogram(HistogramSample {
                    t,
                    value: HistogramValue::Float(Box::new(FloatHistogram { count: 1.0, ..FloatHistogram::default() })),
                }),
            }
        }
        builder.end_series_with(series(number).hash(), series(number).as_block());
    }
    assert!(push(&head, &builder.finish()).rejected.is_empty());
    head
}

fn read(head: &Head, min_t: i64, max_t: i64, projection: &Projection) -> Vec<SeriesChunks> {
    let mut out = Vec::new();
    head.read_projected(&head.select_ids(&[], SelectOrder::ByHash), min_t, max_t, projection, &mut out).unwrap();
    out
}

/// The newest sample in the range that is no stale marker, and the stale markers after it.
fn end_of(series: &SeriesChunks, min_t: i64, max_t: i64) -> Vec<Point> {
    let is_stale = |p: &Point| match p {
        Point::Float(s) => is_stale_nan(s.v),
        Point::Histogram(_) => false,
    };
    let all = points(series).into_iter().chain(series.newest.map(Point::Float));
    let in_range: Vec<Point> = all.filter(|p| (min_t..=max_t).contains(&p.t())).collect();
    let from = in_range.iter().rposition(|p| !is_stale(p)).unwrap_or(0);
    in_range[from..].to_vec()
}

proptest! {
    #[test]
    fn the_newest_sample_of_a_range_is_always_given(
        histories in proptest::collection::vec(proptest::collection::vec(any_sample(), 1..300), 1..6),
        from in 0..9_000_000_i64,
        length in 0..900_000_i64,
    ) {
        let head = head_of(&histories);
        let (min_t, max_t) = (T0 + from, T0 + from + length);
        let (whole, newest) = (read(&head, min_t, max_t, &Projection::WHOLE), read(&head, min_t, max_t, &NEWEST));
        let describe = |all: &[SeriesChunks]| all.iter().map(|s| (s.hash, format!("{:?}", end_of(s, min_t, max_t)))).collect::<Vec<_>>();
        // A chunk may overlap a range without a sample in it.
        let told = |all: &[SeriesChunks]| describe(all).into_iter().filter(|(_, end)| end != "[]").collect::<Vec<_>>();
        prop_assert_eq!(told(&newest), told(&whole));
    }
}

#[test]
fn an_open_chunk_is_answered_with_one_sample() {
    let history: Vec<(i64, Option<f64>)> = (0..100).map(|i| (15_000, Some(f64::from(i)))).collect();
    let head = head_of(&[history]);
    let last = T0 + 1_500_000;
    let one = read(&head, last - 300_000, last, &NEWEST);
    assert_eq!((one[0].newest, one[0].chunks.len()), (Some(Sample { t: last, v: 99.0 }), 0));
    assert!(points(&read(&head, last - 300_000, last - 1, &NEWEST)[0]).len() > 1, "the newest sample is outside of the range");
}

#[test]
fn only_the_wanted_labels_come_and_are_shared() {
    let head = head_of(&vec![vec![(1_000, Some(1.0))]; 600]);
    let by_job = Projection { newest_only: false, labels: Some(Arc::from(["job".to_owned(), "nowhere".to_owned()])) };
    let found = read(&head, T0, T0 + 1_000, &by_job);
    assert_eq!(found.len(), 600);
    let mut hashes: Vec<_> = (0..600).map(|number| series(number).hash()).collect();
    hashes.sort_unstable();
    assert_eq!(found.iter().map(|s| s.hash).collect::<Vec<_>>(), hashes);
    let of_a = found.iter().filter(|s| s.labels == labels(&[("job", "a")])).count();
    assert_eq!((of_a, found.iter().filter(|s| s.labels == labels(&[("job", "b")])).count()), (300, 300));
    let none = Projection { newest_only: true, labels: Some(Arc::from([])) };
    assert!(read(&head, T0, T0 + 1_000, &none).iter().all(|s| s.labels.is_empty()));
}

#[test]
fn metadata_labels_bring_all_labels() {
    let head = head_of(&vec![vec![(1_000, Some(1.0))]; 4]);
    let typed = labels(&[("__name__", "m"), ("__type__", "counter"), ("job", "a")]);
    push(&head, &crate::head::tests::batch(&[(typed.clone(), &[(T0 + 1_000, 1.0)])]));
    let by_job = Projection { newest_only: true, labels: Some(Arc::from(["job".to_owned()])) };
    assert!(read(&head, T0, T0 + 1_000, &by_job).iter().all(|s| s.hash == s.labels.hash()));
}
