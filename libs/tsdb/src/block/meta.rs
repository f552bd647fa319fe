//! `meta.json`, version 1: as Prometheus writes it, with the section of Thanos that Cortex, Mimir and Thanos expect in a bucket.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{BlockError, Ulid};
use crate::fs::Fs;

/// The file's name within a block.
pub const META_FILE: &str = "meta.json";

/// The most bytes of a `meta.json` that is read. One of 1,000 parents takes 0.1 MB.
const MAX_META_BYTES: u64 = 16 << 20;

/// What a block says of itself. Fields that we do not know are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockMeta {
    /// The block's name.
    pub ulid: Ulid,
    /// First time of the range, inclusive, in milliseconds.
    pub min_time: i64,
    /// End of the range, exclusive.
    pub max_time: i64,
    /// Counts.
    #[serde(default)]
    pub stats: BlockStats,
    /// Where the block comes from.
    pub compaction: Compaction,
    /// Always 1.
    pub version: u32,
    /// What object stores of the Thanos family need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thanos: Option<ThanosMeta>,
    /// What others wrote.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Counts of a block.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockStats {
    /// Samples of all kinds.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_samples: u64,
    /// Floats; Prometheus before 2.52 leaves this out.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_float_samples: u64,
    /// Histograms; Prometheus before 2.52 leaves this out.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_histogram_samples: u64,
    /// Series.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_series: u64,
    /// Chunks.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_chunks: u64,
    /// Intervals that were deleted.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_tombstones: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Where a block comes from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Compaction {
    /// 1 for a block cut from a head, then one more than the highest of the sources.
    pub level: u32,
    /// The blocks of level 1 that went into it; its own name for a block of level 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Ulid>,
    /// The blocks that were merged into it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<BlockDesc>,
    /// `deletable`, `failed`, `hints`, and what others wrote.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockDesc {
    /// Its name.
    pub ulid: Ulid,
    /// Its first time.
    pub min_time: i64,
    /// Its end, exclusive.
    pub max_time: i64,
}

/// The section `thanos`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ThanosMeta {
    /// Labels of all series of the block, and in Cortex's family the tenant and the compactor's shard.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// How far the block is downsampled.
    #[serde(default)]
    pub downsample: Downsample,
    /// What wrote the block: `receive`, `compactor`, …
    #[serde(default)]
    pub source: String,
    /// `files`, `segment_files`, `index_stats`, and what others wrote.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Downsampling.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Downsample {
    /// Milliseconds between samples; 0: raw.
    pub resolution: i64,
}

impl BlockMeta {
    /// Reads the `meta.json` of a block's folder.
    pub fn read(fs: &dyn Fs, dir: &Path) -> Result<Self, BlockError> {
        let bytes = super::file::read_all(fs, &dir.join(META_FILE), MAX_META_BYTES)?;
        Self::parse(&bytes)
    }

    /// Reads the contents of a `meta.json`.
    pub fn parse(bytes: &[u8]) -> Result<Self, BlockError> {
        let meta: Self = serde_json::from_slice(bytes).map_err(|e| BlockError::Meta(e.to_string()))?;
        if meta.version != 1 {
            return Err(BlockError::Meta(format!("unknown version {}", meta.version)));
        }
        if meta.min_time > meta.max_time {
            return Err(BlockError::Meta("minTime is after maxTime".to_owned()));
        }
        Ok(meta)
    }

    /// The contents of the file.
    pub fn to_json(&self) -> Result<Vec<u8>, BlockError> {
        serde_json::to_vec_pretty(self).map_err(|e| BlockError::Meta(e.to_string()))
    }

    /// Whether any of its range lies in `[min_t, max_t]` (both inclusive).
    #[must_use]
    pub fn overlaps(&self, min_t: i64, max_t: i64) -> bool {
        self.min_time <= max_t && min_t < self.max_time
    }

    /// The block as a parent of another.
    #[must_use]
    pub fn desc(&self) -> BlockDesc {
        BlockDesc { ulid: self.ulid, min_time: self.min_time, max_time: self.max_time }
    }
}
