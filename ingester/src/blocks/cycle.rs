//! Cutting heads into blocks, and forgetting old blocks.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use model::TenantId;
use tsdb::Head;
use tsdb::block::{BlockError, BlockSpec, write_sealed_range};

use super::damaged::is_gone;
use super::set::{BlockSet, Cycle, LocalBlock, TenantBlocks};
use super::store::{BlockStore, DELETED_SUFFIX};
use crate::ship::{Stage, read_note};

/// What a cycle did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Blocks written.
    pub(crate) blocks: u64,
    /// Samples in them.
    pub(crate) samples: u64,
    /// Nothing was done, because queries still read what the cycle before has cut.
    pub(crate) busy: bool,
}

/// Whose head is cut.
pub(super) struct Subject<'a> {
    pub(super) id: &'a TenantId,
    pub(super) blocks: &'a TenantBlocks,
    pub(super) head: &'a Head,
}

impl BlockStore {
    /// Puts everything of a head before `before` into blocks: one for each aligned range. After an error the ranges that were written are in blocks, and the
    /// head has everything else.
    pub(super) fn cut(
        &self,
        of: &Subject<'_>,
        cycle: &mut Cycle,
        before: i64,
        now_ms: i64,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Cut, BlockError> {
        if !drop_published(cycle, of.head) {
            return Ok(Cut { busy: true, ..Cut::default() });
        }
        let mut cut = Cut::default();
        for start in of.head.seal(before) {
            if let Some(samples) = self.cut_range(of, cycle, start, now_ms, go_on)? {
                cut.samples += samples;
                cut.blocks += 1;
            }
        }
        drop_published(cycle, of.head);
        Ok(cut)
    }

    /// Writes and publishes the block of one range; the number of its samples.
    fn cut_range(
        &self,
        of: &Subject<'_>,
        cycle: &mut Cycle,
        start: i64,
        now_ms: i64,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Option<u64>, BlockError> {
        let set = of.blocks.set();
        let parent = self.parent(of.id);
        self.fs.create_dir_all(&parent).map_err(|source| BlockError::Io { path: parent.clone(), source })?;
        let spec = BlockSpec::level_1(self.name(now_ms, &set), start, start.saturating_add(of.head.chunk_range_ms()));
        let dir = parent.join(spec.ulid.to_string());
        let Some(meta) = write_sealed_range(Arc::clone(&self.fs), &parent, of.head, spec, go_on)? else { return Ok(None) };
        match self.load(dir.clone(), Stage::Waiting { tried: false }) {
            Ok(block) => of.blocks.publish(cycle, set.with(Arc::new(block))),
            Err(error) => {
                // The head still has everything: a block that nobody sees must not stay.
                let _ = self.fs.remove_dir_all(&dir);
                return Err(error);
            }
        }
        cycle.published.push(start);
        Ok(Some(meta.stats.num_samples))
    }

    /// Takes blocks whose time has come out of the set: those that are older than the retention and that the object store has for certain. Takes damaged ones back that have been mended
    /// or moved away, and deletes the folders of those that no query reads any more; how many were deleted.
    pub(super) fn tidy(&self, tenant: &TenantId, blocks: &TenantBlocks, cycle: &mut Cycle, now_ms: i64, retention_ms: i64) -> u64 {
        let set = blocks.set();
        let mut next = BlockSet::default();
        for block in &set.blocks {
            if block.goes_at(retention_ms) <= now_ms { cycle.doomed.push(Arc::clone(block)) } else { next.blocks.push(Arc::clone(block)) }
        }
        for damaged in &set.damaged {
            if is_gone(&*self.fs, &damaged.dir) {
                tracing::warn!(dir = %damaged.dir.display(), "a damaged block was moved away: its samples are lost");
            } else if let Ok(block) = self.load(damaged.dir.clone(), read_note(&*self.fs, &damaged.dir)) {
                tracing::info!(dir = %damaged.dir.display(), "a damaged block was mended");
                next = next.with(Arc::new(block));
            } else if damaged.goes_at(&*self.fs, retention_ms) <= now_ms {
                self.delete(tenant, &damaged.dir);
            } else {
                next.damaged.push(damaged.clone());
            }
        }
        if next.blocks.len() != set.blocks.len() || next.damaged.len() != set.damaged.len() {
            blocks.publish(cycle, next);
        }
        drop(set);
        cycle.settled();
        let doomed = std::mem::take(&mut cycle.doomed);
        let (idle, read): (Vec<_>, Vec<_>) = doomed.into_iter().partition(|block| Arc::strong_count(block) == 1);
        cycle.doomed = read;
        idle.into_iter().map(|block| u64::from(self.bury(tenant, cycle, block))).sum()
    }

    fn bury(&self, tenant: &TenantId, cycle: &mut Cycle, block: Arc<LocalBlock>) -> bool {
        let deleted = self.delete(tenant, &block.dir);
        if !deleted {
            cycle.doomed.push(block);
        }
        deleted
    }

    /// Deletes a block's folder. It gets another name first, so that a crash does not leave half a block under its own.
    fn delete(&self, tenant: &TenantId, dir: &Path) -> bool {
        let mut name = dir.file_name().unwrap_or_default().to_owned();
        name.push(DELETED_SUFFIX);
        let away = self.parent(tenant).join(name);
        let result = match self.fs.rename(dir, &away) {
            // Done before, but for the rest below.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            result => result,
        };
        let result = result.and_then(|()| self.fs.remove_dir_all(&away));
        if let Err(error) = &result {
            tracing::warn!(%error, dir = %dir.display(), "an old block could not be deleted; trying again later");
        }
        result.is_ok()
    }
}

/// Drops from the head what every query finds in blocks; whether nothing of the kind is left. Called in the tenant's cycle.
pub(super) fn drop_published(cycle: &mut Cycle, head: &Head) -> bool {
    if cycle.published.is_empty() {
        return true;
    }
    if !cycle.settled() {
        return false;
    }
    cycle.published.sort_unstable();
    head.drop_sealed(&cycle.published);
    cycle.published.clear();
    true
}
