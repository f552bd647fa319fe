//! The compactor as a whole: rounds over the tenants that are its own.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bucket::{Bucket, Key};
use limits::LimitsProvider;
use model::TenantId;
use prometheus_client::registry::Registry;
use ring::{ClusterSnapshot, InstanceId, Ring, Role};
use runtime::clock::SharedClock;
use runtime::{Shutdown, Tasks};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tsdb::block::Ulid;

use crate::catalog::Catalog;
use crate::config::Config;
use crate::error::Error;
use crate::metrics::Metrics;
use crate::ownership::owns;
use crate::tenant::Workshop;

/// Requests for a round now that may wait.
const MAX_REQUESTS: usize = 16;

/// What the compactor needs from others.
pub struct Deps {
    /// Where blocks are.
    pub bucket: Bucket,
    /// A folder of its own, emptied at start.
    pub dir: PathBuf,
    /// Its name in the ring.
    pub id: InstanceId,
    /// The cluster.
    pub snapshot: watch::Receiver<Arc<ClusterSnapshot>>,
    /// Limits of tenants.
    pub limits: LimitsProvider,
    /// Time.
    pub clock: SharedClock,
    /// Tasks.
    pub tasks: Tasks,
    /// Random numbers, for names of blocks.
    pub random: Arc<dyn Fn() -> u128 + Send + Sync>,
    /// When to stop.
    pub shutdown: Shutdown,
}

/// How a tenant's round ended, and what was learned.
type Done = (TenantId, Catalog, Result<(), Error>);

/// The compactor, not running yet.
pub struct Service {
    workshop: Workshop,
    dir: PathBuf,
    id: InstanceId,
    snapshot: watch::Receiver<Arc<ClusterSnapshot>>,
    requests: mpsc::Receiver<oneshot::Sender<Result<(), String>>>,
    compactor: Compactor,
    known: HashMap<TenantId, Catalog>,
}

/// A handle. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Compactor {
    requests: mpsc::Sender<oneshot::Sender<Result<(), String>>>,
}

impl Compactor {
    /// Has a round made now and waits for its end. An error names the first tenant whose round failed.
    pub async fn run_now(&self) -> Result<(), String> {
        let (done, answer) = oneshot::channel();
        let stopped = |_| "the compactor has stopped".to_owned();
        self.requests.send(done).await.map_err(|_| "the compactor has stopped".to_owned())?;
        answer.await.map_err(stopped)?
    }
}

impl Service {
    /// Wires a compactor and empties its folder.
    pub fn build(config: Config, deps: Deps, registry: &mut Registry) -> Result<Self, Error> {
        match std::fs::remove_dir_all(&deps.dir) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::local("empty", &deps.dir)(e)),
            _ => {}
        }
        std::fs::create_dir_all(&deps.dir).map_err(Error::local("create", &deps.dir))?;
        let random = deps.random;
        let workshop = Workshop {
            bucket: deps.bucket,
            config,
            limits: deps.limits,
            clock: deps.clock,
            tasks: deps.tasks,
            metrics: Metrics::register(registry),
            names: Arc::new(move |now_ms| Ulid::new(now_ms, random())),
            shutdown: deps.shutdown,
        };
        let (sender, requests) = mpsc::channel(MAX_REQUESTS);
        let compactor = Compactor { requests: sender };
        Ok(Self { workshop, dir: deps.dir, id: deps.id, snapshot: deps.snapshot, requests, compactor, known: HashMap::new() })
    }

    /// The handle.
    #[must_use]
    pub fn compactor(&self) -> Compactor {
        self.compactor.clone()
    }

    /// Runs rounds until shutdown is requested.
    pub async fn run(mut self) {
        let mut shutdown = self.workshop.shutdown.clone();
        let interval = Duration::from_secs(self.workshop.config.interval_seconds);
        loop {
            let request = tokio::select! {
                () = shutdown.requested() => return,
                request = self.requests.recv() => request,
                () = tokio::time::sleep(interval) => None,
            };
            let outcome = self.round().await;
            if let Some(request) = request {
                // Whoever asked may have gone away.
                let _ = request.send(outcome);
            }
        }
    }

    /// One round over all tenants that are its own. The error of the first that failed; the others have had their turn nevertheless.
    pub async fn round(&mut self) -> Result<(), String> {
        let metrics = self.workshop.metrics.clone();
        let tenants = self.workshop.bucket.list_folders(&Key::root()).await.map_err(|e| e.to_string())?;
        let ring = Ring::of_role(&self.snapshot.borrow(), Role::Compactor, 1);
        let tenants: Vec<_> = tenants.iter().filter_map(|name| TenantId::new(name).ok()).filter(|t| owns(&ring, &self.id, t)).collect();
        metrics.tenants.set(i64::try_from(tenants.len()).unwrap_or(i64::MAX));
        self.known.retain(|tenant, _| tenants.contains(tenant));
        let mut first_error = None;
        let mut running = JoinSet::new();
        for tenant in tenants {
            if running.len() >= self.workshop.config.max_concurrent_tenants {
                self.finish(running.join_next().await, &mut first_error);
            }
            if self.workshop.shutdown.is_requested() {
                break;
            }
            let (workshop, dir) = (self.workshop.clone(), self.dir.join(tenant.as_str()));
            let mut known = self.known.remove(&tenant).unwrap_or_default();
            running.spawn(async move {
                let outcome = workshop.round(&tenant, &mut known, &dir).await;
                (tenant, known, outcome)
            });
        }
        while let Some(done) = running.join_next().await {
            self.finish(Some(done), &mut first_error);
        }
        metrics.rounds.inc();
        metrics.last_round.set(self.workshop.clock.now_ms() as f64 / 1_000.0);
        first_error.map_or(Ok(()), Err)
    }

    fn finish(&mut self, done: Option<Result<Done, tokio::task::JoinError>>, first: &mut Option<String>) {
        let Some(done) = done else { return };
        let error = match done {
            Ok((tenant, known, outcome)) => {
                let error = outcome.err().map(|error| format!("tenant {tenant}: {error}"));
                self.known.insert(tenant, known);
                error
            }
            Err(_) => Some("the round of a tenant panicked".to_owned()),
        };
        if let Some(error) = error {
            self.workshop.metrics.rounds_failed.inc();
            tracing::error!(error, "a tenant's blocks could not be looked after; trying again in the next round");
            first.get_or_insert(error);
        }
    }
}
