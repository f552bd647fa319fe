//! Blocks go to the object store, and stay here until the store has them for certain.
//!
//! ```text
//! cut ── Waiting ── upload, meta.json last ──▶ Stored ── the bucket index names it, or a block made of it ──▶ Shown ── old enough, and 15 minutes later ──▶ deleted here
//! ```
//!
//! A block is uploaded as soon as it is cut, under the name that it has here, so an upload that was cut off is repeated and never makes a second block. When its `meta.json` is in the
//! store a note beside it says so; where the note is missing the store is asked, once. The index is read only while a block is stored and not shown, once in some minutes.
//! While the store cannot be reached everything stays, and is tried more and more seldom.
//!
//! In reading order: [`plan`] (what is to be done, purely), [`note`] (what is remembered over restarts), [`tenant`] (doing it for one tenant), [`rounds`] (the loop, and flushes).

mod note;
mod plan;
mod rounds;
mod tenant;

use std::sync::atomic::AtomicBool;

use bucket::Bucket;
use tokio::sync::Notify;

pub(crate) use note::read as read_note;
pub(crate) use plan::{OnItsWay, Stage};
pub(crate) use rounds::{OnTheirWay, measure, run};
pub(crate) use tenant::TenantShipping;

/// What shipping needs besides the blocks.
#[derive(Debug)]
pub(crate) struct Shipper {
    bucket: Bucket,
    /// Told when blocks were cut.
    wanted: Notify,
    /// Whether it was said that blocks are overdue.
    warned: AtomicBool,
}

impl Shipper {
    pub(crate) fn new(bucket: Bucket) -> Self {
        Self { bucket, wanted: Notify::new(), warned: AtomicBool::new(false) }
    }

    /// There are new blocks: ships them now rather than in the next round.
    pub(crate) fn wake(&self) {
        self.wanted.notify_one();
    }
}
