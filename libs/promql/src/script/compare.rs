//! Results against expectations.

mod number;

use model::{FloatHistogram, Labels, Span};

use self::number::almost_equal;
use super::expect::{ExpectedResult, ExpectedSeries, TimeRange};
use super::histogram::HistogramLiteral;
use super::series::ScriptValue;
use crate::histogram::occupied;
use crate::value::{InstantSeries, Point, PointValue, QueryValue, RangeSeries};

/// Compares the value of an instant query at `t`; `ordered`: the series come in the order of the expectation.
pub(super) fn check_instant(expected: &ExpectedResult, ordered: bool, t: i64, value: &QueryValue) -> Result<(), String> {
    match (expected, value) {
        (ExpectedResult::Scalar(want), QueryValue::Scalar { v, .. }) => check_float(*want, *v).map_err(|e| format!("scalar: {e}")),
        (ExpectedResult::Text(want), QueryValue::String { text, .. }) if want == text => Ok(()),
        (ExpectedResult::Text(want), QueryValue::String { text, .. }) => Err(format!("expected the string {want:?}, got {text:?}")),
        (ExpectedResult::Series(want), QueryValue::Vector(got)) => check_vector(want, ordered, t, got),
        _ => Err(format!("expected a {}, got a {}", expected_kind(expected), kind(value))),
    }
}

/// Compares a matrix, the value of a range query or of an instant query for a range vector: value i of a series belongs to
/// step i of `range`.
pub(super) fn check_matrix(expected: &ExpectedResult, range: TimeRange, value: &QueryValue) -> Result<(), String> {
    let (ExpectedResult::Series(expected), QueryValue::Matrix(got)) = (expected, value) else {
        return Err(format!("expected a {}, got a {}", expected_kind(expected), kind(value)));
    };
    check_sorted(got)?;
    for series in got {
        let labels = &series.labels;
        let want = expected.iter().find(|e| e.labels == *labels).ok_or_else(|| format!("unexpected series {labels} in the result"))?;
        check_points(&timed(want, range)?, &series.points).map_err(|e| format!("{labels}: {e}"))?;
    }
    check_none_missing(expected, |labels| got.iter().any(|s| s.labels == *labels))
}

/// The points of a matrix at `t`, as the instant query at `t` would have given them.
pub(super) fn slice_at(value: &QueryValue, t: i64) -> Result<Vec<InstantSeries>, String> {
    let QueryValue::Matrix(series) = value else {
        return Err(format!("expected a matrix, got a {}", kind(value)));
    };
    check_sorted(series)?;
    let at = |s: &RangeSeries| s.points.iter().find(|p| p.t == t).cloned().map(|point| InstantSeries { labels: s.labels.clone(), point });
    Ok(series.iter().filter_map(at).collect())
}

/// Compares the middle of a range query with what is expected of the instant query.
pub(super) fn check_slice(expected: &ExpectedResult, t: i64, got: &[InstantSeries]) -> Result<(), String> {
    match (expected, got) {
        (ExpectedResult::Series(want), _) => check_vector(want, false, t, got),
        (ExpectedResult::Scalar(want), [InstantSeries { point: Point { value: PointValue::Float(v), .. }, .. }]) => check_float(*want, *v),
        _ => Err(format!("expected a {}, got {} series", expected_kind(expected), got.len())),
    }
}

fn check_vector(expected: &[ExpectedSeries], ordered: bool, t: i64, got: &[InstantSeries]) -> Result<(), String> {
    let mut seen: Vec<&Labels> = Vec::new();
    for (position, series) in got.iter().enumerate() {
        let labels = &series.labels;
        let at = expected.iter().position(|e| e.labels == *labels).ok_or_else(|| format!("unexpected series {labels} in the result"))?;
        if ordered && at != position {
            return Err(format!("expected {labels} at position {}, got it at {}", at + 1, position + 1));
        }
        if seen.contains(&labels) {
            return Err(format!("series {labels} occurs twice in the result"));
        }
        if series.point.t != t {
            return Err(format!("{labels}: the sample is at {} ms, the evaluation at {t} ms", series.point.t));
        }
        let want = expected.get(at).and_then(|e| e.values.first()).and_then(Option::as_ref);
        let want = want.ok_or_else(|| format!("{labels}: expected no sample, got one"))?;
        check_value(want, &series.point.value).map_err(|e| format!("{labels}: {e}"))?;
        seen.push(labels);
    }
    check_none_missing(expected, |labels| seen.contains(&labels))
}

fn check_none_missing(expected: &[ExpectedSeries], is_there: impl Fn(&Labels) -> bool) -> Result<(), String> {
    match expected.iter().find(|e| !is_there(&e.labels)) {
        Some(missing) => Err(format!("series {} is missing from the result", missing.labels)),
        None => Ok(()),
    }
}

fn check_sorted(series: &[RangeSeries]) -> Result<(), String> {
    let misplaced = series.windows(2).find(|pair| matches!(pair, [a, b] if a.labels >= b.labels));
    match misplaced {
        Some([a, b]) => Err(format!("the matrix is not sorted: {} comes before {}", a.labels, b.labels)),
        _ => Ok(()),
    }
}

/// The expected samples of a series with their times.
fn timed(series: &ExpectedSeries, range: TimeRange) -> Result<Vec<(i64, &ScriptValue)>, String> {
    let mut samples = Vec::new();
    let mut t = range.start;
    for value in &series.values {
        if t > range.end {
            return Err(format!("{}: more values are expected ({}) than the range has steps", series.labels, series.values.len()));
        }
        samples.extend(value.as_ref().map(|v| (t, v)));
        t = t.saturating_add(range.step);
    }
    Ok(samples)
}

/// Floats and histograms are two lists each: a series may hold both.
fn check_points(expected: &[(i64, &ScriptValue)], got: &[Point]) -> Result<(), String> {
    for is_float in [true, false] {
        let kind = if is_float { "float" } else { "histogram" };
        let want: Vec<_> = expected.iter().filter(|(_, v)| matches!(v, ScriptValue::Float(_)) == is_float).collect();
        let have: Vec<_> = got.iter().filter(|p| matches!(p.value, PointValue::Float(_)) == is_float).collect();
        if want.len() != have.len() {
            return Err(format!("expected {} {kind} points, got {}", want.len(), have.len()));
        }
        for ((t, value), point) in want.into_iter().zip(have) {
            if *t != point.t {
                return Err(format!("expected a {kind} at {t} ms, got it at {} ms", point.t));
            }
            check_value(value, &point.value).map_err(|e| format!("at {t} ms: {e}"))?;
        }
    }
    Ok(())
}

fn check_value(expected: &ScriptValue, got: &PointValue) -> Result<(), String> {
    match (expected, got) {
        (ScriptValue::Float(want), PointValue::Float(v)) => check_float(*want, *v),
        (ScriptValue::Histogram(want), PointValue::Histogram(h)) => check_histogram(want, h),
        (ScriptValue::Float(want), PointValue::Histogram(h)) => Err(format!("expected {want}, got the histogram {h:?}")),
        (ScriptValue::Histogram(want), PointValue::Float(v)) => Err(format!("expected the histogram {:?}, got {v}", want.histogram)),
    }
}

fn check_float(want: f64, got: f64) -> Result<(), String> {
    if almost_equal(want, got) { Ok(()) } else { Err(format!("expected {want}, got {got}")) }
}

fn check_histogram(want: &HistogramLiteral, got: &FloatHistogram) -> Result<(), String> {
    let expected = &want.histogram;
    let same = expected.schema == got.schema
        && almost_equal(expected.count, got.count)
        && almost_equal(expected.sum, got.sum)
        && almost_equal(expected.zero_count, got.zero_count)
        && expected.zero_threshold == got.zero_threshold
        && expected.custom_values == got.custom_values
        && same_buckets((&expected.positive_spans, &expected.positive_buckets), (&got.positive_spans, &got.positive_buckets))
        && same_buckets((&expected.negative_spans, &expected.negative_buckets), (&got.negative_spans, &got.negative_buckets))
        && (!want.hint_written || expected.counter_reset_hint == got.counter_reset_hint);
    if same { Ok(()) } else { Err(format!("expected the histogram {expected:?}, got {got:?}")) }
}

/// The same observations in the same buckets; buckets without observations do not count.
fn same_buckets(a: (&[Span], &[f64]), b: (&[Span], &[f64])) -> bool {
    let (a, b) = (occupied(a.0, a.1), occupied(b.0, b.1));
    a.len() == b.len() && a.iter().zip(&b).all(|((i, x), (j, y))| i == j && almost_equal(*x, *y))
}

fn expected_kind(expected: &ExpectedResult) -> &'static str {
    match expected {
        ExpectedResult::Series(_) => "set of series",
        ExpectedResult::Scalar(_) => "scalar",
        ExpectedResult::Text(_) => "string",
    }
}

fn kind(value: &QueryValue) -> &'static str {
    match value {
        QueryValue::Vector(_) => "vector",
        QueryValue::Matrix(_) => "matrix",
        QueryValue::Scalar { .. } => "scalar",
        QueryValue::String { .. } => "string",
    }
}

#[cfg(test)]
mod tests;
