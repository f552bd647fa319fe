//! What the outside sees of groups: copies made after each evaluation, so that nobody waits for one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use model::TenantId;
use parking_lot::RwLock;
use tokio::sync::watch;

use crate::alert::{Alert, AlertState};
use crate::evaluate::state::{GroupState, Health};
use crate::group::GroupKey;
use crate::rule_file::RuleGroup;

/// A group as it was after its last evaluation.
#[derive(Debug, Clone)]
pub(crate) struct GroupView {
    pub(crate) key: GroupKey,
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
            key: state.key.clone(),
            group: Arc::clone(&state.group),
            interval_ms: state.interval_ms,
            last_evaluation: state.last_evaluation,
            seconds: state.seconds,
            rules: state.rules.iter().map(rule).collect(),
        }
    }
}

/// A group that is shown, and which of the tasks that it has had may show it.
#[derive(Debug)]
struct Shown {
    task: u64,
    view: Arc<GroupView>,
}

/// A tenant's groups by file and name.
type OfTenant = BTreeMap<(Arc<str>, Arc<str>), Shown>;

/// All groups of this process. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Views {
    tenants: Arc<RwLock<HashMap<TenantId, OfTenant>>>,
    /// Whether these are the groups that this ruler is to evaluate: not at the start, and not while rulers come and go.
    settled: Arc<watch::Sender<bool>>,
}

impl Views {
    /// Says whether all groups that should be here are.
    pub(crate) fn settle(&self, settled: bool) {
        self.settled.send_if_modified(|now| std::mem::replace(now, settled) != settled);
    }

    /// Waits until all groups that should be here are; `false` if that takes longer than `within`.
    pub(crate) async fn settled(&self, within: Duration) -> bool {
        let mut settled = self.settled.subscribe();
        tokio::time::timeout(within, settled.wait_for(|settled| *settled)).await.is_ok_and(|seen| seen.is_ok())
    }

    /// Shows a group before its first evaluation. From now on only `task` shows it: one that went before may still end an evaluation.
    pub(crate) fn open(&self, state: &GroupState, task: u64) {
        let view = Arc::new(GroupView::of(state));
        let mut tenants = self.tenants.write();
        let groups = tenants.entry(state.key.tenant.clone()).or_default();
        groups.insert((Arc::clone(&state.key.file), Arc::clone(&state.key.name)), Shown { task, view });
    }

    /// Shows a group after an evaluation, if the task still may.
    pub(crate) fn publish(&self, state: &GroupState, task: u64) {
        let view = Arc::new(GroupView::of(state));
        let mut tenants = self.tenants.write();
        let groups = tenants.get_mut(&state.key.tenant);
        let name = (Arc::clone(&state.key.file), Arc::clone(&state.key.name));
        if let Some(shown) = groups.and_then(|groups| groups.get_mut(&name)).filter(|shown| shown.task == task) {
            shown.view = view;
        }
    }

    pub(crate) fn remove(&self, key: &GroupKey) {
        let mut tenants = self.tenants.write();
        let Some(groups) = tenants.get_mut(&key.tenant) else { return };
        groups.remove(&(Arc::clone(&key.file), Arc::clone(&key.name)));
        if groups.is_empty() {
            tenants.remove(&key.tenant);
        }
    }

    /// A tenant's groups, ordered by file and name.
    pub(crate) fn of(&self, tenant: &TenantId) -> Vec<Arc<GroupView>> {
        let tenants = self.tenants.read();
        tenants.get(tenant).into_iter().flat_map(BTreeMap::values).map(|shown| Arc::clone(&shown.view)).collect()
    }
}
