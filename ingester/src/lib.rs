//! The ingester: holds the recent samples of its share of all series, and answers queries over them.
//!
//! Duties: put pushes into the tenant's head and into the process's write-ahead log, and answer only then; stream series, labels, metadata and
//! exemplars to queriers; put what is some hours old into blocks, and ship these to the object store; forget what is older than the retention and in the
//! store for certain; come back after any kind of end with everything that it acknowledged.
//! Not its duties: which series are its own (the distributor's ring decides), replicas (the querier merges), validation of labels beyond their
//! canonical form (the distributor's), telling the coordinator about its state (the server's wiring follows [`Ingester::watch_state`]), and
//! encoding and indexing (`tsdb`).
//!
//! In reading order: [`config`], [`service`] (the parts; start, upkeep, stop), `lifecycle` (which state takes which calls), `tenants` (a head each),
//! `push`, `query`, `blocks` (two-hour blocks of what is older), `ship` (their way to the object store), [`client`] (the in-process door), [`grpc`] (the other door), `metrics`, [`error`].
//!
//! The path of a push:
//!
//! ```text
//! in process ──────────── Arc<WriteBatch>, as the distributor decoded it ──┐
//! gRPC ── columns ── hash per series, label blocks stay in the message ────┤
//!                                                                          ▼
//!   admitted (ACTIVE, bytes in flight) ── the tenant's turn ── Head::append ── Wal::submit ── turn ends
//!                                                              visible         record queued
//!   writer thread: one write(2) for all that wait ── Head::confirm ── answered
//! ```
//!
//! Why the head comes first. Only the head knows which samples are taken, and a log of refused ones would bring them back at every start. So
//! a sample is visible to queries some milliseconds before it is safe, and for good if the log then fails. What that means:
//!
//! - *The process dies in between*: nothing was acknowledged; after the restart the samples are not there, as if never sent. The sender, who got no
//!   answer, sends them again.
//! - *The log refuses the record* (disk full, I/O error): the push is answered `Unavailable`, with the samples in the head but not in the log. The
//!   sender repeats the push; the head then finds the newest sample of each series there already, counts it as taken, *and puts it into the
//!   new record*: duplicates are always logged again, so that an acknowledgement never rests on a write that failed. A sample that by then is
//!   not the newest of its series any more is refused as out of order, which the sender is told: it is not acknowledged either.
//! - *Series definitions* travel in every record until one that holds them is known to be in the log ([`tsdb::Head::confirm`]), so a lost record
//!   leaves no series undefined.
//! - *The log gives up a generation* (a sync failed; what it held cannot be relied on): the record is made again for the next one, here, once.
//! - *The caller goes away*: appending and queueing are one step on one thread, which runs to its end.
//!
//! Invariants:
//! - `Ok` from a push means: everything but what the report lists is in the log (on the disk, with `wal.sync: always`).
//! - Samples of one series are in the log in the order in which the head took them: pushes of one tenant take turns until their record is queued.
//! - While the log is replayed, pushes are taken, into heads beside those that are being restored (`service/restore.rs`), and queries wait: an answer
//!   has everything that was acknowledged before the query came, or it is an error.
//! - Memory of pushes in progress, open queries, answers, and the number of tenants have bounds, which are named in the errors of those who meet them.
//! - A tenant without samples costs nothing after the next upkeep; a tenant's head is never removed while anybody works with it.
//! - A sample leaves a head only when it is in a block that every query sees, and a block leaves the disk only when the bucket index has shown it for so
//!   long that every querier knows, however old either is by then.
//! - A block has one name, here and in the object store; there it is whole or has no `meta.json`.
//! - A query sees each sample once, whether it is in the head, in a block, or in both; what is on the disk and cannot be read is an error, never a hole.

mod backoff;
mod blocks;
pub mod client;
pub mod config;
pub mod departure;
pub mod error;
pub mod grpc;
mod inflight;
mod lifecycle;
mod metrics;
mod push;
mod query;
pub mod service;
mod ship;
mod tenants;

pub use blocks::Flushed;
pub use client::InProcessPool;
pub use config::Config;
pub use departure::DepartureStatus;
pub use error::{Error, StartError};
pub use service::{Deps, Ingester, Service};

#[cfg(test)]
mod tests;
