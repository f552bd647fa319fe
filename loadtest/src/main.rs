//! Load and measurement from outside: what a server does per CPU second, and what it costs in memory.
//!
//! `loadtest write` sends remote write as fast as the server takes it; `loadtest query` loads a data set and asks a list of queries one at a time.
//! Both start a server of their own on loopback, in a temporary directory, and end it; or measure one that runs (`--url`, `--pid`). The load is bounded in
//! series, scrapes and time. In reading order: [`series`] (what the series are), [`values`] (how they move), [`encode`] (as remote write), [`process`] (the server
//! and its CPU and memory), [`write`], [`queries`], [`query`].
#![allow(clippy::print_stdout, reason = "a command that prints a report")]
#![allow(clippy::disallowed_methods, reason = "a measuring tool takes time as it comes")]

use clap::{Parser, Subcommand};

mod encode;
mod process;
mod queries;
mod query;
mod series;
mod values;
mod write;

#[derive(Debug, Parser)]
#[command(name = "loadtest", about = "Measures a Plimsoll server under load")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Remote write as fast as the server takes it: samples per second and per CPU second, memory per series.
    Write(write::Args),
    /// Queries one at a time: latencies, and CPU per query.
    Query(query::Args),
}

fn main() -> anyhow::Result<()> {
    // HTTP clients want to know their TLS, also where there is none; an error says that it is known.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match Cli::parse().command {
        Command::Write(args) => runtime.block_on(write::run(&args)),
        Command::Query(args) => runtime.block_on(query::run(&args)),
    }
}
