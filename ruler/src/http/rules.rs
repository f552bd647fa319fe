//! `rules`: which groups and rules are wanted.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::Matcher;
use promql::{ParseOptions, parse_selector};
use rpc::{RulesGroup, RulesPart, RulesRequest};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_128;

use super::shape;
use crate::rule_file::Rule;
use crate::view::GroupView;

/// What is asked for.
pub(super) struct Wanted<'a> {
    alerting: bool,
    recording: bool,
    with_alerts: bool,
    rules: BTreeSet<&'a str>,
    groups: BTreeSet<&'a str>,
    files: BTreeSet<&'a str>,
    /// Alternatives, each a conjunction, on the labels of rules.
    selectors: Vec<Vec<Matcher>>,
    /// Groups on a page; `None` for all.
    limit: Option<usize>,
    token: &'a str,
}

/// The `data` of an answer.
#[derive(Debug, Serialize)]
pub(super) struct Page<'a> {
    groups: Vec<&'a RawValue>,
    #[serde(rename = "groupNextToken", skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// What is asked for of these groups, all but the page. An error is the parameters' fault.
pub(crate) fn select(groups: &[Arc<GroupView>], request: &RulesRequest) -> Result<Vec<RulesGroup>, String> {
    let wanted = Wanted::read(&request.parameters)?;
    let mut selected = Vec::new();
    for group in groups.iter().filter(|group| wanted.has_group(group)) {
        let json = match request.part {
            RulesPart::Rules => match wanted.rules_of(group) {
                rules if rules.is_empty() => continue,
                rules => shape::group(group, rules),
            },
            RulesPart::Alerts => group.rules.iter().flat_map(|r| &r.alerts).map(shape::alert).collect(),
        };
        selected.push(RulesGroup {
            file: group.key.file.to_string(),
            name: group.key.name.to_string(),
            evaluated_at_ms: group.last_evaluation.unwrap_or(0),
            json: json.to_string().into(),
        });
    }
    Ok(selected)
}

/// The page that is asked for of what was selected, ordered by file and name.
pub(super) fn page<'a>(groups: &'a [RulesGroup], wanted: &Wanted<'_>) -> Result<Page<'a>, String> {
    let begin = match wanted.token {
        "" => 0,
        wanted => groups.iter().position(|group| token(group) == wanted).ok_or_else(|| {
            let problem = format!("invalid group_next_token '{wanted}'. were rule groups changed?");
            parameter("group_next_token", &problem)
        })?,
    };
    let limit = wanted.limit.unwrap_or(usize::MAX);
    let rest = groups.get(begin..).unwrap_or_default();
    let json =
        |group: &'a RulesGroup| serde_json::from_slice::<&RawValue>(&group.json).map_err(|e| format!("a ruler's answer is not JSON: {e}"));
    let groups = rest.iter().take(limit).map(json).collect::<Result<_, _>>()?;
    Ok(Page { groups, next: rest.get(limit).map(token) })
}

/// Names a group in a request for the page that begins with it.
fn token(group: &RulesGroup) -> String {
    format!("{:032x}", xxh3_128(format!("{};{}", group.file, group.name).as_bytes()))
}

fn parameter(name: &str, problem: &str) -> String {
    format!("invalid parameter \"{name}\": {problem}")
}

impl<'a> Wanted<'a> {
    pub(super) fn read(params: &'a [(String, String)]) -> Result<Self, String> {
        let get = |name: &str| params.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v.as_str());
        // With brackets or without.
        let all = |name: &str| {
            let fits = |n: &str| n.strip_suffix("[]").unwrap_or(n) == name;
            params.iter().filter(|(n, _)| fits(n)).map(|(_, v)| v.as_str()).collect::<BTreeSet<_>>()
        };
        let kind = get("type").to_ascii_lowercase();
        if !matches!(kind.as_str(), "" | "alert" | "record") {
            return Err(parameter("type", &format!("not supported value {kind:?}")));
        }
        let excluded = get("exclude_alerts").to_ascii_lowercase();
        let without_alerts = match excluded.as_str() {
            "" | "0" | "f" | "false" => false,
            "1" | "t" | "true" => true,
            other => {
                let problem = format!("error converting exclude_alerts: strconv.ParseBool: parsing {other:?}: invalid syntax");
                return Err(parameter("exclude_alerts", &problem));
            }
        };
        let token = get("group_next_token");
        let limit = match get("group_limit") {
            "" if !token.is_empty() => {
                let problem = "group_limit needs to be present in order to paginate over the groups";
                return Err(parameter("group_next_token", problem));
            }
            "" => None,
            text => match text.parse::<i32>() {
                Ok(limit @ 1..) => usize::try_from(limit).ok(),
                Ok(_) => return Err(parameter("group_limit", "group_limit needs to be greater than 0")),
                Err(_) => {
                    let problem = format!("group_limit needs to be a valid number: strconv.ParseInt: parsing {text:?}: invalid syntax");
                    return Err(parameter("group_limit", &problem));
                }
            },
        };
        let selector = |text: &str| {
            let matchers = parse_selector(text, &ParseOptions::default()).map_err(|e| parameter("match[]", &e.to_string()))?;
            match matchers.iter().all(Matcher::matches_empty) {
                true => Err("match[] must contain at least one non-empty matcher".to_owned()),
                false => Ok(matchers),
            }
        };
        Ok(Self {
            alerting: kind != "record",
            recording: kind != "alert",
            with_alerts: !without_alerts,
            rules: all("rule_name"),
            groups: all("rule_group"),
            files: all("file"),
            selectors: params.iter().filter(|(n, _)| n == "match[]").map(|(_, v)| selector(v)).collect::<Result<_, _>>()?,
            limit,
            token,
        })
    }

    fn has_group(&self, group: &GroupView) -> bool {
        let among = |set: &BTreeSet<&str>, name: &str| set.is_empty() || set.contains(name);
        among(&self.groups, &group.group.name) && among(&self.files, &group.key.file)
    }

    fn rules_of(&self, group: &GroupView) -> Vec<Value> {
        let rules = group.group.rules.iter().zip(&group.rules);
        rules.filter(|(rule, _)| self.has_rule(rule)).map(|(rule, view)| shape::rule(rule, view, self.with_alerts)).collect()
    }

    fn has_rule(&self, rule: &Rule) -> bool {
        let kind = if rule.alert().is_some() { self.alerting } else { self.recording };
        let label = |name: &str| rule.labels.get(name).map_or("", String::as_str);
        let selected = self.selectors.is_empty() || self.selectors.iter().any(|all| all.iter().all(|m| m.matches(label(&m.name))));
        kind && selected && (self.rules.is_empty() || self.rules.contains(rule.name.as_str()))
    }
}
