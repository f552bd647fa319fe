//! The ruler as a whole.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use model::TenantId;
use prometheus_client::registry::Registry;
use promql::ParseOptions;
use rpc::{QueryRunner, WritePath};
use runtime::clock::SharedClock;
use runtime::{Shutdown, Tasks};
use tokio::sync::{Notify as Wake, Semaphore};

use crate::config::{Config, ms};
use crate::error::StartError;
use crate::evaluate::Evaluator;
use crate::http;
use crate::manager::{Manager, Shared, check_count};
use crate::metrics::Metrics;
use crate::notify::Notifier;
use crate::source::{FileSource, RuleSource};
use crate::view::Views;

/// What the ruler needs from others.
pub struct Deps<'a> {
    /// Time.
    pub clock: SharedClock,
    /// Owner of the groups' tasks.
    pub tasks: Tasks,
    /// Runs the rules' queries.
    pub query: Arc<dyn QueryRunner>,
    /// Takes the rules' results.
    pub write: Arc<dyn WritePath>,
    /// Ends the evaluation.
    pub shutdown: Shutdown,
    /// How expressions are parsed: as the query path does.
    pub parse: ParseOptions,
    /// Where metrics are registered.
    pub registry: &'a mut Registry,
}

/// A ruler with its rules loaded; [`Service::run`] evaluates them.
pub struct Service {
    manager: Manager,
    notifier: Notifier,
    tasks: Tasks,
    shutdown: Shutdown,
    poll: Duration,
    handle: Handle,
}

/// The doors of a ruler. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(crate) views: Views,
    pub(crate) tenant: TenantId,
    pub(crate) alertmanagers: Arc<[String]>,
    reload: Arc<Wake>,
}

/// Loads the rules and makes a ruler of them. Rules that are wrong are an error: better no start than no alerts.
pub fn build(config: &Config, deps: Deps<'_>) -> Result<Service, StartError> {
    config.validate().map_err(StartError::Config)?;
    let tenant = TenantId::new(&config.tenant).map_err(|e| StartError::Config(format!("ruler.tenant: {e}")))?;
    let source: Arc<dyn RuleSource> = Arc::new(FileSource::new(&config.rule_files, deps.parse));
    let loaded = source.load().and_then(check_count).map_err(|errors| StartError::Rules(errors.join("\n")))?;
    let metrics = Metrics::register(deps.registry);
    let notifier = Notifier::new(config, Arc::clone(&deps.clock), metrics.clone()).map_err(|e| StartError::Client(e.to_string()))?;
    let evaluator = Evaluator {
        tenant: tenant.clone(),
        query: deps.query,
        write: deps.write,
        clock: deps.clock,
        timeout: config.timeout(),
        query_offset_ms: ms(config.query_offset_seconds),
        resend_delay_ms: ms(config.resend_delay_seconds),
        external_labels: Arc::new(config.external_labels.clone()),
        external_url: config.external_url.as_str().into(),
    };
    let views = Views::default();
    let shared = Shared {
        evaluator,
        notifier: notifier.clone(),
        metrics,
        views: views.clone(),
        permits: Arc::new(Semaphore::new(config.max_concurrent_groups)),
        grace: config.grace(),
        tasks: deps.tasks.clone(),
        shutdown: deps.shutdown.clone(),
    };
    let handle = Handle { views, tenant, alertmanagers: notifier.urls().map(str::to_owned).collect(), reload: Arc::new(Wake::new()) };
    let manager = Manager::new(shared, source, ms(config.evaluation_interval_seconds), loaded);
    let poll = Duration::from_secs(config.poll_interval_seconds);
    Ok(Service { manager, notifier, tasks: deps.tasks, shutdown: deps.shutdown, poll, handle })
}

impl Service {
    /// The doors.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Evaluates and tells Alertmanagers until shutdown is requested; the evaluations at hand are finished.
    pub async fn run(self) {
        for which in 0..self.notifier.len() {
            self.tasks.spawn("alertmanager", self.notifier.clone().run(which, self.shutdown.clone()));
        }
        self.manager.run(self.poll, self.handle.reload).await;
    }
}

impl Handle {
    /// Looks for changed rules now.
    pub fn reload(&self) {
        self.reload.notify_one();
    }

    /// `rules`, `alerts` and `alertmanagers` of the Prometheus API, relative to its prefix. Needs the tenant as a request extension.
    pub fn router(&self) -> Router {
        http::router(self.clone())
    }
}
