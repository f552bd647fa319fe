//! `rules`: which groups and rules are wanted.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::Matcher;
use promql::{ParseOptions, parse_selector};
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_128;

use super::{Params, shape};
use crate::rule_file::Rule;
use crate::view::GroupView;

/// What is asked for.
struct Wanted<'a> {
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

/// The `data` of an answer; an error is the parameter's fault.
pub(super) fn answer(groups: &[Arc<GroupView>], params: &Params) -> Result<Value, String> {
    let wanted = Wanted::read(params)?;
    let mut found = Vec::new();
    let mut next = None;
    let mut begun = wanted.token.is_empty();
    for group in groups {
        begun = begun || token(group) == wanted.token;
        if !begun || !wanted.has_group(group) {
            continue;
        }
        let rules = wanted.rules_of(group);
        if rules.is_empty() {
            continue;
        }
        if wanted.limit == Some(found.len()) {
            next = Some(token(group));
            break;
        }
        found.push(shape::group(group, rules));
    }
    if !begun {
        let problem = format!("invalid group_next_token '{}'. were rule groups changed?", wanted.token);
        return Err(parameter("group_next_token", &problem));
    }
    Ok(match next {
        Some(token) => json!({"groups": found, "groupNextToken": token}),
        None => json!({ "groups": found }),
    })
}

/// Names a group in a request for the page that begins with it.
fn token(group: &GroupView) -> String {
    format!("{:032x}", xxh3_128(format!("{};{}", group.file, group.group.name).as_bytes()))
}

fn parameter(name: &str, problem: &str) -> String {
    format!("invalid parameter \"{name}\": {problem}")
}

impl<'a> Wanted<'a> {
    fn read(params: &'a Params) -> Result<Self, String> {
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
        among(&self.groups, &group.group.name) && among(&self.files, &group.file)
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
