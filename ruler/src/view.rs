//! What the outside sees of groups: copies made after each evaluation, so that nobody waits for one.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::alert::{Alert, AlertState};
use crate::evaluate::state::{GroupState, Health};
use crate::rule_file::RuleGroup;

/// File and name.
pub(crate) type GroupKey = (Arc<str>, String);

/// A group as it was after its last evaluation.
#[derive(Debug, Clone)]
pub(crate) struct GroupView {
    pub(crate) file: Arc<str>,
    pub(crate) group: Arc<RuleGroup>,
    pub(crate) interval_ms: i64,
    pub(crate) last_evaluation: Option<i64>,
    pub(crate) seconds: f64,
    /// One for each rule of the group.
    pub(crate) rules: Vec<RuleView>,
}

/// A rule as it was after its last evaluation.
#[derive(Debug, Clone)]
pub(crate) struct RuleView {
    pub(crate) state: AlertState,
    pub(crate) alerts: Vec<Alert>,
    pub(crate) health: Health,
    pub(crate) last_error: Option<String>,
    pub(crate) evaluated_at: Option<i64>,
    pub(crate) seconds: f64,
}

impl GroupView {
    pub(crate) fn of(state: &GroupState) -> Self {
        let rule = |rule: &crate::evaluate::state::RuleState| RuleView {
            state: rule.alerts.state(),
            alerts: rule.alerts.current().cloned().collect(),
            health: rule.health,
            last_error: rule.last_error.clone(),
            evaluated_at: rule.evaluated_at,
            seconds: rule.seconds,
        };
        Self {
            file: Arc::clone(&state.file),
            group: Arc::clone(&state.group),
            interval_ms: state.interval_ms,
            last_evaluation: state.last_evaluation,
            seconds: state.seconds,
            rules: state.rules.iter().map(rule).collect(),
        }
    }
}

/// All groups, ordered by file and name. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Views {
    groups: Arc<RwLock<BTreeMap<GroupKey, Arc<GroupView>>>>,
}

impl Views {
    pub(crate) fn publish(&self, state: &GroupState) {
        let view = Arc::new(GroupView::of(state));
        self.groups.write().insert((Arc::clone(&state.file), state.group.name.clone()), view);
    }

    pub(crate) fn remove(&self, key: &GroupKey) {
        self.groups.write().remove(key);
    }

    pub(crate) fn all(&self) -> Vec<Arc<GroupView>> {
        self.groups.read().values().cloned().collect()
    }
}
