//! The querier as a whole.

use std::sync::Arc;

use limits::LimitsProvider;
use prometheus_client::registry::Registry;
use ring::ClusterSnapshot;
use rpc::IngesterPool;
use runtime::Tasks;
use runtime::clock::SharedClock;
use tokio::sync::watch;

use crate::config::Config;
use crate::ingesters::Ingesters;
use crate::metrics::Metrics;
use crate::runner::Runner;

/// What the querier needs from others.
pub struct Deps {
    /// Time.
    pub clock: SharedClock,
    /// Tasks.
    pub tasks: Tasks,
    /// The cluster.
    pub snapshot: watch::Receiver<Arc<ClusterSnapshot>>,
    /// Clients of ingesters.
    pub ingesters: Arc<dyn IngesterPool>,
    /// Copies of each series.
    pub replication_factor: usize,
    /// Limits of tenants.
    pub limits: LimitsProvider,
}

/// The querier; cheap to clone. It has no task of its own: it works when it is asked.
#[derive(Clone)]
pub struct Querier {
    pub(crate) runner: Runner,
    pub(crate) ingesters: Ingesters,
    pub(crate) config: Config,
    pub(crate) limits: LimitsProvider,
    pub(crate) clock: SharedClock,
    pub(crate) metrics: Metrics,
}

impl Querier {
    /// Wires a querier.
    #[must_use]
    pub fn build(config: Config, deps: Deps, registry: &mut Registry) -> Self {
        let metrics = Metrics::register(registry);
        let ingesters = Ingesters::new(deps.snapshot, deps.ingesters, deps.replication_factor, config.straggler_wait(), metrics.clone());
        let runner =
            Runner::new(config.clone(), ingesters.clone(), deps.limits.clone(), Arc::clone(&deps.clock), deps.tasks, metrics.clone());
        Self { runner, ingesters, config, limits: deps.limits, clock: deps.clock, metrics }
    }

    /// What expressions of a tenant may say.
    #[must_use]
    pub fn parse_options(&self, tenant: &model::TenantId) -> promql::ParseOptions {
        self.runner.parse_options(tenant)
    }

    /// For the ruler.
    #[must_use]
    pub fn query_runner(&self) -> Arc<dyn rpc::QueryRunner> {
        Arc::new(self.runner.clone())
    }
}
