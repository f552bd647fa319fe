//! The distributor: the door of the write path.
//!
//! It takes remote-write requests (1.0 and 2.0), decodes them in place, checks and canonicalises label sets, finds the ingesters that
//! hold each series, pushes to all of them and answers when a quorum of every series' replicas has it in its WAL.
//!
//! Data path: [`rate_limit`] asks whether the tenant may write at all now → [`http`] reads the body, bounded → [`decode`] makes a [`model::WriteBatch`] of it, with [`validate`] for series that are not known
//! → the rate limit takes what is in it → [`shard`] splits it by replica set → [`push`] writes it, answers at the quorum and lets slower replicas follow → what was refused
//! ([`refusals`]) is told.
//!
//! Not here: who the tenant is (the server's authentication puts a [`model::TenantId`] into the request), whether a sample is in order or
//! a series within its tenant's number of series (ingesters), connections (`libs/rpc`), storage of any kind.
//!
//! Invariants
//! - Nothing that a client sends is trusted for an allocation: bodies, decompressed bodies, decoded batches and all requests together
//!   are bounded by settings whose names are in the refusals.
//! - A label block in a batch is canonical and within its tenant's limits: checked now, or found by hash among those checked before.
//! - A bad series costs no other series of its request; a body that is not the promised message is refused as a whole.
//! - A sample is acknowledged only when a quorum of its replicas has it, and reported as rejected only when a quorum rejected it.
//! - Of equal senders one is written at a time ([`ha`]); what the others send is taken and dropped.
//! - A tenant writes at most its rate and burst, over all distributors together; what is over it is refused as a whole (429).
//! - With one ingester in the same process there is no task, no serialisation and no copy between the body and the ingester.

pub mod config;
pub mod decode;
pub mod error;
pub mod ha;
mod http;
pub mod inflight;
pub mod metrics;
pub mod push;
pub mod rate_limit;
pub mod refusals;
pub mod service;
pub mod shard;
pub mod validate;

pub use config::{Config, ConfigError};
pub use error::RequestError;
pub use push::Distributor;
pub use refusals::{Counts, Refusals};
pub use service::{Deps, Handle, Service, build};
