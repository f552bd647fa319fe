//! The sandbox of the whole-system tests: real processes on loopback, each in a directory of its own, each ended by its pid.
//!
//! In reading order: [`process`] (a child that cannot outlive its test), [`deployment`] (Plimsoll as one process or as six), [`fleet`] (every role apart, in three zones, over an object store), [`dashboard`] (what is asked of a scraped node), [`peers`] (a real
//! Prometheus and a real node_exporter), [`alerting`] (a real Alertmanager and a webhook), [`client`] (pushing and querying over HTTP), [`rules_api`] (storing rule groups), [`checker`] and [`ledger`] (who writes and reads through them
//! knows what was acknowledged, and whether it is there),
//! [`group`] (a coordinator group as its members see it), [`compare`] (two answers point by point), [`grafana`] (a data source of Grafana), [`oracle`] (a Prometheus 3 with the same samples, asked the same), [`chart`] (the Helm chart: what it renders to, and processes started as it says).
//!
//! The tests use the public surface only.
#![allow(clippy::disallowed_methods, reason = "tests of real processes live in real time")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tests report what they compare")]

/// Two answers point by point.
pub use loadtest::answers as compare;

pub mod alerting;
pub mod chart;
pub mod checker;
pub mod client;
pub mod collector;
pub mod dashboard;
pub mod deployment;
pub mod fleet;
pub mod grafana;
pub mod group;
pub mod ledger;
pub mod oracle;
pub mod peers;
pub mod process;
pub mod prometheus;
pub mod resilience;
pub mod rules_api;
