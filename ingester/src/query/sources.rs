//! What one query reads: a tenant's head and blocks, as they were when it began.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;

use model::{Labels, Matcher};
use tsdb::Head;
use tsdb::block::{BlockError, HashedBlock};

use crate::blocks::{BlockSet, unreadable};
use crate::error::Error;
use crate::service::Shared;
use crate::tenants::Tenant;

/// A tenant's samples. While this lives, nothing is dropped from the head that its blocks do not have.
pub(super) struct Sources {
    shared: Arc<Shared>,
    pub(super) head: Arc<Head>,
    set: Arc<BlockSet>,
}

impl Sources {
    /// The set of blocks first: what it lacks is in the head until it is let go.
    pub(super) fn of(shared: &Arc<Shared>, tenant: &Tenant) -> Self {
        let set = tenant.blocks.set();
        Self { shared: Arc::clone(shared), head: tenant.head(), set }
    }

    /// The blocks that may have samples in `[min_t, max_t]`, the oldest first.
    pub(super) fn blocks(&self, min_t: i64, max_t: i64) -> Result<Vec<Arc<HashedBlock>>, Error> {
        self.shared.blocks.open(&self.set, min_t, max_t).inspect_err(|_| self.shared.metrics.block_read_failed())
    }

    /// What goes wrong with a block that is open.
    pub(super) fn failed(&self, dir: &Path, error: &BlockError) -> Error {
        self.shared.metrics.block_read_failed();
        tracing::error!(%error, dir = %dir.display(), "a block cannot be read: a query fails");
        unreadable(dir, error)
    }

    /// The label sets of at most `limit` series that match all matchers and have samples in the range, as far as chunks say.
    pub(super) fn series(&self, matchers: &[Matcher], min_t: i64, max_t: i64, limit: usize) -> Result<Vec<Labels>, Error> {
        let blocks = self.blocks(min_t, max_t)?;
        let from_head = self.head.series(matchers, min_t, max_t, limit);
        if blocks.is_empty() {
            return Ok(from_head);
        }
        let mut all: HashSet<Labels> = from_head.into_iter().collect();
        for block in &blocks {
            let mut visit = |labels| {
                if all.len() < limit {
                    all.insert(labels);
                }
                all.len() < limit
            };
            block.visit_labels(matchers, min_t, max_t, &mut visit).map_err(|error| self.failed(block.block().dir(), &error))?;
        }
        Ok(all.into_iter().collect())
    }

    /// The names of labels of series that match, sorted, at most `limit`; as [`Head::label_names`].
    pub(super) fn label_names(&self, matchers: &[Matcher], min_t: i64, max_t: i64, limit: usize) -> Result<Vec<String>, Error> {
        let from_head = |limit| self.head.label_names(matchers, min_t, max_t, limit);
        self.texts(min_t, max_t, limit, from_head, |block, all| block.add_label_names(matchers, min_t, max_t, all))
    }

    /// The values of a label of series that match, sorted, at most `limit`; as [`Head::label_values`].
    pub(super) fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        min_t: i64,
        max_t: i64,
        limit: usize,
    ) -> Result<Vec<String>, Error> {
        let from_head = |limit| self.head.label_values(name, matchers, min_t, max_t, limit);
        self.texts(min_t, max_t, limit, from_head, |block, all| block.add_label_values(name, matchers, min_t, max_t, all))
    }

    /// The first `limit` of the union of what the head and the blocks have.
    fn texts(
        &self,
        min_t: i64,
        max_t: i64,
        limit: usize,
        from_head: impl FnOnce(usize) -> Vec<String>,
        from_block: impl Fn(&HashedBlock, &mut BTreeSet<String>) -> Result<(), BlockError>,
    ) -> Result<Vec<String>, Error> {
        let blocks = self.blocks(min_t, max_t)?;
        let from_head = from_head(limit);
        if blocks.is_empty() {
            return Ok(from_head);
        }
        let mut all: BTreeSet<String> = from_head.into_iter().collect();
        for block in &blocks {
            from_block(block, &mut all).map_err(|error| self.failed(block.block().dir(), &error))?;
            while all.len() > limit {
                all.pop_last();
            }
        }
        Ok(all.into_iter().collect())
    }
}
