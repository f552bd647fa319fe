//! The ingester as a whole: its parts, its start, its upkeep and its end.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bucket::Bucket;
use limits::LimitsProvider;
use prometheus_client::registry::Registry;
use ring::InstanceState;
use runtime::clock::SharedClock;
use runtime::{CpuPool, Shutdown, Tasks};
use tokio::sync::{Semaphore, watch};
use tsdb::fs::Fs;
use tsdb::head_chunks::HeadChunks;
use tsdb::snapshot::Snapshots;
use tsdb::wal::Replay;
use tsdb::{Generation, Wal, WalConfig};

use crate::blocks::BlockStore;
use crate::config::Config;
use crate::departure::{Departure, Marker};
use crate::error::StartError;
use crate::inflight::InflightBytes;
use crate::lifecycle::Lifecycle;
use crate::metrics::{Metrics, Sizes, register_sizes};
use crate::push::Outcomes;
use crate::query::MAX_OPEN_QUERIES;
use crate::ship::Shipper;
use crate::tenants::Tenants;

mod offload;
mod restore;
mod snapshots;
mod upkeep;

pub(crate) use offload::Offloading;
pub(crate) use snapshots::Snapshotting;

/// What the ingester needs from others.
pub struct Deps {
    /// Folder of everything: `wal/`, `chunks_head/`, `blocks/`; made if it is not there. It belongs to one process at a time.
    pub data_dir: PathBuf,
    /// The file system.
    pub fs: Arc<dyn Fs>,
    /// Time.
    pub clock: SharedClock,
    /// Tasks.
    pub tasks: Tasks,
    /// Where large pushes go into heads. Not shared with queries, so that these cannot keep writes waiting.
    pub push_pool: CpuPool,
    /// Where heads are read.
    pub query_pool: CpuPool,
    /// Where blocks are shipped to.
    pub bucket: Bucket,
    /// Limits of tenants.
    pub limits: LimitsProvider,
    /// A random number of this start that outsiders cannot know ([`tsdb::WalConfig::salt`]). Names of blocks are made from it as well.
    pub wal_salt: u64,
}

/// The write-ahead log within the data directory.
const WAL_DIR: &str = "wal";
/// Head chunk files within the data directory.
const HEAD_CHUNKS_DIR: &str = "chunks_head";
/// The blocks, likewise.
const BLOCKS_DIR: &str = "blocks";
/// Snapshots, likewise.
const SNAPSHOTS_DIR: &str = "snapshots";

/// How long pushes in progress may take to end when the ingester stops. Each is a write to the disk away from its answer.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);

/// The ingester, not running yet.
#[derive(Debug)]
pub struct Service {
    ingester: Ingester,
    replay: Replay,
}

/// The ingester, as others see it: an [`rpc::IngesterClient`], and the subject of [`crate::grpc::server`]. Cheap to clone. It takes pushes at
/// once; queries wait until [`Service::run`] has replayed the log.
#[derive(Clone)]
pub struct Ingester {
    pub(crate) shared: Arc<Shared>,
}

/// The parts.
pub(crate) struct Shared {
    pub(crate) clock: SharedClock,
    pub(crate) tasks: Tasks,
    pub(crate) push_pool: CpuPool,
    pub(crate) query_pool: CpuPool,
    pub(crate) limits: LimitsProvider,
    /// There was no log when it started.
    pub(crate) began_empty: bool,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) departure: Departure,
    /// How long after the index showed a block every querier knows.
    pub(crate) settle_ms: i64,
    pub(crate) inflight: Arc<InflightBytes>,
    pub(crate) open_queries: Arc<Semaphore>,
    pub(crate) tenants: Tenants,
    pub(crate) outcomes: Outcomes,
    pub(crate) wal: Wal,
    pub(crate) blocks: BlockStore,
    pub(crate) shipper: Shipper,
    /// Held by the flush in progress.
    pub(crate) flushing: tokio::sync::Mutex<()>,
    pub(crate) metrics: Metrics,
    pub(crate) sizes: Sizes,
    pub(crate) offloading: Offloading,
    pub(crate) snapshotting: Snapshotting,
    pub(crate) snapshot_interval: Duration,
    pub(crate) retention_ms: i64,
}

impl Service {
    /// Opens the log and wires the parts. Blocks for some milliseconds: the log is read by [`Service::run`].
    pub fn build(config: &Config, deps: Deps, registry: &mut Registry) -> Result<Self, StartError> {
        let blocks = BlockStore::new(Arc::clone(&deps.fs), deps.data_dir.join(BLOCKS_DIR), deps.wal_salt);
        let head_chunks = HeadChunks::open(Arc::clone(&deps.fs), deps.data_dir.join(HEAD_CHUNKS_DIR)).map_err(StartError::HeadChunks)?;
        let snapshots = Snapshots::open(Arc::clone(&deps.fs), deps.data_dir.join(SNAPSHOTS_DIR)).map_err(StartError::Snapshots)?;
        let newest = snapshots.list().map_err(StartError::Snapshots)?.first().map_or(0, |generation| generation.0);
        // Also if nothing is left of the log: replay begins at the generation of the snapshot.
        let wal = WalConfig { first_generation: Generation(newest.saturating_add(1)), ..config.wal(deps.wal_salt) };
        let began_empty = deps.fs.list(&deps.data_dir.join(WAL_DIR)).map_or(true, |names| names.is_empty());
        let (wal, replay) = Wal::open(deps.data_dir.join(WAL_DIR), wal, deps.fs).map_err(StartError::Open)?;
        let retention_ms = config.retention_ms();
        let departure = Departure::new(Marker::new(Arc::clone(&blocks.fs), deps.data_dir.clone()));
        let shared = Arc::new(Shared {
            tenants: Tenants::new(config.max_tenants, deps.limits.clone()),
            clock: deps.clock,
            tasks: deps.tasks,
            push_pool: deps.push_pool,
            query_pool: deps.query_pool,
            limits: deps.limits,
            began_empty,
            lifecycle: Lifecycle::new(departure.is_requested()),
            departure,
            settle_ms: config.shutdown_settle_ms(),
            inflight: InflightBytes::new(config.max_inflight_push_bytes),
            open_queries: Arc::new(Semaphore::new(MAX_OPEN_QUERIES)),
            outcomes: Outcomes::default(),
            wal,
            blocks,
            shipper: Shipper::new(deps.bucket),
            flushing: tokio::sync::Mutex::default(),
            metrics: Metrics::register(registry),
            sizes: Sizes::default(),
            offloading: Offloading::new(head_chunks),
            snapshotting: Snapshotting::new(snapshots),
            snapshot_interval: config.snapshot_interval(),
            retention_ms,
        });
        register_sizes(registry, &shared);
        Ok(Self { ingester: Ingester { shared }, replay })
    }

    /// The handle.
    #[must_use]
    pub fn ingester(&self) -> Ingester {
        self.ingester.clone()
    }

    /// Replays the log while pushes are taken, serves until shutdown is requested, then drains and brings the log to the disk. Fails if the
    /// log cannot be replayed: an ingester that lost sight of what it acknowledged must not answer.
    pub async fn run(self, mut shutdown: Shutdown) -> Result<(), StartError> {
        let Self { ingester: Ingester { shared }, replay } = self;
        let restoring = Arc::clone(&shared);
        let restore = shared.tasks.spawn_blocking(move || restoring.restore(replay));
        let restored = tokio::select! {
            // The replay goes on until the process ends; nobody waits for it, and what it would have restored stays in the log.
            () = shutdown.requested() => None,
            restored = restore => Some(restored.map_err(|_| StartError::Panicked)?),
        };
        if let Some(result) = restored {
            result?;
            shared.lifecycle.restored();
            tokio::select! {
                () = shutdown.requested() => {}
                () = upkeep::run(&shared) => {}
                () = crate::blocks::run(&shared) => {}
                () = crate::ship::run(&shared) => {}
                () = crate::departure::run(&shared) => {}
            }
        }
        shared.stop().await;
        Ok(())
    }
}

impl Ingester {
    /// Where it is in its life.
    #[must_use]
    pub fn state(&self) -> InstanceState {
        self.shared.lifecycle.state()
    }

    /// Whether it started without a log, so that it has nothing of what one of its name may have acknowledged before.
    #[must_use]
    pub fn began_empty(&self) -> bool {
        self.shared.began_empty
    }

    /// Follows its life, for whoever tells the coordinator.
    #[must_use]
    pub fn watch_state(&self) -> watch::Receiver<InstanceState> {
        self.shared.lifecycle.watch()
    }
}

impl Shared {
    /// LEAVING: takes no more pushes, lets those in progress end, takes a snapshot, so that the next start needs no log, and syncs what was written.
    async fn stop(self: &Arc<Self>) {
        self.lifecycle.leave();
        if tokio::time::timeout(DRAIN_TIMEOUT, self.lifecycle.drained()).await.is_err() {
            // Their callers get no answer, so nothing that was acknowledged is in danger.
            tracing::warn!(pushes = self.lifecycle.pushes(), "pushes were still in progress after {DRAIN_TIMEOUT:?}");
        }
        let shared = Arc::clone(self);
        let last = move || {
            let synced = shared.wal.sync();
            if shared.lifecycle.is_complete() {
                shared.snapshot_if_needed();
            }
            synced
        };
        match self.tasks.spawn_blocking(last).await {
            Ok(Ok(())) => tracing::info!("ingester stopped: write-ahead log is on the disk"),
            Ok(Err(error)) => tracing::error!(%error, "ingester stopped, but the write-ahead log could not be synced"),
            Err(_) => tracing::error!("ingester stopped, but syncing the write-ahead log panicked"),
        }
    }

    pub(crate) fn open_queries(&self) -> usize {
        MAX_OPEN_QUERIES.saturating_sub(self.open_queries.available_permits())
    }
}

impl fmt::Debug for Ingester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ingester").field("state", &self.state()).field("tenants", &self.shared.tenants.count()).finish_non_exhaustive()
    }
}
