//! Rule groups as YAML, as rule files have them.

use std::collections::BTreeMap;

use proto::convert::rule_group as stored;
use serde::Serialize;

use crate::duration;

#[derive(Serialize)]
struct Group<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query_offset: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<i64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    /// As they are stored, although they are not evaluated: nothing that lies in the bucket is hidden.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    source_tenants: &'a [String],
    rules: Vec<Rule<'a>>,
}

#[derive(Serialize)]
struct Rule<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    record: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    alert: &'a str,
    expr: &'a str,
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    hold: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_firing_for: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}

fn duration(ms: i64) -> Option<String> {
    (ms != 0).then(|| duration::show(ms))
}

fn shape(group: &stored::RuleGroup) -> Group<'_> {
    Group {
        name: &group.name,
        interval: duration(group.interval_ms),
        query_offset: duration(group.query_offset_ms),
        limit: Some(group.limit).filter(|limit| *limit != 0),
        labels: &group.labels,
        source_tenants: &group.source_tenants,
        rules: group.rules.iter().map(rule).collect(),
    }
}

fn rule(rule: &stored::Rule) -> Rule<'_> {
    Rule {
        record: &rule.record,
        alert: &rule.alert,
        expr: &rule.expr,
        hold: duration(rule.for_ms),
        keep_firing_for: duration(rule.keep_firing_for_ms),
        labels: &rule.labels,
        annotations: &rule.annotations,
    }
}

/// One group.
pub(super) fn group(group: &stored::RuleGroup) -> Result<String, serde_yaml_ng::Error> {
    serde_yaml_ng::to_string(&shape(group))
}

/// Groups by namespace.
pub(super) fn namespaces(groups: &[(String, stored::RuleGroup)]) -> Result<String, serde_yaml_ng::Error> {
    let mut namespaces: BTreeMap<&str, Vec<Group<'_>>> = BTreeMap::new();
    for (namespace, group) in groups {
        namespaces.entry(namespace).or_default().push(shape(group));
    }
    serde_yaml_ng::to_string(&namespaces)
}

#[cfg(test)]
mod tests {
    use promql::ParseOptions;

    use super::{group, namespaces};
    use crate::rule_file::parse_group;

    #[test]
    fn what_was_posted_is_shown() {
        let text = "name: g\ninterval: 1m\nquery_offset: 30s\nlimit: 5\nlabels:\n  team: a\nrules:\n- record: r\n  expr: sum  (up)\n- alert: A\n  expr: up == 0\n  for: 1h\n  \
                    keep_firing_for: 5m\n  labels:\n    '1': '0x10'\n  annotations:\n    text: \"{{ $value }}\\nyes\"\n";
        let (stored, _) = parse_group(text, &ParseOptions::default()).expect("a group");
        let shown = group(&stored).expect("YAML");
        assert_eq!(parse_group(&shown, &ParseOptions::default()).expect("a group").0, stored, "{shown}");
        assert!(shown.contains("expr: sum  (up)"), "as it was written: {shown}");
        let all = namespaces(&[("n/1".to_owned(), stored)]).expect("YAML");
        assert!(all.starts_with("n/1:\n- name: g\n"), "{all}");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let wrong = |text: &str| parse_group(text, &ParseOptions::default()).expect_err("refused").join("\n");
        assert_eq!(wrong("name: g\nrules: []"), "1:1: group \"g\" has no rules");
        assert!(
            wrong("name: g\nrules:\n- record: r\n  expr: sum(\n")
                .starts_with("4:9: group \"g\", rule 1, \"r\": could not parse expression: ")
        );
        assert!(wrong("rules: [{record: r, expr: up}]").contains("Groupname must not be empty"));
        assert!(wrong("groups: []").contains("field groups not found in rule group"));
        assert!(wrong("").contains("no rule group"));
    }
}
