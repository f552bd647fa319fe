//! Optimised plans answer as plain ones do: values, order where it means something, errors and annotations.

use std::sync::Arc;

use model::Labels;
use promql::{
    Engine, EngineOptions, Features, MemoryStorage, ParseOptions, Point, PointValue, QueryContext, QueryResult, QueryValue, Queryable,
    Workers, parse,
};
use proptest::prelude::*;

use crate::expressions::expression;
use crate::world::{HeadStorage, SAMPLES, SCRAPE, T0, shared_world};

/// All of an answer but its costs.
fn answer(result: Result<QueryResult, promql::QueryError>) -> String {
    match result {
        Ok(mut result) => {
            if let QueryValue::Vector(series) = &mut result.value {
                series.sort_by(|a, b| a.labels.cmp(&b.labels));
            }
            format!("{:?} warnings {:?} infos {:?}", result.value, result.warnings, result.infos)
        }
        Err(error) => format!("{error:?}"),
    }
}

fn ask(store: &Arc<HeadStorage>, text: &str, options: EngineOptions) -> Option<[String; 3]> {
    ask_with(store.clone() as _, text, options, None)
}

fn ask_with(store: Arc<dyn Queryable>, text: &str, options: EngineOptions, workers: Option<Arc<dyn Workers>>) -> Option<[String; 3]> {
    let expr = parse(text, &ParseOptions::all()).ok()?;
    let ctx = QueryContext { text: Some(text.into()), workers, ..QueryContext::new(store) };
    let engine = Engine::new(options);
    let end = T0 + (SAMPLES - 1) * SCRAPE;
    Some([
        answer(engine.instant(&expr, end + 2, &ctx)),
        answer(engine.instant(&expr, end - 50_000, &ctx)),
        answer(engine.range(&expr, T0 + 300_000, end + 400_000, 45_000, &ctx)),
    ])
}

fn check(text: &str, seed: usize, with_types: bool, delayed_name_removal: bool) {
    let store = shared_world(seed, with_types);
    let options = EngineOptions { features: Features { delayed_name_removal, ..Features::default() }, ..EngineOptions::default() };
    let plain = ask(&store, text, EngineOptions { optimise: false, ..options });
    assert_eq!(ask(&store, text, options), plain, "{text}");
    assert_eq!(ask_with(store.clone() as _, text, options, Some(Arc::new(Threads))), plain, "{text}, with help");
}

/// Starts two threads per call for help.
struct Threads;

impl Workers for Threads {
    fn most(&self) -> usize {
        2
    }

    fn help(&self, helpers: usize, work: &Arc<dyn Fn() + Send + Sync>) {
        for _ in 0..helpers {
            let work = Arc::clone(work);
            drop(std::thread::spawn(move || work()));
        }
    }
}

/// Many series, so that there is something to share among threads.
#[test]
fn help_changes_nothing() {
    let mut store = MemoryStorage::new();
    for n in 0..1_000_i64 {
        let labels = Labels::from_pairs([("__name__", "m_total".to_owned()), ("a", (n % 7).to_string()), ("n", n.to_string())]);
        let value = |i: i64| if n % 50 == 49 && i % 9 == 8 { f64::NAN } else { ((i * (n + 1)) % 113) as f64 };
        let points: Vec<Point> = (0..SAMPLES).map(|i| Point { t: T0 + i * SCRAPE, value: PointValue::Float(value(i)) }).collect();
        store.append(&labels, &points).expect("points ascend");
    }
    let store = Arc::new(store);
    for text in [
        "sum by (a) (rate(m_total[5m]))",
        "m_total",
        "quantile_over_time(2, m_total[3m])",
        "topk(3, m_total)",
        "timestamp(m_total) - 5",
        "m_total / on (n) max_over_time(m_total[2m])",
    ] {
        let ask = |workers| ask_with(store.clone(), text, EngineOptions::default(), workers);
        assert_eq!(ask(Some(Arc::new(Threads))), ask(None), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn optimised_plans_answer_alike(text in expression(), seed in 0..4_usize, with_types in any::<bool>(), delayed in any::<bool>()) {
        check(&text, seed, with_types, delayed);
    }
}

#[test]
fn what_the_rewritings_are_made_for() {
    for text in [
        "sum(rate(c_total[5m])) / (sum(rate(c_total[5m])) + sum(rate(b_bucket[5m])))",
        "sum by (a) (g) - on (a) group_right sum by (a, b) (g) + on (a) group_left sum by (a) (g)",
        "quantile(2, g) + quantile(2, g)",
        "histogram_quantile(2, sum by (le) (b_bucket)) / histogram_quantile(2, sum by (le) (b_bucket))",
        "sum(rate(g[5m])) + sum(rate(g[5m]))",
        "sum(mixed) + sum(mixed)",
        "c_total{a=\"1\"} and on (a) g",
        "c_total and on (a) g{a=\"0\"}",
        "rate(c_total{b=\"\"}[5m]) unless ignoring (n) g",
        "c_total{a=\"1\"} and on () g",
        "c_total{le=\"\"} unless on (le) b_bucket",
        "count by (a) (rate({__name__=~\"c_total|g\"}[5m]))",
        "count(rate(c_total[5m]))",
        "last_over_time(mixed[10m])",
        "max_over_time(sum by (a) (g)[5m:30s]) / max_over_time(sum by (a) (g)[5m:30s])",
    ] {
        for (with_types, delayed) in [(false, false), (true, false), (false, true), (true, true)] {
            check(text, 1, with_types, delayed);
        }
    }
}

#[test]
fn what_is_shared_is_read_once() {
    let store = shared_world(1, false);
    let stats = |text: &str, optimise: bool| {
        let expr = parse(text, &ParseOptions::all()).expect("an expression");
        let engine = Engine::new(EngineOptions { optimise, ..EngineOptions::default() });
        engine.instant(&expr, T0 + 600_000, &QueryContext::new(store.clone() as _)).expect("an answer").stats
    };
    let twice = "sum(rate(c_total[5m])) / (sum(rate(c_total[5m])) + 1)";
    assert_eq!(stats(twice, false).samples_read, 2 * stats(twice, true).samples_read);
    let narrowed = "c_total{n=\"2\"} and on (n) g";
    assert_eq!((stats(narrowed, false).series_read, stats(narrowed, true).series_read), (9, 2));
}
