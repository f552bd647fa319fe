//! The ruler as a whole.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use bucket::Bucket;
use limits::LimitsProvider;
use model::TenantId;
use prometheus_client::registry::Registry;
use ring::{ClusterSnapshot, InstanceId};
use rpc::{CallContext, QueryRunner, RpcError, RpcErrorKind, RulerClient, RulerPool, RulesGroup, RulesRequest, WritePath};
use runtime::clock::SharedClock;
use runtime::{Shutdown, Tasks};
use tokio::sync::{Notify as Wake, watch};

use crate::cluster::{self, Cluster};
use crate::config::{Config, ms};
use crate::error::StartError;
use crate::evaluate::Evaluator;
use crate::http;
use crate::manager::{Manager, Polls, Shared, Sources, Turns, check_count};
use crate::metrics::Metrics;
use crate::notify::Notifier;
use crate::source::{FileSource, RuleSource};
use crate::store::RuleStore;
use crate::stored::{ParseFor, Stored};
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
    /// How a tenant's expressions are parsed: as the query path does.
    pub parse: ParseFor,
    /// Where the rule groups of tenants are.
    pub bucket: Bucket,
    /// Limits of tenants.
    pub limits: LimitsProvider,
    /// The name of this ruler in the cluster.
    pub id: InstanceId,
    /// The cluster.
    pub snapshot: watch::Receiver<Arc<ClusterSnapshot>>,
    /// The other rulers.
    pub rulers: Arc<dyn RulerPool>,
    /// Whether there are other tenants than [`TenantId::anonymous`]: their stored groups are evaluated, and Alertmanagers are told whose an alert is.
    pub multitenancy: bool,
    /// Where metrics are registered.
    pub registry: &'a mut Registry,
}

/// A ruler with its rule files loaded; [`Service::run`] evaluates them and what is stored.
pub struct Service {
    manager: Manager,
    notifier: Notifier,
    tasks: Tasks,
    shutdown: Shutdown,
    polls: Polls,
    handle: Handle,
}

/// The doors of a ruler. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(crate) views: Views,
    pub(crate) alertmanagers: Arc<[String]>,
    pub(crate) cluster: Cluster,
    pub(crate) store: RuleStore,
    pub(crate) parse: ParseFor,
    pub(crate) limits: LimitsProvider,
    reload: Arc<Wake>,
    sync: Arc<Wake>,
}

/// Loads the rule files and makes a ruler. Files that are wrong are an error: better no start than no alerts. The object store is not asked yet.
pub fn build(config: &Config, deps: Deps<'_>) -> Result<Service, StartError> {
    config.validate().map_err(StartError::Config)?;
    let tenant = TenantId::new(&config.tenant).map_err(|e| StartError::Config(format!("ruler.tenant: {e}")))?;
    let files: Arc<dyn RuleSource> = Arc::new(FileSource::new(tenant.clone(), &config.rule_files, (deps.parse)(&tenant)));
    let loaded = files.load().and_then(check_count).map_err(|errors| StartError::Rules(errors.join("\n")))?;
    let metrics = Metrics::register(deps.registry);
    let notifier = Notifier::new(config, deps.multitenancy, Arc::clone(&deps.clock), metrics.clone());
    let notifier = notifier.map_err(|e| StartError::Client(e.to_string()))?;
    let store = RuleStore::new(deps.bucket);
    let only = (!deps.multitenancy).then(TenantId::anonymous);
    let sources = Sources {
        files,
        stored: Stored::new(store.clone(), Arc::clone(&deps.parse), only),
        me: deps.id.clone(),
        cluster: deps.snapshot.clone(),
    };
    let (reload, sync) = (Arc::new(Wake::new()), Arc::new(Wake::new()));
    let views = Views::default();
    let shared = Shared {
        evaluator: evaluator(config, tenant, deps.query, deps.write, Arc::clone(&deps.clock)),
        notifier: notifier.clone(),
        metrics,
        views: views.clone(),
        turns: Turns::new(config.max_concurrent_groups, config.max_concurrent_groups_per_tenant),
        grace: config.grace(),
        tasks: deps.tasks.clone(),
        shutdown: deps.shutdown.clone(),
    };
    let handle = Handle {
        views,
        alertmanagers: notifier.urls().map(str::to_owned).collect(),
        cluster: Cluster { me: deps.id, snapshot: deps.snapshot, pool: deps.rulers, clock: deps.clock, tasks: deps.tasks.clone() },
        store,
        parse: deps.parse,
        limits: deps.limits,
        reload: Arc::clone(&reload),
        sync: Arc::clone(&sync),
    };
    let polls = Polls {
        files: Duration::from_secs(config.poll_interval_seconds),
        stored: Duration::from_secs(config.store_poll_interval_seconds),
        reload,
        sync,
    };
    let manager = Manager::new(shared, sources, ms(config.evaluation_interval_seconds), loaded);
    Ok(Service { manager, notifier, tasks: deps.tasks, shutdown: deps.shutdown, polls, handle })
}

fn evaluator(config: &Config, tenant: TenantId, query: Arc<dyn QueryRunner>, write: Arc<dyn WritePath>, clock: SharedClock) -> Evaluator {
    Evaluator {
        tenant,
        query,
        write,
        clock,
        timeout: config.timeout(),
        query_offset_ms: ms(config.query_offset_seconds),
        resend_delay_ms: ms(config.resend_delay_seconds),
        external_labels: Arc::new(config.external_labels.clone()),
        external_url: config.external_url.as_str().into(),
    }
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
        self.manager.run(self.polls).await;
    }
}

impl Handle {
    /// Looks for changed rules now.
    pub fn reload(&self) {
        self.reload.notify_one();
    }

    /// A tenant's stored groups have changed: this ruler and the others look now.
    pub(crate) fn changed(&self, tenant: &TenantId) {
        self.sync.notify_one();
        self.cluster.tell_others(tenant);
    }

    /// The tenant's groups of all rulers.
    pub(crate) async fn ask_all(&self, tenant: &TenantId, request: RulesRequest) -> Result<Vec<RulesGroup>, RpcError> {
        let ctx = self.cluster.context(tenant);
        let (own, others) = futures::try_join!(self.rules(&ctx, request.clone()), self.cluster.ask_others(&ctx, &request))?;
        Ok(cluster::merge(others.into_iter().chain([own])))
    }

    /// `rules`, `alerts` and `alertmanagers` of the Prometheus API and `rules/<namespace>…`, relative to its prefix. Needs the tenant as a request extension.
    pub fn router(&self) -> Router {
        http::router(self.clone())
    }

    /// The rules API of Mimir and Cortex, full paths. Needs the tenant as a request extension.
    pub fn config_router(&self) -> Router {
        http::config_router(self.clone())
    }
}

#[async_trait]
impl RulerClient for Handle {
    async fn rules(&self, ctx: &CallContext, request: RulesRequest) -> Result<Vec<RulesGroup>, RpcError> {
        if !self.views.settled(ctx.deadline.remaining(&*self.cluster.clock)).await {
            return Err(RpcError::unavailable("this ruler has not loaded its rules yet"));
        }
        http::select(&self.views.of(&ctx.tenant), &request).map_err(|problem| RpcError::new(RpcErrorKind::InvalidRequest, problem))
    }

    async fn sync(&self, _ctx: &CallContext) -> Result<(), RpcError> {
        self.sync.notify_one();
        Ok(())
    }
}
