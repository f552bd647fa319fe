//! The compactor: makes few large blocks of the many small ones that ingesters ship, and keeps every tenant's part of the bucket in order.
//!
//! Duties, per tenant that the ring gives to this instance: write the bucket index ([`catalog`]); merge the replicas of a range and then
//! neighbouring ranges ([`tsdb::compact::plan`] says which, [`job`] does it); mark blocks that are older than the tenant's retention
//! ([`retention`]), or whose samples are all in another block; delete what has been marked long enough, and what an upload left behind
//! ([`cleaner`]). Not its duties: what is in a block (`tsdb`), names and calls (`bucket`).
//!
//! ```text
//! list folders and markers ─▶ catalog ─▶ superseded, retention ─▶ marks ─▶ plan ─▶ download, merge, verify, upload, mark ─▶ index
//! ```
//!
//! It may be killed anywhere. What it leaves and who deals with it:
//! - a half-made upload: has no `meta.json`, is not in the index, goes when it is old enough;
//! - a merged block whose sources are not marked yet: the next round sees that they are superseded;
//! - files in its own folder: emptied at start.
//!
//! Invariants:
//! - A block is deleted only when its mark is older than `deletion_delay_seconds`, so a querier with an index as old as that still finds
//!   every block that the index names.
//! - A source is marked only when the block that holds its samples is whole in the bucket and was read back from disk with all checksums right.
//! - A block that cannot be read keeps its samples and its place: it is marked as not to be compacted, counted, and the rest goes on.

pub mod catalog;
pub mod cleaner;
pub mod config;
pub mod error;
pub mod http;
pub mod job;
mod metrics;
pub mod ownership;
pub mod retention;
pub mod service;
mod tenant;

pub use config::Config;
pub use error::Error;
pub use service::{Compactor, Deps, Service};
