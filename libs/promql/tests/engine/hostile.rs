//! Hostile expressions: refused, or bounded by what the query may use.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use model::Labels;
use promql::{
    CancelToken, Engine, EngineOptions, MemoryStorage, ParseOptions, Point, PointValue, QueryContext, QueryError, QueryLimits, parse,
};

const MINUTE: i64 = 60_000;

fn store(series: usize, samples: i64) -> Arc<MemoryStorage> {
    let mut store = MemoryStorage::new();
    for i in 0..series {
        let labels = Labels::from_pairs([("__name__", "m"), ("g", "x"), ("n", &i.to_string())]);
        let points: Vec<Point> = (0..samples).map(|k| Point { t: k * 15_000, value: PointValue::Float((k + i as i64) as f64) }).collect();
        store.append(&labels, &points).expect("points ascend");
    }
    Arc::new(store)
}

fn refused_when_parsed(text: &str, why: &str) {
    let error = parse(text, &ParseOptions::all()).expect_err("too much").to_string();
    assert!(error.contains(why), "{error}");
}

#[test]
fn texts_are_refused_before_anything_is_made_of_them() {
    refused_when_parsed(&format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000)), "nests deeper than the limit of 200 levels");
    refused_when_parsed(&format!("1{}", "+1".repeat(30_000)), "nests deeper than the limit of 200 levels");
    refused_when_parsed(&format!("1{}", " + 1".repeat(100_000)), "is longer than the limit of 65536 bytes");
    refused_when_parsed(&" ".repeat(10 << 20), "expression of 10485760 bytes is longer than the limit of 65536 bytes");
    refused_when_parsed(&format!("m{{n=~\"{}\"}}", "(a{1000}){1000}"), "parse error");
    refused_when_parsed(&format!("m{{n=~\"{}\"}}", "((((a{9}){9}){9}){9}){9}".repeat(50)), "parse error");
    refused_when_parsed(&format!("m{{n=~\"{}\"}}", "\\\\pL{900}|".repeat(4_000)), "parse error");
}

fn limited(text: &str, limits: QueryLimits) -> String {
    let expr = parse(text, &ParseOptions::all()).expect("an expression");
    let engine = Engine::new(EngineOptions { limits, ..EngineOptions::default() });
    let ctx = QueryContext::new(store(300, 240) as _);
    let result = engine.range(&expr, 0, 60 * MINUTE, MINUTE, &ctx);
    match result {
        Err(QueryError::Execution(text)) => text,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn evaluations_are_refused_by_the_limit_that_they_hit() {
    let memory = QueryLimits { max_memory_bytes: 8 << 20, ..QueryLimits::default() };
    for text in [
        "max_over_time(vector(1)[30d:1ms])",
        "max_over_time(m[30d:1ms])",
        "count(max_over_time(m[30d:1ms]))",
        "count(sum_over_time(vector(time())[1y:1s]))",
    ] {
        let why = limited(text, memory);
        // A grid has a bound of its own.
        assert!(why.contains("max_query_memory_bytes") || why.contains("steps in one grid, more than"), "{text}: {why}");
    }
    // What joins and groups hold grows with their input.
    let little = QueryLimits { max_memory_bytes: 100 << 10, ..QueryLimits::default() };
    for text in [
        "label_replace(m, \"a\", \"$1\", \"n\", \"(.*)\") * on (n) group_left m",
        "count_values(\"v\", m)",
        "quantile(0.5, m)",
        "m or m offset 1m",
        "m == on (n) m",
        "topk(1000, m)",
    ] {
        let why = limited(text, little);
        assert!(why.contains("max_query_memory_bytes"), "{text}: {why}");
    }
    let steps = QueryLimits { max_steps: 1_000, ..QueryLimits::default() };
    assert!(limited("max_over_time(m[1d:10s])", steps).contains("1000 steps (limit: max_query_steps = 1000 steps"));
    let samples = QueryLimits { max_samples: 10_000, ..QueryLimits::default() };
    assert!(limited("sum(rate(m[5m]))", samples).contains("10000 samples (limit: max_query_samples = 10000 samples"));
    let series = QueryLimits { max_series: 200, ..QueryLimits::default() };
    assert!(limited("m", series).contains("200 series (limit: max_query_series = 200 series"));
}

/// A sum over many series holds its groups and one series, whatever is below it.
#[test]
fn memory_follows_the_result_and_not_the_input() {
    let peak = |series: usize| {
        let expr = parse("sum by (g) (rate(m[5m]))", &ParseOptions::all()).expect("an expression");
        let ctx = QueryContext::new(store(series, 1_440) as _);
        let result = Engine::default().range(&expr, 0, 360 * MINUTE, MINUTE, &ctx).expect("an answer");
        assert_eq!(result.stats.samples_read, series as u64 * 1_440);
        result.stats.peak_bytes
    };
    let (few, many) = (peak(300), peak(3_000));
    let input = 3_000 * 1_440 * 16;
    // The guard against two series with the same labels takes some 64 bytes for each.
    assert!(many < few + 3_000 * 80 && many < input / 20, "{few} bytes for 300 series, {many} for 3,000; the input has {input}");
}

#[test]
fn a_query_can_be_canceled_at_any_time() {
    let store = store(50, 500);
    let texts = [
        "sum by (n) (rate(m[5m]))",
        "m * on (n) m",
        "quantile_over_time(0.5, m[1h])",
        "sum(m) / (sum(m) + 1)",
        "max_over_time(rate(m[5m])[30m:10s])",
        "topk(3, m) or sort(m) unless absent(m)",
    ];
    for text in texts {
        let expr = parse(text, &ParseOptions::all()).expect("an expression");
        // The clock moves on whenever it is looked at, so that the deadline passes at the first check, the second, and so on until it does not.
        let mut finished = false;
        for checks in 0..100_000 {
            let now = Arc::new(AtomicI64::new(0));
            let cancel = CancelToken::with_deadline(checks, move || now.fetch_add(1, Ordering::Relaxed));
            let ctx = QueryContext { cancel, ..QueryContext::new(store.clone() as _) };
            match Engine::default().range(&expr, 0, 120 * MINUTE, MINUTE, &ctx) {
                Err(QueryError::Timeout(_)) => {}
                Ok(_) => {
                    finished = true;
                    assert!(checks > 3, "{text} looked at its token only {checks} times");
                    break;
                }
                other => panic!("{text}: {other:?}"),
            }
        }
        assert!(finished, "{text}");
    }
}
