//! Groups, rules and alerts as JSON.

use std::collections::BTreeMap;

use model::Labels;
use serde_json::{Map, Value, json};

use crate::alert::Alert;
use crate::rule_file::{Rule, RuleKind};
use crate::template::show_rfc3339;
use crate::view::{GroupView, RuleView};

/// What Go shows of a time that never was.
const NEVER: &str = "0001-01-01T00:00:00Z";

fn time(ms: Option<i64>) -> String {
    ms.map_or_else(|| NEVER.to_owned(), show_rfc3339)
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

fn labels(labels: &Labels) -> Value {
    Value::Object(labels.iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect())
}

fn texts(map: &BTreeMap<String, String>) -> Value {
    Value::Object(map.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect())
}

/// A group without its rules.
pub(super) fn group(view: &GroupView, rules: Vec<Value>) -> Value {
    json!({
        "name": view.group.name,
        "file": &*view.key.file,
        "rules": rules,
        "interval": seconds(view.interval_ms),
        "limit": view.group.limit,
        "evaluationTime": view.seconds,
        "lastEvaluation": time(view.last_evaluation),
    })
}

/// A rule of either kind.
pub(super) fn rule(rule: &Rule, view: &RuleView, with_alerts: bool) -> Value {
    let mut out = Map::new();
    let mut set = |name: &str, value: Value| drop(out.insert(name.to_owned(), value));
    set("name", Value::from(rule.name.as_str()));
    set("query", Value::from(rule.expr.as_str()));
    set("labels", texts(&rule.labels));
    set("health", Value::from(view.health.as_str()));
    if let Some(error) = &view.last_error {
        set("lastError", Value::from(error.as_str()));
    }
    set("evaluationTime", Value::from(view.seconds));
    set("lastEvaluation", Value::from(time(view.evaluated_at)));
    match &rule.kind {
        RuleKind::Recording => set("type", Value::from("recording")),
        RuleKind::Alerting(spec) => {
            let annotations = spec.annotations.iter().map(|(name, text)| (name.clone(), text.text().to_owned())).collect();
            set("type", Value::from("alerting"));
            set("state", Value::from(view.state.as_str()));
            set("duration", Value::from(seconds(spec.for_ms)));
            set("keepFiringFor", Value::from(seconds(spec.keep_firing_for_ms)));
            set("annotations", texts(&annotations));
            let alerts = if with_alerts { Value::Array(view.alerts.iter().map(alert).collect()) } else { Value::Null };
            set("alerts", alerts);
        }
    }
    Value::Object(out)
}

/// An alert.
pub(super) fn alert(alert: &Alert) -> Value {
    let annotations: BTreeMap<String, String> = alert.annotations.iter().cloned().collect();
    let mut out = json!({
        "labels": labels(&alert.labels),
        "annotations": texts(&annotations),
        "state": alert.state.as_str(),
        "activeAt": show_rfc3339(alert.active_at),
        "value": exponent(alert.value),
    });
    if let (Some(since), Value::Object(map)) = (alert.keep_firing_since, &mut out) {
        map.insert("keepFiringSince".to_owned(), Value::from(show_rfc3339(since)));
    }
    out
}

/// Go's `FormatFloat(v, 'e', -1, 64)`: `1e+00`.
fn exponent(v: f64) -> String {
    if v.is_nan() {
        return "NaN".to_owned();
    }
    if v.is_infinite() {
        return if v > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let text = format!("{v:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}
