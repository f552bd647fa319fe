//! The command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{compare, mixed, query, replication, simulate_ring, verify, write};

#[derive(Debug, Parser)]
#[command(name = "loadtest", about = "Load, measurement and verification of a Plimsoll server and its peers")]
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
    /// Live samples at a set pace and a dashboard in a loop, over an hour of history.
    Mixed(mixed::Args),
    /// Writes known curves and reads them back until the time is over; exit code 1 if anything is lost, wrong or doubled.
    Verify(verify::Args),
    /// The same load on Plimsoll, Prometheus and VictoriaMetrics, in one table; exit code 1 if Prometheus answers a query differently.
    Compare(compare::Args),
    /// What copies cost: the same load in one process, and over gRPC with one and three copies, role by role.
    Replication(replication::Args),
    /// A cluster on paper: balance, movement and blast radius of rings and shards, and what they cost. No server is started.
    SimulateRing(simulate_ring::Args),
}

/// Runs the command that the arguments name.
pub fn main() -> anyhow::Result<ExitCode> {
    // HTTP clients want to know their TLS, also where there is none; an error says that it is known.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let good = runtime.block_on(async {
        match cli.command {
            Command::Write(args) => write::run(&args).await.map(|()| true),
            Command::Query(args) => query::run(&args).await.map(|()| true),
            Command::Mixed(args) => mixed::run(&args).await.map(|()| true),
            Command::Verify(args) => verify::run(&args).await,
            Command::Compare(args) => compare::run(&args).await,
            Command::Replication(args) => replication::run(&args).await.map(|()| true),
            Command::SimulateRing(args) => simulate_ring::run(&args).map(|()| true),
        }
    })?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
