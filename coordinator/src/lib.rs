//! The coordinator role: who is in the cluster, agreed on by a Raft group of one, three or five members.
//!
//! Does: keeps instances with their states, zones and epochs in a replicated state machine; keeps their leases in the leader's memory and
//! logs only what changes; streams versions of the cluster to whoever watches, from any member.
//!
//! Keeps small values ([`keys`]) for whoever has to agree on something, and lets its own members be replaced (`handle/members`).
//!
//! Never does: see a sample, a series or a query. Everybody works on with the last version when the group is gone.
//!
//! Path of a transition: [`grpc`] (or [`handle`], in the same process) → leader → a [`machine::Command`] in the log of most members
//! (`store/log`, synced) → [`machine::State`] of each (`store/state_machine`) → watchers. Path of a renewal: leader → [`lease`], no log.
//!
//! Invariants: an epoch is given out once; versions grow by one with every change; a lease is let run out only by a leader that has
//! itself been listening for a whole lease; a member keeps its number as long as it keeps its store.
//!
//! In reading order: [`machine`] with [`keys`] (small values) and [`forget`] (who may be), [`lease`] and `formation` (pure), `store` (RocksDB), `raft` and `network` (openraft's types, its messages over gRPC),
//! `leader` (the leader's loop), [`handle`], [`grpc`], [`service`] (start and stop), [`config`], [`error`], [`metrics`].

pub mod config;
pub mod error;
pub mod forget;
mod formation;
pub mod grpc;
pub mod handle;
pub mod keys;
mod leader;
pub mod lease;
pub mod machine;
pub mod metrics;
mod network;
mod raft;
pub mod service;
mod store;

pub use config::Config;
pub use error::Error;
pub use handle::Handle;
pub use service::{Coordinator, Deps};
