//! Two answers point by point.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use serde_json::Value;

/// Values may differ by rounding: Prometheus 2.42 adds naively where 3.x compensates.
const RELATIVE: f64 = 1e-9;

/// A result as series (labels as text) to points (time in milliseconds, value).
type Series = BTreeMap<String, Vec<(i64, f64)>>;

/// How many points both answers hold; an error names the first difference.
pub fn same(query: &str, ours: &Value, theirs: &Value) -> anyhow::Result<usize> {
    let (ours, theirs) = (series(ours).context("our answer")?, series(theirs).context("their answer")?);
    if !ours.keys().eq(theirs.keys()) {
        let missing: Vec<_> = theirs.keys().filter(|k| !ours.contains_key(*k)).take(3).collect();
        let surplus: Vec<_> = ours.keys().filter(|k| !theirs.contains_key(*k)).take(3).collect();
        bail!("{query}: {} series, Prometheus has {}; missing {missing:?}, surplus {surplus:?}", ours.len(), theirs.len());
    }
    let mut points = 0;
    for (labels, want) in &theirs {
        let got = &ours[labels];
        if got.len() != want.len() {
            bail!("{query}: {labels} has {} points, Prometheus has {}", got.len(), want.len());
        }
        for ((t, v), (want_t, want_v)) in got.iter().zip(want) {
            if t != want_t || !close(*v, *want_v) {
                bail!("{query}: {labels} is {v} at {t}, Prometheus says {want_v} at {want_t}");
            }
        }
        points += want.len();
    }
    Ok(points)
}

fn close(a: f64, b: f64) -> bool {
    (a.is_nan() && b.is_nan()) || a == b || (a - b).abs() <= RELATIVE * a.abs().max(b.abs())
}

fn series(data: &Value) -> anyhow::Result<Series> {
    let result = &data["result"];
    let point = |p: &Value| -> anyhow::Result<(i64, f64)> {
        let t = (p[0].as_f64().context("a time")? * 1_000.0).round() as i64;
        Ok((t, p[1].as_str().context("a value")?.parse()?))
    };
    let mut all = Series::new();
    match data["resultType"].as_str() {
        Some("scalar") => {
            all.insert("scalar".to_owned(), vec![point(result)?]);
        }
        Some("vector") => {
            for s in result.as_array().context("a vector")? {
                all.insert(s["metric"].to_string(), vec![point(&s["value"])?]);
            }
        }
        Some("matrix") => {
            for s in result.as_array().context("a matrix")? {
                let points = s["values"].as_array().context("values")?.iter().map(point).collect::<anyhow::Result<Vec<_>>>()?;
                all.insert(s["metric"].to_string(), points);
            }
        }
        other => bail!("result type {other:?}"),
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn differences_are_found() {
        let vector = |value: &str, name: &str| json!({"resultType": "vector", "result": [{"metric": {"a": name}, "value": [1.5, value]}]});
        assert_eq!(super::same("q", &vector("1", "x"), &vector("1.0000000000001", "x")).unwrap(), 1);
        assert!(super::same("q", &vector("1", "x"), &vector("1.001", "x")).is_err());
        assert!(super::same("q", &vector("1", "x"), &vector("1", "y")).is_err());
        assert!(super::same("q", &json!({"resultType": "vector", "result": []}), &vector("1", "x")).is_err());
    }
}
