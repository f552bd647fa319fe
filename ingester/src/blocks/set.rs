//! The blocks of a tenant as one query sees them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard, RwLock};
use tsdb::block::{BlockMeta, HashedBlock, Ulid};

use super::damaged::Damaged;
use super::schedule::Schedule;
use crate::backoff::Backoff;
use crate::ship::{OnItsWay, Stage};

/// A block on the disk. Open while somebody reads it, and some minutes longer.
#[derive(Debug)]
pub(crate) struct LocalBlock {
    pub(super) ulid: Ulid,
    pub(super) dir: PathBuf,
    /// First time, inclusive, and end, exclusive, in milliseconds.
    pub(super) range: (i64, i64),
    /// Of index and chunks.
    pub(super) bytes: u64,
    /// Held while it is opened, so that this is done once.
    pub(super) open: Mutex<Weak<HashedBlock>>,
    /// To the object store.
    way: Mutex<OnItsWay>,
}

impl LocalBlock {
    pub(super) fn new(dir: PathBuf, meta: &BlockMeta, bytes: u64, stage: Stage) -> Self {
        let way = Mutex::new(OnItsWay { stage, backoff: Backoff::default() });
        Self { ulid: meta.ulid, dir, range: (meta.min_time, meta.max_time), bytes, open: Mutex::default(), way }
    }

    pub(crate) fn ulid(&self) -> Ulid {
        self.ulid
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The end of its range, exclusive, in milliseconds.
    pub(crate) fn end_ms(&self) -> i64 {
        self.range.1
    }

    pub(crate) fn on_its_way(&self) -> OnItsWay {
        *self.way.lock()
    }

    /// It has come further. What went wrong before is forgotten when it is in the store.
    pub(crate) fn set_stage(&self, stage: Stage) {
        let mut way = self.way.lock();
        way.stage = stage;
        if !stage.is_waiting() {
            way.backoff = Backoff::default();
        }
    }

    /// Its files could not be read.
    pub(crate) fn not_readable(&self, now_ms: i64) {
        self.way.lock().backoff.failed(now_ms);
    }

    /// From when on it need not be here any more.
    pub(super) fn goes_at(&self, retention_ms: i64) -> i64 {
        self.on_its_way().stage.goes_at(self.range.1, retention_ms)
    }

    pub(super) fn overlaps(&self, min_t: i64, max_t: i64) -> bool {
        self.range.0 <= max_t && min_t < self.range.1
    }
}

/// All blocks of a tenant at one time. Immutable: a query that holds it is told by its count of references.
#[derive(Debug, Default, Clone)]
pub(crate) struct BlockSet {
    /// Ascending by name: where blocks differ, the oldest is right, since it was cut when the others' samples had not come yet.
    pub(super) blocks: Vec<Arc<LocalBlock>>,
    pub(super) damaged: Vec<Damaged>,
}

impl BlockSet {
    pub(super) fn with(&self, block: Arc<LocalBlock>) -> Self {
        let mut next = self.clone();
        next.blocks.push(block);
        next.blocks.sort_by_key(|block| block.ulid);
        next
    }

    /// The names of blocks with a range that meets `[min_t, max_t]` which are still here at `until_ms`, ascending; damaged ones are not among them.
    pub(crate) fn held(&self, min_t: i64, max_t: i64, until_ms: i64, retention_ms: i64) -> Vec<u128> {
        let held = self.blocks.iter().filter(|block| block.overlaps(min_t, max_t) && block.goes_at(retention_ms) > until_ms);
        held.map(|block| block.ulid.to_bits()).collect()
    }

    /// Those that can be read, the oldest first.
    pub(crate) fn blocks(&self) -> &[Arc<LocalBlock>] {
        &self.blocks
    }

    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.damaged.is_empty()
    }
}

/// A tenant's blocks, and what is going on with them.
#[derive(Debug, Default)]
pub(crate) struct TenantBlocks {
    current: RwLock<Arc<BlockSet>>,
    cycle: Mutex<Cycle>,
}

/// What only one at a time may do: cut, forget, and collect series of the head. Held while a block is written, so only by background work.
#[derive(Debug, Default)]
pub(crate) struct Cycle {
    pub(super) schedule: Schedule,
    /// Ranges of the head that are in published blocks and still in the head, by their starts.
    pub(super) published: Vec<i64>,
    /// Sets that were current before. Queries may hold them.
    retired: Vec<Arc<BlockSet>>,
    /// Blocks that are in no set any more. Their folders go when no query reads them.
    pub(super) doomed: Vec<Arc<LocalBlock>>,
}

impl Cycle {
    /// Whether everything of the head that is due is in blocks.
    pub(crate) fn is_done(&self, now_ms: i64, width: i64) -> bool {
        self.schedule.is_done(now_ms, width)
    }

    /// Whether no query is left that began before the current set was published.
    pub(super) fn settled(&mut self) -> bool {
        self.retired.retain(|set| Arc::strong_count(set) > 1);
        self.retired.is_empty()
    }
}

impl TenantBlocks {
    /// The blocks now. A query asks for them before it looks at the head, and holds them until it ends.
    pub(crate) fn set(&self) -> Arc<BlockSet> {
        Arc::clone(&self.current.read())
    }

    /// Sets what a start has found.
    pub(crate) fn restore(&self, set: BlockSet) {
        self.publish(&mut self.cycle(), set);
    }

    /// Makes a set the current one.
    pub(super) fn publish(&self, cycle: &mut Cycle, set: BlockSet) {
        let before = std::mem::replace(&mut *self.current.write(), Arc::new(set));
        cycle.retired.push(before);
    }

    /// Waits for the turn to change something.
    pub(crate) fn cycle(&self) -> MutexGuard<'_, Cycle> {
        self.cycle.lock()
    }

    /// The turn, if nobody has it.
    pub(crate) fn try_cycle(&self) -> Option<MutexGuard<'_, Cycle>> {
        self.cycle.try_lock()
    }

    /// Whether there is nothing to keep.
    pub(crate) fn is_idle(&self) -> bool {
        self.current.read().is_empty() && self.cycle.try_lock().is_some_and(|cycle| cycle.doomed.is_empty() && cycle.published.is_empty())
    }
}
