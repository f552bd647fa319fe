//! The storage engine of one ingester process: what was written lately, in memory to be read and on disk to survive.
//!
//! Duties: encode samples as Prometheus's chunks ([`chunk`]); hold each tenant's recent series, find them by label matchers
//! and forget them when they are old ([`head`]); move their finished chunks to files that are mapped ([`head_chunks`]); keep one write-ahead log for all tenants of the process ([`wal`]); write
//! ranges of a head as Prometheus's blocks and read such blocks ([`block`]); merge blocks ([`compact`]).
//! Not its duties: time (an argument), tasks and tenants' life cycles (the ingester), limits' origins (the ingester), the
//! wire, and metrics (plain counters in structs, which the ingester exports). The crate is synchronous.
//!
//! The path of a push:
//!
//! ```text
//! WriteBatch ─ Head::append ─┬─ series found by hash, samples into open chunks          (visible to queries)
//!                            └─ AppendOutcome: rejections, and a WalRecord of what was taken
//! WalRecord ── Wal::append ──── one write(2) for all pushes that wait, fsync as configured (may be acknowledged)
//! AppendOutcome ─ Head::confirm: the series definitions in the record are in the log
//! ```
//!
//! and of a start: the newest whole [`snapshot`] gives the heads as they were when a generation of the log began; `Wal::open` gives the log and
//! a [`wal::Replay`], which streams the records from that generation on back into the heads.
//!
//! Invariants:
//! - What `Wal::append` returned `Ok` for is replayed after a crash of the process; after a crash of the machine as far as
//!   [`wal::SyncPolicy`] says.
//! - A record in the log needs no other record but definitions that were in the log, in the same generation, before it was
//!   encoded (`docs/formats/wal.md`). So the order in which concurrent pushes reach the log does not matter.
//! - Within a series samples ascend in time without duplicates. A query sees, per series, all of a push or nothing of it.
//! - Lock order: the index of a head before its stripes, never two stripes at once; nothing is held while the log is written.

pub mod block;
pub mod chunk;
pub mod compact;
pub mod fs;
pub mod head;
pub mod head_chunks;
pub mod snapshot;
pub mod wal;

pub use head::{AppendOutcome, Head, HeadConfig, HeadLimits, Selection};
pub use wal::{Generation, Wal, WalConfig, WalError, WalRecord};
