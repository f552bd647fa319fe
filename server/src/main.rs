//! `plimsoll`.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use runtime::ShutdownTrigger;
use runtime::telemetry::{Telemetry, TelemetryOptions};
use server::cli::{Cli, Command, RunArgs};
use server::{Config, Server, config, signals};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::Run(args) => run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stderr, reason = "the process may end before logging has started")]
fn report(error: &anyhow::Error) {
    eprintln!("plimsoll: {error:#}");
}

#[allow(clippy::disallowed_methods, reason = "this is where the environment enters the process")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn run(args: &RunArgs) -> anyhow::Result<()> {
    let config = config::load(args.config.as_deref(), environment, &args.settings())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("plimsoll").build().context("start the runtime")?;
    runtime.block_on(serve(config))
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let telemetry = Telemetry::start(&TelemetryOptions {
        filter: config.log.filter.clone(),
        format: config.log.format,
        otlp_endpoint: Some(config.otlp.endpoint.clone()).filter(|e| !e.is_empty()),
        instance: config.instance_id.clone(),
    })?;
    let (trigger, shutdown) = ShutdownTrigger::new();
    let mut server = Server::start(config, shutdown).await?;
    // A role that ends by itself ends the process: something outside restarts it.
    let failed = tokio::select! {
        signal = signals::wait_for_stop(&trigger) => { signal.context("listen for signals")?; None }
        error = server.failed() => { trigger.fire(); Some(error) }
    };
    tokio::select! {
        () = server.drain() => {}
        () = signals::wait_for_second() => {}
    }
    telemetry.flush();
    failed.map_or(Ok(()), Err)
}
