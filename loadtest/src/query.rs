//! `loadtest query`.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::process::{Server, Where};
use crate::queries::{METADATA, Over, QUERIES};
use crate::values::SCRAPE_SECONDS;
use crate::write::{LoadArgs, write};

/// Flags of `loadtest query`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    server: Where,
    #[command(flatten)]
    load: LoadArgs,
    /// Ask only; the data set was written before, and its last scrape was at this time (seconds since the epoch).
    #[arg(long)]
    at: Option<i64>,
    /// How often each query is asked.
    #[arg(long, default_value_t = 10)]
    repeat: usize,
    /// Print a line per query, not only the summary.
    #[arg(long)]
    each: bool,
}

/// One query's figures.
struct Figures {
    what: String,
    latencies: Vec<Duration>,
    cpu_ms: f64,
    bytes: usize,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    if args.repeat == 0 {
        bail!("--repeat must be at least 1");
    }
    if args.load.tenants > 1 {
        anyhow::bail!("queries are asked of one tenant");
    }
    let server = Server::get(&args.server, false).await?;
    let (end, length) = match args.at {
        Some(seconds) => (seconds, 6 * 3_600),
        None => {
            let written = write(&server, &args.load).await?;
            let scrapes = written.samples / written.series as u64;
            println!("loaded {} series, {} samples", written.series, written.samples);
            (written.last_t / 1_000, scrapes as i64 * SCRAPE_SECONDS)
        }
    };
    let client = reqwest::Client::builder().no_gzip().timeout(Duration::from_secs(120)).build()?;
    let before = server.usage()?;
    let mut all = Vec::new();
    for (over, query) in QUERIES {
        all.push(ask(&server, &client, &url(&server, over, query, end, length), format!("{over:?} {query}"), args.repeat).await?);
    }
    for path in METADATA {
        let url = format!("{}/prometheus/api/v1/{}", server.url, path.replace('[', "%5B").replace(']', "%5D"));
        all.push(ask(&server, &client, &url, path.to_owned(), args.repeat).await?);
    }
    report(&server, &all, before.rss_bytes, args.each)
}

fn url(server: &Server, over: Over, query: &str, end: i64, length: i64) -> String {
    let encoded: String =
        query.bytes().map(|b| if b.is_ascii_alphanumeric() { (b as char).to_string() } else { format!("%{b:02X}") }).collect();
    let (seconds, step) = match over {
        Over::Instant => return format!("{}/prometheus/api/v1/query?query={encoded}&time={end}", server.url),
        Over::Hour => (3_600, 15),
        Over::SixHours => (6 * 3_600, 60),
    };
    let start = end - seconds.min(length);
    format!("{}/prometheus/api/v1/query_range?query={encoded}&start={start}&end={end}&step={step}", server.url)
}

async fn ask(server: &Server, client: &reqwest::Client, url: &str, what: String, repeat: usize) -> anyhow::Result<Figures> {
    let before = server.usage()?.cpu_seconds;
    let mut latencies = Vec::with_capacity(repeat);
    let mut bytes = 0;
    for _ in 0..repeat {
        let started = Instant::now();
        let response = client.get(url).send().await.with_context(|| what.clone())?;
        let status = response.status();
        let body = response.bytes().await?;
        latencies.push(started.elapsed());
        if !status.is_success() {
            bail!("{what} answered {status}: {}", String::from_utf8_lossy(&body));
        }
        bytes = body.len();
    }
    let cpu_ms = (server.usage()?.cpu_seconds - before) * 1_000.0 / repeat as f64;
    Ok(Figures { what, latencies, cpu_ms, bytes })
}

fn report(server: &Server, all: &[Figures], rss_before: u64, each: bool) -> anyhow::Result<()> {
    if each {
        println!("{:>9} {:>9} {:>10}  query", "CPU ms", "p50 ms", "bytes");
        for f in all {
            let mut sorted = f.latencies.clone();
            sorted.sort_unstable();
            println!("{:>9.2} {:>9.2} {:>10}  {}", f.cpu_ms, ms(sorted[sorted.len() / 2]), f.bytes, f.what);
        }
    }
    let mut latencies: Vec<Duration> = all.iter().flat_map(|f| f.latencies.iter().copied()).collect();
    latencies.sort_unstable();
    let at = |q: f64| latencies.get((latencies.len() as f64 * q) as usize).copied().map(ms).unwrap_or_default();
    // A query below the clock's tick of 10 ms counts with a tenth of it, spread over its repetitions.
    let geometric = (all.iter().map(|f| f.cpu_ms.max(0.1).ln()).sum::<f64>() / all.len() as f64).exp();
    let growth = server.usage()?.peak_rss_bytes.saturating_sub(rss_before);
    println!("query: {} queries, {} asked", all.len(), latencies.len());
    println!("  latency p50 / p95                {:>8.2} / {:.2} ms", at(0.50), at(0.95));
    println!("  server CPU per query, geometric mean {geometric:>8.2} ms");
    println!("  server CPU, sum over the list        {:>8.1} ms", all.iter().map(|f| f.cpu_ms).sum::<f64>());
    println!("  RSS growth at peak                   {:>8.1} MB", growth as f64 / 1e6);
    Ok(())
}

fn ms(d: Duration) -> f64 {
    d.as_secs_f64() * 1_000.0
}
