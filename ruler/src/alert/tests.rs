use std::collections::BTreeMap;

use model::Labels;
use promql::{ParseOptions, PointValue};

use super::{AlertState, Alerts, Candidate, ForState, Grace, Notification, restore};
use crate::rule_file::{Rule, parse};

const MINUTE: i64 = 60_000;

fn rule(more: &str) -> Rule {
    let text = format!("groups: [{{name: g, rules: [{{alert: A, expr: up == 0, labels: {{severity: page}}, {more}}}]}}]");
    parse(&text, &ParseOptions::default()).expect("a rule").remove(0).rules.remove(0)
}

fn candidate(instance: &str) -> Candidate {
    let labels = Labels::from_pairs([("alertname", "A"), ("instance", instance), ("severity", "page")]);
    Candidate { labels, annotations: vec![("s".to_owned(), instance.to_owned())], value: 0.0 }
}

/// Evaluates at a minute; the series written, without the time of `ALERTS_FOR_STATE`'s own.
fn step(alerts: &mut Alerts, rule: &Rule, minute: i64, instances: &[&str]) -> Vec<String> {
    let candidates = instances.iter().map(|i| candidate(i)).collect();
    let samples = alerts.step(rule, rule.alert().expect("an alert"), candidates, minute * MINUTE, 0).expect("a step");
    let show = |sample: &super::RuleSample| match sample.value {
        PointValue::Float(v) => {
            let labels = &sample.labels;
            format!(
                "{} {} {} {v}",
                labels.get("__name__").unwrap_or(""),
                labels.get("instance").unwrap_or(""),
                labels.get("alertstate").unwrap_or("-")
            )
        }
        PointValue::Histogram(_) => "histogram".to_owned(),
    };
    samples.iter().map(show).collect()
}

#[test]
fn pending_firing_resolved_forgotten() {
    let rule = rule("for: 2m");
    let mut alerts = Alerts::new(true);
    assert_eq!(step(&mut alerts, &rule, 10, &["a"]), ["ALERTS a pending 1", "ALERTS_FOR_STATE a - 600"]);
    assert_eq!(alerts.due(10 * MINUTE, MINUTE, MINUTE), []);
    step(&mut alerts, &rule, 11, &["a"]);
    assert_eq!(step(&mut alerts, &rule, 12, &["a"]), ["ALERTS a firing 1", "ALERTS_FOR_STATE a - 600"]);
    let told = alerts.due(12 * MINUTE, MINUTE, MINUTE);
    let want = |starts: i64, ends: i64| Notification {
        resolved: ends != 16,
        labels: candidate("a").labels,
        annotations: candidate("a").annotations,
        starts_at: Some(starts * MINUTE),
        ends_at: Some(ends * MINUTE),
    };
    assert_eq!(told, [want(12, 16)]);
    assert_eq!(alerts.due(13 * MINUTE, MINUTE, MINUTE), [], "told a minute ago");
    assert_eq!(alerts.due(13 * MINUTE + 1, MINUTE, MINUTE).len(), 1);
    assert_eq!(step(&mut alerts, &rule, 14, &[]), [""; 0]);
    assert_eq!((alerts.state(), alerts.current().count()), (AlertState::Inactive, 0));
    assert_eq!(alerts.due(14 * MINUTE, MINUTE, MINUTE), [want(12, 14)], "resolved is told at once");
    step(&mut alerts, &rule, 29, &[]);
    assert_eq!(alerts.due(29 * MINUTE, MINUTE, MINUTE), [want(12, 14)], "and again");
    step(&mut alerts, &rule, 30, &[]);
    assert_eq!(alerts.due(40 * MINUTE, MINUTE, MINUTE), [], "for a quarter of an hour");
}

#[test]
fn pending_alerts_vanish_without_a_trace() {
    let rule = rule("for: 2m");
    let mut alerts = Alerts::new(true);
    step(&mut alerts, &rule, 1, &["a"]);
    step(&mut alerts, &rule, 2, &[]);
    assert_eq!(alerts.due(60 * MINUTE, MINUTE, MINUTE), []);
    // A new one begins anew, also after a resolved one.
    assert_eq!(step(&mut alerts, &rule, 5, &["a"]), ["ALERTS a pending 1", "ALERTS_FOR_STATE a - 300"]);
}

#[test]
fn firing_is_kept_up_for_a_while() {
    let rule = rule("keep_firing_for: 3m");
    let mut alerts = Alerts::new(true);
    step(&mut alerts, &rule, 1, &["a"]);
    for minute in 2..5 {
        assert_eq!(step(&mut alerts, &rule, minute, &[]).len(), 2, "{minute}");
    }
    step(&mut alerts, &rule, 5, &[]);
    assert_eq!(alerts.current().count(), 0);
    step(&mut alerts, &rule, 6, &["a"]);
    step(&mut alerts, &rule, 7, &[]);
    step(&mut alerts, &rule, 8, &["a"]);
    step(&mut alerts, &rule, 9, &[]);
    assert_eq!(step(&mut alerts, &rule, 11, &[]).len(), 2, "the time begins anew with the condition");
}

#[test]
fn a_longer_for_makes_firing_alerts_pending() {
    let mut alerts = Alerts::new(true);
    step(&mut alerts, &rule("for: 1m"), 1, &["a"]);
    step(&mut alerts, &rule("for: 1m"), 2, &["a"]);
    assert_eq!(alerts.state(), AlertState::Firing);
    step(&mut alerts, &rule("for: 5m"), 3, &["a"]);
    assert_eq!(alerts.state(), AlertState::Pending);
}

#[test]
fn too_many_or_alike_are_errors() {
    let rule = rule("for: 1m");
    let spec = rule.alert().expect("an alert");
    let mut alerts = Alerts::new(true);
    let error = alerts.step(&rule, spec, vec![candidate("a"), candidate("b")], 0, 1).unwrap_err();
    assert_eq!((error.as_str(), alerts.current().count()), ("exceeded limit of 1 with 2 alerts", 0));
    let error = alerts.step(&rule, spec, vec![candidate("a"), candidate("a")], 0, 0).unwrap_err();
    assert_eq!(error, "vector contains metrics with the same labelset after applying alert labels");
}

#[test]
fn for_is_restored_and_not_started_again() {
    let rule = rule("for: 30m");
    let spec = rule.alert().expect("an alert");
    let grace = Grace { outage_tolerance_ms: 60 * MINUTE, for_grace_ms: 10 * MINUTE };
    let restored = |at: i64, since: i64, now: i64| {
        let mut alerts = Alerts::new(false);
        assert_eq!(step(&mut alerts, &rule, now, &["a"]), [""; 0], "nothing is written before the old state is known");
        assert!(alerts.wants_restoration(spec, grace));
        let state = ForState { at: at * MINUTE, value: (since * 60) as f64 };
        alerts.restore(spec, &BTreeMap::from([(candidate("a").labels, state)]), now * MINUTE, grace);
        alerts.current().next().map(|alert| alert.active_at / MINUTE)
    };
    assert_eq!(restored(100, 60, 105), Some(60), "was firing: fires at once");
    assert_eq!(restored(100, 95, 105), Some(100), "5 of 30 minutes had passed: 25 remain");
    assert_eq!(restored(100, 75, 105), Some(85), "5 minutes remain, but 10 are granted");
    assert_eq!(restored(100, 60, 161), Some(161), "too long ago");
    assert_eq!(restore::selector(&rule), "ALERTS_FOR_STATE{severity=\"page\",alertname=\"A\"}");
}
