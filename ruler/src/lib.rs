//! The ruler: recording and alerting rules, evaluated again and again, and alerts told to Alertmanagers.
//!
//! Duties: reading rule files ([`rule_file`], [`template`]), evaluating groups at their times (`group`, `manager`, `evaluate`), the life of
//! alerts (`alert`), telling Alertmanagers (`notify`), rules and alerts over HTTP (`http`), and unit tests of rules ([`unit_test`]).
//!
//! Not its duties: evaluating PromQL (`libs/promql`, through [`rpc::QueryRunner`]), storing samples (through [`rpc::WritePath`]), grouping,
//! silencing and sending notifications (Alertmanager).
//!
//! ```text
//! RuleSource ─▶ manager ─▶ a task per group ─ slot by slot ─▶ evaluate ─ query path ─▶ results ─ write path
//!                                                                └─ alert::step ─▶ notify ─ POST /api/v2/alerts ─▶ Alertmanager
//! ```
//!
//! Invariants: a group's rules are evaluated in order, each after what the one before it wrote; two evaluations of a group never overlap; the
//! slots of a group are the same after a restart; a series that a rule no longer gives ends with a stale marker; what alerts are is a
//! pure function of their state, a result and a time; whatever waits for an Alertmanager is bounded and does not hold up evaluation.

mod alert;
pub mod config;
mod duration;
pub mod error;
mod evaluate;
mod group;
mod http;
mod manager;
mod metrics;
mod notify;
pub mod rule_file;
pub mod service;
pub mod source;
pub mod template;
pub mod unit_test;
mod view;
mod yaml;

pub use config::Config;
pub use error::StartError;
pub use service::{Deps, Handle, Service, build};
pub use source::{FileSource, RuleSet, RuleSource};
