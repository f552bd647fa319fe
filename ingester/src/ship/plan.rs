//! What is to be done with blocks on their way to the object store: pure decisions.

use std::collections::HashSet;

use bucket::BucketIndex;
use tsdb::block::Ulid;

use crate::backoff::Backoff;

/// How long a block stays after the bucket index was first seen to show it: until then every querier has seen that index too, and no query is left that counts on the
/// ingester. Longer than [`rpc::HELD_FOR`].
const SETTLED_AFTER_MS: i64 = 15 * 60_000;
const _: () = assert!(SETTLED_AFTER_MS as u128 > rpc::HELD_FOR.as_millis());

/// How long after a block came into the store the index is looked at for it: the compactor writes it every minute.
const LOOK_AFTER_MS: i64 = 2 * 60_000;
/// How often the index of one tenant is read while it does not show a block.
const LOOK_EVERY_MS: i64 = 5 * 60_000;
/// A block that is missing in an index that was written so long after it came into the store is not there any more, or not whole.
const LOST_AFTER_MS: i64 = 3_600_000;
/// How long after it was cut a block that is older than the retention and not in the index is worth a word.
const OVERDUE_AFTER_MS: i64 = 30 * 60_000;

/// How far a block has come. Goes on in this order, but for a block that the store has lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Not known to be in the store.
    Waiting {
        /// An attempt that was cut off, or an earlier process, may have brought it there.
        tried: bool,
    },
    /// In the store, `meta.json` included.
    Stored {
        /// Since when at the latest, in milliseconds since the Unix epoch.
        at_ms: i64,
    },
    /// The bucket index has shown it: from then on its samples are the store's.
    Shown {
        /// When that was first seen.
        at_ms: i64,
    },
}

impl Stage {
    /// From when on a block need not be here any more; never, while the index has not shown it. `end_ms` is the end of its range.
    pub(crate) fn goes_at(self, end_ms: i64, retention_ms: i64) -> i64 {
        match self {
            Self::Shown { at_ms } => end_ms.saturating_add(retention_ms).max(at_ms.saturating_add(SETTLED_AFTER_MS)),
            Self::Waiting { .. } | Self::Stored { .. } => i64::MAX,
        }
    }

    /// Whether a block is here only because the store does not have it for certain, and has been so for a while.
    pub(crate) fn is_overdue(self, block: Ulid, end_ms: i64, retention_ms: i64, now_ms: i64) -> bool {
        let shown = matches!(self, Self::Shown { .. });
        !shown && end_ms.saturating_add(retention_ms) <= now_ms && block.timestamp_ms().saturating_add(OVERDUE_AFTER_MS) <= now_ms
    }

    /// Since when the index is known to show it.
    pub(crate) fn shown_at(self) -> Option<i64> {
        match self {
            Self::Shown { at_ms } => Some(at_ms),
            Self::Waiting { .. } | Self::Stored { .. } => None,
        }
    }

    pub(crate) fn is_waiting(self) -> bool {
        matches!(self, Self::Waiting { .. })
    }
}

/// A block as the plan sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OnItsWay {
    pub(crate) stage: Stage,
    /// After errors of the local disk.
    pub(crate) backoff: Backoff,
}

/// Which blocks are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Those whose time it is.
    Due,
    /// All.
    Now,
    /// All, and the index is read if it does not show one of them.
    Look,
}

/// What a tenant's round does: whether a block is brought to the store, in their order, and whether the index is looked at afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) ship: Vec<usize>,
    pub(crate) look: bool,
}

/// Plans a round for a tenant's blocks, the oldest first. `looked_ms` is when its index was last read.
pub(crate) fn plan(blocks: &[OnItsWay], looked_ms: Option<i64>, effort: Effort, now_ms: i64) -> Plan {
    let tried = |block: &OnItsWay| block.stage.is_waiting() && (effort != Effort::Due || block.backoff.is_over(now_ms));
    if effort == Effort::Look {
        // Those that are shipped now are looked for as well: nobody else asks so often.
        let look = blocks.iter().any(|block| block.stage.shown_at().is_none());
        return Plan { ship: blocks.iter().enumerate().filter(|(_, block)| tried(block)).map(|(i, _)| i).collect(), look };
    }
    let may_look = looked_ms.is_none_or(|at| at.saturating_add(LOOK_EVERY_MS) <= now_ms);
    let unseen = |block: &OnItsWay| matches!(block.stage, Stage::Stored { at_ms } if at_ms.saturating_add(LOOK_AFTER_MS) <= now_ms);
    let ship = blocks.iter().enumerate().filter(|(_, block)| tried(block)).map(|(i, _)| i);
    Plan { ship: ship.collect(), look: may_look && blocks.iter().any(unseen) }
}

/// What the index says of blocks: their next stages, in their order.
pub(crate) fn after_look(blocks: &[(Ulid, Stage)], index: Option<&BucketIndex>, now_ms: i64) -> Vec<Stage> {
    let wanted: HashSet<Ulid> = blocks.iter().map(|(ulid, _)| *ulid).collect();
    let indexed = index.map_or(&[][..], |index| &index.blocks);
    let names = indexed.iter().flat_map(|block| std::iter::once(&block.block_id).chain(&block.sources));
    let shown: HashSet<Ulid> = names.filter(|name| wanted.contains(name)).copied().collect();
    let written_ms = index.map(|index| index.updated_at.saturating_mul(1_000));
    let next = |(ulid, stage): &(Ulid, Stage)| match *stage {
        Stage::Stored { .. } if shown.contains(ulid) => Stage::Shown { at_ms: now_ms },
        Stage::Stored { at_ms } if written_ms.is_some_and(|at| at >= at_ms.saturating_add(LOST_AFTER_MS)) => Stage::Waiting { tried: true },
        stage => stage,
    };
    blocks.iter().map(next).collect()
}

#[cfg(test)]
mod tests;
