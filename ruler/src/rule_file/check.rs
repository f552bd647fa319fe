//! What a rule file must satisfy beyond its shape. The texts are Prometheus's (`model/rulefmt`).

use std::collections::{BTreeMap, BTreeSet};

use model::labels::METRIC_NAME;
use model::matcher::quote;
use promql::{ParseOptions, parse};

use super::decode::{Placed, Position, RawGroup, RawRule};
use super::{AlertSpec, Rule, RuleGroup, RuleKind};
use crate::template::Template;

/// Checks all groups and makes them into rules.
pub(super) fn groups(raw: &[RawGroup], options: &ParseOptions) -> Result<Vec<RuleGroup>, Vec<String>> {
    let mut errors = Vec::new();
    let mut names = BTreeSet::new();
    let mut groups = Vec::with_capacity(raw.len());
    for group in raw {
        let at = group.at.prefix();
        if group.name.is_empty() {
            errors.push(format!("{at}Groupname must not be empty"));
        }
        if !names.insert(&group.name) {
            errors.push(format!("{at}groupname: \"{}\" is repeated in the same file", group.name));
        }
        errors.extend(invalid_labels(&group.labels).map(|e| format!("{at}{e}")));
        let mut rules = Vec::with_capacity(group.rules.len());
        for (i, raw) in group.rules.iter().enumerate() {
            let mut check = Check { errors: Vec::new() };
            rules.extend(check.rule(raw, &group.labels, options));
            let name = if raw.alert.text.is_empty() { &raw.record.text } else { &raw.alert.text };
            let place = format!("group {}, rule {}, {}", quote(&group.name), i + 1, quote(name));
            errors.extend(check.errors.into_iter().map(|(at, e)| format!("{at}{place}: {e}")));
        }
        groups.push(RuleGroup {
            name: group.name.clone(),
            interval_ms: Some(group.interval_ms).filter(|ms| *ms > 0),
            query_offset_ms: group.query_offset_ms,
            limit: usize::try_from(group.limit).unwrap_or(0),
            rules,
        });
    }
    if errors.is_empty() { Ok(groups) } else { Err(errors) }
}

/// Checks a group that stands alone.
pub(super) fn lone_group(raw: &RawGroup, options: &ParseOptions) -> Result<RuleGroup, Vec<String>> {
    let mut errors = Vec::new();
    if raw.rules.is_empty() {
        errors.push(format!("{}group {} has no rules", raw.at.prefix(), quote(&raw.name)));
    }
    match groups(std::slice::from_ref(raw), options) {
        Ok(mut groups) if errors.is_empty() => groups.pop().ok_or(errors),
        Ok(_) => Err(errors),
        Err(more) => {
            errors.extend(more);
            Err(errors)
        }
    }
}

/// The complaints about one rule, each with its position.
struct Check {
    errors: Vec<(String, String)>,
}

impl Check {
    fn add(&mut self, at: Position, error: impl Into<String>) {
        self.errors.push((at.prefix(), error.into()));
    }

    fn rule(&mut self, raw: &RawRule, group_labels: &BTreeMap<String, String>, options: &ParseOptions) -> Option<Rule> {
        let (recording, alerting) = (!raw.record.text.is_empty(), !raw.alert.text.is_empty());
        let both = || format!("{}{}", raw.record.at.prefix(), raw.alert.at.prefix());
        match (recording, alerting) {
            (true, true) => self.errors.push((both(), "only one of 'record' and 'alert' must be set".to_owned())),
            (false, false) => self.add(raw.at, "one of 'record' or 'alert' must be set"),
            _ => {}
        }
        let expr = self.expression(&raw.expr, options);
        if recording {
            self.recording(raw);
        }
        for error in invalid_labels(&raw.labels) {
            self.add(raw.at, error);
        }
        for name in raw.annotations.keys().filter(|name| name.is_empty()) {
            self.add(raw.at, format!("invalid annotation name: {name}"));
        }
        let mut labels = group_labels.clone();
        labels.extend(raw.labels.clone());
        let (name, kind) = if alerting {
            let name = &raw.alert.text;
            // Group labels are checked with every rule, because a template may refer to nothing that one rule has and another has not.
            let alert = AlertSpec {
                for_ms: raw.for_ms,
                keep_firing_for_ms: raw.keep_firing_for_ms,
                labels: self.templates("label", name, &labels, raw.at),
                annotations: self.templates("annotation", name, &raw.annotations, raw.at),
            };
            (name, RuleKind::Alerting(Box::new(alert)))
        } else {
            (&raw.record.text, RuleKind::Recording)
        };
        Some(Rule { name: name.clone(), expr: expr?, labels, kind })
    }

    fn expression(&mut self, expr: &Placed, options: &ParseOptions) -> Option<String> {
        if expr.text.is_empty() {
            self.add(expr.at, "field 'expr' must be set in rule");
            return None;
        }
        match parse(&expr.text, options) {
            Ok(parsed) => Some(parsed.to_string()),
            Err(e) => {
                self.add(expr.at, format!("could not parse expression: {e}"));
                None
            }
        }
    }

    fn recording(&mut self, raw: &RawRule) {
        let (at, name) = (raw.record.at, &raw.record.text);
        if !raw.annotations.is_empty() {
            self.add(at, "invalid field 'annotations' in recording rule");
        }
        if raw.for_ms != 0 {
            self.add(at, "invalid field 'for' in recording rule");
        }
        if raw.keep_firing_for_ms != 0 {
            self.add(at, "invalid field 'keep_firing_for' in recording rule");
        }
        // Any text is a name, but braces are nearly always an expression at the wrong place.
        if name.contains(['{', '}']) {
            self.add(at, format!("braces present in the recording rule name; should it be in expr?: {name}"));
        }
    }

    fn templates(&mut self, what: &str, alert: &str, texts: &BTreeMap<String, String>, at: Position) -> Vec<(String, Template)> {
        let mut parsed = Vec::with_capacity(texts.len());
        for (name, text) in texts {
            match Template::of_alert(alert, text) {
                Ok(template) => parsed.push((name.clone(), template)),
                Err(e) => self.add(at, format!("{what} {}: {e}", quote(name))),
            }
        }
        parsed
    }
}

fn invalid_labels(labels: &BTreeMap<String, String>) -> impl Iterator<Item = String> + '_ {
    labels.keys().filter(|name| name.is_empty() || *name == METRIC_NAME).map(|name| format!("invalid label name: {name}"))
}
