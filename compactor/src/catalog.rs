//! What a tenant has in the bucket.

use std::collections::BTreeMap;

use bucket::index::{IndexedBlock, IndexedMark};
use bucket::layout::{DELETION_MARK, META, NO_COMPACT_MARK};
use bucket::{Bucket, BucketError, BucketIndex, Key};
use model::TenantId;
use tsdb::block::{BlockMeta, Ulid};

/// The most markers of one tenant that are looked at: those of a month of blocks of a hundred ingesters.
const MAX_MARKERS: usize = 100_000;

/// A tenant's blocks and marks at one time.
#[derive(Debug, Default)]
pub struct Catalog {
    /// Whole blocks, by name, with when their `meta.json` was written (seconds since the Unix epoch).
    pub blocks: BTreeMap<Ulid, (BlockMeta, i64)>,
    /// Folders named as blocks that have no `meta.json`.
    pub partial: Vec<Ulid>,
    /// Blocks whose `meta.json` cannot be read, with the reason.
    pub damaged: Vec<(Ulid, String)>,
    /// When blocks were marked for deletion, in seconds since the Unix epoch.
    pub deletions: BTreeMap<Ulid, i64>,
    /// Blocks that are not to be compacted.
    pub no_compact: Vec<Ulid>,
}

impl Catalog {
    /// Reads the tenant's part of the bucket. Blocks that `known` has are not read again: a `meta.json` never changes.
    pub async fn read(bucket: &Bucket, tenant: &TenantId, known: &Self) -> Result<Self, BucketError> {
        let mut catalog = Self::default();
        for object in bucket.list(&Key::markers(tenant), MAX_MARKERS).await? {
            match object.key.to_global_mark() {
                Some((block, DELETION_MARK)) => {
                    // A mark that went away meanwhile is one whose block went away.
                    if let Some(mark) = bucket.deletion_mark(tenant, block).await? {
                        catalog.deletions.insert(block, mark.deletion_time);
                    }
                }
                Some((block, NO_COMPACT_MARK)) => catalog.no_compact.push(block),
                _ => {}
            }
        }
        for folder in bucket.list_folders(&Key::tenant(tenant)).await? {
            if let Ok(block) = folder.parse::<Ulid>() {
                catalog.add(bucket, tenant, block, known).await?;
            }
        }
        Ok(catalog)
    }

    async fn add(&mut self, bucket: &Bucket, tenant: &TenantId, block: Ulid, known: &Self) -> Result<(), BucketError> {
        if let Some(found) = known.blocks.get(&block).filter(|_| !self.deletions.contains_key(&block)) {
            self.blocks.insert(block, found.clone());
            return Ok(());
        }
        let info = match bucket.head(&Key::block_file(tenant, block, META)).await {
            Ok(info) => info,
            Err(e) if e.is_not_found() => {
                self.partial.push(block);
                return Ok(());
            }
            Err(e) => return Err(e),
        };
        match bucket.block_meta(tenant, block).await {
            Ok(meta) => {
                self.blocks.insert(block, (meta, info.modified_ms.div_euclid(1_000)));
            }
            Err(e) if e.is_not_found() => self.partial.push(block),
            Err(BucketError::Damaged { what, .. }) => self.damaged.push((block, what)),
            Err(e) => return Err(e),
        }
        Ok(())
    }

    /// Whether nothing of the tenant is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.partial.is_empty() && self.damaged.is_empty() && self.deletions.is_empty()
    }

    /// The bucket index of what is here.
    #[must_use]
    pub fn index(&self, now_ms: i64) -> BucketIndex {
        let marks = self.deletions.iter().filter(|(block, _)| self.blocks.contains_key(block));
        BucketIndex {
            version: BucketIndex::VERSION,
            blocks: self.blocks.values().map(|(meta, uploaded_at)| IndexedBlock::new(meta, *uploaded_at)).collect(),
            block_deletion_marks: marks.map(|(block, at)| IndexedMark { block_id: *block, deletion_time: *at }).collect(),
            updated_at: now_ms.div_euclid(1_000),
        }
    }

    /// Blocks that are not marked for deletion.
    pub fn live(&self) -> impl Iterator<Item = &BlockMeta> {
        self.blocks.values().map(|(meta, _)| meta).filter(|meta| !self.deletions.contains_key(&meta.ulid))
    }

    /// Blocks that may be merged.
    pub fn mergeable(&self) -> impl Iterator<Item = &BlockMeta> {
        self.live().filter(|meta| !self.no_compact.contains(&meta.ulid))
    }
}
