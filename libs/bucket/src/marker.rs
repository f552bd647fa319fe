//! Markers beside blocks, in the JSON of Thanos.

use serde::{Deserialize, Serialize};
use tsdb::block::Ulid;

/// The most bytes of a marker that are read.
pub(crate) const MAX_MARK_BYTES: u64 = 64 << 10;

/// A block that is to be deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletionMark {
    /// The block.
    pub id: Ulid,
    /// Always 1.
    pub version: u32,
    /// Why, for people.
    #[serde(default)]
    pub details: String,
    /// When it was marked, in seconds since the Unix epoch. The block goes when `compactor.deletion_delay` has passed since.
    pub deletion_time: i64,
}

/// A block that is not to be compacted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoCompactMark {
    /// The block.
    pub id: Ulid,
    /// Always 1.
    pub version: u32,
    /// Why, for people.
    #[serde(default)]
    pub details: String,
    /// When it was marked, in seconds since the Unix epoch.
    pub no_compact_time: i64,
    /// Why, for programs: `manual`, `block-cannot-be-read`, …
    #[serde(default)]
    pub reason: String,
}

impl DeletionMark {
    /// A mark made now.
    #[must_use]
    pub fn new(id: Ulid, now_ms: i64, details: impl Into<String>) -> Self {
        Self { id, version: 1, details: details.into(), deletion_time: now_ms.div_euclid(1_000) }
    }
}

impl NoCompactMark {
    /// A mark made now.
    #[must_use]
    pub fn new(id: Ulid, now_ms: i64, reason: impl Into<String>, details: impl Into<String>) -> Self {
        Self { id, version: 1, details: details.into(), no_compact_time: now_ms.div_euclid(1_000), reason: reason.into() }
    }
}
