//! Results as JSON, written in one pass.

use model::Labels;
use promql::{InstantSeries, Point, PointValue, QueryResult, QueryValue, RangeSeries};
use serde_json::{Value, json};

use super::format::{float, timestamp};
use super::histogram;

/// Annotations shown per kind, as in Prometheus.
const MAX_ANNOTATIONS: usize = 10;

/// The whole answer of `query` and `query_range`. `stats` adds what the query cost; `all`, also by step.
pub(super) fn query_response(result: &QueryResult, stats: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(estimate(&result.value));
    out.extend_from_slice(b"{\"status\":\"success\",\"data\":{\"resultType\":");
    match &result.value {
        QueryValue::Vector(series) => {
            out.extend_from_slice(b"\"vector\",\"result\":");
            array(&mut out, series, instant_series);
        }
        QueryValue::Matrix(series) => {
            out.extend_from_slice(b"\"matrix\",\"result\":");
            array(&mut out, series, range_series);
        }
        QueryValue::Scalar { t, v } => {
            out.extend_from_slice(b"\"scalar\",\"result\":");
            pair(&mut out, *t, |out| float(out, *v));
        }
        QueryValue::String { t, text } => {
            out.extend_from_slice(b"\"string\",\"result\":");
            pair(&mut out, *t, |out| string(out, text));
        }
    }
    if let Some(which) = stats {
        out.extend_from_slice(b",\"stats\":");
        out.extend_from_slice(cost(result, which == "all").to_string().as_bytes());
    }
    if let Some(explain) = &result.explain {
        out.extend_from_slice(b",\"explain\":");
        out.extend_from_slice(explain.to_json().to_string().as_bytes());
    }
    out.push(b'}');
    annotations(&mut out, "warnings", &result.warnings);
    annotations(&mut out, "infos", &result.infos);
    out.push(b'}');
    out
}

/// `stats`: Prometheus's figures, then our own.
fn cost(result: &QueryResult, by_step: bool) -> Value {
    let (stats, timings) = (&result.stats, &result.stats.timings);
    let seconds = |us: u64| us as f64 / 1e6;
    let execution = timings.queue_us.saturating_add(timings.evaluation_us);
    let figures = result.samples.as_ref();
    let mut samples = json!({
        "totalQueryableSamples": figures.map_or(0, |f| f.total),
        // Prometheus counts what it holds in floats of 16 bytes.
        "peakSamples": stats.peak_bytes.div_ceil(16),
        "samplesRead": stats.samples_read,
        "seriesRead": stats.series_read,
        "peakBytes": stats.peak_bytes,
    });
    if by_step && let (Some(figures), Some(samples)) = (figures, samples.as_object_mut()) {
        let steps: Vec<Value> = figures.per_step.iter().map(|(t, n)| json!([*t as f64 / 1000.0, n])).collect();
        samples.insert("totalQueryableSamplesPerStep".to_owned(), steps.into());
    }
    json!({
        "timings": {
            "evalTotalTime": seconds(timings.evaluation_us),
            "resultSortTime": 0.0,
            "queryPreparationTime": seconds(timings.preparation_us),
            "innerEvalTime": seconds(timings.evaluation_us),
            "execQueueTime": seconds(timings.queue_us),
            "execTotalTime": seconds(execution),
        },
        "samples": samples,
    })
}

/// `{"status":"success","data":…}` around anything serialisable.
pub(super) fn success(data: &Value, warnings: &[String]) -> Vec<u8> {
    let mut out = b"{\"status\":\"success\",\"data\":".to_vec();
    out.extend_from_slice(data.to_string().as_bytes());
    annotations(&mut out, "warnings", warnings);
    out.push(b'}');
    out
}

/// The same around a list of label sets.
pub(super) fn label_sets(sets: &[Labels], warnings: &[String]) -> Vec<u8> {
    let mut out = b"{\"status\":\"success\",\"data\":".to_vec();
    array(&mut out, sets, labels);
    annotations(&mut out, "warnings", warnings);
    out.push(b'}');
    out
}

/// `{"data":[…]}` around a list of label sets.
pub(super) fn bare_label_sets(sets: &[Labels]) -> Vec<u8> {
    let mut out = b"{\"data\":".to_vec();
    array(&mut out, sets, labels);
    out.push(b'}');
    out
}

fn annotations(out: &mut Vec<u8>, kind: &str, texts: &[String]) {
    if texts.is_empty() {
        return;
    }
    let mut shown: Vec<String> = texts.iter().take(MAX_ANNOTATIONS).cloned().collect();
    if let more @ 1.. = texts.len().saturating_sub(MAX_ANNOTATIONS) {
        let noun = if kind == "infos" { "info" } else { "warning" };
        shown.push(format!("{more} more {noun} annotations omitted"));
    }
    out.extend_from_slice(format!(",\"{kind}\":").as_bytes());
    array(out, &shown, |out, text| string(out, text));
}

fn array<T>(out: &mut Vec<u8>, items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

fn instant_series(out: &mut Vec<u8>, series: &InstantSeries) {
    out.extend_from_slice(b"{\"metric\":");
    labels(out, &series.labels);
    let name: &[u8] = if matches!(series.point.value, PointValue::Float(_)) { b",\"value\":" } else { b",\"histogram\":" };
    out.extend_from_slice(name);
    point(out, &series.point);
    out.push(b'}');
}

fn range_series(out: &mut Vec<u8>, series: &RangeSeries) {
    out.extend_from_slice(b"{\"metric\":");
    labels(out, &series.labels);
    points_of_kind(out, b",\"values\":[", series.points.iter().filter(|p| matches!(p.value, PointValue::Float(_))));
    points_of_kind(out, b",\"histograms\":[", series.points.iter().filter(|p| matches!(p.value, PointValue::Histogram(_))));
    out.push(b'}');
}

/// A list of points, left out if there is none.
fn points_of_kind<'a>(out: &mut Vec<u8>, opening: &[u8], points: impl Iterator<Item = &'a Point>) {
    let mut any = false;
    for p in points {
        out.extend_from_slice(if any { b"," } else { opening });
        any = true;
        point(out, p);
    }
    if any {
        out.push(b']');
    }
}

fn point(out: &mut Vec<u8>, p: &Point) {
    pair(out, p.t, |out| match &p.value {
        PointValue::Float(v) => float(out, *v),
        PointValue::Histogram(h) => histogram::write(out, h),
    });
}

fn pair(out: &mut Vec<u8>, t: i64, value: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'[');
    timestamp(out, t);
    out.push(b',');
    value(out);
    out.push(b']');
}

pub(super) fn labels(out: &mut Vec<u8>, labels: &Labels) {
    out.push(b'{');
    for (i, (name, value)) in labels.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        string(out, name);
        out.push(b':');
        string(out, value);
    }
    out.push(b'}');
}

/// A JSON string. Nearly all labels need no escape.
fn string(out: &mut Vec<u8>, text: &str) {
    let plain = |b: u8| b >= 0x20 && b != b'"' && b != b'\\';
    if text.bytes().all(plain) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(Value::from(text).to_string().as_bytes());
    }
}

/// Bytes to reserve; a guess that is seldom short.
fn estimate(value: &QueryValue) -> usize {
    match value {
        QueryValue::Vector(series) => 256 + series.iter().map(|s| 64 + s.labels.as_bytes().len() * 2).sum::<usize>(),
        QueryValue::Matrix(series) => 256 + series.iter().map(|s| 64 + s.labels.as_bytes().len() * 2 + s.points.len() * 32).sum::<usize>(),
        QueryValue::Scalar { .. } | QueryValue::String { .. } => 256,
    }
}

#[cfg(test)]
mod tests {
    use model::Labels;
    use promql::{Point, PointValue, QueryResult, QueryStats, QueryTimings, QueryValue, RangeSeries, SampleFigures};

    use super::query_response;

    #[test]
    fn matrix_as_prometheus_writes_it() {
        let series = RangeSeries {
            labels: Labels::from_pairs([("__name__", "up"), ("path", "C:\\\"x\"\n")]),
            points: vec![
                Point { t: 1_435_781_430_781, value: PointValue::Float(1.0) },
                Point { t: 1_435_781_445_000, value: PointValue::Float(f64::NAN) },
            ],
        };
        let result = QueryResult {
            explain: None,
            value: QueryValue::Matrix(vec![series]),
            warnings: vec!["w".to_owned()],
            infos: Vec::new(),
            stats: QueryStats::default(),
            samples: None,
        };
        let want = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"up","path":"C:\\\"x\"\n"},"values":[[1435781430.781,"1"],[1435781445,"NaN"]]}]},"warnings":["w"]}"#;
        assert_eq!(String::from_utf8(query_response(&result, None)).unwrap(), want);
    }

    #[test]
    fn stats_as_prometheus_writes_them() {
        let result = QueryResult {
            explain: None,
            value: QueryValue::Scalar { t: 0, v: 1.0 },
            warnings: Vec::new(),
            infos: Vec::new(),
            stats: QueryStats {
                peak_bytes: 33,
                timings: QueryTimings { preparation_us: 1, queue_us: 250_000, evaluation_us: 500_000 },
                ..QueryStats::default()
            },
            samples: Some(SampleFigures { total: 7, per_step: vec![(1_500, 3), (2_500, 4)] }),
        };
        let stats = |which| {
            let answer: serde_json::Value = serde_json::from_slice(&query_response(&result, which)).unwrap();
            answer["data"]["stats"].clone()
        };
        let all = stats(Some("all"));
        let timings = &all["timings"];
        assert_eq!((&timings["execQueueTime"], &timings["evalTotalTime"]), (&0.25.into(), &0.5.into()));
        assert_eq!((&timings["execTotalTime"], &timings["queryPreparationTime"]), (&0.75.into(), &1e-6.into()));
        assert_eq!((&all["samples"]["totalQueryableSamples"], &all["samples"]["peakSamples"]), (&7.into(), &3.into()));
        assert_eq!(all["samples"]["totalQueryableSamplesPerStep"], serde_json::json!([[1.5, 3], [2.5, 4]]));
        assert_eq!(stats(Some("1"))["samples"].get("totalQueryableSamplesPerStep"), None);
        assert_eq!(stats(None), serde_json::Value::Null);
    }
}
