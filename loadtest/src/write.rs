//! `loadtest write`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures::future::try_join_all;

use crate::encode::{Protocol, request};
use crate::process::{Server, Usage, Where};
use crate::series::{Series, series};
use crate::values::{SCRAPE_SECONDS, Walker};

/// The data sets of the project's targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Shape {
    /// 200,000 series, 40 scrapes.
    Wide,
    /// 20,000 series, 1,440 scrapes (6 h).
    Long,
    /// 20,000 series, 960 scrapes, half of the series replaced every hour.
    Churn,
}

impl Shape {
    fn size(self) -> (usize, usize) {
        match self {
            Self::Wide => (200_000, 40),
            Self::Long => (20_000, 1_440),
            Self::Churn => (20_000, 960),
        }
    }
}

/// Flags of `loadtest write`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    server: Where,
    #[command(flatten)]
    load: LoadArgs,
    /// Waits so many seconds after the load, in which finished chunks leave memory, and says where the memory is.
    #[arg(long, default_value_t = 0)]
    settle: u64,
    /// At the end kills the server, starts it again, and says what the start cost.
    #[arg(long)]
    restart: bool,
}

/// What is written.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct LoadArgs {
    /// The data set.
    #[arg(long, value_enum, default_value = "wide")]
    pub(crate) shape: Shape,
    /// Series, instead of the shape's.
    #[arg(long)]
    pub(crate) series: Option<usize>,
    /// Scrapes, instead of the shape's.
    #[arg(long)]
    pub(crate) scrapes: Option<usize>,
    /// Which remote write.
    #[arg(long, value_enum, default_value = "v1")]
    protocol: Protocol,
    /// Samples in a request.
    #[arg(long, default_value_t = 2_000)]
    batch: usize,
    /// Tenants; each batch is one tenant's, in turn. With more than one the server runs with --multitenancy.
    #[arg(long, default_value_t = 1)]
    pub(crate) tenants: usize,
    /// Connections.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// The load stops after this many seconds, wherever it is.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
}

/// One batch of series, sent by one connection at a time, so that every series' samples are in order.
struct Batch {
    series: Vec<(Series, Walker)>,
    first: usize,
    /// `None`: the server has but one.
    tenant: Option<String>,
}

/// What a load did.
pub(crate) struct Written {
    pub(crate) samples: u64,
    pub(crate) wall: Duration,
    pub(crate) first_scrape: Usage,
    pub(crate) before: Usage,
    pub(crate) after: Usage,
    pub(crate) series: usize,
    /// Time of the last scrape, milliseconds since the epoch.
    pub(crate) last_t: i64,
    latencies: Vec<Duration>,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    let mut server = Server::get(&args.server, args.load.tenants > 1).await?;
    let written = write(&server, &args.load).await?;
    report(&server, &args.load, &written);
    if args.settle > 0 {
        tokio::time::sleep(Duration::from_secs(args.settle)).await;
        report_memory(&server, &written).await?;
    }
    if args.restart
        && let Some(took) = server.restart().await?
    {
        let usage = server.usage()?;
        let per_series = |bytes: u64| bytes as f64 / written.series as f64;
        println!("start after a kill: ready after {:.1} s, {:.1} CPU seconds", took.as_secs_f64(), usage.cpu_seconds);
        println!("  RSS per series                         {:>12.0} B", per_series(usage.rss_bytes));
        println!("  peak RSS per series                    {:>12.0} B", per_series(usage.peak_rss_bytes));
    }
    Ok(())
}

/// Writes a data set whose last scrape is now.
pub(crate) async fn write(server: &Server, args: &LoadArgs) -> anyhow::Result<Written> {
    let (series_count, scrapes) = (args.series.unwrap_or(args.shape.size().0), args.scrapes.unwrap_or(args.shape.size().1));
    if series_count == 0 || scrapes == 0 || args.batch == 0 || args.connections == 0 {
        bail!("series, scrapes, batch and connections must be at least 1");
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis() as i64;
    let start = now - (scrapes as i64 - 1) * SCRAPE_SECONDS * 1_000;
    let mut batches: Vec<tokio::sync::Mutex<Batch>> = Vec::new();
    for first in (0..series_count).step_by(args.batch) {
        let numbers = first..(first + args.batch).min(series_count);
        let series = numbers.map(|n| series(n, 0)).enumerate().map(|(i, s)| (s.clone(), Walker::new(s.motion, first + i))).collect();
        let tenant = (args.tenants > 1).then(|| format!("tenant-{:05}", first / args.batch % args.tenants));
        batches.push(tokio::sync::Mutex::new(Batch { series, first, tenant }));
    }
    let client = reqwest::Client::builder().pool_max_idle_per_host(args.connections).timeout(Duration::from_secs(60)).build()?;
    let before = server.usage()?;
    let started = Instant::now();
    let mut first_scrape = before;
    let mut latencies = Vec::new();
    let sent = Arc::new(AtomicU64::new(0));
    let mut last_t = start;
    for scrape in 0..scrapes {
        if started.elapsed().as_secs() >= args.seconds {
            break;
        }
        last_t = start + scrape as i64 * SCRAPE_SECONDS * 1_000;
        let churned = (args.shape == Shape::Churn).then_some(scrape / (3_600 / SCRAPE_SECONDS as usize));
        let next = AtomicUsize::new(0);
        let workers = (0..args.connections).map(|_| send(server, args, &client, &batches, &next, last_t, churned, &sent));
        latencies.extend(try_join_all(workers).await?.into_iter().flatten());
        if scrape == 0 {
            first_scrape = server.usage()?;
        }
    }
    let wall = started.elapsed();
    Ok(Written {
        samples: sent.load(Ordering::Relaxed),
        wall,
        first_scrape,
        before,
        after: server.usage()?,
        series: series_count,
        last_t,
        latencies,
    })
}

#[allow(clippy::too_many_arguments, reason = "one connection of one load; a struct for it would only be taken apart again")]
async fn send(
    server: &Server,
    args: &LoadArgs,
    client: &reqwest::Client,
    batches: &[tokio::sync::Mutex<Batch>],
    next: &AtomicUsize,
    t: i64,
    churned: Option<usize>,
    sent: &AtomicU64,
) -> anyhow::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
        let mut batch = batch.lock().await;
        let first = batch.first;
        if let Some(generation) = churned {
            for (i, (s, _)) in batch.series.iter_mut().enumerate().filter(|(i, _)| i % 2 == 0) {
                s.labels = series(first + i, generation).labels;
            }
        }
        let count = batch.series.len() as u64;
        let body = request(args.protocol, t, batch.series.iter_mut().map(|(s, w)| (&s.labels, w.next())))?;
        let started = Instant::now();
        let mut post = client.post(format!("{}/api/v1/push", server.url)).header("Content-Encoding", "snappy").body(body);
        if let Some(tenant) = &batch.tenant {
            post = post.header("X-Scope-OrgID", tenant);
        }
        for (name, value) in args.protocol.headers() {
            post = post.header(name, value);
        }
        let response = post.send().await.context("push")?;
        latencies.push(started.elapsed());
        if !response.status().is_success() {
            bail!("push answered {}: {}", response.status(), response.text().await.unwrap_or_default());
        }
        sent.fetch_add(count, Ordering::Relaxed);
    }
    Ok(latencies)
}

/// Where the memory is by the server's own account, and what of it the system sees.
async fn report_memory(server: &Server, w: &Written) -> anyhow::Result<()> {
    let per_series = |bytes: f64| bytes / w.series as f64;
    let usage = server.usage()?;
    println!("memory per series, after {} samples each", w.samples / w.series as u64);
    let mut accounted = 0.0;
    for (name, bytes) in server.metrics("plimsoll_ingester_memory_bytes").await? {
        let structure = name.split('"').nth(1).unwrap_or(&name);
        println!("  {structure:<38} {:>12.1} B", per_series(bytes));
        accounted += bytes;
    }
    println!("  {:<38} {:>12.1} B", "together", per_series(accounted));
    println!("  {:<38} {:>12.1} B", "RSS, files and what was there before", per_series(usage.rss_bytes as f64));
    println!("  {:<38} {:>12.1} B", "RSS growth", per_series(usage.rss_bytes.saturating_sub(w.before.rss_bytes) as f64));
    println!("  {:<38} {:>12.1} B", "of RSS: mapped files", per_series(usage.file_rss_bytes as f64));
    Ok(())
}

fn report(server: &Server, args: &LoadArgs, w: &Written) {
    let per_series = |bytes: u64| bytes as f64 / w.series as f64;
    let cpu = w.after.cpu_seconds - w.before.cpu_seconds;
    let steady_cpu = w.after.cpu_seconds - w.first_scrape.cpu_seconds;
    let steady_samples = w.samples.saturating_sub(w.series as u64) as f64;
    let mut latencies = w.latencies.clone();
    latencies.sort_unstable();
    let at = |q: f64| latencies.get((latencies.len() as f64 * q) as usize).copied().unwrap_or_default().as_secs_f64() * 1_000.0;
    println!("write, {:?}, {:?}: {} series, {} samples in {:.1} s", args.shape, args.protocol, w.series, w.samples, w.wall.as_secs_f64());
    println!("  samples per second                     {:>12.0}", w.samples as f64 / w.wall.as_secs_f64());
    println!("  server CPU seconds per million samples {:>12.3}", cpu / w.samples as f64 * 1e6);
    if steady_samples > 0.0 && steady_cpu > 0.0 {
        println!("  steady samples per server CPU second   {:>12.0}", steady_samples / steady_cpu);
    }
    println!(
        "  CPU per new series (first scrape)      {:>12.1} us",
        (w.first_scrape.cpu_seconds - w.before.cpu_seconds) * 1e6 / w.series as f64
    );
    println!("  RSS growth per series                  {:>12.0} B", per_series(w.after.rss_bytes.saturating_sub(w.before.rss_bytes)));
    println!("  peak RSS per series                    {:>12.0} B", per_series(w.after.peak_rss_bytes));
    if let Some(bytes) = server.disk_bytes() {
        println!("  bytes on disk per sample               {:>12.2} B", bytes as f64 / w.samples as f64);
    }
    println!("  push latency p50 / p99                 {:>8.1} / {:.1} ms", at(0.50), at(0.99));
}
