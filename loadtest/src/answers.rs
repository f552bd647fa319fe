//! Answers of the query API, point by point.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

/// Values may differ by rounding: Prometheus 2.42 adds naively where 3.x compensates.
const RELATIVE: f64 = 1e-9;

/// A result as series (labels as text) to points (time in milliseconds, value).
pub type Series = BTreeMap<String, Vec<(i64, f64)>>;

/// How many points both answers hold; an error names the first difference.
pub fn same(query: &str, ours: &Value, theirs: &Value) -> anyhow::Result<usize> {
    let (ours, theirs) = (series(ours).context("our answer")?, series(theirs).context("their answer")?);
    same_series(&ours, &theirs).with_context(|| query.to_owned())
}

/// The same of results that are taken apart already.
pub fn same_series(ours: &Series, theirs: &Series) -> anyhow::Result<usize> {
    if !ours.keys().eq(theirs.keys()) {
        let missing: Vec<_> = theirs.keys().filter(|k| !ours.contains_key(*k)).take(3).collect();
        let surplus: Vec<_> = ours.keys().filter(|k| !theirs.contains_key(*k)).take(3).collect();
        bail!("{} series, the other has {}; missing {missing:?}, surplus {surplus:?}", ours.len(), theirs.len());
    }
    let mut points = 0;
    for ((labels, got), want) in ours.iter().zip(theirs.values()) {
        ensure!(got.len() == want.len(), "{labels} has {} points, the other has {}", got.len(), want.len());
        for ((t, v), (want_t, want_v)) in got.iter().zip(want) {
            ensure!(t == want_t && close(*v, *want_v), "{labels} is {v} at {t}, the other says {want_v} at {want_t}");
        }
        points += want.len();
    }
    Ok(points)
}

fn close(a: f64, b: f64) -> bool {
    (a.is_nan() && b.is_nan()) || a == b || (a - b).abs() <= RELATIVE * a.abs().max(b.abs())
}

/// The series of an answer's `data`: a scalar, a vector or a matrix of floats.
pub fn series(data: &Value) -> anyhow::Result<Series> {
    let result = data.get("result").context("a result")?;
    let mut all = Series::new();
    match data.get("resultType").and_then(Value::as_str) {
        Some("scalar") => {
            all.insert("scalar".to_owned(), vec![point(result)?]);
        }
        Some("vector") => {
            for s in result.as_array().context("a vector")? {
                insert(&mut all, s, vec![point(&s["value"])?])?;
            }
        }
        Some("matrix") => {
            for s in result.as_array().context("a matrix")? {
                let points = s["values"].as_array().context("values")?.iter().map(point).collect::<anyhow::Result<Vec<_>>>()?;
                insert(&mut all, s, points)?;
            }
        }
        other => bail!("result type {other:?}"),
    }
    Ok(all)
}

fn insert(all: &mut Series, series: &Value, points: Vec<(i64, f64)>) -> anyhow::Result<()> {
    // By name, in whatever order a server writes them.
    let labels: BTreeMap<_, _> = series["metric"].as_object().context("labels")?.iter().collect();
    let labels = serde_json::to_string(&labels)?;
    ensure!(!all.contains_key(&labels), "{labels} is there twice");
    all.insert(labels, points);
    Ok(())
}

/// A pair of seconds and a value as text.
pub(crate) fn point(pair: &Value) -> anyhow::Result<(i64, f64)> {
    let t = (pair.get(0).and_then(Value::as_f64).context("a time")? * 1_000.0).round() as i64;
    Ok((t, pair.get(1).and_then(Value::as_str).context("a value")?.parse()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{same, series};

    #[test]
    fn differences_are_found() {
        let vector = |value: &str, name: &str| json!({"resultType": "vector", "result": [{"metric": {"a": name}, "value": [1.5, value]}]});
        assert_eq!(same("q", &vector("1", "x"), &vector("1.0000000000001", "x")).unwrap(), 1);
        assert!(same("q", &vector("1", "x"), &vector("1.001", "x")).is_err());
        assert!(same("q", &vector("1", "x"), &vector("1", "y")).is_err());
        assert!(same("q", &json!({"resultType": "vector", "result": []}), &vector("1", "x")).is_err());
    }

    #[test]
    fn a_matrix_is_compared_in_times_and_lengths() {
        let matrix = |values: serde_json::Value| json!({"resultType": "matrix", "result": [{"metric": {}, "values": values}]});
        let two = matrix(json!([[1, "1"], [2, "NaN"]]));
        assert_eq!(same("q", &two, &two).unwrap(), 2);
        assert!(same("q", &two, &matrix(json!([[1, "1"]]))).is_err());
        assert!(same("q", &two, &matrix(json!([[1, "1"], [3, "NaN"]]))).is_err());
    }

    #[test]
    fn labels_come_in_any_order() {
        let answer = |text: &str| {
            serde_json::from_str(&format!(r#"{{"resultType":"vector","result":[{{"metric":{text},"value":[1,"1"]}}]}}"#)).unwrap()
        };
        assert_eq!(same("q", &answer(r#"{"a":"1","b":"2"}"#), &answer(r#"{"b":"2","a":"1"}"#)).unwrap(), 1);
    }

    #[test]
    fn a_series_that_is_there_twice_is_an_error() {
        let one = json!({"metric": {"a": "x"}, "value": [1, "1"]});
        assert!(series(&json!({"resultType": "vector", "result": [one, one]})).is_err());
    }
}
