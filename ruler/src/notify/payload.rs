//! Alerts as Alertmanager's API v2 takes them.

use std::collections::BTreeMap;

use model::{Labels, TenantId};
use serde_json::{Map, Value};

use super::queue::Waiting;
use crate::alert::Notification;
use crate::rule_file::Rule;
use crate::template;

/// A notification, ready to be sent. External labels go beside an alert's own, which win.
pub(super) fn waiting(
    tenant: &TenantId,
    rule: &Rule,
    n: &Notification,
    external_labels: &BTreeMap<String, String>,
    external_url: &str,
) -> Waiting {
    let own = n.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let labels: BTreeMap<String, String> = external_labels.clone().into_iter().chain(own).collect();
    let mut alert = Map::new();
    alert.insert("labels".to_owned(), texts(&labels));
    alert.insert("annotations".to_owned(), texts(&n.annotations.iter().cloned().collect()));
    for (name, time) in [("startsAt", n.starts_at), ("endsAt", n.ends_at)] {
        if let Some(ms) = time {
            alert.insert(name.to_owned(), Value::from(template::show_rfc3339(ms)));
        }
    }
    let link = format!("{}{}", external_url.trim_end_matches('/'), template::table_link(&rule.expr));
    alert.insert("generatorURL".to_owned(), Value::from(link));
    Waiting {
        tenant: tenant.clone(),
        alert: Labels::from_pairs(&labels).hash(),
        expires_at: n.ends_at.filter(|_| !n.resolved),
        json: Value::Object(alert).to_string().into(),
    }
}

fn texts(map: &BTreeMap<String, String>) -> Value {
    Value::Object(map.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect())
}

/// The body of a request.
pub(super) fn body(batch: &[Waiting]) -> String {
    let alerts: Vec<&str> = batch.iter().map(|w| &*w.json).collect();
    format!("[{}]", alerts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule_file::parse;

    #[test]
    fn an_alert_as_alertmanager_takes_it() {
        let text = "groups: [{name: g, rules: [{alert: A, expr: 'up == 0'}]}]";
        let rule = parse(text, &promql::ParseOptions::default()).expect("a rule").remove(0).rules.remove(0);
        let external = BTreeMap::from([("cluster".to_owned(), "eu".to_owned()), ("job".to_owned(), "hidden".to_owned())]);
        let n = Notification {
            labels: Labels::from_pairs([("alertname", "A"), ("job", "n")]),
            annotations: vec![("s".to_owned(), "t".to_owned())],
            starts_at: Some(1_700_000_000_123),
            ends_at: Some(1_700_000_240_000),
            resolved: false,
        };
        let waiting = waiting(&TenantId::anonymous(), &rule, &n, &external, "http://host:9009/");
        assert_eq!(waiting.expires_at, Some(1_700_000_240_000));
        let alert: Value = serde_json::from_str(&body(&[waiting])).expect("JSON");
        let want = serde_json::json!([{
            "labels": {"alertname": "A", "cluster": "eu", "job": "n"},
            "annotations": {"s": "t"},
            "startsAt": "2023-11-14T22:13:20.123Z",
            "endsAt": "2023-11-14T22:17:20Z",
            "generatorURL": "http://host:9009/graph?g0.expr=up+%3D%3D+0&g0.tab=1",
        }]);
        assert_eq!(alert, want);
    }
}
