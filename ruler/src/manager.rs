//! The running groups: a task for each, and what happens when rules or rulers change.
//!
//! A group that changes is stopped between two evaluations and hands its state to its successor: alerts go on, series that no rule writes any
//! more are marked stale. A group that is gone leaves its series for two more intervals, in which another group may take them up. A group that
//! another ruler evaluates from now on just ends here: its series go on there. Nothing waits for the end of an evaluation but the successor.

mod run;
#[cfg(test)]
mod tests;
mod turns;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use model::TenantId;
use ring::{ClusterSnapshot, InstanceId, Ring};
use runtime::{Shutdown, Tasks};
use tokio::sync::{Notify as Wake, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::alert::Grace;
use crate::evaluate::Evaluator;
use crate::evaluate::state::GroupState;
use crate::group::GroupKey;
use crate::metrics::Metrics;
use crate::notify::Notifier;
use crate::rule_file::RuleGroup;
use crate::shard;
use crate::source::{RuleSet, RuleSource};
use crate::stored::Stored;
use crate::view::Views;
pub(crate) use turns::Turns;

/// Groups that one process evaluates: each costs a task.
const MAX_GROUPS: usize = 20_000;

/// What every group's task uses.
#[derive(Clone)]
pub(crate) struct Shared {
    /// Its tenant is set for each group.
    pub(crate) evaluator: Evaluator,
    pub(crate) notifier: Notifier,
    pub(crate) metrics: Metrics,
    pub(crate) views: Views,
    /// Bounds how many groups are evaluated at a time.
    pub(crate) turns: Turns,
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

/// Where groups come from and which of them are this ruler's.
pub(crate) struct Sources {
    /// Rule files.
    pub(crate) files: Arc<dyn RuleSource>,
    /// Groups in object storage.
    pub(crate) stored: Stored,
    /// The name of this ruler in the cluster.
    pub(crate) me: InstanceId,
    /// The cluster.
    pub(crate) cluster: watch::Receiver<Arc<ClusterSnapshot>>,
}

/// When sources are looked at.
#[derive(Debug, Clone)]
pub(crate) struct Polls {
    pub(crate) files: Duration,
    pub(crate) stored: Duration,
    /// Look at the files now, and say that it was asked for.
    pub(crate) reload: Arc<Wake>,
    /// Look at the object store now.
    pub(crate) sync: Arc<Wake>,
}

/// Loads rules and keeps their groups running.
pub(crate) struct Manager {
    shared: Shared,
    sources: Sources,
    default_interval_ms: i64,
    /// The files' rules that were loaded last.
    loaded: Vec<RuleSet>,
    rulers: Ring,
    running: BTreeMap<GroupKey, Running>,
    /// All groups of the cluster when groups were last started and stopped.
    known: BTreeSet<GroupKey>,
    /// Whether groups that come now may have been evaluated before, here or by another ruler.
    returning: bool,
    /// Numbers the tasks.
    tasks: u64,
}

impl Manager {
    /// A manager of rules that were loaded before.
    pub(crate) fn new(shared: Shared, sources: Sources, default_interval_ms: i64, loaded: Vec<RuleSet>) -> Self {
        let rulers = shard::rulers(&sources.cluster.borrow());
        let (running, known) = (BTreeMap::new(), BTreeSet::new());
        Self { shared, sources, default_interval_ms, loaded, rulers, running, known, returning: true, tasks: 0 }
    }

    /// Evaluates until shutdown is requested; looks for other rules at the intervals of `polls` and when they say so, and whenever rulers come and go.
    pub(crate) async fn run(mut self, polls: Polls) {
        let mut shutdown = self.shared.shutdown.clone();
        let mut cluster = self.sources.cluster.clone();
        let (mut files, mut stored) = (ticks(polls.files), ticks(polls.stored));
        // Not yet seen whatever has come since `new`.
        cluster.mark_changed();
        self.apply();
        loop {
            tokio::select! {
                () = shutdown.requested() => break,
                () = polls.reload.notified() => {
                    self.reload(true).await;
                    polls.sync.notify_one();
                }
                _ = files.tick() => self.reload(false).await,
                _ = stored.tick() => self.sync(true).await,
                () = polls.sync.notified() => self.sync(true).await,
                // Nobody tells any more only when the process ends.
                Ok(()) = cluster.changed() => self.follow(&cluster).await,
            }
        }
        for running in self.running.into_values() {
            running.stop.send_replace(true);
            // A group that panicked is logged by the panic hook.
            let _ = running.task.await;
        }
    }

    /// Looks at the rule files. `asked`: say so also when nothing has changed.
    async fn reload(&mut self, asked: bool) {
        let source = Arc::clone(&self.sources.files);
        let Ok(loaded) = self.shared.tasks.spawn_blocking(move || source.load()).await else { return };
        match loaded.and_then(check_count) {
            Ok(sets) if sets == self.loaded => {
                self.shared.metrics.reload_successful.set(1);
                if asked {
                    tracing::info!("rule files have not changed");
                }
            }
            Ok(sets) => {
                self.loaded = sets;
                self.apply();
                self.shared.metrics.reload_successful.set(1);
                self.shared.metrics.reloads.inc();
                tracing::info!(groups = self.running.len(), "rule files have changed");
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

    /// Looks at the stored groups: lists them (`list`), or just reads those that have become this ruler's.
    async fn sync(&mut self, list: bool) {
        let mut shutdown = self.shared.shutdown.clone();
        let (stored, metrics) = (&mut self.sources.stored, &self.shared.metrics);
        let (rulers, me) = (&self.rulers, &self.sources.me);
        let look = async {
            if list && let Err(error) = stored.list().await {
                if metrics.sync_successful.set(0) != 0 {
                    tracing::error!(%error, "stored rule groups cannot be listed; those known stay in force");
                }
                return false;
            }
            let failed = stored.read(|key| owns(rulers, me, key)).await;
            metrics.unreadable.set(count(failed));
            metrics.sync_successful.set(1);
            true
        };
        let done = tokio::select! {
            () = shutdown.requested() => return,
            done = look => done,
        };
        self.apply();
        if done && list {
            self.returning = false;
            // A ruler that is not in the ring yet has nothing, and would say so.
            self.shared.views.settle(self.rulers.instances().iter().any(|ruler| ruler.id == self.sources.me));
        }
    }

    /// Takes up a change of the cluster: lets groups go at once, then takes those that have become this ruler's.
    async fn follow(&mut self, cluster: &watch::Receiver<Arc<ClusterSnapshot>>) {
        let rulers = shard::rulers(&cluster.borrow());
        if shard::same_rulers(&rulers, &self.rulers) {
            return;
        }
        tracing::info!(rulers = rulers.instances().len(), "rulers have come or gone");
        self.rulers = rulers;
        self.returning = true;
        self.shared.views.settle(false);
        self.apply();
        // With a new listing: whoever has gone may have been told of groups that this ruler has not heard of.
        self.sync(true).await;
    }

    /// Starts and stops groups as the sources say.
    fn apply(&mut self) {
        let (rulers, me) = (&self.rulers, &self.sources.me);
        let files = self.loaded.iter().flat_map(|set| set.groups.iter().map(move |group| (set, group)));
        let files: BTreeMap<_, _> =
            files.map(|(set, group)| (GroupKey::new(&set.tenant, &set.file, &group.name), Arc::clone(group))).collect();
        let known: BTreeSet<GroupKey> = files.keys().chain(self.sources.stored.listed()).cloned().collect();
        let own = |key: &GroupKey| owns(rulers, me, key);
        // A namespace with the name of a rule file: the file counts.
        let stored = self.sources.stored.groups(own).filter(|(key, _)| !files.contains_key(key));
        let owned = files.iter().filter(|(key, _)| own(key)).map(|(key, group)| (key.clone(), Arc::clone(group)));
        let mut wanted: Vec<_> = owned.chain(stored).collect();
        if wanted.len() > MAX_GROUPS {
            tracing::error!(groups = wanted.len(), max = MAX_GROUPS, "more rule groups than one ruler evaluates; run more rulers");
            wanted.truncate(MAX_GROUPS);
        }
        self.bring(wanted, &known);
        self.known = known;
    }

    fn bring(&mut self, wanted: Vec<(GroupKey, Arc<RuleGroup>)>, known: &BTreeSet<GroupKey>) {
        let mut old = std::mem::take(&mut self.running);
        let mut rules = 0;
        for (key, group) in wanted {
            rules += group.rules.len();
            let running = match old.remove(&key) {
                Some(running) if is_same(&running.group, &group) && !running.task.is_finished() => running,
                Some(running) => {
                    running.stop.send_replace(true);
                    self.start(&key, group, true, Some(running.task))
                }
                None => {
                    let returns = self.returning || self.known.contains(&key);
                    self.start(&key, group, !returns, None)
                }
            };
            self.running.insert(key, running);
        }
        for (key, running) in old {
            running.stop.send_replace(true);
            self.shared.views.remove(&key);
            if !known.contains(&key) {
                self.retire(&key.tenant, running.task);
            }
        }
        let tenants: BTreeSet<&TenantId> = self.running.keys().map(|key| &key.tenant).collect();
        self.shared.turns.keep(&tenants);
        self.shared.metrics.groups.set(count(self.running.len()));
        self.shared.metrics.rules.set(count(rules));
    }

    /// Starts a group's task, which waits for the one `before` and takes its state over. `restored` if alerts have no state to be looked up.
    fn start(&mut self, key: &GroupKey, group: Arc<RuleGroup>, restored: bool, before: Option<JoinHandle<GroupState>>) -> Running {
        let (stop, stopped) = watch::channel(false);
        self.tasks += 1;
        let number = self.tasks;
        let mut state = GroupState::new(key.clone(), Arc::clone(&group), self.default_interval_ms, restored);
        let shared = self.shared.of(&key.tenant);
        shared.views.open(&state, number);
        let task = self.shared.tasks.spawn("rule group", async move {
            if let Some(before) = before
                && let Ok(before) = before.await
            {
                state.take_over(before);
            }
            run::group(shared, number, state, stopped).await
        });
        Running { group, stop, task }
    }

    fn retire(&self, tenant: &TenantId, task: JoinHandle<GroupState>) {
        let shared = self.shared.of(tenant);
        self.shared.tasks.spawn("retired rule group", async move {
            if let Ok(state) = task.await {
                run::retired(shared, state).await;
            }
        });
    }
}

impl Shared {
    /// The same for the groups of a tenant.
    fn of(&self, tenant: &TenantId) -> Self {
        let mut shared = self.clone();
        shared.evaluator.tenant = tenant.clone();
        shared
    }
}

fn owns(rulers: &Ring, me: &InstanceId, key: &GroupKey) -> bool {
    shard::owner(rulers, &key.tenant, &key.file, &key.name).is_some_and(|owner| owner.id == *me)
}

fn is_same(a: &Arc<RuleGroup>, b: &Arc<RuleGroup>) -> bool {
    Arc::ptr_eq(a, b) || a == b
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Ticks at once and then every `period`; what is missed is not made up for.
fn ticks(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Refuses more groups than can be run.
pub(crate) fn check_count(sets: Vec<RuleSet>) -> Result<Vec<RuleSet>, Vec<String>> {
    let groups: usize = sets.iter().map(|s| s.groups.len()).sum();
    if groups > MAX_GROUPS { Err(vec![format!("rule files hold {groups} groups, at most {MAX_GROUPS} are run")]) } else { Ok(sets) }
}
