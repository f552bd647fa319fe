//! Object storage: blocks, markers, the bucket index and rule groups of all tenants, in a layout that Cortex, Mimir and Thanos read, and
//! whose layout of theirs we read.
//!
//! Duties: open a store from a URL ([`url`]); every key in one place ([`layout`]); calls with a deadline, a bound on how many run at a
//! time, and metrics ([`store`]); the JSON of markers and of the bucket index ([`marker`], [`index`]); blocks in and out, `meta.json` last
//! ([`block`]); blocks read where they are, part by part, within bounds of disk and memory ([`cache`]). Not its duties: which block is merged, marked or deleted when (the compactor's), what is in a block (`tsdb`'s).
//!
//! Requests are retried by `object_store`, with exponential backoff, where the store speaks HTTP; what is left as an error here was tried
//! [`store::Settings::retries`] times.
//!
//! Invariants:
//! - A key is made only by [`layout`], from a validated tenant and a ULID, so no tenant reaches another's prefix.
//! - Whatever is read whole has a bound that is checked before it is read.
//! - A block is there when its `meta.json` is there; without it the rest is the leftover of an upload.

pub mod block;
pub mod cache;
pub mod error;
pub mod index;
pub mod layout;
pub mod marker;
mod metrics;
pub mod store;
pub mod url;

pub use cache::BlockCache;
pub use error::BucketError;
pub use index::BucketIndex;
pub use layout::Key;
pub use marker::{DeletionMark, NoCompactMark};
pub use store::{Bucket, ObjectInfo, Settings};
pub use url::open;

// Only their features are used; see the manifest.
use reqwest as _;
