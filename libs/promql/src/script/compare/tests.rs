use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram, Labels, Span};

use super::{check_instant, check_matrix, check_slice, slice_at};
use crate::script::expect::{ExpectedResult, ExpectedSeries, TimeRange};
use crate::script::series::{ValueBudget, parse_series_line};
use crate::value::{InstantSeries, Point, PointValue, QueryValue, RangeSeries};

const RANGE: TimeRange = TimeRange { start: 0, end: 20, step: 10 };

fn expected(lines: &[&str]) -> ExpectedResult {
    let read = |line: &&str| {
        let line = parse_series_line(line, &mut ValueBudget::new()).expect("valid");
        ExpectedSeries { labels: line.labels, values: line.values }
    };
    ExpectedResult::Series(lines.iter().map(read).collect())
}

fn labels(name: &str) -> Labels {
    Labels::from_pairs([("l", name)])
}

fn vector(series: &[(&str, f64)]) -> QueryValue {
    let one = |(name, v): &(&str, f64)| InstantSeries { labels: labels(name), point: Point { t: 5, value: PointValue::Float(*v) } };
    QueryValue::Vector(series.iter().map(one).collect())
}

fn matrix(series: &[(&str, &[(i64, f64)])]) -> QueryValue {
    let point = |(t, v): &(i64, f64)| Point { t: *t, value: PointValue::Float(*v) };
    let one = |(name, points): &(&str, &[(i64, f64)])| RangeSeries { labels: labels(name), points: points.iter().map(point).collect() };
    QueryValue::Matrix(series.iter().map(one).collect())
}

#[test]
fn vectors() {
    let want = expected(&["{l=\"b\"} 2", "{l=\"a\"} 1"]);
    let check = |ordered, series: &[(&str, f64)]| check_instant(&want, ordered, 5, &vector(series));
    assert_eq!(check(false, &[("a", 1.0), ("b", 2.0)]), Ok(()));
    assert_eq!(check(true, &[("b", 2.0), ("a", 1.0)]), Ok(()));
    assert!(check(true, &[("a", 1.0), ("b", 2.0)]).is_err());
    assert!(check(false, &[("a", 1.0)]).is_err());
    assert!(check(false, &[("a", 1.0), ("b", 2.1)]).is_err());
    assert!(check(false, &[("a", 1.0), ("b", 2.0), ("c", 3.0)]).is_err());
    assert!(check(false, &[("a", 1.0), ("a", 1.0), ("b", 2.0)]).is_err());
    assert!(check_instant(&want, false, 6, &vector(&[("a", 1.0), ("b", 2.0)])).is_err());
    assert_eq!(check_instant(&expected(&[]), false, 5, &vector(&[])), Ok(()));
}

#[test]
fn kinds_differ() {
    let scalar = QueryValue::Scalar { t: 5, v: 1.0 };
    let text = QueryValue::String { t: 5, text: "x".to_owned() };
    assert_eq!(check_instant(&ExpectedResult::Scalar(1.0), false, 5, &scalar), Ok(()));
    assert_eq!(check_instant(&ExpectedResult::Text("x".to_owned()), false, 5, &text), Ok(()));
    assert!(check_instant(&ExpectedResult::Text("y".to_owned()), false, 5, &text).is_err());
    assert!(check_instant(&ExpectedResult::Scalar(2.0), false, 5, &scalar).is_err());
    assert!(check_instant(&expected(&[]), false, 5, &scalar).is_err());
    assert!(check_instant(&ExpectedResult::Scalar(1.0), false, 5, &vector(&[])).is_err());
    assert!(check_matrix(&expected(&[]), RANGE, &scalar).is_err());
}

#[test]
fn matrices() {
    let want = expected(&["{l=\"a\"} 1 _ 3"]);
    let check = |series: &[(&str, &[(i64, f64)])]| check_matrix(&want, RANGE, &matrix(series));
    assert_eq!(check(&[("a", &[(0, 1.0), (20, 3.0)])]), Ok(()));
    assert!(check(&[("a", &[(0, 1.0), (10, 3.0)])]).is_err());
    assert!(check(&[("a", &[(0, 1.0)])]).is_err());
    assert!(check(&[]).is_err());
    let sorted = expected(&["{l=\"a\"} 1", "{l=\"b\"} 1"]);
    assert_eq!(check_matrix(&sorted, RANGE, &matrix(&[("a", &[(0, 1.0)]), ("b", &[(0, 1.0)])])), Ok(()));
    assert!(check_matrix(&sorted, RANGE, &matrix(&[("b", &[(0, 1.0)]), ("a", &[(0, 1.0)])])).is_err());
    let too_many = expected(&["{l=\"a\"} 1 2 3 4"]);
    assert!(check_matrix(&too_many, RANGE, &matrix(&[("a", &[(0, 1.0), (10, 2.0), (20, 3.0)])])).is_err());
}

#[test]
fn the_middle_of_a_range_query() {
    let value = matrix(&[("a", &[(0, 1.0), (10, 2.0)]), ("b", &[(0, 1.0)])]);
    let slice = slice_at(&value, 10).expect("matrix");
    assert_eq!(slice.len(), 1);
    assert_eq!(check_slice(&expected(&["{l=\"a\"} 2"]), 10, &slice), Ok(()));
    assert_eq!(check_slice(&ExpectedResult::Scalar(2.0), 10, &slice), Ok(()));
    assert!(check_slice(&ExpectedResult::Scalar(3.0), 10, &slice).is_err());
    assert!(slice_at(&vector(&[]), 10).is_err());
}

#[test]
fn histograms_without_their_empty_buckets() {
    let got = FloatHistogram {
        counter_reset_hint: CounterResetHint::NotReset,
        count: 3.0,
        sum: 4.0,
        positive_spans: vec![Span { offset: 0, length: 1 }, Span { offset: 1, length: 0 }, Span { offset: 0, length: 2 }],
        positive_buckets: vec![1.0, 0.0, 2.0],
        ..FloatHistogram::default()
    };
    let value = QueryValue::Vector(vec![InstantSeries {
        labels: Labels::empty(),
        point: Point { t: 5, value: PointValue::Histogram(Arc::new(got)) },
    }]);
    let check = |literal: &str| check_instant(&expected(&[&format!("{{}} {literal}")]), false, 5, &value);
    assert_eq!(check("{{count:3 sum:4 buckets:[1 0 0 2]}}"), Ok(()));
    assert_eq!(check("{{count:3 sum:4 buckets:[1 0 0 2] counter_reset_hint:not_reset}}"), Ok(()));
    for other in [
        "{{count:3 sum:4 buckets:[1 0 0 2] counter_reset_hint:unknown}}",
        "{{count:3 sum:4 buckets:[1 0 2]}}",
        "{{count:3 sum:4 buckets:[1 0 0 3]}}",
        "{{count:3 sum:4 buckets:[1 0 0 2] z_bucket_w:0.1}}",
        "{{schema:1 count:3 sum:4 buckets:[1 0 0 2]}}",
        "{{count:3 sum:4 buckets:[1 0 0 2] n_buckets:[1]}}",
        "3",
    ] {
        assert!(check(other).is_err(), "{other}");
    }
}
