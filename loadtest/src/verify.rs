//! `loadtest verify`: a continuous check that what was acknowledged is answered, once and with its value, while processes come and go.
//!
//! Every interval one sample of each series is pushed, all in one request, its value a function of series and time; it is tried again until its fate is known or
//! the time to try is over. Meanwhile windows of what was sent, the newest and older ones in turn, are read back as raw samples, by instant and range queries and
//! aggregated. At the end all of it is read once more. Queries that fail because a server is away count as such; answers that are wrong count as findings.
//!
//! [`curve`] (values), [`sent`] (the fates of what was sent), [`push`] (a push until its fate is known), [`checks`] (queries, and what they must answer; pure),
//! [`read`] (asking them).

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};

use crate::server::{Kind, Server, Where};
use crate::write::now_ms;
use push::Pusher;
use read::{Reader, Tally};
use sent::Sent;

mod checks;
mod curve;
mod push;
mod read;
mod sent;

/// Flags of `loadtest verify`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to push: the URL of a distributor; without it a server is started here.
    #[arg(long)]
    push_url: Option<String>,
    /// Where to query: the URL of a querier [default: where to push]
    #[arg(long, requires = "push_url")]
    query_url: Option<String>,
    /// Sent as X-Scope-OrgID.
    #[arg(long)]
    tenant: Option<String>,
    /// Which server it is.
    #[arg(long, value_enum, default_value = "plimsoll")]
    system: Kind,
    /// The binary to start [default: plimsoll beside this program; of the others, the one on the PATH]
    #[arg(long)]
    binary: Option<PathBuf>,
    /// How long to write.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=604_800))]
    seconds: u64,
    /// Series; all of them travel in one request.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    series: u32,
    /// Milliseconds between samples.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(100..=60_000))]
    interval_ms: u32,
    /// Seconds between checks.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    check_seconds: u32,
    /// Seconds after which what was acknowledged must be visible.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=3_600))]
    delay_seconds: u32,
    /// Seconds for which a push is tried again, and for which the last look waits for servers that are away.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    retry_seconds: u64,
}

/// True if nothing was found amiss.
pub(crate) async fn run(args: &Args) -> anyhow::Result<bool> {
    let server = match &args.push_url {
        Some(_) => None,
        None => Some(Server::get(&Where::start(args.system, args.binary.clone(), None), false).await?),
    };
    let (push_url, api_url) = match (&args.push_url, &server) {
        (Some(push), _) => (
            format!("{}{}", base(push), args.system.push_path()),
            format!("{}{}", base(args.query_url.as_ref().unwrap_or(push)), args.system.api_path()),
        ),
        (None, Some(server)) => (server.push_url(), server.api_url("")),
        (None, None) => bail!("no server"),
    };
    // Series of an earlier run must not be taken for this one's.
    let run = format!("{:x}-{}", now_ms()?, std::process::id());
    let retry = Duration::from_secs(args.retry_seconds);
    let curve = curve::Curve { series: args.series as usize, interval_ms: i64::from(args.interval_ms) };
    let pusher = Pusher::new(push_url, args.tenant.clone(), &run, curve, retry)?;
    let reader = Reader::new(api_url, args.tenant.clone(), run, curve)?;
    println!("verify, {}: {} series, a sample every {} ms, for {} s", args.system.name(), args.series, args.interval_ms, args.seconds);

    let sent = Mutex::new(Sent::default());
    let until = Instant::now() + Duration::from_secs(args.seconds);
    let reading = read_until(&reader, &sent, args, until);
    let ((), tally) = tokio::try_join!(write_until(&pusher, &sent, until), reading)?;
    let sent = sent.into_inner().unwrap_or_else(PoisonError::into_inner);
    finish(&reader, &sent, tally, args, retry).await
}

fn base(url: &str) -> &str {
    url.trim_end_matches('/')
}

async fn write_until(pusher: &Pusher, sent: &Mutex<Sent>, until: Instant) -> anyhow::Result<()> {
    let interval = pusher.curve.interval_ms;
    let mut last = i64::MIN;
    while Instant::now() < until {
        let now = now_ms()?;
        let t = now.div_euclid(interval) * interval;
        if t <= last {
            tokio::time::sleep(Duration::from_millis((t + interval - now).unsigned_abs())).await;
            continue;
        }
        last = t;
        let outcome = pusher.push(t).await?;
        sent.lock().unwrap_or_else(PoisonError::into_inner).record(t, outcome);
    }
    Ok(())
}

async fn read_until(reader: &Reader, sent: &Mutex<Sent>, args: &Args, until: Instant) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    for round in 0.. {
        if Instant::now() >= until {
            break;
        }
        let visible = now_ms()? - i64::from(args.delay_seconds) * 1_000;
        let windows = sent.lock().unwrap_or_else(PoisonError::into_inner).windows(visible, reader.steps(), round);
        for window in windows {
            reader.check(&window, &mut tally).await?;
        }
        let pause = Duration::from_secs(u64::from(args.check_seconds));
        tokio::time::sleep(pause.min(until.saturating_duration_since(Instant::now()))).await;
    }
    Ok(tally)
}

/// Looks at everything once more and reports.
async fn finish(reader: &Reader, sent: &Sent, mut tally: Tally, args: &Args, retry: Duration) -> anyhow::Result<bool> {
    tokio::time::sleep(Duration::from_secs(u64::from(args.delay_seconds))).await;
    let mut last = Tally::default();
    let deadline = Instant::now() + retry;
    for window in sent.all(reader.steps()) {
        loop {
            let away = last.unavailable;
            reader.check(&window, &mut last).await?;
            if last.unavailable == away {
                break;
            }
            ensure!(Instant::now() < deadline, "what was sent could not be read back within {retry:?}: {}", last.last_error);
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
    let series = reader.series();
    println!("sent: {}", sent.summary(series));
    for failure in sent.failures() {
        println!("  {failure}");
    }
    println!("while writing: {tally}");
    println!("at the end: {last}");
    tally.add(last);
    ensure!(sent.acked() > 0, "nothing was acknowledged");
    Ok(tally.is_good())
}
