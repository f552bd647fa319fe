//! Two answers that may hold histograms, and how they differ.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::oracle::deliberate;
use crate::oracle::question::Question;

/// Counts and sums; later versions than 3.5 compensate more sums.
const RELATIVE: f64 = 1e-9;
/// What goes through logarithms.
const LOOSE: f64 = 1e-6;

/// Rule, bounds and count, as the API gives them.
type Bucket = (i64, f64, f64, f64);

/// A sample: a number, or count, sum and buckets.
#[derive(Debug, Clone, PartialEq)]
enum Sample {
    Number(f64),
    Histogram { count: f64, sum: f64, buckets: Vec<Bucket> },
}

type Answer = BTreeMap<String, BTreeMap<i64, Sample>>;

/// `Ok` if the answers are alike; else what differs first.
pub fn compare(question: &Question, ours: &(u16, String), theirs: &(u16, String)) -> anyhow::Result<()> {
    let cut = |text: &str| text.chars().take(600).collect::<String>();
    ensure!(ours.0 == theirs.0, "status {} but {}\n     ours: {}\n   theirs: {}", ours.0, theirs.0, cut(&ours.1), cut(&theirs.1));
    let (ours, theirs): (Value, Value) = (serde_json::from_str(&ours.1)?, serde_json::from_str(&theirs.1)?);
    for field in ["status", "errorType", "error"] {
        ensure!(ours[field] == theirs[field], "{field}\n     ours: {}\n   theirs: {}", ours[field], theirs[field]);
    }
    for field in ["warnings", "infos"] {
        let (a, b) = (notes(question, &ours[field]), notes(question, &theirs[field]));
        let (surplus, missing): (Vec<_>, Vec<_>) = (a.difference(&b).collect(), b.difference(&a).collect());
        ensure!(a == b, "{field}\n  surplus: {surplus:?}\n  missing: {missing:?}");
    }
    if ours["status"] == "error" {
        return Ok(());
    }
    let (a, b) = (read(&ours["data"])?, read(&theirs["data"])?);
    let (labels, wanted): (Vec<_>, Vec<_>) = (a.keys().collect(), b.keys().collect());
    ensure!(labels == wanted, "series\n     ours: {labels:?}\n   theirs: {wanted:?}");
    for (labels, wanted) in &b {
        let got = &a[labels];
        ensure!(got.keys().eq(wanted.keys()), "{labels} has {} points, but {}", got.len(), wanted.len());
        for (t, want) in wanted {
            ensure!(alike(&got[t], want), "{labels} at {t}\n     ours: {:?}\n   theirs: {want:?}", got[t]);
        }
    }
    Ok(())
}

/// Why these answers may differ, if they may.
#[must_use]
pub fn meant(question: &Question, ours: &str, theirs: &str) -> Option<&'static str> {
    let query = question.param("query");
    if !query.contains("native_") {
        return None;
    }
    let statistics = ["histogram_count(", "histogram_sum(", "histogram_avg("].iter().any(|f| query.contains(f));
    if statistics && ours.contains("conflicting counter resets") && !theirs.contains("conflicting counter resets") {
        return Some("where only count and sum matter, contradicting hints are told in later versions");
    }
    if statistics && query.contains("irate(native_gauge") {
        return Some("where only count and sum matter, resets of what is no counter are judged by the count in later versions");
    }
    if query.contains("avg") && query.contains("/ 0)") {
        return Some("the mean of infinities is infinite in later versions");
    }
    let (ours, theirs) = (read_text(ours)?, read_text(theirs)?);
    // A negative zero bucket is not shown, so negated histograms never add up.
    let broken = |answer: &Answer| answer.values().flat_map(BTreeMap::values).any(|s| !s.adds_up());
    (broken(&theirs) && (!broken(&ours) || query.contains("-(")))
        .then_some("3.5 answers with buckets of another sample, which do not add up to the count")
}

fn read_text(body: &str) -> Option<Answer> {
    read(&serde_json::from_str::<Value>(body).ok()?["data"]).ok()
}

impl Sample {
    /// Whether the buckets hold what the count says.
    fn adds_up(&self) -> bool {
        match self {
            Self::Number(_) => true,
            Self::Histogram { count, buckets, .. } => close(buckets.iter().map(|b| b.3).sum(), *count, RELATIVE),
        }
    }
}

fn notes(question: &Question, list: &Value) -> BTreeSet<String> {
    let texts = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.filter_map(|text| deliberate::annotation(question.param("query"), text)).collect()
}

fn read(data: &Value) -> anyhow::Result<Answer> {
    let mut all = Answer::new();
    for series in data["result"].as_array().context("a list of series")? {
        let points = all.entry(series["metric"].to_string()).or_default();
        let listed = |field: &str| series[field].as_array().cloned().unwrap_or_default();
        let single = |field: &str| series.get(field).cloned().into_iter();
        for point in listed("values").into_iter().chain(single("value")) {
            points.insert(time(&point)?, Sample::Number(number(&point[1])?));
        }
        for point in listed("histograms").into_iter().chain(single("histogram")) {
            points.insert(time(&point)?, histogram(&point[1])?);
        }
    }
    Ok(all)
}

fn time(point: &Value) -> anyhow::Result<i64> {
    Ok((point[0].as_f64().context("a time")? * 1_000.0).round() as i64)
}

fn number(value: &Value) -> anyhow::Result<f64> {
    Ok(value.as_str().context("a number in quotes")?.parse()?)
}

fn histogram(value: &Value) -> anyhow::Result<Sample> {
    let bucket = |b: &Value| Ok((b[0].as_i64().context("a rule")?, number(&b[1])?, number(&b[2])?, number(&b[3])?));
    let buckets = value["buckets"].as_array().into_iter().flatten().map(bucket).collect::<anyhow::Result<_>>()?;
    Ok(Sample::Histogram { count: number(&value["count"])?, sum: number(&value["sum"])?, buckets })
}

/// Bounds of buckets are equal to the bit. A bucket may hold what rounding has left of nothing.
fn alike(ours: &Sample, theirs: &Sample) -> bool {
    match (ours, theirs) {
        (Sample::Number(a), Sample::Number(b)) => close(*a, *b, LOOSE),
        (
            Sample::Histogram { count: a, sum: a_sum, buckets: a_buckets },
            Sample::Histogram { count: b, sum: b_sum, buckets: b_buckets },
        ) => {
            let traces = 1e-12 * a.abs();
            let populated = |buckets: &[Bucket]| -> Vec<_> { buckets.iter().copied().filter(|b| b.3.abs() > traces).collect() };
            let (x, y) = (populated(a_buckets), populated(b_buckets));
            let same = |(x, y): (&Bucket, &Bucket)| {
                (x.0, x.1, x.2) == (y.0, y.1, y.2) && ((x.3 - y.3).abs() <= traces || close(x.3, y.3, RELATIVE))
            };
            close(*a, *b, RELATIVE) && close(*a_sum, *b_sum, RELATIVE) && x.len() == y.len() && x.iter().zip(&y).all(same)
        }
        _ => false,
    }
}

fn close(a: f64, b: f64, relative: f64) -> bool {
    (a.is_nan() && b.is_nan()) || a == b || (a - b).abs() <= relative * a.abs().max(b.abs()) + 1e-12
}
