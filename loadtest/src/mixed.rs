//! `loadtest mixed`: live samples at a set pace and a dashboard in a loop, over an hour of history.
//!
//! [`live`] (the pace, and pushing at it), [`dashboard`] (what is asked, and asking it).

use std::time::{Duration, Instant};

use crate::encode::Protocol;
use crate::figures::Latencies;
use crate::server::{Server, Where};
use crate::values::SCRAPE_SECONDS;
use crate::write::{Load, Shape, now_ms, write};

mod dashboard;
mod live;

/// Flags of `loadtest mixed`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    server: Where,
    #[command(flatten)]
    mixed: MixedArgs,
}

/// The mixed load.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct MixedArgs {
    /// Samples per second; as many series get one each second.
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    rate: u32,
    /// Minutes of history that are written first.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=1_440))]
    history_minutes: u32,
    /// How long live samples are written and queries are asked.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// The dashboard is asked anew every so many seconds, or at once if it took longer.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    refresh_seconds: u64,
}

impl MixedArgs {
    /// The default load with its rate times `scale`, for so many seconds.
    pub(crate) fn of(scale: f64, seconds: u64) -> Self {
        let rate = ((50_000.0 * scale) as u32).max(1);
        Self { rate, history_minutes: 60, seconds, refresh_seconds: 5 }
    }
}

/// What a mixed load came to.
pub(crate) struct Mixed {
    /// From when a push was due until it was answered: a server that falls behind does not look fast.
    pub(crate) writes: Latencies,
    pub(crate) queries: Latencies,
    /// CPU seconds of the server per second.
    pub(crate) cores: f64,
    pub(crate) peak_rss_bytes: u64,
    /// Of the live samples.
    pub(crate) samples_per_second: f64,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    let server = Server::get(&args.server, false).await?;
    let mixed = mixed(&server, &args.mixed).await?;
    println!("mixed, {}: {} live samples a second, {} queries", server.kind.name(), mixed.samples_per_second.round(), mixed.queries.len());
    println!("  push latency p50 / p99  {:>10.1} / {:.1} ms", mixed.writes.ms(0.50), mixed.writes.ms(0.99));
    println!("  query latency p50 / p95 {:>10.1} / {:.1} ms", mixed.queries.ms(0.50), mixed.queries.ms(0.95));
    println!("  cores                   {:>10.2}", mixed.cores);
    println!("  peak RSS                {:>10.0} MB", mixed.peak_rss_bytes as f64 / 1e6);
    Ok(())
}

/// Writes the history, then runs both loops.
pub(crate) async fn mixed(server: &Server, args: &MixedArgs) -> anyhow::Result<Mixed> {
    let history = Load {
        shape: Shape::Wide,
        series: args.rate as usize,
        scrapes: (i64::from(args.history_minutes) * 60 / SCRAPE_SECONDS) as usize,
        protocol: Protocol::V1,
        batch: 2_000,
        tenants: 1,
        connections: 4,
        within: Duration::from_secs(3_600),
    };
    write(server, &history, now_ms()?).await?;
    server.reset_peak()?;
    let before = server.usage()?;
    let started = Instant::now();
    let until = started + Duration::from_secs(args.seconds);
    let refresh = Duration::from_secs(args.refresh_seconds);
    let (live, queries) = tokio::try_join!(live::write(server, &history, until), dashboard::ask(server, refresh, until))?;
    tokio::time::sleep_until(until.into()).await;
    let wall = started.elapsed().as_secs_f64();
    let after = server.usage()?;
    Ok(Mixed {
        writes: Latencies::new(live.latencies),
        queries: Latencies::new(queries),
        cores: (after.cpu_seconds - before.cpu_seconds) / wall,
        peak_rss_bytes: after.peak_rss_bytes,
        samples_per_second: live.samples as f64 / wall,
    })
}
