//! The life of an alert: a pure function of its state, the samples of its expression, and the time.
//!
//! ```text
//! inactive ─ a sample ─▶ pending ─ `for` has passed ─▶ firing ─ no sample, `keep_firing_for` has passed ─▶ resolved ─ 15 min ─▶ forgotten
//!                           └─ no sample ─▶ forgotten
//! ```
//!
//! Times are milliseconds since the epoch. Semantics and constants are Prometheus's (`rules/alerting.go`).

mod restore;
mod send;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use model::labels::METRIC_NAME;
use model::{Labels, LabelsBuilder, SeriesHash};

use crate::rule_file::{AlertSpec, Rule};

pub(crate) use restore::{ForState, Grace, selector};
pub(crate) use send::Notification;

/// The label with an alert's name.
pub(crate) const ALERT_NAME: &str = "alertname";

/// The series of alerts that are pending or firing.
const ALERTS: &str = "ALERTS";

/// The series with the time since when an alert is active, in seconds; what survives a restart.
pub(crate) const ALERTS_FOR_STATE: &str = "ALERTS_FOR_STATE";

/// How long a resolved alert is kept and sent again, so that Alertmanager learns of it although it was away.
const RESOLVED_RETENTION_MS: i64 = 15 * 60 * 1_000;

/// What an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum AlertState {
    /// Its condition does not hold; it is kept for a while if it was firing.
    Inactive,
    /// Its condition holds, but not yet for long enough.
    Pending,
    /// Its condition has held for long enough.
    Firing,
}

impl AlertState {
    /// The name in series and in the API.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// One alert: an element of a rule's expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Alert {
    /// What it is.
    pub(crate) state: AlertState,
    /// What identifies it, its name among them.
    pub(crate) labels: Labels,
    /// Texts for people.
    pub(crate) annotations: Vec<(String, String)>,
    /// The expression's last value.
    pub(crate) value: f64,
    /// Since when the condition holds.
    pub(crate) active_at: i64,
    /// When it began to fire.
    pub(crate) fired_at: Option<i64>,
    /// When it stopped.
    pub(crate) resolved_at: Option<i64>,
    /// When it was last handed to Alertmanagers.
    pub(crate) last_sent_at: Option<i64>,
    /// Until when Alertmanagers may take it for firing without hearing of it.
    pub(crate) valid_until: Option<i64>,
    /// Since when it fires only because of `keep_firing_for`.
    pub(crate) keep_firing_since: Option<i64>,
}

/// An element of the expression's result, its labels and annotations expanded.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) labels: Labels,
    pub(crate) annotations: Vec<(String, String)>,
    pub(crate) value: f64,
}

/// A sample that a rule writes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RuleSample {
    pub(crate) labels: Labels,
    pub(crate) value: promql::PointValue,
}

/// The alerts of one rule.
#[derive(Debug, Clone, Default)]
pub(crate) struct Alerts {
    /// By the hash of their labels; resolved ones are among them.
    active: BTreeMap<SeriesHash, Alert>,
    /// Whether the state before a restart has been looked up; until then no series are written, because these would hide it.
    restored: bool,
}

impl Alerts {
    /// No alerts. `restored` if there is nothing to be looked up.
    pub(crate) fn new(restored: bool) -> Self {
        Self { active: BTreeMap::new(), restored }
    }

    pub(crate) fn is_restored(&self) -> bool {
        self.restored
    }

    pub(crate) fn set_restored(&mut self) {
        self.restored = true;
    }

    /// Alerts that are pending or firing.
    pub(crate) fn current(&self) -> impl Iterator<Item = &Alert> {
        self.active.values().filter(|alert| alert.resolved_at.is_none())
    }

    /// The worst state.
    pub(crate) fn state(&self) -> AlertState {
        self.active.values().map(|alert| alert.state).max().unwrap_or(AlertState::Inactive)
    }

    /// Takes the result of an evaluation at `ts`. The series to write, or why the rule fails; then its alerts are as before, or gone if
    /// they are too many.
    pub(crate) fn step(
        &mut self,
        rule: &Rule,
        spec: &AlertSpec,
        candidates: Vec<Candidate>,
        ts: i64,
        limit: usize,
    ) -> Result<Vec<RuleSample>, String> {
        let mut seen = BTreeMap::new();
        for candidate in candidates {
            if seen.insert(candidate.labels.hash(), candidate).is_some() {
                return Err("vector contains metrics with the same labelset after applying alert labels".to_owned());
            }
        }
        for (hash, candidate) in &seen {
            self.take(*hash, candidate, ts);
        }
        let mut samples = Vec::with_capacity(2 * self.active.len());
        let mut active = 0;
        let restored = self.restored;
        self.active.retain(|hash, alert| {
            let (kept, counts) = alert.advance(spec, seen.contains_key(hash), ts);
            if counts {
                active += 1;
                if restored {
                    samples.push(alerts_sample(rule, alert));
                    samples.push(for_state_sample(rule, alert));
                }
            }
            kept
        });
        if limit > 0 && active > limit {
            self.active.clear();
            return Err(format!("exceeded limit of {limit} with {active} alerts"));
        }
        Ok(samples)
    }

    fn take(&mut self, hash: SeriesHash, candidate: &Candidate, ts: i64) {
        match self.active.get_mut(&hash) {
            Some(known) if known.state != AlertState::Inactive => {
                known.value = candidate.value;
                known.annotations.clone_from(&candidate.annotations);
            }
            _ => {
                self.active.insert(hash, Alert::pending(candidate, ts));
            }
        }
    }
}

impl Alert {
    fn pending(candidate: &Candidate, ts: i64) -> Self {
        Self {
            state: AlertState::Pending,
            labels: candidate.labels.clone(),
            annotations: candidate.annotations.clone(),
            value: candidate.value,
            active_at: ts,
            fired_at: None,
            resolved_at: None,
            last_sent_at: None,
            valid_until: None,
            keep_firing_since: None,
        }
    }

    /// One evaluation later. Whether the alert is kept, and whether it counts as active.
    fn advance(&mut self, spec: &AlertSpec, holds: bool, ts: i64) -> (bool, bool) {
        if holds {
            self.keep_firing_since = None;
        } else if !self.keeps_firing(spec, ts) {
            let forgotten =
                self.state == AlertState::Pending || self.resolved_at.is_some_and(|at| ts.saturating_sub(at) > RESOLVED_RETENTION_MS);
            if self.state != AlertState::Inactive {
                self.state = AlertState::Inactive;
                self.resolved_at = Some(ts);
            }
            return (!forgotten, false);
        }
        let long_enough = ts.saturating_sub(self.active_at) >= spec.for_ms;
        match self.state {
            AlertState::Pending if long_enough => {
                self.state = AlertState::Firing;
                self.fired_at = Some(ts);
            }
            // `for` has become longer.
            AlertState::Firing if !long_enough => {
                self.state = AlertState::Pending;
                (self.fired_at, self.last_sent_at, self.keep_firing_since) = (None, None, None);
            }
            _ => {}
        }
        (true, true)
    }

    fn keeps_firing(&mut self, spec: &AlertSpec, ts: i64) -> bool {
        if self.state != AlertState::Firing || spec.keep_firing_for_ms <= 0 {
            return false;
        }
        let since = *self.keep_firing_since.get_or_insert(ts);
        ts.saturating_sub(since) < spec.keep_firing_for_ms
    }
}

/// A rule's own labels under those of an alert; what a series of an alert has in common.
fn series_of(rule: &Rule, alert: &Alert, name: &str) -> LabelsBuilder {
    let mut labels = LabelsBuilder::new();
    for (name, value) in &rule.labels {
        labels.set(name, value);
    }
    for (name, value) in alert.labels.iter() {
        labels.set(name, value);
    }
    labels.set(METRIC_NAME, name).set(ALERT_NAME, &rule.name);
    labels
}

fn alerts_sample(rule: &Rule, alert: &Alert) -> RuleSample {
    let mut labels = series_of(rule, alert, ALERTS);
    labels.set("alertstate", alert.state.as_str());
    RuleSample { labels: labels.build(), value: promql::PointValue::Float(1.0) }
}

fn for_state_sample(rule: &Rule, alert: &Alert) -> RuleSample {
    let labels = series_of(rule, alert, ALERTS_FOR_STATE).build();
    RuleSample { labels, value: promql::PointValue::Float(alert.active_at.div_euclid(1_000) as f64) }
}
