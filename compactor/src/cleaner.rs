//! What is deleted now. Pure, but for [`clean`], which does it.

use bucket::{Bucket, Key};
use model::TenantId;
use runtime::failpoint::{self, Failpoint};
use tsdb::block::Ulid;

use crate::catalog::Catalog;
use crate::error::Error;

/// The most objects of a leftover that are looked at to tell its age.
const MAX_LEFTOVER_OBJECTS: usize = 10_000;

/// What a cleaning did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Blocks that had been marked long enough.
    pub blocks: u64,
    /// Leftovers of uploads and deletions.
    pub partial: u64,
}

/// Marked blocks whose time has come. `delay_ms` is the time between mark and deletion.
#[must_use]
pub fn due(catalog: &Catalog, delay_ms: i64, now_ms: i64) -> Vec<Ulid> {
    let marked = catalog.deletions.iter();
    marked.filter(|(_, at)| at.saturating_mul(1_000).saturating_add(delay_ms) <= now_ms).map(|(block, _)| *block).collect()
}

/// Deletes what is due, and what of an upload is older than `partial_delay_ms`. Deleted blocks are taken out of the catalog.
pub async fn clean(
    bucket: &Bucket,
    tenant: &TenantId,
    catalog: &mut Catalog,
    delay_ms: i64,
    partial_delay_ms: i64,
    now_ms: i64,
) -> Result<Cleaned, Error> {
    let mut cleaned = Cleaned::default();
    for block in due(catalog, delay_ms, now_ms) {
        failpoint::hit(Failpoint::CompactDelete).await?;
        bucket.delete_block(tenant, block).await?;
        catalog.blocks.remove(&block);
        catalog.deletions.remove(&block);
        catalog.partial.retain(|partial| *partial != block);
        cleaned.blocks += 1;
    }
    let mut young = Vec::new();
    for block in std::mem::take(&mut catalog.partial) {
        let objects = bucket.list(&Key::block(tenant, block), MAX_LEFTOVER_OBJECTS).await?;
        let youngest = objects.iter().map(|object| object.modified_ms).max();
        // The deletion of a marked block that ended halfway goes on at once when it is due; an upload may still be under way.
        if youngest.is_some_and(|at| at.saturating_add(partial_delay_ms) <= now_ms) {
            bucket.delete_block(tenant, block).await?;
            cleaned.partial += 1;
        } else {
            young.push(block);
        }
    }
    catalog.partial = young;
    Ok(cleaned)
}
