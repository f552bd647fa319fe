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

/// The rule of zero buckets: both bounds belong to them.
const ZERO: i64 = 3;
/// The zero bucket in the data set that ends inside of a bucket of others.
const CLIPPING: f64 = 0.65;

/// What rounding may leave of counts of thousands.
const ROUNDING: f64 = 1e-11;

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
    let apart = |test: fn((&Sample, &Sample)) -> bool| {
        ours.keys().eq(theirs.keys()) && samples(&ours).zip(samples(&theirs)).filter(|(a, b)| !alike(a, b)).all(test)
    };
    if apart(|(ours, theirs)| ours.adds_up() && !theirs.adds_up()) {
        return Some("3.5 answers with buckets of another sample, which do not add up to the count");
    }
    if apart(|(ours, theirs)| ours.is_nothing(0.0) && theirs.is_nothing(ROUNDING)) {
        return Some("rounding leaves something of a difference of equals");
    }
    if !same_totals(&ours, &theirs) {
        return None;
    }
    if query.contains("avg") && samples(&theirs).any(Sample::is_clipped) {
        return Some("3.5 leaves buckets behind in a mean that a wider zero bucket covers; later versions divide the sum by the number");
    }
    let cancel = ["delta(", " - "].iter().any(|f| query.contains(f)) && ["sum", "avg"].iter().any(|f| query.contains(f));
    (cancel && without_zero_bounds(&ours) == without_zero_bounds(&theirs))
        .then_some("how wide the zero bucket of a sum gets depends on the order of series where counts cancel to nothing")
}

/// The same question about the histograms that a function makes numbers of.
#[must_use]
pub fn argument(question: &Question) -> Option<Question> {
    let query = question.param("query");
    let (function, rest) = query.strip_suffix(')')?.split_once('(')?;
    let histograms = match function {
        "histogram_quantile" => rest.split_once(", ")?.1,
        "histogram_fraction" => rest.splitn(3, ", ").nth(2)?,
        "histogram_avg" | "histogram_stddev" | "histogram_stdvar" => rest,
        _ => return None,
    };
    let mut inner = question.clone();
    inner.params.iter_mut().filter(|(name, _)| name == "query").for_each(|(_, value)| histograms.clone_into(value));
    Some(inner)
}

fn samples(answer: &Answer) -> impl Iterator<Item = &Sample> {
    answer.values().flat_map(BTreeMap::values)
}

/// An answer in which zero buckets have no width.
fn without_zero_bounds(answer: &Answer) -> Answer {
    let mut answer = answer.clone();
    for sample in answer.values_mut().flat_map(BTreeMap::values_mut) {
        if let Sample::Histogram { buckets, .. } = sample {
            buckets.iter_mut().filter(|b| b.0 == ZERO).for_each(|b| (b.1, b.2) = (0.0, 0.0));
        }
    }
    answer
}

/// A point without its buckets: labels, time, count, sum.
type Totals<'a> = (&'a str, i64, f64, f64);

/// Whether all points are the same but for the buckets.
fn same_totals(ours: &Answer, theirs: &Answer) -> bool {
    let (ours, theirs) = (totals(ours), totals(theirs));
    let same = |a: &Totals<'_>, b: &Totals<'_>| (a.0, a.1) == (b.0, b.1) && close(a.2, b.2, RELATIVE) && close(a.3, b.3, RELATIVE);
    ours.len() == theirs.len() && ours.iter().zip(&theirs).all(|(a, b)| same(a, b))
}

fn totals(answer: &Answer) -> Vec<Totals<'_>> {
    let points = answer.iter().flat_map(|(labels, points)| points.iter().map(move |(t, sample)| (labels, t, sample)));
    points.map(|(labels, t, sample)| (labels.as_str(), *t, sample.totals().0, sample.totals().1)).collect()
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

    /// Whether it is a histogram of which nothing holds more than `trace`.
    fn is_nothing(&self, trace: f64) -> bool {
        match self {
            Self::Number(_) => false,
            Self::Histogram { count, sum, buckets } => {
                [*count, *sum].into_iter().chain(buckets.iter().map(|b| b.3)).all(|v| v.abs() <= trace)
            }
        }
    }

    /// Whether a bucket begins where the zero bucket ends, in the middle of its own bounds.
    fn is_clipped(&self) -> bool {
        match self {
            Self::Number(_) => false,
            Self::Histogram { buckets, .. } => buckets.iter().any(|b| b.0 != ZERO && (b.1 == CLIPPING || b.2 == -CLIPPING)),
        }
    }

    /// Count and sum, or a number twice.
    fn totals(&self) -> (f64, f64) {
        match self {
            Self::Number(value) => (*value, *value),
            Self::Histogram { count, sum, .. } => (*count, *sum),
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
