//! Rule groups as they lie in object storage: as people wrote them, not yet checked.

use std::collections::BTreeMap;

use prost::Message;

use super::InvalidMessage;
use crate::generated::rule_group as wire;

#[cfg(test)]
mod tests;

/// A rule group as written. Durations are milliseconds, 0 where none was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleGroup {
    /// Its name.
    pub name: String,
    /// Its namespace, which has the place of a rule file's name.
    pub namespace: String,
    /// Whose it is.
    pub tenant: String,
    /// Time between evaluations.
    pub interval_ms: i64,
    /// How far back in time queries look.
    pub query_offset_ms: i64,
    /// Series or alerts that one rule may make.
    pub limit: i64,
    /// Labels of all its rules.
    pub labels: BTreeMap<String, String>,
    /// Other tenants to be queried, which is not supported.
    pub source_tenants: Vec<String>,
    /// The rules, in order.
    pub rules: Vec<Rule>,
}

/// A rule as written; either `record` or `alert` is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// The metric that is recorded.
    pub record: String,
    /// The alert's name.
    pub alert: String,
    /// The expression.
    pub expr: String,
    /// How long the condition must hold.
    pub for_ms: i64,
    /// How long the alert fires on.
    pub keep_firing_for_ms: i64,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Texts for people.
    pub annotations: BTreeMap<String, String>,
}

/// The object's bytes. What Cortex and Mimir number alike is written under those numbers; labels and limit of the group are written as Mimir does: Cortex
/// skips these, whereas Mimir refuses a group with Cortex's.
#[must_use]
pub fn encode(group: &RuleGroup) -> Vec<u8> {
    wire::RuleGroup {
        name: group.name.clone(),
        namespace: group.namespace.clone(),
        interval: Some(duration(group.interval_ms)),
        rules: group.rules.iter().map(rule_to_wire).collect(),
        user: group.tenant.clone(),
        source_tenants: group.source_tenants.clone(),
        evaluation_delay: (group.query_offset_ms != 0).then(|| duration(group.query_offset_ms)),
        align_evaluation_time_on_interval: false,
        query_offset: None,
        labels: labels_to_wire(&group.labels),
        limit: i32::try_from(group.limit).unwrap_or(i32::MAX),
    }
    .encode_to_vec()
}

/// Reads what Mimir, Cortex or [`encode`] wrote. Bytes that are a group in Mimir's numbers are one; only others are tried in Cortex's.
pub fn decode(bytes: &[u8]) -> Result<RuleGroup, InvalidMessage> {
    match wire::RuleGroup::decode(bytes) {
        Ok(group) => from_mimir(group),
        Err(error) => match wire::CortexRuleGroup::decode(bytes) {
            Ok(group) => from_cortex(group),
            Err(_) => Err(InvalidMessage::new(format!("not a rule group: {error}"))),
        },
    }
}

fn from_mimir(group: wire::RuleGroup) -> Result<RuleGroup, InvalidMessage> {
    let query_offset_ms = match millis(group.query_offset) {
        0 => millis(group.evaluation_delay),
        ms => ms,
    };
    Ok(RuleGroup {
        name: group.name,
        namespace: group.namespace,
        tenant: group.user,
        interval_ms: millis(group.interval),
        query_offset_ms,
        limit: group.limit.into(),
        labels: labels_from_wire(group.labels)?,
        source_tenants: group.source_tenants,
        rules: group.rules.into_iter().map(rule_from_wire).collect::<Result<_, _>>()?,
    })
}

fn from_cortex(group: wire::CortexRuleGroup) -> Result<RuleGroup, InvalidMessage> {
    Ok(RuleGroup {
        name: group.name,
        namespace: group.namespace,
        tenant: group.user,
        interval_ms: millis(group.interval),
        query_offset_ms: millis(group.query_offset),
        limit: group.limit,
        labels: labels_from_wire(group.labels)?,
        source_tenants: group.source_tenants,
        rules: group.rules.into_iter().map(rule_from_wire).collect::<Result<_, _>>()?,
    })
}

fn rule_to_wire(rule: &Rule) -> wire::Rule {
    wire::Rule {
        expr: rule.expr.clone(),
        record: rule.record.clone(),
        alert: rule.alert.clone(),
        r#for: Some(duration(rule.for_ms)),
        labels: labels_to_wire(&rule.labels),
        annotations: labels_to_wire(&rule.annotations),
        keep_firing_for: Some(duration(rule.keep_firing_for_ms)),
    }
}

fn rule_from_wire(rule: wire::Rule) -> Result<Rule, InvalidMessage> {
    Ok(Rule {
        record: rule.record,
        alert: rule.alert,
        expr: rule.expr,
        for_ms: millis(rule.r#for),
        keep_firing_for_ms: millis(rule.keep_firing_for),
        labels: labels_from_wire(rule.labels)?,
        annotations: labels_from_wire(rule.annotations)?,
    })
}

fn labels_to_wire(labels: &BTreeMap<String, String>) -> Vec<wire::Label> {
    labels.iter().map(|(name, value)| wire::Label { name: name.clone().into_bytes(), value: value.clone().into_bytes() }).collect()
}

fn labels_from_wire(labels: Vec<wire::Label>) -> Result<BTreeMap<String, String>, InvalidMessage> {
    let text = |bytes| String::from_utf8(bytes).map_err(|_| InvalidMessage::new("a label or annotation is not UTF-8"));
    labels.into_iter().map(|label| Ok((text(label.name)?, text(label.value)?))).collect()
}

fn duration(ms: i64) -> wire::Duration {
    // The remainder is below a thousand.
    wire::Duration { seconds: ms / 1_000, nanos: (ms % 1_000) as i32 * 1_000_000 }
}

fn millis(duration: Option<wire::Duration>) -> i64 {
    duration.map_or(0, |d| d.seconds.saturating_mul(1_000).saturating_add(i64::from(d.nanos / 1_000_000)))
}
