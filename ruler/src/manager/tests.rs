use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::TenantId;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use promql::{ParseOptions, QueryValue};
use rpc::QueryRunner;
use runtime::clock::{Clock, SharedClock};
use runtime::{ShutdownTrigger, Tasks};
use tokio::sync::{Notify as Wake, Semaphore};

use super::{Manager, Shared};
use crate::config::Config;
use crate::evaluate::Evaluator;
use crate::metrics::Metrics;
use crate::notify::Notifier;
use crate::rule_file::parse;
use crate::source::{RuleSet, RuleSource};
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
        Ok(vec![RuleSet { file: "f".into(), groups: groups.into_iter().map(Arc::new).collect() }])
    }
}

async fn names(store: &Store, evaluator: &Evaluator, clock: &SharedClock) -> Vec<String> {
    let result = store.instant(&evaluator.context(), "{__name__!=\"\"}", clock.now_ms(), None).await.expect("a result");
    let QueryValue::Vector(series) = result.value else { panic!("a vector") };
    let mut names: Vec<_> = series.iter().map(|s| s.labels.get("__name__").unwrap_or("").to_owned()).collect();
    names.sort();
    names
}

#[tokio::test(start_paused = true)]
async fn rules_change_while_they_run() {
    let clock: SharedClock = Arc::new(TokioClock { start: tokio::time::Instant::now() });
    let store = Store::new(60_000);
    let evaluator = Evaluator {
        tenant: TenantId::anonymous(),
        query: Arc::new(store.clone()),
        write: Arc::new(store.clone()),
        clock: Arc::clone(&clock),
        timeout: Duration::from_secs(5),
        query_offset_ms: 0,
        resend_delay_ms: 60_000,
        external_labels: Arc::new(BTreeMap::new()),
        external_url: "".into(),
    };
    let (config, metrics) = (Config::default(), Metrics::register(&mut Registry::default()));
    let (trigger, shutdown) = ShutdownTrigger::new();
    let shared = Shared {
        notifier: Notifier::new(&config, Arc::clone(&clock), metrics.clone()).expect("a client"),
        evaluator: evaluator.clone(),
        metrics: metrics.clone(),
        views: Views::default(),
        permits: Arc::new(Semaphore::new(2)),
        grace: config.grace(),
        tasks: Tasks::new(),
        shutdown,
    };
    let (views, tasks) = (shared.views.clone(), shared.tasks.clone());
    let rules = |names: &[&str]| {
        let rules: String = names.iter().map(|n| format!("  - {{record: {n}, expr: vector(1)}}\n")).collect();
        format!("groups:\n- name: g\n  interval: 10s\n  rules:\n{rules}")
    };
    let source = Arc::new(Changing::default());
    *source.0.lock() = rules(&["a", "b"]);
    let loaded = source.load().expect("rules");
    let reload = Arc::new(Wake::new());
    let manager = Manager::new(shared, Arc::clone(&source) as _, 60_000, loaded);
    let running = tasks.spawn("manager", manager.run(Duration::from_secs(3_600), Arc::clone(&reload)));

    let later = |seconds| tokio::time::sleep(Duration::from_secs(seconds));
    later(11).await;
    assert_eq!(names(&store, &evaluator, &clock).await, ["a", "b"]);
    *source.0.lock() = rules(&["b", "c"]);
    reload.notify_one();
    later(12).await;
    assert_eq!(names(&store, &evaluator, &clock).await, ["b", "c"], "a has ended with its rule");
    *source.0.lock() = "groups: [{name: g, rules: [{record: x}]}]".to_owned();
    reload.notify_one();
    later(12).await;
    assert_eq!((metrics.reload_successful.get(), metrics.reloads.get()), (0, 1));
    assert_eq!(names(&store, &evaluator, &clock).await, ["b", "c"], "wrong rules change nothing");
    *source.0.lock() = "groups: []".to_owned();
    reload.notify_one();
    later(12).await;
    assert_eq!((views.all().len(), metrics.groups.get(), metrics.reload_successful.get()), (0, 0, 1));
    later(20).await;
    assert_eq!(names(&store, &evaluator, &clock).await, [""; 0], "the series of a group that is gone end after two intervals");
    trigger.fire();
    running.await.expect("an orderly end");
    assert!(metrics.iterations.get() >= 3 && metrics.evaluation_failures.get() == 0);
}
