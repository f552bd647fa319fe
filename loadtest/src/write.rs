//! `loadtest write`, and the load that the other commands write.
//!
//! [`load`] (which load), [`batch`] (series that travel together), [`send`] (one request), [`run`](mod@run) (a data set as fast as the server takes it),
//! [`report`].

use std::time::Duration;

use crate::server::{Server, Where};

mod batch;
mod load;
mod report;
mod run;
mod send;

pub(crate) use batch::{Batch, batches};
pub(crate) use load::{Load, LoadArgs, Shape};
pub(crate) use run::{Written, write};
pub(crate) use send::Sender;

/// Flags of `loadtest write`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    server: Where,
    #[command(flatten)]
    load: LoadArgs,
    /// Waits so many seconds after the load, in which finished chunks leave memory, and says where the memory is.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=86_400))]
    settle: u64,
    /// At the end kills the server, starts it again, and says what the start cost.
    #[arg(long)]
    restart: bool,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    let load = args.load.load()?;
    let mut server = Server::get(&args.server, load.tenants > 1).await?;
    let written = write(&server, &load, now_ms()?).await?;
    report::load(&server, &load, &written);
    if args.settle > 0 {
        tokio::time::sleep(Duration::from_secs(args.settle)).await;
        report::memory(&server, &written).await?;
    }
    if args.restart
        && let Some(took) = server.restart().await?
    {
        report::restart(&server, &written, took)?;
    }
    Ok(())
}

/// Milliseconds since the epoch.
pub(crate) fn now_ms() -> anyhow::Result<i64> {
    Ok(i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis())?)
}
