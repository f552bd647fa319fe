//! Blocks of the bucket, open for reading on this machine.
//!
//! A block is read through [`tsdb::block`] as if it lay on the disk; what a read touches is fetched in pages and kept in files without a name
//! in one folder, so that memory holds none of it and nothing is left behind by whatever end of the process. Tables that are used for as long as a block
//! is open are fetched whole and mapped. The space has a bound: blocks that nobody reads are closed, the longest unused first, and a fetch for which
//! there is no space even then is an error that names the setting.
//!
//! A store that is a folder of this machine is read in place.
//!
//! In reading order: [`paged`] (a file in pages), [`block_fs`] (a block as a read-only file system), [`space`] (what is open, and the bound).

mod block_fs;
mod paged;
mod space;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::TenantId;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use runtime::Tasks;
use tsdb::block::{BlockError, HashedBlock, Ulid};
use tsdb::fs::RealFs;

use crate::error::BucketError;
use crate::layout::Key;
use crate::store::Bucket;
use block_fs::BlockFs;
use space::Space;

/// The most objects of one block: segments of half a gigabyte, and a handful of others.
const MAX_BLOCK_OBJECTS: usize = 10_000;

/// Why a block is not open.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenError {
    /// The store.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The block.
    #[error("block {block} cannot be read: {error}")]
    Block {
        /// Its name.
        block: Ulid,
        /// Why.
        error: Arc<BlockError>,
    },
    /// The thread that opened it panicked; the hook has logged why.
    #[error("opening block {0} panicked")]
    Panicked(Ulid),
}

impl OpenError {
    /// Whether the block, or a part of it, is not in the bucket.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::Bucket(error) => error.is_not_found(),
            Self::Block { error, .. } => is_not_found(error),
            Self::Panicked(_) => false,
        }
    }
}

/// Whether reading a block failed because a part of it is not in the bucket.
#[must_use]
pub fn is_not_found(error: &BlockError) -> bool {
    matches!(error, BlockError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
}

/// Open blocks. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct BlockCache {
    bucket: Bucket,
    space: Arc<Space>,
    tasks: Tasks,
}

#[derive(Debug, Clone, Default)]
struct Metrics {
    bytes: Gauge,
    open: Gauge,
    fetched: Counter,
    evicted: Counter,
}

impl Metrics {
    fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("plimsoll_block_cache");
        registry.register("bytes", "Bytes of blocks of the object store that are kept on the disk", metrics.bytes.clone());
        registry.register("open_blocks", "Blocks of the object store that are open", metrics.open.clone());
        registry.register("fetched_bytes", "Bytes of blocks that were fetched from the object store", metrics.fetched.clone());
        registry.register("evicted_blocks", "Blocks that were closed to make room for others", metrics.evicted.clone());
        metrics
    }
}

impl BlockCache {
    /// An empty cache of at most `max_bytes` in a folder of its own, which is made. Files of an earlier process in it are removed.
    pub fn open(bucket: Bucket, dir: &Path, max_bytes: u64, tasks: Tasks, registry: &mut Registry) -> Result<Self, BucketError> {
        match std::fs::remove_dir_all(dir) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(BucketError::local("empty", dir)(e)),
            _ => {}
        }
        std::fs::create_dir_all(dir).map_err(BucketError::local("create", dir))?;
        let space = Arc::new(Space::new(dir.to_owned(), max_bytes, Metrics::register(registry)));
        Ok(Self { bucket, space, tasks })
    }

    /// The store.
    #[must_use]
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// Opens a block, or gives the one that is open. Reading it blocks: not on a thread of the async runtime.
    pub async fn block(&self, tenant: &TenantId, block: Ulid) -> Result<Arc<HashedBlock>, OpenError> {
        let cell = self.space.slot(tenant, block);
        let opened = cell.get_or_try_init(|| self.open_block(tenant, block)).await;
        match opened {
            Ok(opened) => Ok(Arc::clone(opened)),
            Err(error) => {
                self.space.forget(tenant, block);
                Err(error)
            }
        }
    }

    /// Closes a block for those who ask from now on: what is known of it may be wrong.
    pub fn forget(&self, tenant: &TenantId, block: Ulid) {
        self.space.forget(tenant, block);
    }

    async fn open_block(&self, tenant: &TenantId, block: Ulid) -> Result<Arc<HashedBlock>, OpenError> {
        let runtime = tokio::runtime::Handle::current();
        let opening: Box<dyn FnOnce() -> Result<HashedBlock, BlockError> + Send> = match self.bucket.local_path(&Key::block(tenant, block))
        {
            Some(dir) => Box::new(move || HashedBlock::open(Arc::new(RealFs), &dir)),
            None => {
                let objects = self.bucket.list(&Key::block(tenant, block), MAX_BLOCK_OBJECTS).await?;
                let fs = BlockFs::new(self.bucket.clone(), tenant, block, &objects, runtime, Arc::downgrade(&self.space));
                let dir = PathBuf::from(Key::block(tenant, block).as_str());
                Box::new(move || HashedBlock::open(Arc::new(fs), &dir))
            }
        };
        let opened = self.tasks.spawn_blocking(opening).await.map_err(|_| OpenError::Panicked(block))?;
        opened.map(Arc::new).map_err(|error| OpenError::Block { block, error: Arc::new(error) })
    }
}
