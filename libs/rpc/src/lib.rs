//! How roles meet: traits, each with a gRPC and an in-process implementation.
//!
//! A role is handed `Arc<dyn IngesterClient>` and the like and cannot tell a neighbour in the same process from one across the network;
//! nothing is serialised in the first case. In reading order: [`context`] (tenant and deadline of a call), [`error`] (what may go wrong, sorted by
//! who can do something about it), [`ingester`], [`coordinator`], [`write`], [`query`], [`ruler`] (the traits); then what the gRPC implementations share: [`channels`] (connections), [`metadata`]
//! (tenant, deadline, trace and cluster of a call) and [`status`] (errors on the wire); and the gRPC clients: [`ingester_grpc`], [`coordinator_grpc`], [`ruler_grpc`].
//! [`keys`] (small values) and [`operator`] (for people) are further sides of the coordinator. [`membership`] and [`cluster_watch`] are what every role needs of the coordinator: being in the cluster, and seeing it.
//! [`health`] is what a caller learns of a peer from its calls.
//!
//! Never here: decisions (who is asked, how many must answer). Those belong to the roles.

pub mod channels;
pub mod cluster_watch;
pub mod context;
pub mod coordinator;
pub mod coordinator_grpc;
pub mod error;
pub mod health;
pub mod ingester;
pub mod ingester_grpc;
pub mod keys;
pub mod membership;
pub mod metadata;
pub mod operator;
pub mod operator_grpc;
pub mod query;
pub mod ruler;
pub mod ruler_grpc;
pub mod status;
pub mod write;

pub use channels::Channels;
pub use cluster_watch::ClusterWatch;
pub use context::CallContext;
pub use coordinator::{CoordinatorClient, Lease, Registration, SnapshotStream};
pub use coordinator_grpc::GrpcCoordinatorClient;
pub use error::{RpcError, RpcErrorKind};
pub use health::PeerHealth;
pub use ingester::{
    Cardinality, CardinalityRequest, ExemplarSeries, HELD_FOR, IngesterClient, IngesterPool, LabelCounts, LabelNamesRequest,
    LabelValuesRequest, PushSlice, SelectBatch, SelectStream, SeriesRequest, StreamSelectRequest,
};
pub use ingester_grpc::{GrpcIngesterClient, GrpcIngesterPool};
pub use keys::{KeyEntry, KeyStore, KeysStream, KeysUpdate, Swap, Swapped};
pub use membership::{Membership, MembershipStatus};
pub use metadata::ClusterIdentity;
pub use operator::{CoordinatorOperator, GroupMember, GroupStatus, InstanceInfo};
pub use query::QueryRunner;
pub use ruler::{RulerClient, RulerPool, RulesGroup, RulesPart, RulesRequest};
pub use ruler_grpc::GrpcRulerPool;
pub use write::{WriteError, WritePath};
