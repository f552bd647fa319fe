//! The server under load: started here or found by its pid, what it uses and what it leaves on disk.
//!
//! [`kind`] (how each server is started and where it listens to what), [`usage`] (CPU and memory of processes), [`disk`] (bytes in folders and blocks),
//! [`merge`] (making it put on disk what it holds in memory).

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tempfile::TempDir;

mod disk;
mod kind;
mod merge;
mod usage;

pub(crate) use disk::Disk;
pub(crate) use kind::Kind;
pub(crate) use merge::LongTerm;
pub(crate) use usage::Usage;

/// How long a server may take to be ready: it may have a long log to replay.
const START_TIMEOUT: Duration = Duration::from_secs(300);
/// How often it is asked; a restart is timed by it.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// Where the server is.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Where {
    /// Measure a server that runs at this URL instead of starting one; give --pid as well.
    #[arg(long, requires = "pid")]
    url: Option<String>,
    /// Its process; of several processes, their pids separated by commas: CPU and memory are added up.
    #[arg(long, value_delimiter = ',')]
    pid: Vec<u32>,
    /// Which server it is.
    #[arg(long, value_enum, default_value = "plimsoll")]
    system: Kind,
    /// The binary to start [default: plimsoll beside this program; of the others, the one on the PATH]
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Settings of the Plimsoll that is started: a YAML file
    #[arg(long)]
    config: Option<PathBuf>,
}

impl Where {
    /// A server of this kind, to be started here.
    pub(crate) fn start(kind: Kind, binary: Option<PathBuf>, config: Option<PathBuf>) -> Self {
        Self { system: kind, binary, config, ..Self::default() }
    }

    /// A Plimsoll that runs in several processes.
    pub(crate) fn at(url: &str, pids: Vec<u32>) -> Self {
        Self { url: Some(url.to_owned()), pid: pids, ..Self::default() }
    }
}

/// A server; one that was started here is ended on drop.
pub(crate) struct Server {
    pub(crate) kind: Kind,
    url: String,
    pids: Vec<u32>,
    own: Option<Own>,
}

/// A server that was started here.
struct Own {
    child: Child,
    dir: TempDir,
    binary: PathBuf,
    flags: Vec<String>,
}

impl Server {
    /// Finds or starts the server and waits until it is ready.
    pub(crate) async fn get(place: &Where, multitenancy: bool) -> anyhow::Result<Self> {
        let kind = place.system;
        if let Some(url) = &place.url {
            return Ok(Self { kind, url: url.trim_end_matches('/').to_owned(), pids: place.pid.clone(), own: None });
        }
        let binary = match &place.binary {
            // It is started in a directory of its own.
            Some(binary) => std::path::absolute(binary)?,
            None => kind.binary()?,
        };
        let dir = tempfile::Builder::new().prefix("plimsoll-loadtest-").tempdir()?;
        let http = format!("127.0.0.1:{}", free_port()?);
        let mut flags = kind.flags(dir.path(), &http, &format!("127.0.0.1:{}", free_port()?))?;
        if multitenancy {
            flags.extend(kind.multitenancy()?);
        }
        if let Some(config) = place.config.as_ref().filter(|_| kind == Kind::Plimsoll) {
            flags.push(format!("--config={}", std::path::absolute(config)?.display()));
        }
        let child = start_process(&binary, &flags, dir.path())?;
        let pids = vec![child.id()];
        let mut server = Self { kind, url: format!("http://{http}"), pids, own: Some(Own { child, dir, binary, flags }) };
        server.wait_ready().await?;
        Ok(server)
    }

    /// Kills a server that was started here and starts it again on what is left; how long it took until it was ready. `None` if it was not started here.
    pub(crate) async fn restart(&mut self) -> anyhow::Result<Option<Duration>> {
        let Some(own) = &mut self.own else { return Ok(None) };
        own.child.kill()?;
        own.child.wait()?;
        let started = Instant::now();
        own.child = start_process(&own.binary, &own.flags, own.dir.path())?;
        self.pids = vec![own.child.id()];
        self.wait_ready().await?;
        Ok(Some(started.elapsed()))
    }

    /// Where remote write goes.
    pub(crate) fn push_url(&self) -> String {
        format!("{}{}", self.url, self.kind.push_path())
    }

    /// The address of a call of the query API: what comes after `/api/v1/`.
    pub(crate) fn api_url(&self, call: &str) -> String {
        format!("{}{}{call}", self.url, self.kind.api_path())
    }

    /// The server's metrics whose names begin so, with their labels and values.
    pub(crate) async fn metrics(&self, prefix: &str) -> anyhow::Result<Vec<(String, f64)>> {
        let text = reqwest::get(format!("{}/metrics", self.url)).await?.text().await?;
        let sample = |line: &str| line.rsplit_once(' ').and_then(|(name, value)| Some((name.to_owned(), value.parse().ok()?)));
        Ok(text.lines().filter(|line| line.starts_with(prefix)).filter_map(sample).collect())
    }

    async fn wait_ready(&mut self) -> anyhow::Result<()> {
        let client = reqwest::Client::new();
        let started = Instant::now();
        while started.elapsed() < START_TIMEOUT {
            if let Ok(response) = client.get(format!("{}{}", self.url, self.kind.ready_path())).send().await
                && response.status().is_success()
            {
                return Ok(());
            }
            if let Some(own) = &mut self.own
                && let Some(status) = own.child.try_wait()?
            {
                bail!("{} ended with {status}: {}", own.binary.display(), last_lines(&own.dir.path().join("log")));
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        bail!("the server at {} was not ready within {START_TIMEOUT:?}", self.url)
    }

    /// What it has used so far, all its processes together.
    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        self.pids.iter().try_fold(Usage::default(), |sum, pid| Ok(sum + Usage::of(*pid)?))
    }

    /// Makes the peak of memory begin anew, at what is used now.
    pub(crate) fn reset_peak(&self) -> anyhow::Result<()> {
        self.pids.iter().try_for_each(|pid| usage::reset_peak(*pid))
    }

    /// What it has on disk, if it was started here.
    pub(crate) fn disk(&self) -> Option<Disk> {
        self.own.as_ref().map(|own| Disk::of(self.kind, own.dir.path()))
    }

    /// Makes it put everything on disk in the form in which it stays there; bytes per sample. `None` if it was not started here.
    pub(crate) async fn long_term(&self, samples: u64) -> anyhow::Result<Option<LongTerm>> {
        match &self.own {
            Some(own) => merge::long_term(self.kind, &self.url, own.dir.path(), samples).await.map(Some),
            None => Ok(None),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(own) = &mut self.own {
            // It may have ended by itself; then there is nothing to end.
            let _ = own.child.kill();
            let _ = own.child.wait();
        }
    }
}

/// Starts a program in a directory, its output in `log` there.
pub(crate) fn start_process(binary: &Path, flags: &[String], dir: &Path) -> anyhow::Result<Child> {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(dir.join("log"))?;
    let command = Command::new(binary).args(flags).current_dir(dir).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
    command.with_context(|| format!("start {}", binary.display()))
}

fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// A port of loopback that nobody listens to.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
