//! A group as written, between text and store.

use proto::convert::rule_group as stored;

use super::decode::{Placed, Position, RawGroup, RawRule};

/// What was never text.
const NOWHERE: Position = Position(0, 0);

/// The group for the store; namespace and tenant are for the caller to fill in.
pub(super) fn to_store(raw: &RawGroup) -> stored::RuleGroup {
    let rule = |rule: &RawRule| stored::Rule {
        record: rule.record.text.clone(),
        alert: rule.alert.text.clone(),
        expr: rule.expr.text.clone(),
        for_ms: rule.for_ms,
        keep_firing_for_ms: rule.keep_firing_for_ms,
        labels: rule.labels.clone(),
        annotations: rule.annotations.clone(),
    };
    stored::RuleGroup {
        name: raw.name.clone(),
        interval_ms: raw.interval_ms,
        query_offset_ms: raw.query_offset_ms.unwrap_or(0),
        limit: raw.limit,
        labels: raw.labels.clone(),
        rules: raw.rules.iter().map(rule).collect(),
        ..stored::RuleGroup::default()
    }
}

/// The group from the store.
pub(super) fn from_store(group: &stored::RuleGroup) -> RawGroup {
    let placed = |text: &str| Placed { at: NOWHERE, text: text.to_owned() };
    let rule = |rule: &stored::Rule| RawRule {
        at: NOWHERE,
        record: placed(&rule.record),
        alert: placed(&rule.alert),
        expr: placed(&rule.expr),
        for_ms: rule.for_ms,
        keep_firing_for_ms: rule.keep_firing_for_ms,
        labels: rule.labels.clone(),
        annotations: rule.annotations.clone(),
    };
    RawGroup {
        at: NOWHERE,
        name: group.name.clone(),
        interval_ms: group.interval_ms,
        query_offset_ms: Some(group.query_offset_ms).filter(|ms| *ms != 0),
        limit: group.limit,
        labels: group.labels.clone(),
        rules: group.rules.iter().map(rule).collect(),
    }
}
