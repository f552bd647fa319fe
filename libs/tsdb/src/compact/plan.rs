//! Which blocks to merge: a pure decision over what blocks say of themselves.

use crate::block::{BlockMeta, Ulid};

/// What the planner needs to know of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockRange {
    /// Its name.
    pub ulid: Ulid,
    /// First time of its range, inclusive, in milliseconds.
    pub min_time: i64,
    /// End of its range, exclusive.
    pub max_time: i64,
}

/// Why blocks are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobKind {
    /// Their ranges overlap: replicas, or late samples.
    Vertical,
    /// They follow each other within one larger range.
    Horizontal,
}

/// Blocks that become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeJob {
    /// Why.
    pub kind: JobKind,
    /// The aligned range, in milliseconds, that holds all of them and that the result lies in.
    pub range: (i64, i64),
    /// The blocks by age: the oldest name first, whose samples win where blocks differ ([`super::merge_blocks`]).
    pub blocks: Vec<Ulid>,
}

/// Widths of aligned ranges, ascending, each a multiple of the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Levels(Vec<i64>);

/// The widths are no levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("block ranges must be positive and ascend, each a multiple of the one before")]
pub struct LevelsError;

const HOUR_MS: i64 = 3_600_000;

impl Default for Levels {
    /// 2 h, 12 h, 24 h.
    fn default() -> Self {
        Self(vec![2 * HOUR_MS, 12 * HOUR_MS, 24 * HOUR_MS])
    }
}

impl Levels {
    /// Checks the widths, in milliseconds.
    pub fn new(widths: Vec<i64>) -> Result<Self, LevelsError> {
        let positive = widths.first().is_some_and(|first| *first > 0);
        let fit = |w: &[i64]| matches!(w, [a, b] if a < b && b % a == 0);
        if positive && widths.windows(2).all(fit) { Ok(Self(widths)) } else { Err(LevelsError) }
    }

    /// The smallest aligned range that holds a block; `None` if the block is wider than all, or crosses a border of the widest.
    fn home(&self, block: &BlockRange) -> Option<(i64, i64)> {
        self.0.iter().map(|width| aligned(block.min_time, *width)).find(|range| block.min_time >= range.0 && block.max_time <= range.1)
    }
}

impl From<&BlockMeta> for BlockRange {
    fn from(meta: &BlockMeta) -> Self {
        Self { ulid: meta.ulid, min_time: meta.min_time, max_time: meta.max_time }
    }
}

fn aligned(t: i64, width: i64) -> (i64, i64) {
    let start = t.div_euclid(width).saturating_mul(width);
    (start, start.saturating_add(width))
}

/// What to merge now. No block is in two jobs, so they may be done in any order or at once; when all are done, ask again: the work ends when the
/// answer is empty.
///
/// Vertical jobs go first: blocks whose ranges overlap, and blocks that overlap those, and so on. Then, level by level, the blocks in one aligned range, which
/// follow each other, become one, if there are two or more and the range is over: its end is not after `closed_before`, before which no ordinary block
/// is still to come. A range with a vertical job waits for the next answer. Blocks that are wider than the widest level or cross its borders are left as they are,
/// since queries merge overlaps as well.
#[must_use]
pub fn plan(blocks: &[BlockRange], levels: &Levels, closed_before: i64) -> Vec<MergeJob> {
    let mut rest: Vec<BlockRange> = blocks.iter().filter(|block| levels.home(block).is_some()).copied().collect();
    rest.sort_by_key(|block| (block.min_time, block.max_time, block.ulid));
    rest.dedup_by_key(|block| block.ulid);
    let mut jobs = vertical(&rest, levels);
    let busy: Vec<(i64, i64)> = jobs.iter().map(|job| job.range).collect();
    let mut taken: Vec<Ulid> = jobs.iter().flat_map(|job| job.blocks.iter().copied()).collect();
    for width in levels.0.iter().skip(1) {
        for group in rest.chunk_by(|a, b| aligned(a.min_time, *width) == aligned(b.min_time, *width)) {
            let Some(range) = group.first().map(|block| aligned(block.min_time, *width)) else { continue };
            let fits = |block: &&BlockRange| block.max_time <= range.1 && block.max_time - block.min_time < *width;
            let inside: Vec<&BlockRange> = group.iter().filter(fits).collect();
            let waits = range.1 > closed_before || busy.iter().any(|b| b.0 < range.1 && b.1 > range.0);
            if waits || inside.len() < 2 || inside.len() < group.len() || inside.iter().any(|block| taken.contains(&block.ulid)) {
                continue;
            }
            taken.extend(inside.iter().map(|block| block.ulid));
            jobs.push(MergeJob { kind: JobKind::Horizontal, range, blocks: by_age(inside) });
        }
    }
    jobs
}

/// Runs of blocks that overlap, in order of their first times.
fn vertical(sorted: &[BlockRange], levels: &Levels) -> Vec<MergeJob> {
    let mut jobs = Vec::new();
    let mut run: Vec<&BlockRange> = Vec::new();
    let mut end = i64::MIN;
    for block in sorted {
        if block.min_time >= end {
            jobs.extend(vertical_job(&std::mem::take(&mut run), levels));
        }
        end = end.max(block.max_time);
        run.push(block);
    }
    jobs.extend(vertical_job(&run, levels));
    jobs
}

fn vertical_job(run: &[&BlockRange], levels: &Levels) -> Option<MergeJob> {
    let (first, last) = (run.first()?, run.iter().map(|block| block.max_time).max()?);
    let whole = BlockRange { ulid: first.ulid, min_time: first.min_time, max_time: last };
    let range = levels.home(&whole).filter(|_| run.len() > 1)?;
    Some(MergeJob { kind: JobKind::Vertical, range, blocks: by_age(run.to_vec()) })
}

fn by_age(blocks: Vec<&BlockRange>) -> Vec<Ulid> {
    let mut names: Vec<Ulid> = blocks.into_iter().map(|block| block.ulid).collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests;
