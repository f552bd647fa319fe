//! The ruler: recording and alerting rules, evaluated again and again, and alerts told to Alertmanagers.
//!
//! Duties: reading rule files ([`rule_file`], [`template`]) and the groups that tenants store (`store`, `stored`), sharing groups among rulers (`shard`,
//! `cluster`), evaluating groups at their times (`group`, `manager`, `evaluate`), the life of alerts (`alert`), telling Alertmanagers (`notify`), rules and
//! alerts over HTTP and gRPC (`http`, [`grpc`]), and unit tests of rules ([`unit_test`]).
//!
//! Not its duties: evaluating PromQL (`libs/promql`, through [`rpc::QueryRunner`]), storing samples (through [`rpc::WritePath`]), grouping,
//! silencing and sending notifications (Alertmanager).
//!
//! ```text
//! files ─ RuleSource ─┐  own groups
//! API ─ bucket ─ Stored ─▶ manager ─▶ a task per group ─ slot by slot ─▶ evaluate ─ query path ─▶ results ─ write path
//! ring ─ shard::owner ┘                                                 └─ alert::step ─▶ notify ─ POST /api/v2/alerts ─▶ Alertmanager
//! ```
//!
//! Invariants: a group's rules are evaluated in order, each after what the one before it wrote; two evaluations of a group never overlap in one
//! process, and every group has one owner in the cluster, a pure function of who is there; the slots of a group are the same after a restart and at
//! every owner; a series that a rule no longer gives ends with a stale marker; what alerts are is a pure function of their state, a result and a
//! time; whatever waits for an Alertmanager is bounded and does not hold up evaluation; nothing of one tenant holds up another's.

mod alert;
mod cluster;
pub mod config;
mod duration;
pub mod error;
mod evaluate;
mod group;
pub mod grpc;
mod http;
mod manager;
mod metrics;
mod notify;
pub mod rule_file;
pub mod service;
mod shard;
pub mod source;
mod store;
mod stored;
pub mod template;
pub mod unit_test;
mod view;
mod yaml;

pub use config::Config;
pub use error::StartError;
pub use service::{Deps, Handle, Service, build};
pub use source::{FileSource, RuleSet, RuleSource};
pub use stored::ParseFor;
