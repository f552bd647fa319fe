use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::{Labels, TenantId};
use parking_lot::Mutex;
use promql::{ParseOptions, Point, PointValue, QueryValue};
use rpc::QueryRunner;
use runtime::ManualClock;

use super::Evaluator;
use super::state::{GroupState, Health};
use crate::alert::{Grace, Notification};
use crate::group::GroupKey;
use crate::rule_file::parse;
use crate::unit_test::store::Store;

const MINUTE: i64 = 60_000;

struct Rig {
    store: Store,
    evaluator: Evaluator,
    told: Mutex<Vec<Notification>>,
}

impl Rig {
    fn new() -> Self {
        let store = Store::new(MINUTE);
        let evaluator = Evaluator {
            tenant: TenantId::anonymous(),
            query: Arc::new(store.clone()),
            write: Arc::new(store.clone()),
            clock: Arc::new(ManualClock::at(0)),
            timeout: Duration::from_secs(5),
            query_offset_ms: 0,
            resend_delay_ms: MINUTE,
            external_labels: Arc::new(BTreeMap::from([("cluster".to_owned(), "eu".to_owned())])),
            external_url: "http://host/".into(),
        };
        Self { store, evaluator, told: Mutex::default() }
    }

    fn put(&self, instance: &str, minute: i64, v: f64) {
        let labels = Labels::from_pairs([("__name__", "up"), ("instance", instance)]);
        self.store.append(&labels, &Point { t: minute * MINUTE, value: PointValue::Float(v) }).expect("a sample");
    }

    async fn evaluate(&self, state: &mut GroupState, minute: i64) -> super::Done {
        self.evaluator.evaluate(state, minute * MINUTE, &|_, told| self.told.lock().extend(told)).await
    }

    /// `labels value` of a query's result.
    async fn query(&self, query: &str, minute: i64) -> Vec<String> {
        let result = self.store.instant(&self.evaluator.context(), query, minute * MINUTE, None).await.expect("a result");
        let QueryValue::Vector(series) = result.value else { panic!("a vector") };
        let show = |value: &PointValue| if let PointValue::Float(v) = value { v.to_string() } else { "histogram".to_owned() };
        let mut shown: Vec<String> = series.iter().map(|s| format!("{} {}", s.labels, show(&s.point.value))).collect();
        shown.sort();
        shown
    }
}

fn group(rules: &str, restored: bool) -> GroupState {
    let text = format!("groups:\n- name: g\n  interval: 1m\n{rules}");
    let group = parse(&text, &ParseOptions::default()).expect("rules").remove(0);
    GroupState::new(GroupKey::new(&TenantId::anonymous(), "f", &group.name), Arc::new(group), MINUTE, restored)
}

#[tokio::test]
async fn recorded_series_end_when_their_source_does() {
    let rig = Rig::new();
    let mut state = group("  rules:\n  - {record: r, expr: up * 2, labels: {a: b, instance: ''}}\n  - {record: s, expr: r + 1}\n", true);
    rig.put("x", 1, 1.0);
    let done = rig.evaluate(&mut state, 1).await;
    assert_eq!((done.rules, done.failures, done.samples), (2, 0, 2));
    assert_eq!(rig.query("r", 1).await, ["{__name__=\"r\", a=\"b\"} 2"]);
    assert_eq!(rig.query("s", 1).await, ["{__name__=\"s\", a=\"b\"} 3"], "a rule sees what rules before it wrote");
    let again = rig.evaluate(&mut state, 1).await;
    assert_eq!(again.failures, 0, "writing the same again is harmless");
    rig.put("x", 2, model::stale_nan());
    rig.evaluate(&mut state, 2).await;
    assert_eq!(rig.query("{__name__=~\"r|s\"}", 2).await, [""; 0], "not after five minutes, but at once");
}

#[tokio::test]
async fn failures_stay_with_their_rules() {
    let rig = Rig::new();
    rig.put("x", 1, 1.0);
    rig.put("y", 1, 1.0);
    let rules = "  limit: 1\n  rules:\n  - {record: a, expr: up}\n  - {record: b, expr: sum(up)}\n  - {record: c, expr: up, labels: {instance: z}}\n  - {record: d, expr: '\"text\"'}\n";
    let mut state = group(rules, true);
    let done = rig.evaluate(&mut state, 1).await;
    assert_eq!((done.rules, done.failures, done.samples), (4, 3, 1));
    let errors: Vec<_> = state.rules.iter().map(|r| r.last_error.as_deref().unwrap_or("-")).collect();
    assert_eq!(
        errors,
        [
            "exceeded limit of 1 with 2 series",
            "-",
            "vector contains metrics with the same labelset after applying rule labels",
            "rule result is not a vector or scalar"
        ]
    );
    assert_eq!(state.rules[1].health, Health::Good);
    rig.put("z", 0, 1.0);
    rig.evaluate(&mut state, 0).await;
    assert_eq!(state.rules[1].health, Health::Bad, "a sample in the past is refused, and told");
}

#[tokio::test]
async fn alerts_are_expanded_written_and_told() {
    let rig = Rig::new();
    rig.put("x", 1, 0.0);
    let rules = "  rules:\n  - alert: Down\n    expr: up == 0\n    labels: {where: '{{ $externalLabels.cluster }}/{{ $labels.instance }}'}\n    \
                 annotations: {n: '{{ query \"count(up)\" | first | value }} {{ $value }}', bad: '{{ template \"x\" }}'}\n";
    let mut state = group(rules, true);
    rig.evaluate(&mut state, 1).await;
    let want = "{__name__=\"ALERTS\", alertname=\"Down\", alertstate=\"firing\", instance=\"x\", where=\"eu/x\"} 1";
    assert_eq!(rig.query("ALERTS", 1).await, [want]);
    let told = std::mem::take(&mut *rig.told.lock());
    assert_eq!(told.len(), 1);
    let annotations: BTreeMap<_, _> = told[0].annotations.iter().cloned().collect();
    assert_eq!(annotations["n"], "1 0");
    assert!(
        annotations["bad"].starts_with("<error expanding template: error executing template __alert_Down: template: "),
        "{annotations:?}"
    );
    assert_eq!((told[0].starts_at, told[0].ends_at), (Some(MINUTE), Some(5 * MINUTE)));
}

#[tokio::test]
async fn a_restart_does_not_begin_for_anew() {
    let rig = Rig::new();
    let grace = Grace { outage_tolerance_ms: 60 * MINUTE, for_grace_ms: MINUTE };
    let rules = "  rules:\n  - {alert: Down, expr: up == 0, for: 10m, labels: {i: '{{ $labels.instance }}'}}\n";
    let mut before = group(rules, true);
    for minute in 1..=6 {
        rig.put("x", minute, 0.0);
        rig.put("y", minute, if minute < 4 { 0.0 } else { 1.0 });
        rig.evaluate(&mut before, minute).await;
    }
    // Away for two minutes.
    let mut after = group(rules, false);
    for minute in 9..=10 {
        rig.put("x", minute, 0.0);
        rig.put("y", minute, 0.0);
        rig.evaluate(&mut after, minute).await;
    }
    rig.evaluator.restore(&mut after, 10 * MINUTE, grace).await;
    let since: Vec<_> =
        after.rules[0].alerts.current().map(|a| (a.labels.get("i").unwrap_or("").to_owned(), a.active_at / MINUTE)).collect();
    assert!(since.contains(&("x".to_owned(), 5)), "1 plus the four minutes without a word: {since:?}");
    assert!(since.contains(&("y".to_owned(), 9)), "had ended before: {since:?}");
}

#[tokio::test]
async fn another_group_takes_over() {
    let rig = Rig::new();
    rig.put("x", 1, 0.0);
    let mut old = group("  rules:\n  - {record: a, expr: up}\n  - {record: b, expr: up}\n  - {alert: D, expr: up == 0, for: 5m}\n", true);
    rig.evaluate(&mut old, 1).await;
    let mut new = group("  rules:\n  - {alert: D, expr: up == 0, for: 1m}\n  - {record: b, expr: up + 1}\n", true);
    new.take_over(old);
    rig.put("x", 2, 0.0);
    rig.evaluate(&mut new, 2).await;
    assert_eq!(rig.query("{__name__=~\"a|b\"}", 2).await, ["{__name__=\"b\", instance=\"x\"} 1"], "a has ended with its rule");
    assert_eq!(rig.told.lock().len(), 1, "active since minute 1, which is long enough now");
    new.abandon();
    rig.evaluator.mark_orphans_stale(&mut new, 3 * MINUTE).await;
    assert_eq!(rig.query("{__name__=~\"b|ALERTS\"}", 3).await, [""; 0]);
}
