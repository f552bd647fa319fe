//! Blocks in and out of the bucket.
//!
//! `meta.json` goes in last and out first, so whoever sees it sees a whole block, and what has none is the leftover of an upload or a
//! deletion that ended halfway.

use std::path::Path;
use std::sync::Arc;

use model::TenantId;
use runtime::failpoint::{self, Failpoint};
use serde_json::{Value, json};
use tsdb::block::{BlockMeta, CHUNKS_DIR, INDEX_FILE, SIDECAR_FILE, TOMBSTONES_FILE, Ulid};
use tsdb::fs::Fs;

use crate::error::BucketError;
use crate::layout::{DELETION_MARK, Key, META, NO_COMPACT_MARK};
use crate::marker::{DeletionMark, MAX_MARK_BYTES, NoCompactMark};
use crate::store::Bucket;

/// The most bytes of a `meta.json` that is read.
const MAX_META_BYTES: u64 = 16 << 20;
/// The most objects of one block: segments of half a gigabyte, and a handful of others.
const MAX_BLOCK_OBJECTS: usize = 10_000;

impl Bucket {
    /// Writes the block that lies in a local folder: first chunks, index and what else belongs to it, then the given `meta.json`, in whose section `thanos`, if it has one, the
    /// files are listed. Repeating it after an error is safe.
    pub async fn upload_block(&self, tenant: &TenantId, fs: &Arc<dyn Fs>, dir: &Path, meta: &BlockMeta) -> Result<Uploaded, BucketError> {
        let meta_key = Key::block_file(tenant, meta.ulid, META);
        failpoint::hit(Failpoint::ShipUpload).await.map_err(|injected| BucketError::injected("write", &meta_key, injected))?;
        let mut files = Vec::new();
        for name in block_files(&**fs, dir).map_err(BucketError::local("list", dir))? {
            let len = self.upload(&Key::block_file(tenant, meta.ulid, &name), fs, &dir.join(&name)).await?;
            files.push((name, len));
        }
        let meta = with_files(meta, &files);
        let key = meta_key;
        let json = meta.to_json().map_err(|e| BucketError::Damaged { key: key.clone(), what: e.to_string() })?;
        let bytes = json.len() as u64 + files.iter().map(|(_, len)| len).sum::<u64>();
        failpoint::hit(Failpoint::ShipMeta).await.map_err(|injected| BucketError::injected("write", &key, injected))?;
        self.put(&key, json).await?;
        Ok(Uploaded { meta, bytes })
    }

    /// The `meta.json` of a block. [`BucketError::NotFound`] if the block is not there or not whole.
    pub async fn block_meta(&self, tenant: &TenantId, block: Ulid) -> Result<BlockMeta, BucketError> {
        let key = Key::block_file(tenant, block, META);
        let bytes = self.get(&key, MAX_META_BYTES).await?;
        let meta = BlockMeta::parse(&bytes).map_err(|e| BucketError::Damaged { key: key.clone(), what: e.to_string() })?;
        if meta.ulid != block {
            return Err(BucketError::Damaged { key, what: format!("it is that of block {}", meta.ulid) });
        }
        Ok(meta)
    }

    /// Copies a block into the local folder `dir`, which is made and must be empty; `meta.json` last.
    pub async fn download_block(&self, tenant: &TenantId, block: Ulid, dir: &Path) -> Result<(), BucketError> {
        let chunks = dir.join(CHUNKS_DIR);
        tokio::fs::create_dir_all(&chunks).await.map_err(BucketError::local("create", &chunks))?;
        let prefix = Key::block(tenant, block);
        for object in self.list(&prefix, MAX_BLOCK_OBJECTS).await? {
            let name = object.key.as_str().strip_prefix(prefix.as_str()).unwrap_or_default().to_owned();
            let wanted = match name.split_once('/') {
                None => !matches!(name.as_str(), META | DELETION_MARK | NO_COMPACT_MARK),
                Some((folder, segment)) => folder == CHUNKS_DIR && !segment.contains('/'),
            };
            // A name from outside: nothing but a plain file of the block or of its chunks is written.
            if wanted && !matches!(object.key.file_name(), "" | "." | "..") {
                self.download(&object.key, &dir.join(&name)).await?;
            }
        }
        self.download(&Key::block_file(tenant, block, META), &dir.join(META)).await.map(|_| ())
    }

    /// Deletes a block: its `meta.json` first, its markers last, so that a deletion that ends halfway is taken up again.
    pub async fn delete_block(&self, tenant: &TenantId, block: Ulid) -> Result<(), BucketError> {
        self.delete(&Key::block_file(tenant, block, META)).await?;
        let is_mark = |key: &Key| matches!(key.file_name(), DELETION_MARK | NO_COMPACT_MARK);
        let mut objects = self.list(&Key::block(tenant, block), MAX_BLOCK_OBJECTS).await?;
        objects.sort_by_key(|object| is_mark(&object.key));
        for object in objects {
            self.delete(&object.key).await?;
        }
        self.delete(&Key::global_mark(tenant, block, NO_COMPACT_MARK)).await?;
        self.delete(&Key::global_mark(tenant, block, DELETION_MARK)).await
    }

    /// Marks a block for deletion, in the folder of markers first: that is the one that is listed. A mark that is there stays as it is.
    pub async fn mark_for_deletion(&self, tenant: &TenantId, mark: &DeletionMark) -> Result<(), BucketError> {
        self.put_mark(tenant, mark.id, DELETION_MARK, serde_json::to_vec(mark)).await
    }

    /// Keeps a block out of compaction.
    pub async fn mark_no_compact(&self, tenant: &TenantId, mark: &NoCompactMark) -> Result<(), BucketError> {
        self.put_mark(tenant, mark.id, NO_COMPACT_MARK, serde_json::to_vec(mark)).await
    }

    async fn put_mark(&self, tenant: &TenantId, block: Ulid, name: &str, json: serde_json::Result<Vec<u8>>) -> Result<(), BucketError> {
        let key = Key::global_mark(tenant, block, name);
        let json = json.map_err(|e| BucketError::Damaged { key: key.clone(), what: e.to_string() })?;
        if !self.exists(&key).await? {
            self.put(&key, json.clone()).await?;
        }
        let key = Key::block_file(tenant, block, name);
        if self.exists(&key).await? { Ok(()) } else { self.put(&key, json).await }
    }

    /// A block's mark for deletion, if it has one.
    pub async fn deletion_mark(&self, tenant: &TenantId, block: Ulid) -> Result<Option<DeletionMark>, BucketError> {
        let key = Key::global_mark(tenant, block, DELETION_MARK);
        match self.get(&key, MAX_MARK_BYTES).await {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| BucketError::Damaged { key, what: e.to_string() }),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        }
    }
}

/// What [`Bucket::upload_block`] has written.
#[derive(Debug, Clone, PartialEq)]
pub struct Uploaded {
    /// The `meta.json` as it lies in the bucket.
    pub meta: BlockMeta,
    /// Bytes of all its objects.
    pub bytes: u64,
}

/// The files of a local block but for `meta.json`, chunks before the index. What else lies in the folder stays behind.
fn block_files(fs: &dyn Fs, dir: &Path) -> std::io::Result<Vec<String>> {
    let mut segments = fs.list(&dir.join(CHUNKS_DIR))?;
    segments.sort_unstable();
    let mut names: Vec<String> = segments.into_iter().map(|segment| format!("{CHUNKS_DIR}/{segment}")).collect();
    let there = fs.list(dir)?;
    let others = [TOMBSTONES_FILE, SIDECAR_FILE].into_iter().filter(|name| there.iter().any(|other| other == name));
    // A block has an index; if it is not there, reading it says so.
    names.extend(others.chain([INDEX_FILE]).map(str::to_owned));
    Ok(names)
}

/// Lists files as Thanos does, so that readers need not ask the store for lengths.
fn with_files(meta: &BlockMeta, files: &[(String, u64)]) -> BlockMeta {
    let mut meta = meta.clone();
    if let Some(thanos) = &mut meta.thanos {
        let segments = files.iter().filter_map(|(name, _)| name.strip_prefix(CHUNKS_DIR)?.strip_prefix('/'));
        thanos.other.insert("segment_files".to_owned(), segments.collect());
        let listed = files.iter().map(|(name, len)| json!({ "rel_path": name, "size_bytes": len }));
        let listed: Value = listed.chain([json!({ "rel_path": META })]).collect();
        thanos.other.insert("files".to_owned(), listed);
    }
    meta
}

#[cfg(test)]
mod tests {
    use tsdb::block::ThanosMeta;

    use super::*;

    #[test]
    fn files_are_listed_as_thanos_does() {
        let json = r#"{"ulid":"01ARZ3NDEKTSV4RRFFQ69G5FAV","minTime":0,"maxTime":7200000,"compaction":{"level":1},"version":1}"#;
        let mut meta = BlockMeta::parse(json.as_bytes()).unwrap();
        let files = [("chunks/000001".to_owned(), 70), ("index".to_owned(), 9)];
        assert_eq!(with_files(&meta, &files), meta, "without the section nothing is added");
        meta.thanos = Some(ThanosMeta { source: "receive".to_owned(), ..ThanosMeta::default() });
        let written = serde_json::from_slice::<Value>(&with_files(&meta, &files).to_json().unwrap()).unwrap();
        let expected = json!({
            "labels": {}, "downsample": {"resolution": 0}, "source": "receive", "segment_files": ["000001"],
            "files": [{"rel_path": "chunks/000001", "size_bytes": 70}, {"rel_path": "index", "size_bytes": 9}, {"rel_path": "meta.json"}],
        });
        assert_eq!(written["thanos"], expected);
    }
}
