//! Putting the distributor together and keeping its view of the cluster fresh.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use axum::Router;
use limits::LimitsProvider;
use prometheus_client::registry::Registry;
use ring::ClusterSnapshot;
use rpc::{IngesterPool, KeyStore, WritePath};
use runtime::clock::SharedClock;
use runtime::{Shutdown, Tasks};
use tokio::sync::watch;

use crate::config::{Config, ConfigError};
use crate::decode::{BufferPool, KnownSeries};
use crate::ha::Ha;
use crate::http::{self, Receiver};
use crate::inflight::InflightBytes;
use crate::metrics::Metrics;
use crate::push::Distributor;
use crate::push::view::View;
use crate::rate_limit::RateLimiter;

/// What a distributor is given.
pub struct Deps<'a> {
    /// Time.
    pub clock: SharedClock,
    /// Owner of background pushes and of the decoding of large requests.
    pub tasks: Tasks,
    /// Limits of tenants.
    pub limits: LimitsProvider,
    /// Where distributors agree on whose samples are taken of equal senders.
    pub keys: Arc<dyn KeyStore>,
    /// Clients of ingesters.
    pub ingesters: Arc<dyn IngesterPool>,
    /// The cluster as the coordinator last told.
    pub cluster: watch::Receiver<Arc<ClusterSnapshot>>,
    /// Replicas of every series; at least 1.
    pub replication_factor: usize,
    /// Where metrics are registered.
    pub registry: &'a mut Registry,
}

/// A distributor, ready to serve; [`Service::run`] keeps it informed about the cluster.
pub struct Service {
    handle: Handle,
    follower: Follower,
    ha: Ha,
}

/// The doors of a distributor. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    distributor: Distributor,
    receiver: Arc<Receiver>,
}

struct Follower {
    cluster: watch::Receiver<Arc<ClusterSnapshot>>,
    view: watch::Sender<Arc<View>>,
    ingesters: Arc<dyn IngesterPool>,
    rates: Arc<RateLimiter>,
    max_inflight: u64,
}

/// Makes a distributor. It serves at once with the cluster as it is now.
pub fn build(config: &Config, deps: Deps<'_>) -> Result<Service, ConfigError> {
    config.validate()?;
    let Deps { clock, tasks, limits, keys, ingesters, mut cluster, replication_factor, registry } = deps;
    let metrics = Metrics::new(registry);
    let max_inflight = config.max_inflight_bytes_per_ingester;
    let view = View::new(&cluster.borrow_and_update(), replication_factor, &*ingesters, max_inflight, &metrics.suspended_ingesters);
    let rates = Arc::new(RateLimiter::default());
    rates.follow(&cluster.borrow());
    let (sender, view) = watch::channel(Arc::new(view));
    let distributor = Distributor::new(view, Arc::clone(&clock), tasks.clone(), metrics.clone(), limits.clone(), config.push_timeout());
    // Only which slot of a cache a series takes depends on this number: it need not be reproducible, but unknown to senders.
    let secret = RandomState::new().hash_one(0_u8);
    let ha = Ha::new(keys, limits.clone(), Arc::clone(&clock), secret, registry);
    let receiver = Arc::new(Receiver {
        ha: ha.clone(),
        config: config.clone(),
        distributor: distributor.clone(),
        limits,
        rates: Arc::clone(&rates),
        known: KnownSeries::new(config.known_series, secret),
        buffers: BufferPool::new(),
        inflight: InflightBytes::new(config.max_inflight_request_bytes),
        metrics,
        clock,
        tasks,
    });
    let follower = Follower { cluster, view: sender, ingesters, rates, max_inflight };
    Ok(Service { handle: Handle { distributor, receiver }, follower, ha })
}

impl Service {
    /// The doors.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Follows the cluster until shutdown is requested. Writes are served for as long as a handle lives.
    pub async fn run(self, mut shutdown: Shutdown) {
        let Self { handle: _, mut follower, ha } = self;
        tokio::select! {
            () = shutdown.requested() => {}
            () = ha.run() => {}
            () = follower.follow() => {
                // The coordinator's client is gone: the last ring serves on.
                tracing::warn!("the distributor no longer learns of changes to the cluster");
                shutdown.requested().await;
            }
        }
    }
}

impl Follower {
    /// Makes a new view for every change. Returns when the source has ended.
    async fn follow(&mut self) {
        loop {
            let snapshot = Arc::clone(&self.cluster.borrow_and_update());
            self.rates.follow(&snapshot);
            let current = Arc::clone(&self.view.borrow());
            if current.ring.version() != snapshot.version {
                let view = current.updated(&snapshot, &*self.ingesters, self.max_inflight);
                self.view.send_replace(Arc::new(view));
                tracing::info!(version = snapshot.version, ingesters = snapshot.of_role(ring::Role::Ingester).count(), "ring changed");
            }
            if self.cluster.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Handle {
    /// The write path, for rulers and the like.
    #[must_use]
    pub fn write_path(&self) -> Arc<dyn WritePath> {
        Arc::new(self.distributor.clone())
    }

    /// `POST /api/v1/push` and `/api/v1/write`. Needs the tenant as a request extension ([`model::TenantId`]).
    pub fn router(&self) -> Router {
        http::router(Arc::clone(&self.receiver))
    }

    /// `GET /distributor/ha_tracker`, for those who run the server.
    pub fn pages(&self) -> Router {
        crate::ha::router(self.receiver.ha.clone())
    }
}
