//! `plimsoll`.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use runtime::ShutdownTrigger;
use runtime::telemetry::{Telemetry, TelemetryOptions};
use server::cli::{Cli, Command, ConfigCommand, RunArgs};
use server::{Config, Server, block_command, config, coordinator_command, graph, limits_command, promql_command, rules_command, signals};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::Run(args) => run(args),
        Command::Config(ConfigCommand::Check(args)) => check(args, &mut std::io::stdout().lock()).map(|()| ExitCode::SUCCESS),
        Command::Promql(command) => promql_command::run(command, &mut std::io::stdout().lock()).map(|()| ExitCode::SUCCESS),
        Command::Rules(command) => rules_command::run(command, &mut std::io::stdout().lock()).map(ExitCode::from),
        Command::Config(ConfigCommand::Reference) => config::reference::print(&mut std::io::stdout().lock()).map(|()| ExitCode::SUCCESS),
        Command::Limits(command) => limits_command::run(command, &mut std::io::stdout().lock()).map(|()| ExitCode::SUCCESS),
        Command::Coordinator(command) => coordinator_command::run(command, &mut std::io::stdout().lock()).map(|()| ExitCode::SUCCESS),
        Command::Block(command) => block_command::run(command, &mut std::io::stdout().lock()).map(|()| ExitCode::SUCCESS),
    };
    match result {
        Ok(code) => code,
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

/// Prints the settings in force, as `/config` shows them.
fn check(args: &RunArgs, out: &mut dyn std::io::Write) -> anyhow::Result<()> {
    let config = config::load(args.config.as_deref(), environment, &args.settings())?;
    out.write_all(serde_yaml_ng::to_string(&config)?.as_bytes())?;
    Ok(())
}

fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let config = config::load(args.config.as_deref(), environment, &args.settings())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("plimsoll").build().context("start the runtime")?;
    runtime.block_on(serve(config))
}

async fn serve(config: Config) -> anyhow::Result<ExitCode> {
    let telemetry = Telemetry::start(&TelemetryOptions {
        filter: config.log.filter.clone(),
        format: config.log.format,
        otlp_endpoint: Some(config.otlp.endpoint.clone()).filter(|e| !e.is_empty()),
        instance: graph::instance_name(&config),
    })?;
    // Not a setting: no file may have it by accident.
    let armed = runtime::failpoint::arm(&environment("PLIMSOLL_FAILPOINTS").unwrap_or_default());
    let result = match armed.context("read PLIMSOLL_FAILPOINTS") {
        Ok(()) => work(config).await,
        Err(error) => Err(error),
    };
    // From here on there is a log, and who reads it reads its format.
    if let Err(error) = &result {
        tracing::error!(error = format!("{error:#}"), "ending because of an error");
    }
    telemetry.flush();
    Ok(if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn work(config: Config) -> anyhow::Result<()> {
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
    failed.map_or(Ok(()), Err)
}
