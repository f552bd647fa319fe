//! The running groups: a task for each, and what happens when rules change.
//!
//! A group that changes is stopped between two evaluations and hands its state to its successor: alerts go on, series that no rule writes any
//! more are marked stale. A group that is gone leaves its series for two more intervals, in which another group may take them up.

mod run;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use runtime::{Shutdown, Tasks};
use tokio::sync::{Notify as Wake, Semaphore, watch};
use tokio::task::JoinHandle;

use crate::alert::Grace;
use crate::evaluate::Evaluator;
use crate::evaluate::state::GroupState;
use crate::metrics::Metrics;
use crate::notify::Notifier;
use crate::rule_file::RuleGroup;
use crate::source::{RuleSet, RuleSource};
use crate::view::{GroupKey, Views};

/// Groups of all files together: each costs a task.
const MAX_GROUPS: usize = 20_000;

/// What every group's task uses.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) evaluator: Evaluator,
    pub(crate) notifier: Notifier,
    pub(crate) metrics: Metrics,
    pub(crate) views: Views,
    /// Bounds how many groups are evaluated at a time.
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) grace: Grace,
    pub(crate) tasks: Tasks,
    pub(crate) shutdown: Shutdown,
}

/// A group's task; it ends with the group's state.
struct Running {
    group: Arc<RuleGroup>,
    stop: watch::Sender<bool>,
    task: JoinHandle<GroupState>,
}

/// Loads rules and keeps their groups running.
pub(crate) struct Manager {
    shared: Shared,
    source: Arc<dyn RuleSource>,
    default_interval_ms: i64,
    loaded: Vec<RuleSet>,
    running: BTreeMap<GroupKey, Running>,
    /// Whether alerts of the groups that come may have a state from before a restart.
    first: bool,
}

impl Manager {
    /// A manager of rules that were loaded before.
    pub(crate) fn new(shared: Shared, source: Arc<dyn RuleSource>, default_interval_ms: i64, loaded: Vec<RuleSet>) -> Self {
        Self { shared, source, default_interval_ms, loaded, running: BTreeMap::new(), first: true }
    }

    /// Evaluates until shutdown is requested; looks for other rules every `poll`, and when `reload` says so.
    pub(crate) async fn run(mut self, poll: Duration, reload: Arc<Wake>) {
        let mut shutdown = self.shared.shutdown.clone();
        let sets = self.loaded.clone();
        self.apply(&sets).await;
        self.first = false;
        loop {
            let asked = tokio::select! {
                () = shutdown.requested() => break,
                () = reload.notified() => true,
                () = tokio::time::sleep(poll) => false,
            };
            self.reload(asked).await;
        }
        for running in self.running.into_values() {
            running.stop.send_replace(true);
            // A group that panicked is logged by the panic hook.
            let _ = running.task.await;
        }
    }

    async fn reload(&mut self, asked: bool) {
        let source = Arc::clone(&self.source);
        let Ok(loaded) = self.shared.tasks.spawn_blocking(move || source.load()).await else { return };
        match loaded.and_then(check_count) {
            Ok(sets) if sets == self.loaded => {
                self.shared.metrics.reload_successful.set(1);
                if asked {
                    tracing::info!("rules have not changed");
                }
            }
            Ok(sets) => {
                self.apply(&sets).await;
                self.loaded = sets;
                self.shared.metrics.reloads.inc();
                tracing::info!(groups = self.running.len(), "rules have changed");
            }
            Err(errors) => {
                // Told once for each kind of mistake, not every time that the files are looked at.
                if self.shared.metrics.reload_successful.set(0) != 0 || asked {
                    for error in errors {
                        tracing::error!(error, "rules could not be loaded; those loaded before stay in force");
                    }
                }
            }
        }
    }

    /// Brings the running groups to what `sets` say.
    async fn apply(&mut self, sets: &[RuleSet]) {
        let mut old = std::mem::take(&mut self.running);
        for set in sets {
            for group in &set.groups {
                let key = (Arc::clone(&set.file), group.name.clone());
                let running = match old.remove(&key) {
                    Some(running) if running.group == *group && !running.task.is_finished() => running,
                    Some(running) => self.succeed(running, &set.file, group).await,
                    None => self.start(GroupState::new(&set.file, Arc::clone(group), self.default_interval_ms, !self.first)),
                };
                self.running.insert(key, running);
            }
        }
        for (key, running) in old {
            self.retire(&key, running).await;
        }
        let rules: usize = sets.iter().flat_map(|s| &s.groups).map(|g| g.rules.len()).sum();
        self.shared.metrics.groups.set(i64::try_from(self.running.len()).unwrap_or(i64::MAX));
        self.shared.metrics.rules.set(i64::try_from(rules).unwrap_or(i64::MAX));
        self.shared.metrics.reload_successful.set(1);
    }

    async fn succeed(&self, running: Running, file: &Arc<str>, group: &Arc<RuleGroup>) -> Running {
        let mut state = GroupState::new(file, Arc::clone(group), self.default_interval_ms, true);
        if let Some(before) = end(running).await {
            state.take_over(before);
        }
        self.start(state)
    }

    fn start(&self, state: GroupState) -> Running {
        let (stop, stopped) = watch::channel(false);
        let group = Arc::clone(&state.group);
        self.shared.views.publish(&state);
        let task = self.shared.tasks.spawn("rule group", run::group(self.shared.clone(), state, stopped));
        Running { group, stop, task }
    }

    async fn retire(&self, key: &GroupKey, running: Running) {
        let state = end(running).await;
        self.shared.views.remove(key);
        if let Some(state) = state {
            self.shared.tasks.spawn("retired rule group", run::retired(self.shared.clone(), state));
        }
    }
}

/// Waits for the end of the evaluation at hand. `None` if the task has panicked.
async fn end(running: Running) -> Option<GroupState> {
    running.stop.send_replace(true);
    running.task.await.ok()
}

/// Refuses more groups than can be run.
pub(crate) fn check_count(sets: Vec<RuleSet>) -> Result<Vec<RuleSet>, Vec<String>> {
    let groups: usize = sets.iter().map(|s| s.groups.len()).sum();
    if groups > MAX_GROUPS { Err(vec![format!("rule files hold {groups} groups, at most {MAX_GROUPS} are run")]) } else { Ok(sets) }
}
