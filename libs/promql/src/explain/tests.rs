use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::Labels;

use super::{Explain, ExplainClock};
use crate::parser::{ParseOptions, parse};
use crate::{Engine, MemoryStorage, Point, PointValue, QueryContext};

fn explain(text: &str) -> Explain {
    let mut store = MemoryStorage::new();
    for i in 0..6 {
        let labels = Labels::from_pairs([("__name__", "c_total"), ("job", ["a", "b"][i % 2]), ("n", &i.to_string())]);
        let points: Vec<Point> = (0..40).map(|k| Point { t: k * 15_000, value: PointValue::Float(k as f64) }).collect();
        store.append(&labels, &points).unwrap();
    }
    let ticks = AtomicU64::new(0);
    let clock = ExplainClock::new(move || ticks.fetch_add(1_000, Ordering::Relaxed));
    let ctx = QueryContext { explain: Some(clock), ..QueryContext::new(Arc::new(store)) };
    let result = Engine::default().range(&parse(text, &ParseOptions::all()).unwrap(), 0, 600_000, 60_000, &ctx).unwrap();
    result.explain.unwrap()
}

#[test]
fn operators_are_a_tree_with_figures() {
    let explain = explain("sum by (job) (rate(c_total[5m])) / 2");
    let [divide] = &explain.operators[..] else { panic!("{explain:?}") };
    let [sum] = &divide.inputs[..] else { panic!("{divide:?}") };
    let [rate] = &sum.inputs[..] else { panic!("{sum:?}") };
    assert_eq!((divide.name, divide.detail.as_str(), divide.series), ("vector and scalar", "/", 2));
    assert_eq!((sum.name, sum.detail.as_str(), sum.series, sum.steps), ("aggregate", "sum by (job)", 2, 11));
    assert_eq!((rate.series, rate.samples, sum.samples), (6, 240, 240));
    assert_eq!(rate.detail, "Rate of {__name__=\"c_total\"}, labels [__name__, job] only over 300000 ms");
    assert!(divide.nanoseconds > sum.nanoseconds && sum.nanoseconds > rate.nanoseconds && rate.nanoseconds > 0);
    assert_eq!((rate.span, sum.span.0), ((14, 31), 0));
}

#[test]
fn both_sides_of_a_join_are_inputs_in_their_order() {
    let explain = explain("c_total + on (n) c_total offset 1m");
    let inputs: Vec<_> = explain.operators[0].inputs.iter().map(|o| o.span.0).collect();
    assert_eq!(inputs, [0, 17]);
}

#[test]
fn what_is_computed_once_is_told_once() {
    let json = explain("sum(c_total) / (sum(c_total) + 1)").to_json().to_string();
    assert_eq!(json.matches("\"shared\"").count(), 2, "{json}");
    assert_eq!(json.matches("\"aggregate\"").count(), 1, "{json}");
    assert_eq!(explain("1 + 1").operators, []);
}
