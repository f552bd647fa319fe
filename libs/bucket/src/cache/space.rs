//! Which blocks are open, and how much of the disk they may take.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use model::TenantId;
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tsdb::block::{HashedBlock, Ulid};

use super::Metrics;

/// Blocks that are open at a time, but for those that are being read. Each has a file descriptor for its index and for each of its segments.
const MAX_OPEN: usize = 1_024;
/// Memory of the tables of open blocks, likewise: four bytes for each symbol and each label pair.
const MAX_TABLE_BYTES: u64 = 256 << 20;

type Name = (TenantId, Ulid);
type Cell = Arc<OnceCell<Arc<HashedBlock>>>;

/// The folder, its bound, and what is open.
#[derive(Debug)]
pub(super) struct Space {
    dir: PathBuf,
    max_bytes: u64,
    used: AtomicU64,
    named: AtomicU64,
    /// Held for a look-up only.
    open: Mutex<Open>,
    pub(super) metrics: Metrics,
}

#[derive(Debug, Default)]
struct Open {
    blocks: HashMap<Name, Slot>,
    /// Counts uses.
    tick: u64,
}

#[derive(Debug)]
struct Slot {
    cell: Cell,
    used: u64,
}

impl Slot {
    /// Open, and read by nobody.
    fn is_idle(&self) -> bool {
        Arc::strong_count(&self.cell) == 1 && self.cell.get().is_some_and(|block| Arc::strong_count(block) == 1)
    }

    fn table_bytes(&self) -> u64 {
        self.cell.get().map_or(0, |block| block.table_bytes())
    }
}

impl Space {
    pub(super) fn new(dir: PathBuf, max_bytes: u64, metrics: Metrics) -> Self {
        Self { dir, max_bytes, used: AtomicU64::new(0), named: AtomicU64::new(0), open: Mutex::default(), metrics }
    }

    /// The place of a block, which may be empty yet.
    pub(super) fn slot(&self, tenant: &TenantId, block: Ulid) -> Cell {
        let mut open = self.open.lock();
        open.tick += 1;
        let used = open.tick;
        let slot = open.blocks.entry((tenant.clone(), block)).or_insert_with(|| Slot { cell: Cell::default(), used });
        slot.used = used;
        let cell = Arc::clone(&slot.cell);
        let mut closed = Vec::new();
        while open.blocks.len() > MAX_OPEN || open.blocks.values().map(Slot::table_bytes).sum::<u64>() > MAX_TABLE_BYTES {
            let Some(slot) = open.close_one() else { break };
            closed.push(slot);
        }
        self.count(&open);
        drop(open);
        // Closing files takes a while.
        drop(closed);
        cell
    }

    pub(super) fn forget(&self, tenant: &TenantId, block: Ulid) {
        let mut open = self.open.lock();
        let slot = open.blocks.remove(&(tenant.clone(), block));
        self.count(&open);
        drop(open);
        drop(slot);
    }

    /// Takes room for bytes that will be written; [`Space::free`] gives it back.
    pub(super) fn reserve(&self, bytes: u64) -> io::Result<()> {
        loop {
            let used = self.used.fetch_add(bytes, Relaxed).saturating_add(bytes);
            if used <= self.max_bytes {
                self.metrics.bytes.set(i64::try_from(used).unwrap_or(i64::MAX));
                return Ok(());
            }
            self.used.fetch_sub(bytes, Relaxed);
            let mut open = self.open.lock();
            let closed = open.close_one();
            self.count(&open);
            drop(open);
            if closed.is_none() {
                let text = format!(
                    "blocks that are being read take {} of the {} bytes that may be kept on the disk (querier.block_cache_bytes), and {bytes} more are needed",
                    used.saturating_sub(bytes),
                    self.max_bytes
                );
                return Err(io::Error::new(ErrorKind::StorageFull, text));
            }
            self.metrics.evicted.inc();
        }
    }

    pub(super) fn free(&self, bytes: u64) {
        let used = self.used.fetch_sub(bytes, Relaxed).saturating_sub(bytes);
        self.metrics.bytes.set(i64::try_from(used).unwrap_or(i64::MAX));
    }

    /// A new file and its path; the caller removes its name at once.
    pub(super) fn create(&self) -> io::Result<(File, PathBuf)> {
        let path = self.dir.join(self.named.fetch_add(1, Relaxed).to_string());
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        Ok((file, path))
    }

    fn count(&self, open: &Open) {
        self.metrics.open.set(i64::try_from(open.blocks.len()).unwrap_or(i64::MAX));
    }
}

impl Open {
    /// Takes out the block that is the longest unused, if one is idle.
    fn close_one(&mut self) -> Option<Slot> {
        let idle = self.blocks.iter().filter(|(_, slot)| slot.is_idle());
        let name = idle.min_by_key(|(_, slot)| slot.used).map(|(name, _)| name.clone())?;
        self.blocks.remove(&name)
    }
}
