use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::TenantId;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use promql::{ParseOptions, QueryValue};
use ring::{ClusterSnapshot, Instance, InstanceId, InstanceState, Role};
use rpc::QueryRunner;
use runtime::clock::{Clock, SharedClock};
use runtime::{ShutdownTrigger, Tasks};
use tokio::sync::{Notify as Wake, watch};

use super::{Manager, Polls, Shared, Sources, Turns};
use crate::config::Config;
use crate::evaluate::Evaluator;
use crate::metrics::Metrics;
use crate::notify::Notifier;
use crate::rule_file::{parse, parse_group};
use crate::source::{RuleSet, RuleSource};
use crate::store::RuleStore;
use crate::stored::Stored;
use crate::unit_test::store::Store;
use crate::view::Views;

/// Tokio's time, which tests turn on by themselves, as a wall clock.
struct TokioClock {
    start: tokio::time::Instant,
}

impl Clock for TokioClock {
    fn now_ms(&self) -> i64 {
        1_700_000_000_000 + i64::try_from(self.start.elapsed().as_millis()).expect("a short test")
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// Rules that the test changes.
#[derive(Default)]
struct Changing(Mutex<String>);

impl RuleSource for Changing {
    fn load(&self) -> Result<Vec<RuleSet>, Vec<String>> {
        let groups = parse(&self.0.lock(), &ParseOptions::default())?;
        Ok(vec![RuleSet { tenant: TenantId::anonymous(), file: "f".into(), groups: groups.into_iter().map(Arc::new).collect() }])
    }
}

async fn names(store: &Store, evaluator: &Evaluator, clock: &SharedClock) -> Vec<String> {
    let result = store.instant(&evaluator.context(), "{__name__!=\"\"}", clock.now_ms(), None).await.expect("a result");
    let QueryValue::Vector(series) = result.value else { panic!("a vector") };
    let mut names: Vec<_> = series.iter().map(|s| s.labels.get("__name__").unwrap_or("").to_owned()).collect();
    names.sort();
    names
}

/// Everything around one ruler or several, which share store, bucket and cluster.
struct Rig {
    clock: SharedClock,
    store: Store,
    rules: RuleStore,
    source: Arc<Changing>,
    cluster: watch::Sender<Arc<ClusterSnapshot>>,
}

/// A ruler that runs.
struct Ruler {
    metrics: Metrics,
    views: Views,
    reload: Arc<Wake>,
    sync: Arc<Wake>,
    trigger: ShutdownTrigger,
    running: tokio::task::JoinHandle<()>,
}

fn tenant() -> TenantId {
    TenantId::anonymous()
}

fn cluster(rulers: &[&str]) -> Arc<ClusterSnapshot> {
    let ruler = |name: &&str| Instance {
        id: InstanceId::new(name).expect("a name"),
        role: Role::Ruler,
        address: format!("{name}:1"),
        zone: String::new(),
        state: InstanceState::Active,
        epoch: 1,
        registered_at_ms: 0,
        moved_at_ms: 0,
        emptied_at_ms: 0,
    };
    Arc::new(ClusterSnapshot { cluster_id: "c".to_owned(), version: 1, instances: rulers.iter().map(ruler).collect() })
}

impl Rig {
    fn new() -> Self {
        let clock: SharedClock = Arc::new(TokioClock { start: tokio::time::Instant::now() });
        let bucket = bucket::open("memory://", bucket::Settings::default(), Arc::clone(&clock), &mut Registry::default());
        Self {
            store: Store::new(60_000),
            rules: RuleStore::new(bucket.expect("a bucket in memory")),
            source: Arc::default(),
            cluster: watch::channel(cluster(&["one"])).0,
            clock,
        }
    }

    fn evaluator(&self) -> Evaluator {
        Evaluator {
            tenant: tenant(),
            query: Arc::new(self.store.clone()),
            write: Arc::new(self.store.clone()),
            clock: Arc::clone(&self.clock),
            timeout: Duration::from_secs(5),
            query_offset_ms: 0,
            resend_delay_ms: 60_000,
            external_labels: Arc::new(BTreeMap::new()),
            external_url: "".into(),
        }
    }

    fn ruler(&self, name: &str) -> Ruler {
        let config = Config { for_grace_period_seconds: 0, ..Config::default() };
        let metrics = Metrics::register(&mut Registry::default());
        let (trigger, shutdown) = ShutdownTrigger::new();
        let shared = Shared {
            notifier: Notifier::new(&config, false, Arc::clone(&self.clock), metrics.clone()).expect("a client"),
            evaluator: self.evaluator(),
            metrics: metrics.clone(),
            views: Views::default(),
            turns: Turns::new(2, 2),
            grace: config.grace(),
            tasks: Tasks::new(),
            shutdown,
        };
        let (views, tasks) = (shared.views.clone(), shared.tasks.clone());
        let sources = Sources {
            files: Arc::clone(&self.source) as _,
            stored: Stored::new(self.rules.clone(), Arc::new(|_| ParseOptions::default()), None),
            me: InstanceId::new(name).expect("a name"),
            cluster: self.cluster.subscribe(),
        };
        let loaded = self.source.load().expect("rules");
        let (reload, sync) = (Arc::new(Wake::new()), Arc::new(Wake::new()));
        let hour = Duration::from_secs(3_600);
        let polls = Polls { files: hour, stored: hour, reload: Arc::clone(&reload), sync: Arc::clone(&sync) };
        let running = tasks.spawn("manager", Manager::new(shared, sources, 60_000, loaded).run(polls));
        Ruler { metrics, views, reload, sync, trigger, running }
    }

    async fn names(&self) -> Vec<String> {
        names(&self.store, &self.evaluator(), &self.clock).await
    }

    /// Stores a group of one alert that fires after a minute, evaluated every ten seconds.
    async fn store_alert(&self, tenant: &TenantId, name: &str, expr: &str) {
        let text = format!("name: {name}\ninterval: 10s\nrules: [{{alert: {name}, expr: '{expr}', for: 60s}}]");
        let (group, _) = parse_group(&text, &ParseOptions::default()).expect("a group");
        self.rules.put(tenant, "ns/1", group).await.expect("stored");
    }
}

impl Ruler {
    /// Name and state of the alerts of all groups that this ruler shows.
    fn shown(&self, tenant: &TenantId) -> Vec<(String, &'static str, usize)> {
        let groups = self.views.of(tenant);
        groups.iter().map(|g| (g.key.name.to_string(), g.rules[0].state.as_str(), g.rules[0].alerts.len())).collect()
    }

    async fn end(self) {
        self.trigger.fire();
        self.running.await.expect("an orderly end");
    }
}

async fn later(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn file(names: &[&str]) -> String {
    let rules: String = names.iter().map(|n| format!("  - {{record: {n}, expr: vector(1)}}\n")).collect();
    format!("groups:\n- name: g\n  interval: 10s\n  rules:\n{rules}")
}

#[tokio::test(start_paused = true)]
async fn rules_change_while_they_run() {
    let rig = Rig::new();
    *rig.source.0.lock() = file(&["a", "b"]);
    let ruler = rig.ruler("one");
    later(11).await;
    assert_eq!(rig.names().await, ["a", "b"]);
    *rig.source.0.lock() = file(&["b", "c"]);
    ruler.reload.notify_one();
    later(12).await;
    assert_eq!(rig.names().await, ["b", "c"], "a has ended with its rule");
    *rig.source.0.lock() = "groups: [{name: g, rules: [{record: x}]}]".to_owned();
    ruler.reload.notify_one();
    later(12).await;
    assert_eq!((ruler.metrics.reload_successful.get(), ruler.metrics.reloads.get()), (0, 1));
    assert_eq!(rig.names().await, ["b", "c"], "wrong rules change nothing");
    *rig.source.0.lock() = "groups: []".to_owned();
    ruler.reload.notify_one();
    later(12).await;
    assert_eq!((ruler.views.of(&tenant()).len(), ruler.metrics.groups.get(), ruler.metrics.reload_successful.get()), (0, 0, 1));
    later(20).await;
    assert_eq!(rig.names().await, [""; 0], "the series of a group that is gone end after two intervals");
    assert!(ruler.metrics.iterations.get() >= 3 && ruler.metrics.evaluation_failures.get() == 0);
    ruler.end().await;
}

#[tokio::test(start_paused = true)]
async fn stored_groups_come_change_and_go() {
    let (rig, other) = (Rig::new(), TenantId::new("other").expect("a tenant"));
    let ruler = rig.ruler("one");
    later(1).await;
    rig.store_alert(&tenant(), "A", "vector(1)").await;
    rig.store_alert(&other, "B", "vector(1)").await;
    ruler.sync.notify_one();
    later(12).await;
    assert_eq!(ruler.shown(&tenant()), [("A".to_owned(), "pending", 1)]);
    assert_eq!(ruler.shown(&other), [("B".to_owned(), "pending", 1)]);
    later(70).await;
    assert_eq!(ruler.shown(&tenant()), [("A".to_owned(), "firing", 1)]);
    rig.store_alert(&tenant(), "A", "vector(2) > 1").await;
    ruler.sync.notify_one();
    later(12).await;
    assert_eq!(ruler.shown(&tenant()), [("A".to_owned(), "firing", 1)], "another expression, the same alert");
    rig.rules.delete(&tenant(), "ns/1", "A").await.expect("deleted");
    ruler.sync.notify_one();
    later(35).await;
    assert_eq!((ruler.shown(&tenant()), ruler.shown(&other).len()), (vec![], 1));
    assert_eq!(ruler.metrics.sync_successful.get(), 1);
    ruler.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_wrong_group_leaves_the_last_right_one_in_force() {
    let rig = Rig::new();
    let ruler = rig.ruler("one");
    later(1).await;
    rig.store_alert(&tenant(), "A", "vector(1)").await;
    ruler.sync.notify_one();
    later(12).await;
    rig.store_alert(&tenant(), "B", "vector(1)").await;
    let (mut wrong, _) = parse_group("name: A\nrules: [{record: r, expr: up}]", &ParseOptions::default()).expect("a group");
    wrong.rules[0].expr = "sum(".to_owned();
    rig.rules.put(&tenant(), "ns/1", wrong).await.expect("stored");
    ruler.sync.notify_one();
    later(12).await;
    let names: Vec<String> = ruler.shown(&tenant()).into_iter().map(|(name, _, _)| name).collect();
    assert_eq!((names, ruler.metrics.unreadable.get()), (vec!["A".to_owned(), "B".to_owned()], 1));
    ruler.end().await;
}

#[tokio::test(start_paused = true)]
async fn groups_follow_the_ring_and_alerts_go_on() {
    let rig = Rig::new();
    for i in 0..12 {
        rig.store_alert(&tenant(), &format!("A{i}"), "vector(1)").await;
    }
    *rig.source.0.lock() = file(&["r"]);
    let (one, two) = (rig.ruler("one"), rig.ruler("two"));
    later(80).await;
    assert_eq!((one.shown(&tenant()).len(), two.shown(&tenant()).len()), (13, 0), "whoever is not in the ring has none");
    rig.cluster.send_replace(cluster(&["one", "two"]));
    later(60).await;
    let (of_one, of_two) = (one.shown(&tenant()), two.shown(&tenant()));
    assert_eq!(of_one.len() + of_two.len(), 13);
    assert!(of_one.len() > 1 && of_two.len() > 1, "both have some");
    assert!(of_one.iter().all(|g| !of_two.contains(g)));
    // One is gone as far as the cluster knows.
    rig.cluster.send_replace(cluster(&["two"]));
    // Two evaluations until the state is looked up, and one more.
    later(31).await;
    let moved = two.shown(&tenant());
    assert_eq!(moved.len(), 13);
    let firing = moved.iter().filter(|(_, state, _)| *state == "firing").count();
    assert_eq!(firing, 12, "`for` does not begin anew: {moved:?}");
    assert_eq!(one.shown(&tenant()), []);
    assert_eq!(one.metrics.evaluation_failures.get() + two.metrics.evaluation_failures.get(), 0);
    one.end().await;
    two.end().await;
}
