//! The querier as a whole.

use std::sync::Arc;

use bucket::BlockCache;
use limits::LimitsProvider;
use prometheus_client::registry::Registry;
use ring::ClusterSnapshot;
use rpc::IngesterPool;
use runtime::clock::SharedClock;
use runtime::{CpuPool, Tasks};
use tokio::sync::watch;

use crate::blocks::{Catalog, Store};
use crate::cardinality::SeriesCounter;
use crate::config::Config;
use crate::directory::Directory;
use crate::ingesters::{Home, Ingesters, Shards};
use crate::metrics::Metrics;
use crate::queryable::Sources;
use crate::runner::Runner;

/// Threads that read blocks. Most of the time they wait for the object store.
const BLOCK_READERS: usize = 32;

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
    /// Where this process is.
    pub home: Home,
    /// Copies of each series.
    pub replication_factor: usize,
    /// Limits of tenants.
    pub limits: LimitsProvider,
    /// Blocks; `None` without an object store.
    pub blocks: Option<BlockCache>,
}

/// The querier; cheap to clone. It has no task of its own: it works when it is asked.
#[derive(Clone)]
pub struct Querier {
    pub(crate) runner: Runner,
    pub(crate) directory: Directory,
    pub(crate) counter: SeriesCounter,
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
        // Without an object store, ingesters are the only ones for ever.
        let lookback_ms = if deps.blocks.is_some() { config.shard_lookback_ms() } else { 0 };
        let shards = Shards { limits: deps.limits.clone(), clock: Arc::clone(&deps.clock), lookback_ms };
        let (copies, wait) = (deps.replication_factor, config.straggler_wait());
        let ingesters = Ingesters::new(deps.snapshot, deps.ingesters, copies, shards, deps.home, wait, metrics.clone());
        let store = deps.blocks.map(|cache| {
            let catalog = Catalog::new(cache.bucket().clone(), Arc::clone(&deps.clock), config.bucket_index_refresh());
            Store::new(catalog, cache, CpuPool::new(BLOCK_READERS, deps.tasks.clone()), deps.limits.clone())
        });
        let sources = Sources { ingesters: ingesters.clone(), store: store.clone(), tasks: deps.tasks };
        let runner = Runner::new(config.clone(), sources, deps.limits.clone(), Arc::clone(&deps.clock), metrics.clone());
        let directory = Directory::new(ingesters.clone(), store);
        let counter = SeriesCounter::new(ingesters, deps.replication_factor);
        Self { runner, directory, counter, config, limits: deps.limits, clock: deps.clock, metrics }
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
