//! `loadtest compare`: the same load on Plimsoll, Prometheus and VictoriaMetrics, one after the other, in one table.
//!
//! [`measure`] (one server under one load), [`equality`] (answers of two servers; pure), [`table`] (figures by server; pure), [`rows`] (which figures, and what they are called),
//! [`output`] (as text, Markdown and JSON).
//!
//! Only ratios within one run mean something: absolute figures drift with the machine.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;

use crate::encode::Protocol;
use crate::mixed::{MixedArgs, mixed};
use crate::server::{Kind, Server, Where};
use crate::write::{Load, Shape, now_ms};
use equality::Verdict;
use measure::{Answers, Plan};
use table::Table;

mod equality;
mod measure;
mod output;
mod rows;
mod table;

/// Flags of `loadtest compare`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Data sets, one after the other.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "wide,long,churn")]
    shapes: Vec<Shape>,
    /// Servers.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "plimsoll,prometheus,victoria-metrics")]
    systems: Vec<Kind>,
    /// Series times this.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// How often each query is asked.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    repeat: u32,
    /// Seconds of the mixed load; 0 leaves it out.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    mixed_seconds: u64,
    /// Each load stops after so many seconds, wherever it is.
    #[arg(long, default_value_t = 1_200, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    load_seconds: u64,
    /// Plimsoll's binary [default: plimsoll beside this program]
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Settings of Plimsoll: a YAML file
    #[arg(long)]
    config: Option<PathBuf>,
    /// Writes compare.txt, compare.md and compare.json into this directory as well.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// True if every compared query has the same answer from Plimsoll and Prometheus.
pub(crate) async fn run(args: &Args) -> anyhow::Result<bool> {
    ensure!(args.scale > 0.0 && args.scale <= 25.0, "--scale is {}, but must be above 0 and at most 25", args.scale);
    let systems = present(args)?;
    let mut table = Table::new(systems.iter().map(|place| place.1.name()));
    let mut verdicts = Vec::new();
    for shape in &args.shapes {
        verdicts.extend(compare_shape(args, *shape, &systems, &mut table).await?);
    }
    if args.mixed_seconds > 0 {
        for (place, kind) in &systems {
            progress(kind.name(), "mixed");
            let server = Server::get(place, false).await?;
            let figures = mixed(&server, &MixedArgs::of(args.scale, args.mixed_seconds)).await?;
            rows::mixed(&mut table, kind.name(), &figures);
        }
    }
    let report = output::Report { scale: args.scale, repeat: args.repeat, table, verdicts };
    println!("{}", report.text());
    if let Some(dir) = &args.out {
        report.write(dir)?;
    }
    Ok(report.verdicts.iter().all(Verdict::is_good))
}

/// The servers that are there; those that are not are named and left out. Plimsoll has to be there.
fn present(args: &Args) -> anyhow::Result<Vec<(Where, Kind)>> {
    let mut found = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|kind| args.systems.contains(kind)) {
        let given = args.binary.clone().filter(|_| kind == Kind::Plimsoll);
        match given.map_or_else(|| kind.binary(), Ok) {
            Ok(binary) => found.push((Where::start(kind, Some(binary), args.config.clone()), kind)),
            Err(error) if kind == Kind::Plimsoll => return Err(error),
            Err(error) => println!("!!! {} IS LEFT OUT: {error:#} !!!", kind.name()),
        }
    }
    ensure!(!found.is_empty(), "no server to measure");
    Ok(found)
}

async fn compare_shape(args: &Args, shape: Shape, systems: &[(Where, Kind)], table: &mut Table) -> anyhow::Result<Vec<Verdict>> {
    let load = Load::of(shape, args.scale, Duration::from_secs(args.load_seconds));
    let plan = Plan { load, repeat: args.repeat, last_t: measure::last_scrape(now_ms()?) };
    let mut verdicts = Vec::new();
    let mut ours: Option<Answers> = None;
    for (place, kind) in systems {
        progress(kind.name(), shape.name());
        let measured = measure::measure(place, &plan).await?;
        rows::measured(table, kind.name(), &plan, &measured);
        match &ours {
            None if *kind == Kind::Plimsoll => ours = Some(measured.answers),
            None => {}
            Some(ours) => verdicts.push(equality::compare(shape.name(), *kind, &plan, ours, &measured.answers)),
        }
    }
    for (place, kind) in systems.iter().filter(|(_, kind)| kind.takes(Protocol::V2)) {
        progress(kind.name(), "remote write 2.0");
        let second = Plan { load: Load { protocol: Protocol::V2, ..load }, ..plan };
        rows::second_protocol(table, kind.name(), &second, &measure::write_only(place, &second).await?);
    }
    Ok(verdicts)
}

/// Runs take many minutes: what is measured now.
fn progress(server: &str, what: &str) {
    println!("... {server}: {what}");
}
