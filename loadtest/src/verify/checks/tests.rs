use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{CHECKS, Check, Curve, Window, seconds};
use crate::ledger::Fate;

const CURVE: Curve = Curve { series: 3, interval_ms: 1_000 };

/// Three times, the middle one not acknowledged.
fn window() -> Window {
    Window(BTreeMap::from([(10_000, Fate::Acked), (11_000, Fate::Unknown), (12_000, Fate::Acked)]))
}

fn matrix(times: &[i64], value: impl Fn(usize, i64) -> f64) -> Value {
    let values = |series: usize| times.iter().map(|t| json!([*t as f64 / 1_000.0, value(series, *t).to_string()])).collect::<Vec<_>>();
    let series = (0..3)
        .map(|n| json!({"metric": {"__name__": "ledger_value", "run": "r", "series": n.to_string()}, "values": values(n)}))
        .collect::<Vec<_>>();
    json!({"resultType": "matrix", "result": series})
}

fn true_value(series: usize, t: i64) -> f64 {
    CURVE.value(series, t)
}

#[test]
fn raw_samples_must_be_there_once() {
    let check = |times: &[i64]| Check::Raw.judge("r", CURVE, &window(), &matrix(times, true_value)).unwrap();
    assert!(check(&[10_000, 12_000]).is_good());
    assert!(check(&[10_000, 11_000, 12_000]).is_good(), "the unknown one may be there");
    assert_eq!(check(&[10_000]).lost, 3);
    assert_eq!(check(&[10_000, 12_000, 12_000]).doubled, 3);
    assert_eq!(check(&[10_000, 10_500, 12_000]).strange, 3);
}

#[test]
fn ranges_show_acknowledged_steps() {
    let late = |series: usize, t: i64| true_value(series, if t == 11_000 { 10_000 } else { t });
    let check = |times: &[i64]| Check::Range.judge("r", CURVE, &window(), &matrix(times, late)).unwrap();
    assert!(check(&[10_000, 11_000, 12_000]).is_good(), "the sample before shows where nothing was acknowledged");
    assert_eq!(check(&[10_000, 11_000]).lost, 3, "a gap");
    let wrong = Check::Range.judge("r", CURVE, &window(), &matrix(&[10_000, 12_000], |series, _| true_value(series, 10_000))).unwrap();
    assert_eq!((wrong.wrong, wrong.found), (3, 3), "an old sample shows instead");
}

#[test]
fn aggregations_are_exact() {
    let sum = |t: i64| CURVE.values(t).sum::<f64>();
    let answer = |at: &[(i64, f64)]| {
        let values: Vec<Value> = at.iter().map(|(t, v)| json!([*t as f64 / 1_000.0, v.to_string()])).collect();
        json!({"resultType": "matrix", "result": [{"metric": {}, "values": values}]})
    };
    let check = |at: &[(i64, f64)]| Check::Aggregate("sum").judge("r", CURVE, &window(), &answer(at)).unwrap();
    assert!(check(&[(10_000, sum(10_000)), (11_000, 0.0), (12_000, sum(12_000))]).is_good());
    assert_eq!(check(&[(10_000, sum(10_000)), (12_000, sum(12_000) + 1.0)]).wrong, 1);
    assert_eq!(check(&[(10_000, sum(10_000))]).wrong, 1);
    assert_eq!(check(&[]).wrong, 2);
}

#[test]
fn counts_are_of_windows_whose_fates_are_known() {
    assert_eq!(Check::Count.call("r", CURVE, &window()), None);
    let known = Window(BTreeMap::from([(10_000, Fate::Acked), (11_000, Fate::Refused)]));
    assert!(Check::Count.call("r", CURVE, &known).unwrap().ends_with("&time=11.500"));
    let count = |n: u32| json!({"resultType": "vector", "result": [{"metric": {}, "value": [11.5, n.to_string()]}]});
    assert!(Check::Count.judge("r", CURVE, &known, &count(3)).unwrap().is_good());
    assert_eq!(Check::Count.judge("r", CURVE, &known, &count(6)).unwrap().wrong, 1);
}

#[test]
fn an_empty_window_is_not_asked() {
    assert!(CHECKS.iter().all(|check| check.call("r", CURVE, &Window::default()).is_none()));
    assert_eq!(seconds(1_700_000_000_050), "1700000000.050");
}
