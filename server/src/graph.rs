//! All wiring, in dependency order, and the order in which it stops.
//!
//! ```text
//! start:  listeners bound -> coordinator -> watch -> ingester -> distributor, querier -> compactor, ruler -> gRPC and HTTP served -> members registered
//! stop:   not ready -> HTTP finishes its requests -> ruler finishes its evaluations -> ingester LEAVING, drained, log on disk -> gRPC -> members leave -> coordinator
//! ```
//!
//! The HTTP listener goes first, because what it has accepted still needs everything behind it; the coordinator last, because the others
//! tell it that they go.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use limits::LimitsProvider;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use ring::{InstanceId, InstanceState, Role};
use rpc::{
    Channels, ClusterIdentity, ClusterWatch, CoordinatorClient, CoordinatorOperator, GrpcCoordinatorClient, GrpcIngesterPool, IngesterPool,
    KeyStore, Membership,
};
use runtime::clock::{SharedClock, SystemClock};
use runtime::{Shutdown, ShutdownTrigger, Tasks};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::service::RoutesBuilder;

use crate::config::Config;
use crate::http::admin::Admin;
use crate::http::readiness::{Readiness, State};
use crate::http::{HttpMetrics, Routes};
use crate::target::Target;

mod grpc;
mod identity;
mod members;
mod overrides;
mod roles;

use identity::Identity;
pub use identity::instance_name;
use members::Members;

/// How long telling the coordinator that a member goes may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// A running process.
pub struct Server {
    http_addr: SocketAddr,
    grpc_addr: SocketAddr,
    drain_timeout: Duration,
    tasks: Tasks,
    readiness: Readiness,
    http: JoinHandle<()>,
    ruler: Option<Stage>,
    ingester: Option<Stage>,
    own_ingester: Option<ingester::Ingester>,
    grpc: Stage,
    members: Members,
    coordinator: Option<coordinator::Coordinator>,
    /// Ends what outlives the drain: membership, watch, coordinator.
    last: ShutdownTrigger,
    failures: mpsc::Receiver<anyhow::Error>,
}

/// A task that ends when its trigger fires.
struct Stage {
    trigger: ShutdownTrigger,
    task: JoinHandle<()>,
}

impl Stage {
    async fn end(self, within: Duration, what: &str) {
        self.trigger.fire();
        if tokio::time::timeout(within, self.task).await.is_err() {
            tracing::warn!(what, "did not end within {within:?}");
        }
    }
}

/// What every part is given.
struct Parts {
    config: Config,
    identity: Identity,
    clock: SharedClock,
    tasks: Tasks,
    readiness: Readiness,
    limits: LimitsProvider,
    channels: Channels,
    cluster: ClusterIdentity,
    failures: mpsc::Sender<anyhow::Error>,
    last: Shutdown,
}

impl Server {
    /// Starts everything that `config.target` names. HTTP stops taking requests when `shutdown` fires; the rest stops in [`Server::drain`].
    pub async fn start(config: Config, shutdown: Shutdown) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&config.data_dir).with_context(|| format!("make the data directory {}", config.data_dir.display()))?;
        let http_listener = bind(config.http_listen, "http_listen").await?;
        let grpc_listener = bind(config.grpc_listen, "grpc_listen").await?;
        let (http_addr, grpc_addr) = (http_listener.local_addr()?, grpc_listener.local_addr()?);
        let clock = SystemClock::shared();
        let (failures_tx, failures) = mpsc::channel(8);
        let (last, last_shutdown) = ShutdownTrigger::new();
        let parts = Parts {
            identity: Identity::resolve(&config, grpc_addr)?,
            tasks: Tasks::new(),
            readiness: Readiness::default(),
            limits: LimitsProvider::new(config.limits.clone()),
            channels: Channels::new(Arc::clone(&clock)),
            cluster: ClusterIdentity::new(),
            failures: failures_tx,
            last: last_shutdown,
            clock,
            config,
        };
        tracing::info!(
            version = runtime::build_info::VERSION, roles = %parts.config.target, instance = %parts.identity.id, zone = parts.config.zone,
            %http_addr, %grpc_addr, data_dir = %parts.config.data_dir.display(), replication_factor = parts.config.replicas(), "starting"
        );
        for target in parts.config.target.iter() {
            parts.readiness.set(target.as_str(), State::Starting("starting".to_owned()));
        }
        let mut built = Built::of(&parts).await?;
        let registry = Arc::new(Mutex::new(std::mem::take(&mut built.registry)));
        let admin = Admin {
            config: parts.config.clone(),
            instance: parts.identity.id.clone(),
            registry,
            readiness: parts.readiness.clone(),
            ingester: built.ingester.clone(),
            watch: built.watch.clone(),
            operator: Arc::clone(&built.operator),
            limits: parts.limits.clone(),
            clock: Arc::clone(&parts.clock),
            started_ms: parts.clock.now_ms(),
            tasks: parts.tasks.clone(),
        };
        let router = crate::http::router(std::mem::take(&mut built.routes), admin, built.http_metrics.clone(), parts.config.multitenancy);
        let drain_timeout = Duration::from_secs(parts.config.shutdown_timeout_seconds);
        let serve = crate::http::serve(http_listener, router, parts.tasks.clone(), shutdown, drain_timeout);
        let http = parts.tasks.spawn("http", serve);
        let grpc = grpc::serve(&parts, grpc_listener, std::mem::take(&mut built.services));
        let members = Members::register(&parts, &built)?;
        if parts.config.target.is_all() {
            announce(http_addr);
        }
        Ok(Self {
            http_addr,
            grpc_addr,
            drain_timeout,
            tasks: parts.tasks.clone(),
            readiness: parts.readiness.clone(),
            http,
            ruler: built.ruler.take(),
            ingester: built.ingester_stage.take(),
            own_ingester: built.ingester.take(),
            grpc,
            members,
            coordinator: built.coordinator.take(),
            last,
            failures,
        })
    }

    /// Where HTTP is served.
    #[must_use]
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// Where gRPC is served.
    #[must_use]
    pub fn grpc_addr(&self) -> SocketAddr {
        self.grpc_addr
    }

    /// Returns when a role has failed that the process cannot do without.
    pub async fn failed(&mut self) -> anyhow::Error {
        match self.failures.recv().await {
            Some(error) => error,
            // Every part has ended without an error; a signal ends the rest.
            None => std::future::pending().await,
        }
    }

    /// Stops everything in order; the shutdown given to [`Server::start`] has fired before.
    pub async fn drain(self) {
        self.readiness.stop_all();
        if self.http.await.is_err() {
            tracing::error!("the HTTP listener had failed");
        }
        if let Some(ruler) = self.ruler {
            ruler.end(self.drain_timeout, "ruler").await;
        }
        // One whose data is in the object store, where every querier finds it, does not come back.
        let gone = self.own_ingester.is_some_and(|ingester| ingester.state() == InstanceState::Gone);
        if !gone {
            self.members.set_ingester_state(InstanceState::Leaving, GOODBYE).await;
        }
        if let Some(ingester) = self.ingester {
            ingester.end(self.drain_timeout, "ingester").await;
        }
        self.grpc.end(GOODBYE, "gRPC listener").await;
        self.members.leave(gone, GOODBYE).await;
        self.last.fire();
        if let Some(coordinator) = self.coordinator
            && let Err(error) = coordinator.stop().await
        {
            tracing::warn!(%error, "the coordinator did not stop cleanly");
        }
        if let Err(error) = self.tasks.drain(GOODBYE).await {
            tracing::warn!(%error, "ending all the same");
        }
        tracing::info!("stopped");
    }
}

/// What has been built of the roles.
struct Built {
    registry: Registry,
    http_metrics: HttpMetrics,
    routes: Routes,
    services: RoutesBuilder,
    client: Arc<dyn CoordinatorClient>,
    operator: Arc<dyn CoordinatorOperator>,
    watch: ClusterWatch,
    coordinator: Option<coordinator::Coordinator>,
    ingester: Option<ingester::Ingester>,
    ingester_stage: Option<Stage>,
    ruler: Option<Stage>,
}

impl Built {
    async fn of(parts: &Parts) -> anyhow::Result<Self> {
        let mut registry = Registry::default();
        let mut services = RoutesBuilder::default();
        // Before any role is there to ask for limits.
        overrides::follow(parts, &mut registry)?;
        let http_metrics = HttpMetrics::register(&mut registry, Arc::clone(&parts.clock));
        let target = &parts.config.target;
        let bucket = roles::bucket(parts, &mut registry)?;
        let addresses = parts.config.coordinator_addresses();

        let coordinator = match target.has(Target::Coordinator) {
            true => Some(roles::coordinator(parts, &mut registry, &mut services).await?),
            false => None,
        };
        let group = match &coordinator {
            Some(own) if addresses.len() <= 1 => Group::of(own.handle()),
            _ => {
                let (channels, clock) = (parts.channels.clone(), Arc::clone(&parts.clock));
                Group::of(GrpcCoordinatorClient::new(addresses, channels, clock, parts.cluster.clone()))
            }
        };
        let Group { client, operator, keys } = group;
        let watch =
            ClusterWatch::start(Arc::clone(&client), parts.cluster.clone(), Arc::clone(&parts.clock), &parts.tasks, parts.last.clone());

        let remote: Arc<dyn IngesterPool> =
            Arc::new(GrpcIngesterPool::new(parts.channels.clone(), Arc::clone(&parts.clock), parts.cluster.clone()));
        let (ingester, ingester_stage) = match target.has(Target::Ingester) {
            true => {
                let (ingester, stage) = roles::ingester(parts, &mut registry, &mut services, bucket.clone())?;
                (Some(ingester), Some(stage))
            }
            false => (None, None),
        };
        let pool: Arc<dyn IngesterPool> = match &ingester {
            Some(own) => Arc::new(ingester::InProcessPool::new(parts.identity.id.clone(), own.clone(), remote)),
            None => remote,
        };
        let mut routes = Routes::default();
        // A ruler queries and writes by itself, also where it is alone.
        let rules = target.has(Target::Ruler);
        let distributor = match rules || target.has(Target::Distributor) {
            true => Some(roles::distributor(parts, &mut registry, &watch, Arc::clone(&pool), keys)?),
            false => None,
        };
        let querier = match rules || target.has(Target::Querier) {
            true => Some(roles::querier(parts, &mut registry, &watch, pool, bucket.clone())?),
            false => None,
        };
        let mut ruler = None;
        if let (true, Some(distributor), Some(querier)) = (rules, &distributor, &querier) {
            let (handle, stage) = roles::ruler(parts, &mut registry, &mut services, &watch, bucket.clone(), distributor, querier)?;
            (routes.rules, routes.rules_config, ruler) = (Some(handle.router()), Some(handle.config_router()), Some(stage));
        }
        routes.distributor = distributor.as_ref().filter(|_| target.has(Target::Distributor)).map(distributor::Handle::pages);
        routes.write = distributor.filter(|_| target.has(Target::Distributor)).map(|d| d.router());
        routes.query = querier.filter(|_| target.has(Target::Querier)).map(querier::http::router);
        if target.has(Target::Compactor) {
            routes.compactor = Some(roles::compactor(parts, &mut registry, &watch, bucket.clone())?);
        }
        Ok(Self { registry, http_metrics, routes, services, client, operator, watch, coordinator, ingester, ingester_stage, ruler })
    }
}

/// The coordinator group, from all its sides.
struct Group {
    client: Arc<dyn CoordinatorClient>,
    operator: Arc<dyn CoordinatorOperator>,
    keys: Arc<dyn KeyStore>,
}

impl Group {
    fn of<T: CoordinatorClient + CoordinatorOperator + KeyStore>(group: T) -> Self {
        let group = Arc::new(group);
        Self { client: Arc::clone(&group) as _, operator: Arc::clone(&group) as _, keys: group }
    }
}

async fn bind(address: SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("listen on {setting} {address}"))
}

/// What a person who has just started everything wants to know.
#[allow(clippy::print_stdout, reason = "said to the person at the terminal, not to a log")]
fn announce(http: SocketAddr) {
    println!(
        "Plimsoll is starting. Where to go:\n\
         \x20 write    http://{http}/api/v1/push\n\
         \x20 query    http://{http}/prometheus/api/v1/query?query=up\n\
         \x20 look     http://{http}/\n\
         \x20 Prometheus, in prometheus.yml:  remote_write: [{{url: \"http://{http}/api/v1/push\"}}]\n\
         \x20 Grafana, data source Prometheus: URL http://{http}/prometheus"
    );
}
