//! Finding out after a restart since when alerts are active.

use std::collections::BTreeMap;

use model::Labels;

use super::{ALERT_NAME, ALERTS_FOR_STATE, Alerts};
use crate::rule_file::{AlertSpec, Rule};

/// What `ALERTS_FOR_STATE` said last of an alert.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ForState {
    /// When it said it, in milliseconds: until then the ruler was there.
    pub(crate) at: i64,
    /// Since when the alert is active, in seconds; stale if it no longer was.
    pub(crate) value: f64,
}

/// Settings of the restoration, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grace {
    /// What was said longer ago counts no more.
    pub(crate) outage_tolerance_ms: i64,
    /// An alert fires no earlier than this after a restart, unless its `for` is shorter (then nothing is restored) or it was firing.
    pub(crate) for_grace_ms: i64,
}

/// The selector of the series that tell about a rule. Labels with templates are left out: what these expand to is not known here.
pub(crate) fn selector(rule: &Rule) -> String {
    let mut matchers: Vec<String> = rule
        .labels
        .iter()
        .filter(|(name, value)| !value.contains("{{") && !value.is_empty() && *name != ALERT_NAME)
        .map(|(name, value)| model::Matcher::equal(name, value).to_string())
        .collect();
    matchers.push(model::Matcher::equal(ALERT_NAME, &rule.name).to_string());
    format!("{ALERTS_FOR_STATE}{{{}}}", matchers.join(","))
}

impl Alerts {
    /// Whether looking back is of any use for this rule.
    pub(crate) fn wants_restoration(&self, spec: &AlertSpec, grace: Grace) -> bool {
        !self.restored && spec.for_ms >= grace.for_grace_ms && self.current().next().is_some()
    }

    /// Takes up what `states` say, by the labels of alerts, and counts as restored.
    pub(crate) fn restore(&mut self, spec: &AlertSpec, states: &BTreeMap<Labels, ForState>, ts: i64, grace: Grace) {
        self.restored = true;
        for alert in self.active.values_mut() {
            let Some(state) = states.get(&alert.labels) else { continue };
            if model::is_stale_nan(state.value) || !state.value.is_finite() || ts.saturating_sub(state.at) > grace.outage_tolerance_ms {
                continue;
            }
            let since = (state.value as i64).saturating_mul(1_000);
            let remaining = spec.for_ms.saturating_sub(state.at.saturating_sub(since));
            alert.active_at = if remaining <= 0 {
                // It was firing, and fires on.
                since
            } else if remaining < grace.for_grace_ms {
                ts.saturating_add(grace.for_grace_ms).saturating_sub(spec.for_ms)
            } else {
                // The time without a ruler does not count.
                since.saturating_add(ts.saturating_sub(state.at))
            };
        }
    }
}
