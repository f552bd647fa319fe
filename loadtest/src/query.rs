//! `loadtest query`: a list of queries, one at a time.
//!
//! [`list`] (what is asked), [`ask`] (asking, and what it costs), [`report`].

use anyhow::bail;

use crate::server::{Server, Where};
use crate::values::SCRAPE_SECONDS;
use crate::write::{LoadArgs, now_ms, write};

mod ask;
mod list;
mod report;

pub(crate) use ask::{Asked, Costs, ask_all, client, get};
pub(crate) use list::{encoded, questions};

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
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    repeat: u32,
    /// Print a line per query, not only the summary.
    #[arg(long)]
    each: bool,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    let load = args.load.load()?;
    if load.tenants > 1 {
        bail!("queries are asked of one tenant: --tenants must be 1");
    }
    let server = Server::get(&args.server, false).await?;
    let (end, length) = match args.at {
        Some(seconds) => (seconds, 6 * 3_600),
        None => {
            let written = write(&server, &load, now_ms()?).await?;
            println!("loaded {} series, {} samples", written.series, written.samples);
            (written.last_t / 1_000, written.scrapes as i64 * SCRAPE_SECONDS)
        }
    };
    server.reset_peak()?;
    let before = server.usage()?;
    let all = ask_all(&server, &questions(end, length), args.repeat).await?;
    if let Some((what, error)) = all.iter().find_map(|asked| Some((&asked.what, asked.answer.as_ref().err()?))) {
        bail!("{what}: {error}");
    }
    if args.each {
        report::each(&all);
    }
    report::summary(server.kind.name(), &Costs::of(&all, before.rss_bytes, server.usage()?.peak_rss_bytes));
    Ok(())
}
