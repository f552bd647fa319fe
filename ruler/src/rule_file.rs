//! Rule files: Prometheus's format, read, checked, and made into rules that can be evaluated.
//!
//! What is wrong is told in Prometheus's words, all of it at once, each with line and column; keys that are not known are wrong too.

mod check;
mod decode;
#[cfg(test)]
mod tests;
mod written;

use std::collections::BTreeMap;

use promql::ParseOptions;
use proto::convert::rule_group as stored;

use crate::template::Template;
use crate::yaml;

/// A group of rules, evaluated together and in order.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleGroup {
    /// Unique within its file.
    pub name: String,
    /// Milliseconds between evaluations; `None` takes the setting.
    pub interval_ms: Option<i64>,
    /// How far back in time the group's queries look, in milliseconds; `None` takes the setting.
    pub query_offset_ms: Option<i64>,
    /// The most series or alerts that one rule may make; 0 is no limit.
    pub limit: usize,
    /// The rules, in order.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The metric that is recorded, or the alert's name.
    pub name: String,
    /// The expression as PromQL prints it.
    pub expr: String,
    /// Labels of the group and of the rule, which wins; for alerts these are templates.
    pub labels: BTreeMap<String, String>,
    /// Recording or alerting.
    pub kind: RuleKind,
}

/// What a rule does with its expression's result.
#[derive(Debug, Clone, PartialEq)]
pub enum RuleKind {
    /// Writes it as series of another name.
    Recording,
    /// Alerts.
    Alerting(Box<AlertSpec>),
}

/// What makes an alert.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertSpec {
    /// How long the condition must hold before the alert fires, in milliseconds.
    pub for_ms: i64,
    /// How long the alert fires on after the condition has gone, in milliseconds.
    pub keep_firing_for_ms: i64,
    /// [`Rule::labels`], parsed.
    pub labels: Vec<(String, Template)>,
    /// Texts for people, by name.
    pub annotations: Vec<(String, Template)>,
}

impl Rule {
    /// The alert of an alerting rule.
    #[must_use]
    pub fn alert(&self) -> Option<&AlertSpec> {
        match &self.kind {
            RuleKind::Alerting(alert) => Some(alert),
            RuleKind::Recording => None,
        }
    }
}

/// Reads a rule file. The errors are all that is wrong with it, one text each.
pub fn parse(text: &str, options: &ParseOptions) -> Result<Vec<RuleGroup>, Vec<String>> {
    let root = yaml::read(text).map_err(|e| vec![e])?;
    let Some(root) = root else { return Ok(Vec::new()) };
    let groups = decode::groups(&root).map_err(|e| vec![e])?;
    check::groups(&groups, options)
}

/// Reads one group by itself, as the API takes it: as it was written, for the store, and checked. The errors are all that is wrong with it.
pub(crate) fn parse_group(text: &str, options: &ParseOptions) -> Result<(stored::RuleGroup, RuleGroup), Vec<String>> {
    let root = yaml::read(text).map_err(|e| vec![e])?;
    let Some(root) = root else { return Err(vec!["there is no rule group in the request's body".to_owned()]) };
    let raw = decode::lone_group(&root).map_err(|e| vec![e])?;
    let group = check::lone_group(&raw, options)?;
    Ok((written::to_store(&raw), group))
}

/// Checks a group from the store.
pub(crate) fn check_stored(group: &stored::RuleGroup, options: &ParseOptions) -> Result<RuleGroup, Vec<String>> {
    if !group.source_tenants.is_empty() {
        return Err(vec![format!("the group queries other tenants ({}), which is not supported", group.source_tenants.join(", "))]);
    }
    check::lone_group(&written::from_store(group), options)
}

/// Rules that record the same metric, or alert under the same name, with the same labels: `(name, labels)`, each once. Prometheus loads
/// these, but what they give depends on their order.
#[must_use]
pub fn duplicates(groups: &[RuleGroup]) -> Vec<(String, BTreeMap<String, String>)> {
    let mut all: Vec<_> = groups.iter().flat_map(|g| &g.rules).map(|r| (&r.name, &r.labels)).collect();
    all.sort();
    let mut twice: Vec<_> =
        all.windows(2).filter(|pair| matches!(pair, [a, b] if a == b)).filter_map(|pair| pair.first().copied()).collect();
    twice.dedup();
    twice.into_iter().map(|(name, labels)| (name.clone(), labels.clone())).collect()
}
