use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use model::{Labels, SeriesChunks};

use super::*;
use crate::memory::MemoryStorage;
use crate::parser::{ParseOptions, parse};
use crate::storage::{SelectRequest, SeriesSource};
use crate::value::{Point, PointValue, QueryValue, RangeSeries};

const MINUTE: i64 = 60_000;

/// `series` counters with a sample every 15 s for an hour.
fn counters(series: usize) -> MemoryStorage {
    let mut store = MemoryStorage::new();
    for i in 0..series {
        let labels = Labels::from_pairs([("__name__", "requests_total"), ("job", &format!("j{}", i % 3)), ("n", &i.to_string())]);
        let points: Vec<Point> =
            (0..=240).map(|k| Point { t: k * 15_000, value: PointValue::Float((k * (i as i64 + 1)) as f64) }).collect();
        store.append(&labels, &points).unwrap();
    }
    store
}

fn expr(text: &str) -> Expr {
    parse(text, &ParseOptions::all()).unwrap()
}

fn range(store: &MemoryStorage, text: &str, options: EngineOptions) -> Result<QueryResult, QueryError> {
    let ctx = QueryContext::new(Arc::new(store.clone()));
    Engine::new(options).range(&expr(text), 0, 60 * MINUTE, MINUTE, &ctx)
}

fn instant(store: &MemoryStorage, text: &str) -> Result<QueryResult, QueryError> {
    let ctx = QueryContext { text: Some(text.into()), ..QueryContext::new(Arc::new(store.clone())) };
    Engine::default().instant(&expr(text), 30 * MINUTE, &ctx)
}

fn matrix(result: QueryResult) -> Vec<RangeSeries> {
    match result.value {
        QueryValue::Matrix(series) => series,
        other => panic!("no matrix: {other:?}"),
    }
}

fn limited(limits: QueryLimits) -> EngineOptions {
    EngineOptions { limits, ..EngineOptions::default() }
}

fn message(result: Result<QueryResult, QueryError>) -> String {
    match result {
        Err(QueryError::Execution(text)) => text,
        other => panic!("no execution error: {other:?}"),
    }
}

#[test]
fn rates_sum_over_groups_in_label_order() {
    let series = matrix(range(&counters(6), "sum by (job) (rate(requests_total[5m]))", EngineOptions::default()).unwrap());
    let jobs: Vec<_> = series.iter().map(|s| s.labels.to_string()).collect();
    assert_eq!(jobs, [r#"{job="j0"}"#, r#"{job="j1"}"#, r#"{job="j2"}"#]);
    // Counters 0 and 3 go up by 1 and 4 every 15 s; the first step has one sample in its window, which makes no rate.
    assert_eq!((series[0].points.len(), series[0].points[0].t), (60, MINUTE));
    let PointValue::Float(v) = series[0].points[30].value else { panic!("no float") };
    assert!((v - 5.0 / 15.0).abs() < 1e-12, "{v}");
}

#[test]
fn memory_is_proportional_to_the_result_not_the_input() {
    let result = range(&counters(600), "sum by (job) (rate(requests_total[5m]))", EngineOptions::default()).unwrap();
    assert_eq!((result.stats.series_read, result.stats.samples_read), (600, 600 * 241));
    let decoded = 600 * 241 * 16;
    assert!(result.stats.peak_bytes > 0 && result.stats.peak_bytes < decoded / 4, "{} of {decoded}", result.stats.peak_bytes);
}

#[test]
fn limits_name_themselves() {
    let store = counters(100);
    let cases = [
        (QueryLimits { max_series: 99, ..QueryLimits::default() }, "max_query_series", "99 series"),
        (QueryLimits { max_samples: 24_099, ..QueryLimits::default() }, "max_query_samples", "24099 samples"),
        (QueryLimits { max_memory_bytes: 10_000, ..QueryLimits::default() }, "max_query_memory_bytes", "10000 bytes"),
        (QueryLimits { max_steps: 60, ..QueryLimits::default() }, "max_query_steps", "60 steps"),
    ];
    for (limits, setting, value) in cases {
        let text = message(range(&store, "sum(rate(requests_total[5m]))", limited(limits)));
        assert!(text.contains(setting) && text.contains(value), "{text}");
    }
    let enough = QueryLimits { max_series: 100, max_samples: 24_100, max_memory_bytes: 4 << 20, max_steps: 61 };
    assert!(range(&store, "sum(rate(requests_total[5m]))", limited(enough)).is_ok());
}

#[test]
fn hostile_subqueries_are_refused_before_they_allocate() {
    let store = counters(1);
    let limits = QueryLimits { max_memory_bytes: 64 << 20, ..QueryLimits::default() };
    for text in ["max_over_time(requests_total[30d:1ms])", "max_over_time(vector(1)[3h:1ms])", "sum_over_time(time()[1y:1s])"] {
        let Ok(expr) = parse(text, &ParseOptions::all()) else { continue };
        let ctx = QueryContext::new(Arc::new(store.clone()));
        let text = message(Engine::new(limited(limits)).instant(&expr, MINUTE, &ctx));
        assert!(text.contains("max_query_memory_bytes") || text.contains("steps"), "{text}");
    }
}

#[test]
fn cancellation_and_deadline_stop_a_query() {
    let ctx = QueryContext::new(Arc::new(counters(10)));
    ctx.cancel.cancel();
    let engine = Engine::default();
    assert!(matches!(engine.instant(&expr("requests_total"), 0, &ctx), Err(QueryError::Canceled(_))));

    // A clock that goes on by one at every look: the deadline passes in the middle of the evaluation.
    let now = AtomicI64::new(0);
    let cancel = CancelToken::with_deadline(3, move || now.fetch_add(1, Ordering::Relaxed));
    let ctx = QueryContext { cancel, ..QueryContext::new(Arc::new(counters(10))) };
    let result = engine.range(&expr("sum(requests_total) + count(requests_total)"), 0, 60 * MINUTE, MINUTE, &ctx);
    assert_eq!(result.map(|_| ()), Err(QueryError::Timeout("expression evaluation")));
}

#[test]
fn a_cross_join_fails_at_once() {
    let store = counters(3_000);
    let text = message(range(&store, "requests_total * on () requests_total", EngineOptions::default()));
    assert!(text.starts_with("found duplicate series for the match group {} on the right hand-side of the operation: ["), "{text}");
    assert!(text.ends_with("];many-to-many matching not allowed: matching labels must be unique on one side"), "{text}");
}

#[test]
fn duplicates_are_errors() {
    let mut store = counters(2);
    store
        .append(
            &Labels::from_pairs([("__name__", "errors_total"), ("job", "j0"), ("n", "0")]),
            &[Point { t: 0, value: PointValue::Float(1.0) }],
        )
        .unwrap();
    let at = |text: &str| Engine::default().instant(&expr(text), 0, &QueryContext::new(Arc::new(store.clone())));
    for text in [
        "abs({job=\"j0\"})",
        "-{job=\"j0\"}",
        "{job=\"j0\"} + 1",
        "sum_over_time({job=\"j0\"}[1m])",
        "label_join({job=\"j0\"}, \"__name__\", \"\")",
    ] {
        assert_eq!(message(at(text)), "vector cannot contain metrics with the same labelset", "{text}");
    }
}

#[test]
fn annotations_point_at_the_text() {
    let store = counters(1);
    let result = instant(&store, "quantile(\n  2, requests_total)").unwrap();
    assert_eq!(result.warnings, ["PromQL warning: quantile value should be between 0 and 1, got 2 (2:3)"]);
}

#[test]
fn malformed_buckets_are_told_with_their_metric_while_it_has_a_name() {
    let result = instant(&counters(1), "histogram_quantile(0.5, requests_total)").unwrap();
    let text = "PromQL warning: bucket label \"le\" is missing or has a malformed value of \"\"";
    assert_eq!(result.warnings, [format!("{text} for metric name \"requests_total\" (1:25)")]);
    let result = instant(&counters(1), "histogram_quantile(0.5, rate(requests_total[5m]))").unwrap();
    assert_eq!(result.warnings, [format!("{text} (1:25)")]);
}

#[test]
fn range_vectors_of_instant_queries_are_raw_samples() {
    let series = matrix(instant(&counters(1), "requests_total[1m]").unwrap());
    let times: Vec<i64> = series[0].points.iter().map(|p| p.t).collect();
    assert_eq!(times, [1_755_000, 1_770_000, 1_785_000, 1_800_000]);
    let error = range(&counters(1), "requests_total[1m]", EngineOptions::default()).unwrap_err();
    let text = "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector";
    assert_eq!(error, QueryError::BadData(text.into()));
}

/// A store that remembers what it was asked, and yields nothing before everything was asked.
struct Recorder {
    store: MemoryStorage,
    asked: Mutex<Vec<SelectRequest>>,
    expected: usize,
}

struct Recorded {
    source: Box<dyn SeriesSource>,
    complete: Arc<std::sync::atomic::AtomicBool>,
}

impl SeriesSource for Recorded {
    fn next_batch(&mut self) -> Result<Option<Vec<SeriesChunks>>, QueryError> {
        assert!(self.complete.load(Ordering::Relaxed), "pulled before every selector was asked for");
        self.source.next_batch()
    }
}

impl Queryable for (Recorder, Arc<std::sync::atomic::AtomicBool>) {
    fn select(&self, request: SelectRequest) -> Result<Box<dyn SeriesSource>, QueryError> {
        let mut asked = self.0.asked.lock().unwrap();
        asked.push(request.clone());
        self.1.store(asked.len() == self.0.expected, Ordering::Relaxed);
        Ok(Box::new(Recorded { source: self.0.store.select(request)?, complete: Arc::clone(&self.1) }))
    }
}

#[test]
fn every_selector_is_asked_for_first_with_its_hints() {
    let recorder = Recorder { store: counters(3), asked: Mutex::default(), expected: 4 };
    let storage = Arc::new((recorder, Arc::default()));
    let ctx = QueryContext::new(Arc::clone(&storage) as Arc<dyn Queryable>);
    let text = "sum by (job) (rate(requests_total[5m] offset 1m)) * scalar(max(requests_total @ 600)) \
                + on (job) group_left () avg by (job) (avg_over_time(requests_total[10m:1m])) > quantile(0.5, requests_total)";
    let query = expr(&text.replace("> quantile(0.5, requests_total)", "> scalar(quantile(0.5, requests_total))"));
    Engine::default().range(&query, 20 * MINUTE, 60 * MINUTE, MINUTE, &ctx).unwrap();
    let asked = storage.0.asked.lock().unwrap();
    let mut ranges: Vec<(i64, i64, &str, i64)> = asked.iter().map(|r| (r.min_t, r.max_t, r.hints.function, r.hints.range_ms)).collect();
    ranges.sort_unstable();
    let m = MINUTE;
    let want = [(5 * m + 1, 10 * m, "", 0), (6 * m + 1, 60 * m, "", 0), (14 * m + 1, 59 * m, "rate", 5 * m), (15 * m + 1, 60 * m, "", 0)];
    assert_eq!(ranges, want);
    let rate = asked.iter().find(|r| r.hints.function == "rate").unwrap();
    assert_eq!((rate.hints.grouping.clone(), rate.hints.step_ms), (Some((vec!["job".into()], true)), m));
}

#[test]
fn absurd_times_are_survived() {
    let store = counters(2);
    let ctx = QueryContext::new(Arc::new(store));
    let engine = Engine::default();
    let texts = [
        "sum by (job) (rate(requests_total[5m] offset 100y))",
        "requests_total offset -100y",
        "max_over_time(requests_total[5m:1m])",
        "predict_linear(requests_total[5m], 1e300)",
        "timestamp(requests_total) + hour() + day_of_year(vector(1e300))",
    ];
    for text in texts {
        for t in [i64::MIN, i64::MIN + 1, -1, i64::MAX - 1, i64::MAX] {
            let _ = engine.instant(&expr(text), t, &ctx);
            let _ = engine.range(&expr(text), t.saturating_sub(5), t, 1, &ctx);
        }
        assert!(engine.range(&expr(text), i64::MIN, i64::MAX, 1, &ctx).is_err());
        // The subquery would have 3 × 10^14 inner steps.
        let few_steps = engine.range(&expr(text), i64::MIN, i64::MAX, i64::MAX, &ctx);
        assert_eq!(few_steps.is_ok(), !text.contains("[5m:1m]"), "{text}");
    }
}

/// Dashboards of other projects, beside the workspace: one `panel title, tab, expression` a line.
const DASHBOARDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/dashboards");

#[test]
fn dashboards_of_others_evaluate() {
    let Ok(files) = std::fs::read_dir(DASHBOARDS) else {
        eprintln!("*** dashboards: NOT RUN, no files in {DASHBOARDS} ***");
        return;
    };
    let ctx = QueryContext::new(Arc::new(counters(5)));
    let engine = Engine::default();
    let mut evaluated = 0;
    for file in files.flatten() {
        for line in std::fs::read_to_string(file.path()).unwrap().lines() {
            let Some((_, text)) = line.rsplit_once('\t') else { continue };
            let expr = parse(text, &ParseOptions::default()).unwrap_or_else(|e| panic!("{text}: {e:?}"));
            engine.instant(&expr, 30 * MINUTE, &ctx).unwrap_or_else(|e| panic!("{text}: {e}"));
            engine.range(&expr, 0, 60 * MINUTE, MINUTE, &ctx).unwrap_or_else(|e| panic!("{text}: {e}"));
            evaluated += 1;
        }
    }
    assert!(evaluated > 100, "only {evaluated} expressions");
}
