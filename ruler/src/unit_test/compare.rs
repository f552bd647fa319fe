//! What is expected beside what is there, for people to read.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use model::{FloatHistogram, Labels, Span};
use promql::functions::number;
use promql::script::SeriesReader;
use promql::{PointValue, QueryError, QueryResult, QueryValue};

use super::file::{AlertTest, ExpectedSample, ExpressionTest};
use crate::alert::{ALERT_NAME, AlertState};
use crate::duration;
use crate::evaluate::state::GroupState;

/// Labels and annotations of an alert that fires.
type Firing = (Labels, BTreeMap<String, String>);

/// Compares the alerts of a name that fire.
pub(super) fn alerts(test: &str, expected: &AlertTest, groups: &[GroupState]) -> Option<String> {
    let rules = groups.iter().flat_map(|g| g.group.rules.iter().zip(&g.rules));
    let of_name = rules.filter(|(rule, _)| rule.alert().is_some() && rule.name == expected.alertname);
    let firing = of_name.flat_map(|(_, state)| state.alerts.current()).filter(|alert| alert.state == AlertState::Firing);
    let mut got: Vec<Firing> = firing.map(|a| (a.labels.clone(), a.annotations.iter().cloned().collect())).collect();
    let wanted = |(labels, annotations): &(BTreeMap<String, String>, BTreeMap<String, String>)| {
        let mut labels = labels.clone();
        labels.insert(ALERT_NAME.to_owned(), expected.alertname.clone());
        (Labels::from_pairs(labels), annotations.clone())
    };
    let mut want: Vec<Firing> = expected.expected.iter().map(wanted).collect();
    got.sort();
    want.sort();
    if got == want {
        return None;
    }
    let name = if test.is_empty() { String::new() } else { format!("    name: {test},\n") };
    let time = duration::show(expected.eval_time_ms);
    let mut out = format!("{name}    alertname: {}, time: {time},\n", expected.alertname);
    difference(&mut out, want, got);
    Some(out)
}

/// `-` is expected and not there, `+` is there and not expected; of an alert with the right labels only the annotations that differ.
fn difference(out: &mut String, mut want: Vec<Firing>, mut got: Vec<Firing>) {
    want.retain(|alert| match got.iter().position(|other| other == alert) {
        Some(at) => {
            got.remove(at);
            false
        }
        None => true,
    });
    for (labels, annotations) in want {
        let Some(at) = got.iter().position(|(other, _)| *other == labels) else {
            alert(out, '-', &labels, &annotations);
            continue;
        };
        let (_, others) = got.remove(at);
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(out, "          {labels}");
        for name in annotations.keys().chain(others.keys().filter(|name| !annotations.contains_key(*name))) {
            if annotations.get(name) != others.get(name) {
                for (sign, map) in [('-', &annotations), ('+', &others)] {
                    if let Some(text) = map.get(name) {
                        let _ = writeln!(out, "        {sign}   {name}: {}", model::matcher::quote(text));
                    }
                }
            }
        }
    }
    for (labels, annotations) in got {
        alert(out, '+', &labels, &annotations);
    }
}

fn alert(out: &mut String, sign: char, labels: &Labels, annotations: &BTreeMap<String, String>) {
    let _ = writeln!(out, "        {sign} {labels}");
    for (name, text) in annotations {
        let _ = writeln!(out, "        {sign}   {name}: {}", model::matcher::quote(text));
    }
}

/// Compares the result of an expression.
pub(super) fn expression(expected: &ExpressionTest, result: Result<QueryResult, QueryError>, fuzzy: bool) -> Option<String> {
    let place = format!("    expr: {}, time: {},", model::matcher::quote(&expected.expr), duration::show(expected.eval_time_ms));
    let got = result.map_err(|e| e.to_string()).and_then(|result| vector(result.value));
    let want = expected.expected.iter().map(wanted).collect::<Result<Vec<_>, _>>();
    let (mut got, mut want) = match (got, want) {
        (Ok(got), Ok(want)) => (got, want),
        (Err(e), _) | (_, Err(e)) => return Some(format!("{place} err: {e}")),
    };
    got.sort_by(|a, b| a.0.cmp(&b.0));
    want.sort_by(|a, b| a.0.cmp(&b.0));
    let same = |(a, b): (&(Labels, PointValue), &(Labels, PointValue))| a.0 == b.0 && equal(&a.1, &b.1, fuzzy);
    if got.len() == want.len() && want.iter().zip(&got).all(same) {
        return None;
    }
    let mut out = format!("{place}\n");
    for (sign, samples, others) in [('-', &want, &got), ('+', &got, &want)] {
        for sample in samples.iter().filter(|sample| !others.iter().any(|other| same((sample, other)))) {
            let _ = writeln!(out, "        {sign} {} {}", series(&sample.0), value(&sample.1));
        }
    }
    if out.lines().count() == 1 {
        let _ = writeln!(out, "        the same samples, but {} are expected and {} are there", want.len(), got.len());
    }
    Some(out)
}

fn vector(value: QueryValue) -> Result<Vec<(Labels, PointValue)>, String> {
    match value {
        QueryValue::Vector(series) => Ok(series.into_iter().map(|s| (s.labels, s.point.value)).collect()),
        QueryValue::Scalar { v, .. } => Ok(vec![(Labels::empty(), PointValue::Float(v))]),
        QueryValue::Matrix(_) | QueryValue::String { .. } => Err("rule result is not a vector or scalar".to_owned()),
    }
}

fn wanted(sample: &ExpectedSample) -> Result<(Labels, PointValue), String> {
    let mut reader = SeriesReader::default();
    let at = |e: String| format!("labels {}: {e}", model::matcher::quote(&sample.labels));
    let labels = reader.labels(&sample.labels).map_err(at)?;
    let value = match sample.histogram.as_str() {
        "" => PointValue::Float(sample.value),
        text => PointValue::Histogram(reader.histogram(text).map_err(at)?),
    };
    Ok((labels, value))
}

fn equal(a: &PointValue, b: &PointValue, fuzzy: bool) -> bool {
    match (a, b) {
        (PointValue::Float(a), PointValue::Float(b)) => a == b || fuzzy && (a.next_up() == *b || a.next_down() == *b),
        (PointValue::Histogram(a), PointValue::Histogram(b)) => normal(a) == normal(b),
        _ => false,
    }
}

/// A histogram without the freedom that spans leave: buckets that hold nothing do not count.
fn normal(h: &FloatHistogram) -> (FloatHistogram, BTreeMap<i64, u64>, BTreeMap<i64, u64>) {
    let (positive, negative) = (buckets(&h.positive_spans, &h.positive_buckets), buckets(&h.negative_spans, &h.negative_buckets));
    let rest = FloatHistogram {
        positive_spans: Vec::new(),
        negative_spans: Vec::new(),
        positive_buckets: Vec::new(),
        negative_buckets: Vec::new(),
        ..h.clone()
    };
    (rest, positive, negative)
}

/// Bits of the counts by index.
fn buckets(spans: &[Span], counts: &[f64]) -> BTreeMap<i64, u64> {
    let mut counts = counts.iter();
    let mut index = 0_i64;
    let mut out = BTreeMap::new();
    for span in spans {
        index = index.saturating_add(i64::from(span.offset));
        for _ in 0..span.length {
            let Some(count) = counts.next() else { return out };
            if *count != 0.0 {
                out.insert(index, count.to_bits());
            }
            index += 1;
        }
    }
    out
}

/// A series as people write it: `name{label="value"}`.
fn series(labels: &Labels) -> String {
    let name = labels.get(model::labels::METRIC_NAME).unwrap_or_default();
    let rest = labels.without(|label| label == model::labels::METRIC_NAME);
    if rest.is_empty() && !name.is_empty() { name.to_owned() } else { format!("{name}{rest}") }
}

fn value(value: &PointValue) -> String {
    match value {
        PointValue::Float(v) => number::general(*v),
        PointValue::Histogram(h) => format!("{h:?}"),
    }
}
