//! Load and measurement from outside: what a server does per CPU second, what it costs in memory and on disk, and whether it answers what was written.
//!
//! - `write` sends remote write as fast as the server takes it; `query` loads a data set and asks a list of queries one at a time; `mixed` does both at a set pace.
//! - `verify` writes known curves, reads them back in several ways and keeps a ledger, while processes may be killed.
//! - `compare` puts the same load on Plimsoll, Prometheus and VictoriaMetrics, one after the other, and prints one table.
//! - `simulate-ring` computes what a large cluster would do; it starts nothing.
//!
//! Each of the others starts its servers on loopback in a temporary directory and ends them, or measures one that runs (`--url`, `--pid`). Everything is bounded in series,
//! scrapes and time. They use the public surface only.
//!
//! In reading order: [`series`] (what the series are), [`values`] (how they move), [`encode`] (as remote write), [`server`] (a server, its CPU, memory and disk),
//! [`figures`] (percentiles and means), [`write`], [`query`], [`mixed`], [`ledger`] (what was sent and what came of it), [`answers`] (points of an answer),
//! [`verify`], [`compare`], [`simulate_ring`], [`cli`]. Whole-system tests use [`ledger`] and [`answers`] as a library.
#![allow(clippy::print_stdout, reason = "a command that prints a report")]
#![allow(clippy::disallowed_methods, reason = "a measuring tool takes time as it comes")]

pub mod answers;
mod cli;
mod compare;
mod encode;
mod figures;
pub mod ledger;
mod mixed;
mod query;
mod replication;
mod series;
mod server;
mod simulate_ring;
mod values;
mod verify;
mod write;

pub use cli::main;
