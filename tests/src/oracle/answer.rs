//! Two answers to one question, and how they differ.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use super::deliberate;
use super::expression::SORT_LABELS;
use super::question::Question;

/// Both sum with compensation, but not always in the same order.
const RELATIVE: f64 = 1e-9;
/// Go and the platform's library differ in the last digits of transcendental functions, more for great arguments; Welford's recurrence
/// depends on the order of series.
const LOOSE: f64 = 1e-6;

/// A series' points: milliseconds and value.
type Points = Vec<(i64, f64)>;

/// `Ok` if the answers are alike; else what differs first.
pub fn compare(question: &Question, ours: &(u16, String), theirs: &(u16, String)) -> anyhow::Result<()> {
    ensure!(ours.0 == theirs.0, "status {} but {}\n     ours: {}\n   theirs: {}", ours.0, theirs.0, cut(&ours.1), cut(&theirs.1));
    let read = |(status, body): &(u16, String)| serde_json::from_str::<Value>(body).with_context(|| format!("{status}: {}", cut(body)));
    let (ours, theirs) = (read(ours)?, read(theirs)?);
    for field in ["status", "errorType", "error"] {
        ensure!(ours[field] == theirs[field], "{field}\n     ours: {}\n   theirs: {}", ours[field], theirs[field]);
    }
    for field in ["warnings", "infos"] {
        let (a, b) = (annotations(question, &ours[field]), annotations(question, &theirs[field]));
        ensure!(
            a == b,
            "{field}\n     ours: {:?}\n   theirs: {:?}",
            a.difference(&b).collect::<Vec<_>>(),
            b.difference(&a).collect::<Vec<_>>()
        );
    }
    if ours["status"] == "error" {
        return Ok(());
    }
    if ["query", "query_range"].contains(&question.path.as_str()) {
        results(question, &ours["data"], &theirs["data"])
    } else {
        listed(question, &ours["data"], &theirs["data"])
    }
}

fn cut(text: &str) -> String {
    text.chars().take(600).collect()
}

fn texts(list: &Value) -> BTreeSet<String> {
    list.as_array().into_iter().flatten().map(Value::to_string).collect()
}

fn annotations(question: &Question, list: &Value) -> BTreeSet<String> {
    let texts = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    let shown: BTreeSet<String> = texts.filter_map(|text| deliberate::annotation(question.param("query"), text)).collect();
    // Of more than ten, ten are shown: any. Ours has one more than ten where only it speaks of `sort`.
    let query = question.param("query");
    let some = |text: &str| if shown.is_empty() { BTreeSet::new() } else { BTreeSet::from([text.to_owned()]) };
    match shown.iter().any(|text| text.ends_with("annotations omitted")) {
        _ if query.contains("sort") => some("some"),
        true => some("more than ten"),
        false => shown,
    }
}

/// Lists of the label APIs; series come in no order.
fn listed(question: &Question, ours: &Value, theirs: &Value) -> anyhow::Result<()> {
    if ours == theirs {
        return Ok(());
    }
    let (a, b) = (texts(ours), texts(theirs));
    let are_series = theirs.as_array().and_then(|l| l.first()).is_some_and(Value::is_object);
    if are_series && !question.param("limit").is_empty() && a.len() == b.len() {
        // Which series a limit leaves is not defined.
        return Ok(());
    }
    ensure!(
        are_series && a == b,
        "data\n  surplus: {:?}\n  missing: {:?}",
        a.difference(&b).collect::<Vec<_>>(),
        b.difference(&a).collect::<Vec<_>>()
    );
    Ok(())
}

fn results(question: &Question, ours: &Value, theirs: &Value) -> anyhow::Result<()> {
    ensure!(ours["resultType"] == theirs["resultType"], "resultType {} but {}", ours["resultType"], theirs["resultType"]);
    if theirs["resultType"] == "string" {
        ensure!(ours == theirs, "string\n     ours: {ours}\n   theirs: {theirs}");
        return Ok(());
    }
    let query = question.param("query");
    let (a, b) = (series(query, ours)?, series(query, theirs)?);
    let instant = theirs["resultType"] == "vector";
    if instant && query.starts_with("sort") {
        in_order(query, &a, &b)?;
    }
    // Over a range, Prometheus hands on the results of operators and functions in the order of a map of Go, which is none, and those of classic
    // histograms always; then which of equal values `topk` meets first is not defined.
    let ties = (question.path == "query_range" || query.contains("histogram_")) && (query.contains("topk") || query.contains("bottomk"));
    same(query, &a, &b).or_else(|e| if ties { same(query, &by_time(&a), &by_time(&b)).map_err(|_| e) } else { Err(e) })
}

/// By value, or by labels: the order of equal values is not defined.
fn in_order(query: &str, ours: &[(String, Points)], theirs: &[(String, Points)]) -> anyhow::Result<()> {
    let by_labels = query.starts_with("sort_by_label");
    let has_all = |labels: &str| SORT_LABELS.iter().all(|name| labels.contains(&format!("\"{name}\":")));
    if by_labels && !theirs.iter().all(|(labels, _)| has_all(labels)) {
        // Prometheus's natural order is none where a label is missing.
        return Ok(());
    }
    for ((labels, points), (want_labels, want)) in ours.iter().zip(theirs) {
        let (v, want) = (points.first().map_or(0.0, |p| p.1), want.first().map_or(0.0, |p| p.1));
        let right = if by_labels { labels == want_labels } else { close(query, v, want) };
        ensure!(right, "order: {labels} {v}, but {want_labels} {want}");
    }
    Ok(())
}

/// All values of each time, as if they were one series.
fn by_time(series: &[(String, Points)]) -> Vec<(String, Points)> {
    let mut all: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (t, v) in series.iter().flat_map(|(_, points)| points) {
        all.entry(*t).or_default().push(*v);
    }
    let sorted = |(t, mut values): (i64, Vec<f64>)| {
        values.sort_by(f64::total_cmp);
        (t.to_string(), values.into_iter().map(|v| (t, v)).collect())
    };
    all.into_iter().map(sorted).collect()
}

fn same(query: &str, ours: &[(String, Points)], theirs: &[(String, Points)]) -> anyhow::Result<()> {
    let map = |list: &[(String, Points)]| list.iter().cloned().collect::<BTreeMap<_, _>>();
    let (a, b) = (map(ours), map(theirs));
    ensure!(a.len() == ours.len(), "a series comes twice");
    if !a.keys().eq(b.keys()) {
        let only = |x: &BTreeMap<String, Points>, y: &BTreeMap<String, Points>| {
            x.iter().filter(|(k, _)| !y.contains_key(*k)).take(3).map(|(k, p)| format!("{k} {:?}", p.first())).collect::<Vec<_>>()
        };
        bail!("{} series, but {}\n  surplus: {:?}\n  missing: {:?}", a.len(), b.len(), only(&a, &b), only(&b, &a));
    }
    for (labels, want) in &b {
        let got = &a[labels];
        for ((t, v), (want_t, want_v)) in got.iter().zip(want) {
            ensure!(t == want_t && close(query, *v, *want_v), "{labels}\n     ours: {v:?} at {t}\n   theirs: {want_v:?} at {want_t}");
        }
        ensure!(got.len() == want.len(), "{labels} has {} points, but {}", got.len(), want.len());
    }
    Ok(())
}

fn close(query: &str, a: f64, b: f64) -> bool {
    let (relative, absolute) = if deliberate::inexact(query) { (LOOSE, RELATIVE) } else { (RELATIVE, 0.0) };
    (a.is_nan() && b.is_nan()) || a == b || (a - b).abs() <= absolute + relative * a.abs().max(b.abs())
}

/// Series with their points, in the order of the answer.
fn series(query: &str, data: &Value) -> anyhow::Result<Vec<(String, Points)>> {
    let result = &data["result"];
    let point = |p: &Value| -> anyhow::Result<(i64, f64)> {
        let t = (p[0].as_f64().context("a time")? * 1_000.0).round() as i64;
        Ok((t, p[1].as_str().context("a value")?.parse()?))
    };
    if data["resultType"] == "scalar" {
        return Ok(vec![("scalar".to_owned(), vec![point(result)?])]);
    }
    let one = |s: &Value| -> anyhow::Result<(String, Points)> {
        let points = match s.get("values").and_then(Value::as_array) {
            Some(values) => values.iter().map(point).collect::<anyhow::Result<Points>>()?,
            None => vec![point(&s["value"])?],
        };
        let metric = if query.contains("count_values") { rounded(&s["metric"]) } else { s["metric"].to_string() };
        Ok((metric, points))
    };
    let all = result.as_array().context("a list of series")?.iter().map(one).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(if query.contains("count_values") { merged(all) } else { all })
}

/// Adds up series whose labels have become the same.
fn merged(all: Vec<(String, Points)>) -> Vec<(String, Points)> {
    let mut sums: BTreeMap<String, BTreeMap<i64, f64>> = BTreeMap::new();
    for (labels, points) in all {
        let series = sums.entry(labels).or_default();
        points.into_iter().for_each(|(t, v)| *series.entry(t).or_default() += v);
    }
    sums.into_iter().map(|(labels, points)| (labels, points.into_iter().collect())).collect()
}

/// Labels in which numbers have twelve digits: sums in another order differ in the last ones.
fn rounded(metric: &Value) -> String {
    let short = |value: &str| value.parse::<f64>().map_or_else(|_| value.to_owned(), |v| format!("{v:.11e}"));
    let labels = metric.as_object().into_iter().flatten();
    labels.map(|(name, value)| format!("{name}={};", short(value.as_str().unwrap_or_default()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(values: &[(&str, &str)]) -> (u16, String) {
        let result: Vec<Value> = values.iter().map(|(name, v)| serde_json::json!({"metric": {"a": name}, "value": [1.5, v]})).collect();
        (200, serde_json::json!({"status": "success", "data": {"resultType": "vector", "result": result}}).to_string())
    }

    #[test]
    fn differences_are_found() {
        let plain = Question::new("query", &[("query", "x")]);
        assert!(compare(&plain, &vector(&[("x", "1"), ("y", "NaN")]), &vector(&[("y", "NaN"), ("x", "1.0000000000001")])).is_ok());
        for other in
            [vector(&[("x", "1.001")]), vector(&[("y", "1")]), vector(&[]), vector(&[("x", "NaN")]), (422, vector(&[("x", "1")]).1)]
        {
            assert!(compare(&plain, &vector(&[("x", "1")]), &other).is_err(), "{other:?}");
        }
        let sorted = Question::new("query", &[("query", "sort(x)")]);
        assert!(compare(&sorted, &vector(&[("x", "1"), ("y", "2")]), &vector(&[("y", "2"), ("x", "1")])).is_err());
        let picked = |path| Question::new(path, &[("query", "topk(1, x)")]);
        assert!(compare(&picked("query_range"), &vector(&[("x", "1")]), &vector(&[("y", "1")])).is_ok());
        assert!(compare(&picked("query_range"), &vector(&[("x", "1")]), &vector(&[("y", "2")])).is_err());
        assert!(compare(&picked("query"), &vector(&[("x", "1")]), &vector(&[("y", "1")])).is_err());
        let refused = |error: &str| (400, serde_json::json!({"status": "error", "errorType": "bad_data", "error": error}).to_string());
        assert!(compare(&plain, &refused("a"), &refused("a")).is_ok());
        assert!(compare(&plain, &refused("a"), &refused("b")).is_err());
    }
}
