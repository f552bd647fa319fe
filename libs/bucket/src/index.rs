//! The bucket index: a tenant's blocks and deletion marks in one small object, so that nobody lists the bucket to answer a query. The
//! compactor writes it; version 1, as Cortex and Mimir do (they ignore the members that are ours).

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use tsdb::block::{BlockMeta, Ulid};

use model::TenantId;

use crate::error::BucketError;
use crate::layout::Key;
use crate::store::{Bucket, Version};

/// The most bytes of an index as it lies in the bucket.
pub(crate) const MAX_INDEX_BYTES: u64 = 64 << 20;
/// The most bytes of an index as JSON: a million blocks.
const MAX_JSON_BYTES: u64 = 256 << 20;

/// How segments of chunks are named: `chunks/000001`, `chunks/000002`, …
const SEGMENTS_1_BASED: &str = "1b6d";

/// A tenant's blocks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BucketIndex {
    /// 1, or 2 as newer Mimirs write it.
    pub version: u32,
    /// Blocks whose `meta.json` is there, marked ones too.
    #[serde(default)]
    pub blocks: Vec<IndexedBlock>,
    /// Which of them are marked for deletion.
    #[serde(default)]
    pub block_deletion_marks: Vec<IndexedMark>,
    /// When it was made, in seconds since the Unix epoch.
    pub updated_at: i64,
}

/// A block as the index knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexedBlock {
    /// Its name.
    pub block_id: Ulid,
    /// First time of its range, inclusive, in milliseconds.
    pub min_time: i64,
    /// End of its range, exclusive.
    pub max_time: i64,
    /// How its segments are named; empty if unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub segments_format: String,
    /// How many segments it has; 0 if unknown.
    #[serde(default)]
    pub segments_num: u32,
    /// When its `meta.json` was written, in seconds since the Unix epoch.
    #[serde(default)]
    pub uploaded_at: i64,
    /// How often it was compacted, 1 for a block from an ingester; 0 if unknown. Ours (and Mimir's).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub compaction_level: u32,
    /// The blocks of level 1 that are in it. Ours: an ingester keeps its own block until the index shows it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Ulid>,
    /// The compactor's shard of series, `1_of_4`; empty for all. Mimir's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub compactor_shard_id: String,
}

/// A deletion mark as the index knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexedMark {
    /// The block.
    pub block_id: Ulid,
    /// When it was marked, in seconds since the Unix epoch.
    pub deletion_time: i64,
}

/// What [`Bucket::index_unless`] finds.
#[derive(Debug)]
pub enum IndexRead {
    /// There is none.
    Missing,
    /// It is the one that was seen.
    Same,
    /// Another one.
    Changed(BucketIndex, Version),
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl IndexedBlock {
    /// From a block's `meta.json`. `uploaded_at` is when that was written, in seconds since the Unix epoch.
    #[must_use]
    pub fn new(meta: &BlockMeta, uploaded_at: i64) -> Self {
        let thanos = meta.thanos.as_ref();
        let segments = thanos.and_then(|t| t.other.get("segment_files")?.as_array()).map_or(0, Vec::len);
        let shard = thanos.and_then(|t| t.labels.get("__compactor_shard_id__")).cloned();
        Self {
            block_id: meta.ulid,
            min_time: meta.min_time,
            max_time: meta.max_time,
            segments_format: if segments > 0 { SEGMENTS_1_BASED.to_owned() } else { String::new() },
            segments_num: u32::try_from(segments).unwrap_or_default(),
            uploaded_at,
            compaction_level: meta.compaction.level,
            sources: meta.compaction.sources.clone(),
            compactor_shard_id: shard.unwrap_or_default(),
        }
    }

    /// Whether it may have samples in `[min_t, max_t]`, both inclusive.
    #[must_use]
    pub fn overlaps(&self, min_t: i64, max_t: i64) -> bool {
        self.min_time <= max_t && self.max_time > min_t
    }
}

impl BucketIndex {
    /// The version that we write.
    pub const VERSION: u32 = 1;

    /// The object's bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, std::io::Error> {
        let mut out = GzEncoder::new(Vec::new(), Compression::default());
        out.write_all(&serde_json::to_vec(self)?)?;
        out.finish()
    }

    /// From the object's bytes; `key` is for the error. At most 256 MiB are unpacked.
    pub fn from_bytes(key: &Key, bytes: &[u8]) -> Result<Self, BucketError> {
        let damaged = |what: String| BucketError::Damaged { key: key.clone(), what };
        let mut json = Vec::new();
        let read = GzDecoder::new(bytes).take(MAX_JSON_BYTES + 1).read_to_end(&mut json).map_err(|e| damaged(e.to_string()))?;
        if read as u64 > MAX_JSON_BYTES {
            return Err(damaged(format!("more than {MAX_JSON_BYTES} bytes of JSON")));
        }
        let index: Self = serde_json::from_slice(&json).map_err(|e| damaged(e.to_string()))?;
        match index.version {
            1 | 2 => Ok(index),
            version => Err(damaged(format!("version {version}, not 1 or 2"))),
        }
    }

    /// When a block was marked for deletion, in seconds since the Unix epoch.
    #[must_use]
    pub fn deletion_time(&self, block: Ulid) -> Option<i64> {
        self.block_deletion_marks.iter().find(|mark| mark.block_id == block).map(|mark| mark.deletion_time)
    }
}

impl Bucket {
    /// A tenant's index; `None` if there is none yet.
    pub async fn index(&self, tenant: &TenantId) -> Result<Option<BucketIndex>, BucketError> {
        let key = Key::bucket_index(tenant);
        match self.get(&key, MAX_INDEX_BYTES).await {
            Ok(bytes) => BucketIndex::from_bytes(&key, &bytes).map(Some),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// A tenant's index, unless it is the version that was `seen`.
    pub async fn index_unless(&self, tenant: &TenantId, seen: Option<&Version>) -> Result<IndexRead, BucketError> {
        let key = Key::bucket_index(tenant);
        match self.get_unless(&key, MAX_INDEX_BYTES, seen).await {
            Ok(Some((bytes, version))) => Ok(IndexRead::Changed(BucketIndex::from_bytes(&key, &bytes)?, version)),
            Ok(None) => Ok(IndexRead::Same),
            Err(e) if e.is_not_found() => Ok(IndexRead::Missing),
            Err(e) => Err(e),
        }
    }

    /// Writes a tenant's index.
    pub async fn put_index(&self, tenant: &TenantId, index: &BucketIndex) -> Result<(), BucketError> {
        let key = Key::bucket_index(tenant);
        let bytes = index.to_bytes().map_err(|e| BucketError::Damaged { key: key.clone(), what: e.to_string() })?;
        self.put(&key, bytes).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key::root()
    }

    fn gz(json: &str) -> Vec<u8> {
        let mut out = GzEncoder::new(Vec::new(), Compression::default());
        out.write_all(json.as_bytes()).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn an_index_of_cortex_is_read() {
        let json = r#"{"version":1,"blocks":[{"block_id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","min_time":0,"max_time":7200000,
            "segments_format":"1b6d","segments_num":2,"uploaded_at":1700000000,"new_member":[1]}],
            "block_deletion_marks":[{"block_id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","deletion_time":1700000100}],"updated_at":1700000200}"#;
        let index = BucketIndex::from_bytes(&key(), &gz(json)).unwrap();
        assert_eq!(index.blocks.len(), 1);
        assert_eq!(index.deletion_time(index.blocks[0].block_id), Some(1_700_000_100));
        assert_eq!(BucketIndex::from_bytes(&key(), &index.to_bytes().unwrap()).unwrap(), index);
        assert!(index.blocks[0].overlaps(7_199_999, 8_000_000) && !index.blocks[0].overlaps(7_200_000, 8_000_000));
    }

    #[test]
    fn damage_is_told() {
        for bytes in [b"no gzip".to_vec(), gz("{"), gz(r#"{"version":3,"updated_at":0}"#), gz("{}")] {
            assert!(matches!(BucketIndex::from_bytes(&key(), &bytes), Err(BucketError::Damaged { .. })));
        }
    }
}
