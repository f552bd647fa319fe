//! The folder of blocks: `<tenant>/<ULID>`, and which of them are open.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use model::{SeriesHash, TenantId};
use parking_lot::Mutex;
use tsdb::block::{BlockError, HashedBlock, TMP_SUFFIX, Ulid};
use tsdb::fs::Fs;

use super::damaged::Damaged;
use super::set::{BlockSet, LocalBlock};
use crate::error::Error;
use crate::ship::{Stage, read_note};

/// What a folder is called while the block in it is deleted, as with Prometheus.
pub(super) const DELETED_SUFFIX: &str = ".tmp-for-deletion";

/// Blocks that are kept open though nobody reads them. Each holds maps of its files, and four bytes for each of its symbols and label pairs.
const MAX_KEPT_OPEN: usize = 256;

/// The folder.
#[derive(Debug)]
pub(crate) struct BlockStore {
    pub(crate) fs: Arc<dyn Fs>,
    dir: PathBuf,
    /// Names of blocks are made from it.
    salt: u64,
    named: AtomicU64,
    /// The longest opened first.
    kept: Mutex<VecDeque<Arc<HashedBlock>>>,
}

impl BlockStore {
    pub(crate) fn new(fs: Arc<dyn Fs>, dir: PathBuf, salt: u64) -> Self {
        Self { fs, dir, salt, named: AtomicU64::new(0), kept: Mutex::default() }
    }

    /// The folder of a tenant.
    pub(super) fn parent(&self, tenant: &TenantId) -> PathBuf {
        self.dir.join(tenant.as_str())
    }

    /// A name that no block of `set` has.
    pub(super) fn name(&self, now_ms: i64, set: &BlockSet) -> Ulid {
        loop {
            let n = self.named.fetch_add(1, Relaxed);
            let random = SeriesHash::of(&[self.salt.to_le_bytes(), n.to_le_bytes()].concat()).0;
            let ulid = Ulid::new(now_ms, random);
            if set.blocks.iter().all(|block| block.ulid != ulid) {
                return ulid;
            }
        }
    }

    /// What a start finds: the tenants that have blocks. Removes what unfinished writes and deletions left. Every block is opened once; those that cannot be are
    /// set aside. An error if a folder cannot be listed: nobody knows what would be missing.
    pub(crate) fn open_all(&self, grace_ms: &dyn Fn(&TenantId) -> i64) -> Result<Vec<(TenantId, BlockSet)>, BlockError> {
        let mut all = Vec::new();
        for name in self.list(&self.dir)? {
            let Ok(tenant) = TenantId::new(&name) else { continue };
            let set = self.open_tenant(&tenant, grace_ms(&tenant))?;
            if !set.is_empty() {
                all.push((tenant, set));
            }
        }
        Ok(all)
    }

    fn open_tenant(&self, tenant: &TenantId, grace_ms: i64) -> Result<BlockSet, BlockError> {
        let parent = self.parent(tenant);
        let mut set = BlockSet::default();
        for name in self.list(&parent)? {
            let dir = parent.join(&name);
            if name.ends_with(TMP_SUFFIX) || name.ends_with(DELETED_SUFFIX) {
                self.fs.remove_dir_all(&dir).map_err(|source| BlockError::Io { path: dir, source })?;
                continue;
            }
            let Ok(ulid) = name.parse::<Ulid>() else { continue };
            match self.load(dir.clone(), read_note(&*self.fs, &dir)) {
                Ok(block) => set = set.with(Arc::new(block)),
                Err(error) => set.damaged.push(Damaged::new(&*self.fs, &dir, ulid, &error, grace_ms)),
            }
        }
        Ok(set)
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>, BlockError> {
        match self.fs.list(dir) {
            Err(source) if source.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => Err(BlockError::Io { path: dir.to_owned(), source }),
            Ok(names) => Ok(names),
        }
    }

    /// Opens the block in a folder to see whether that can be done. `stage` is how far it has come on its way to the object store.
    pub(super) fn load(&self, dir: PathBuf, stage: Stage) -> Result<LocalBlock, BlockError> {
        let open = HashedBlock::open(Arc::clone(&self.fs), &dir)?;
        Ok(LocalBlock::new(dir, open.block().meta(), open.block().bytes(), stage))
    }

    /// The blocks of a set that may have samples in `[min_t, max_t]` (inclusive), open, the oldest first. An error if one of them cannot be read.
    pub(crate) fn open(&self, set: &BlockSet, min_t: i64, max_t: i64) -> Result<Vec<Arc<HashedBlock>>, Error> {
        if let Some(damaged) = set.damaged.iter().find(|damaged| damaged.overlaps(min_t, max_t)) {
            let Damaged { dir, error, .. } = damaged;
            return Err(Error::Unreadable(format!("block {} is damaged, and its samples would be missing: {error}", dir.display())));
        }
        let inside = set.blocks.iter().filter(|block| block.overlaps(min_t, max_t));
        inside.map(|block| self.open_block(block).map_err(|error| unreadable(&block.dir, &error))).collect()
    }

    fn open_block(&self, block: &LocalBlock) -> Result<Arc<HashedBlock>, BlockError> {
        let mut slot = block.open.lock();
        if let Some(open) = slot.upgrade() {
            return Ok(open);
        }
        let open = Arc::new(HashedBlock::open(Arc::clone(&self.fs), &block.dir)?);
        *slot = Arc::downgrade(&open);
        drop(slot);
        let mut kept = self.kept.lock();
        kept.push_back(Arc::clone(&open));
        if kept.len() > MAX_KEPT_OPEN {
            kept.pop_front();
        }
        Ok(open)
    }

    /// Closes blocks that nobody reads.
    pub(crate) fn close_idle(&self) {
        let kept = std::mem::take(&mut *self.kept.lock());
        drop(kept);
    }
}

/// What a reader of a block is told.
pub(crate) fn unreadable(dir: &Path, error: &BlockError) -> Error {
    Error::Unreadable(format!("block {} cannot be read: {error}", dir.display()))
}
