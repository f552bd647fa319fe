use std::sync::Arc;

use model::TenantId;
use promql::ParseOptions;
use rpc::{RulesPart, RulesRequest};
use serde_json::{Value, json};

use super::{Params, rules};
use crate::evaluate::state::GroupState;
use crate::group::GroupKey;
use crate::rule_file::parse;
use crate::view::GroupView;

fn groups() -> Vec<Arc<GroupView>> {
    let text = "groups:\n- name: a\n  interval: 30s\n  limit: 7\n  rules:\n  - {record: r, expr: up, labels: {team: x}}\n  \
                - {alert: A, expr: up == 0, for: 5m, keep_firing_for: 1m, annotations: {s: '{{ $value }}'}}\n\
                - name: b\n  rules: [{record: s, expr: up}]\n- name: c\n  rules: [{record: t, expr: up}]\n";
    let groups = parse(text, &ParseOptions::default()).expect("rules");
    let key = |name: &str| GroupKey::new(&TenantId::anonymous(), "f.yml", name);
    groups.into_iter().map(|g| Arc::new(GroupView::of(&GroupState::new(key(&g.name), Arc::new(g), 60_000, true)))).collect()
}

fn ask(params: &[(&str, &str)]) -> Result<Value, String> {
    let params: Params = params.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let wanted = rules::Wanted::read(&params)?;
    let selected = rules::select(&groups(), &RulesRequest { part: RulesPart::Rules, parameters: params.clone() })?;
    let page = rules::page(&selected, &wanted)?;
    Ok(serde_json::to_value(page).expect("JSON"))
}

fn names(params: &[(&str, &str)]) -> Vec<String> {
    let data = ask(params).expect("an answer");
    let groups = data["groups"].as_array().expect("groups");
    groups.iter().flat_map(|g| g["rules"].as_array().expect("rules")).map(|r| r["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn groups_have_prometheuss_shape() {
    let data = ask(&[("rule_group[]", "a")]).expect("an answer");
    let want = json!({"groups": [{
        "name": "a", "file": "f.yml", "interval": 30.0, "limit": 7, "evaluationTime": 0.0, "lastEvaluation": "0001-01-01T00:00:00Z",
        "rules": [
            {"name": "r", "query": "up", "labels": {"team": "x"}, "health": "unknown", "evaluationTime": 0.0,
             "lastEvaluation": "0001-01-01T00:00:00Z", "type": "recording"},
            {"name": "A", "query": "up == 0", "labels": {}, "health": "unknown", "evaluationTime": 0.0,
             "lastEvaluation": "0001-01-01T00:00:00Z", "type": "alerting", "state": "inactive", "duration": 300.0, "keepFiringFor": 60.0,
             "annotations": {"s": "{{ $value }}"}, "alerts": []},
        ],
    }]});
    assert_eq!(data, want);
}

#[test]
fn rules_are_selected() {
    assert_eq!(names(&[]), ["r", "A", "s", "t"]);
    assert_eq!(names(&[("type", "alert")]), ["A"]);
    assert_eq!(names(&[("type", "record"), ("rule_name[]", "s"), ("rule_name[]", "A")]), ["s"]);
    assert_eq!(names(&[("match[]", "{team=\"x\"}")]), ["r"]);
    assert_eq!(names(&[("file[]", "other")]), [""; 0]);
    // As Grafana asks.
    assert_eq!(names(&[("file", "f.yml"), ("rule_group", "a"), ("rule_name", "A")]), ["A"]);
    assert_eq!(ask(&[("exclude_alerts", "true"), ("type", "alert")]).expect("an answer")["groups"][0]["rules"][0]["alerts"], Value::Null);
    for (params, problem) in [
        (("type", "x"), "invalid parameter \"type\": not supported value \"x\""),
        (("group_limit", "0"), "invalid parameter \"group_limit\": group_limit needs to be greater than 0"),
        (("group_next_token", "x"), "group_limit needs to be present"),
        (("match[]", "up{"), "invalid parameter \"match[]\": 1:4: parse error"),
        (("exclude_alerts", "maybe"), "error converting exclude_alerts"),
    ] {
        let error = ask(&[params]).expect_err("refused");
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn groups_come_in_pages() {
    let mut seen = Vec::new();
    let mut token = String::new();
    for _ in 0..3 {
        let mut params = vec![("group_limit", "2")];
        if !token.is_empty() {
            params.push(("group_next_token", &token));
        }
        let data = ask(&params).expect("an answer");
        seen.extend(data["groups"].as_array().expect("groups").iter().map(|g| g["name"].as_str().expect("a name").to_owned()));
        match data["groupNextToken"].as_str() {
            Some(next) => token = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, ["a", "b", "c"]);
    assert!(ask(&[("group_limit", "1"), ("group_next_token", "gone")]).expect_err("refused").contains("were rule groups changed?"));
}
