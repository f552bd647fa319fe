//! How roles meet: traits, each with a gRPC and an in-process implementation.
//!
//! A role is handed `Arc<dyn IngesterClient>` and the like and cannot tell a neighbour in the same process from one across the network;
//! nothing is serialised in the first case. In reading order: [`context`] (tenant and deadline of a call), [`error`] (what may go wrong, sorted by
//! who can do something about it), [`ingester`], [`coordinator`], [`write`], [`query`] (the traits).
//!
//! Never here: decisions (who is asked, how many must answer). Those belong to the roles.

pub mod context;
pub mod coordinator;
pub mod error;
pub mod ingester;
pub mod query;
pub mod write;

pub use context::CallContext;
pub use coordinator::{CoordinatorClient, Lease, Registration, SnapshotStream};
pub use error::{RpcError, RpcErrorKind};
pub use ingester::{
    ExemplarSeries, IngesterClient, IngesterPool, LabelNamesRequest, LabelValuesRequest, PushSlice, SelectBatch, SelectStream,
    SeriesRequest, StreamSelectRequest,
};
pub use query::QueryRunner;
pub use write::{WriteError, WritePath};
