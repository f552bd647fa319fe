//! The one binary: settings, wiring, listeners, admin pages.
//!
//! In reading order: [`cli`] (the command line), [`config`] (settings: flag > environment > file > default), [`target`] (which roles run here),
//! [`graph`] (everything built in dependency order, and the order in which it stops), [`http`] (routes, tenant, admin pages), [`signals`].
//! Beside them: [`block_command`] (`plimsoll block`), [`coordinator_command`] (`plimsoll coordinator`), [`limits_command`] (`plimsoll limits`), [`promql_command`] (`plimsoll promql`), [`rules_command`] (`plimsoll rules`).
//!
//! Invariants: there are no globals; a listener is bound before anything is built on it and serves from the first moment, answering 503
//! where a role is not ready; SIGTERM drains.

pub mod block_command;
pub mod cli;
pub mod config;
pub mod coordinator_command;
pub mod graph;
pub mod http;
pub mod limits_command;
pub mod promql_command;
pub mod rules_command;
pub mod signals;
pub mod target;

pub use config::Config;
pub use graph::Server;
pub use target::{Target, Targets};
