//! `loadtest replication`: what copies cost. The same load on one process, and on a distributor with one and with three ingesters over gRPC, role by role.

use std::path::PathBuf;
use std::time::Duration;

use crate::server::{Kind, Server, Usage, Where};
use crate::write::{LoadArgs, now_ms, write};

mod cluster;

use cluster::Cluster;

/// Work that was put off counts too, as in `compare`.
const SETTLE: Duration = Duration::from_secs(2);

/// Flags of `loadtest replication`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    load: LoadArgs,
    /// The binary to start [default: plimsoll beside this program]
    #[arg(long)]
    binary: Option<PathBuf>,
}

/// What one layout did.
struct Row {
    name: &'static str,
    samples: f64,
    steady: Option<f64>,
    latencies_ms: (f64, f64),
    rss_per_series: f64,
    /// CPU seconds: distributor, ingesters, coordinator; of one process, all in the first.
    cpu: [f64; 3],
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    let mut rows = vec![in_process(args).await?];
    for (name, copies) in [("1 copy over gRPC", 1), ("3 copies over gRPC", 3)] {
        rows.push(over_grpc(args, name, copies).await?);
    }
    print(&rows);
    Ok(())
}

async fn in_process(args: &Args) -> anyhow::Result<Row> {
    let server = Server::get(&Where::start(Kind::Plimsoll, args.binary.clone(), None), false).await?;
    let total = || Ok([server.usage()?, Usage::default(), Usage::default()]);
    measured(args, "in process", &server, total).await
}

async fn over_grpc(args: &Args, name: &'static str, copies: usize) -> anyhow::Result<Row> {
    let cluster = Cluster::start(args.binary.as_deref(), copies).await?;
    let server = Server::get(&Where::at(cluster.url(), cluster.pids()), false).await?;
    measured(args, name, &server, || cluster.usage()).await
}

async fn measured(args: &Args, name: &'static str, server: &Server, usage: impl Fn() -> anyhow::Result<[Usage; 3]>) -> anyhow::Result<Row> {
    let load = args.load.load()?;
    let before = usage()?;
    let written = write(server, &load, now_ms()?).await?;
    tokio::time::sleep(SETTLE).await;
    let after = usage()?;
    let mut cpu = [0.0; 3];
    for (cpu, (after, before)) in cpu.iter_mut().zip(after.iter().zip(&before)) {
        *cpu = after.cpu_seconds - before.cpu_seconds;
    }
    Ok(Row {
        name,
        samples: written.samples as f64,
        steady: written.steady_samples_per_cpu_second(),
        latencies_ms: (written.latencies.ms(0.50), written.latencies.ms(0.99)),
        rss_per_series: written.per_series(written.rss_growth()),
        cpu,
    })
}

fn print(rows: &[Row]) {
    println!(
        "| copies | samples per CPU second, series known | CPU s per million samples | × in process | distributor | ingesters | coordinator | RSS growth per series | push p50 / p99 |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    let per_million = |row: &Row| row.cpu.iter().sum::<f64>() / row.samples * 1e6;
    let first = rows.first().map_or(1.0, per_million);
    for row in rows {
        let [distributor, ingesters, coordinator] = row.cpu.map(|cpu| cpu / row.samples * 1e6);
        let parts =
            if ingesters > 0.0 { format!("{distributor:.3} | {ingesters:.3} | {coordinator:.3}") } else { "– | – | –".to_owned() };
        println!(
            "| {} | {:.0} | {:.3} | {:.2} | {parts} | {:.0} B | {:.1} / {:.1} ms |",
            row.name,
            row.steady.unwrap_or_default(),
            per_million(row),
            per_million(row) / first,
            row.rss_per_series,
            row.latencies_ms.0,
            row.latencies_ms.1,
        );
    }
}
