//! The querier: PromQL and metadata over all ingesters that may hold a tenant's series.
//!
//! Duties: the Prometheus HTTP API ([`http`]), parsing of queries ([`runner`]) and who computes next (`admission`), asking every ingester side by side and
//! merging what they say ([`ingesters`], [`merge`]), feeding the engine ([`queryable`]), saying what there is to query ([`directory`], [`cardinality`]).
//!
//! Not its duties: evaluation (`libs/promql`), knowing who is in the cluster (`libs/rpc`'s watch), authenticating (the server).
//!
//! ```text
//! HTTP -> runner: parse, limits, turn, CPU pool -> engine -> queryable.select -> ingesters.select (one stream per ingester)
//!                                              ^ bounded channel <- merge by series hash <- streams
//! ```
//!
//! Invariants: an answer is complete or it is an error. With replication factor RF a series is acknowledged by `RF/2 + 1` replicas, so
//! an answer that lacks at most `RF/2` ingesters is complete; one that lacks more is refused. What the engine has not asked for is
//! not fetched: every hop is a bounded channel. Dropping a query's future cancels it everywhere.

mod admission;
pub mod blocks;
pub mod cardinality;
pub mod config;
pub mod directory;
pub mod http;
pub mod ingesters;
pub mod merge;
pub mod metrics;
pub mod queryable;
pub mod runner;
pub mod service;

pub use config::Config;
pub use ingesters::Home;
pub use service::{Deps, Querier};
