//! What is remembered of a group between its evaluations.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::Labels;

use crate::alert::Alerts;
use crate::group::{GroupKey, Slots, Written};
use crate::rule_file::{Rule, RuleGroup};

/// How a rule's last evaluation went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    /// There was none yet.
    Unknown,
    /// Well.
    Good,
    /// It failed.
    Bad,
}

impl Health {
    /// The name in the API.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Good => "ok",
            Self::Bad => "err",
        }
    }
}

/// One rule's state.
#[derive(Debug, Clone)]
pub(crate) struct RuleState {
    /// Empty for a recording rule.
    pub(crate) alerts: Alerts,
    pub(crate) written: Written,
    pub(crate) health: Health,
    pub(crate) last_error: Option<String>,
    /// When the last evaluation began.
    pub(crate) evaluated_at: Option<i64>,
    /// How long it took.
    pub(crate) seconds: f64,
}

impl RuleState {
    fn new(restored: bool) -> Self {
        Self {
            alerts: Alerts::new(restored),
            written: Written::default(),
            health: Health::Unknown,
            last_error: None,
            evaluated_at: None,
            seconds: 0.0,
        }
    }
}

/// A group's state. The group itself never changes: another one takes over its state ([`GroupState::take_over`]).
#[derive(Debug, Clone)]
pub(crate) struct GroupState {
    pub(crate) key: GroupKey,
    pub(crate) group: Arc<RuleGroup>,
    pub(crate) interval_ms: i64,
    /// One for each rule.
    pub(crate) rules: Vec<RuleState>,
    /// Series of rules that the group no longer has, to be marked stale.
    pub(crate) orphans: Vec<Labels>,
    /// The slot of the last evaluation.
    pub(crate) last_evaluation: Option<i64>,
    /// How long the last evaluation took.
    pub(crate) seconds: f64,
}

impl GroupState {
    /// A group that was never evaluated. `restored` if alerts have no state to be looked up.
    pub(crate) fn new(key: GroupKey, group: Arc<RuleGroup>, default_interval_ms: i64, restored: bool) -> Self {
        let interval_ms = group.interval_ms.unwrap_or(default_interval_ms);
        let rules = group.rules.iter().map(|_| RuleState::new(restored)).collect();
        Self { key, group, interval_ms, rules, orphans: Vec::new(), last_evaluation: None, seconds: 0.0 }
    }

    pub(crate) fn slots(&self) -> Slots {
        Slots::of(&self.key, self.interval_ms)
    }

    /// Whether alerts may have a state from before a restart that has not been looked up.
    pub(crate) fn wants_restoration(&self) -> bool {
        self.group.rules.iter().zip(&self.rules).any(|(rule, state)| rule.alert().is_some() && !state.alerts.is_restored())
    }

    /// Continues what an earlier group of the same name did: rules that have the same name and labels (the first takes over from the first)
    /// keep their alerts and series; series of the others are orphans.
    pub(crate) fn take_over(&mut self, from: Self) {
        self.last_evaluation = from.last_evaluation;
        self.seconds = from.seconds;
        self.orphans = from.orphans;
        let key = |rule: &Rule| (rule.name.clone(), rule.labels.clone());
        let mut old: BTreeMap<_, Vec<RuleState>> = BTreeMap::new();
        for (rule, state) in from.group.rules.iter().zip(from.rules).rev() {
            old.entry(key(rule)).or_default().push(state);
        }
        let group = Arc::clone(&self.group);
        for (rule, state) in group.rules.iter().zip(&mut self.rules) {
            let Some(known) = old.get_mut(&key(rule)).and_then(Vec::pop) else { continue };
            state.written = known.written;
            if rule.alert().is_some() {
                state.alerts = known.alerts;
            }
        }
        self.orphans.extend(old.into_values().flatten().flat_map(|state| state.written.into_labels()));
    }

    /// Makes all series orphans: the group is gone.
    pub(crate) fn abandon(&mut self) {
        for state in &mut self.rules {
            self.orphans.extend(std::mem::take(&mut state.written).into_labels());
        }
    }
}
