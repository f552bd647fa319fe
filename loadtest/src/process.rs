//! The server under load: started here or found by its pid, and what it uses.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// How long a server may take to be ready: it may have a long log to replay.
const START_TIMEOUT: Duration = Duration::from_secs(300);

/// Where the server is.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Where {
    /// Measure a server that runs at this URL instead of starting one; give --pid as well.
    #[arg(long, requires = "pid")]
    url: Option<String>,
    /// Its process; of several processes, their pids separated by commas: CPU and memory are added up.
    #[arg(long, value_delimiter = ',')]
    pid: Vec<u32>,
    /// The binary to start [default: plimsoll beside this program]
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Settings of the server that is started: a YAML file
    #[arg(long)]
    config: Option<PathBuf>,
}

/// A server; one that was started here is ended on drop.
pub(crate) struct Server {
    pub(crate) url: String,
    pids: Vec<u32>,
    own: Option<Own>,
}

/// A server that was started here.
struct Own {
    child: Child,
    dir: PathBuf,
    binary: PathBuf,
    flags: Vec<String>,
}

/// What a process has used so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) cpu_seconds: f64,
    pub(crate) rss_bytes: u64,
    pub(crate) peak_rss_bytes: u64,
    /// The part of `rss_bytes` that is mapped files: the program's, and those that the kernel may take back at any time.
    pub(crate) file_rss_bytes: u64,
}

impl Server {
    /// Finds or starts the server and waits until it is ready.
    pub(crate) async fn get(place: &Where, multitenancy: bool) -> anyhow::Result<Self> {
        if let Some(url) = &place.url {
            return Ok(Self { url: url.trim_end_matches('/').to_owned(), pids: place.pid.clone(), own: None });
        }
        let beside = std::env::current_exe()?.with_file_name("plimsoll");
        let binary = place.binary.clone().unwrap_or(beside);
        let dir = std::env::temp_dir().join(format!("plimsoll-loadtest-{}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        let (http, grpc) = (free_port()?, free_port()?);
        let mut flags = vec!["run".to_owned(), format!("--http-listen=127.0.0.1:{http}"), format!("--grpc-listen=127.0.0.1:{grpc}")];
        flags.push(format!("--data-dir={}", dir.join("data").display()));
        if multitenancy {
            flags.push("--multitenancy".to_owned());
        }
        if let Some(config) = &place.config {
            flags.push(format!("--config={}", config.display()));
        }
        let child = start(&binary, &flags, &dir)?;
        let own = Some(Own { dir, binary, flags, child });
        let pids = own.iter().map(|own| own.child.id()).collect();
        let server = Self { url: format!("http://127.0.0.1:{http}"), pids, own };
        server.wait_ready().await?;
        Ok(server)
    }

    /// Kills a server that was started here and starts it again on what is left; how long it took until it was ready. `None` if it was not started here.
    pub(crate) async fn restart(&mut self) -> anyhow::Result<Option<Duration>> {
        let Some(own) = &mut self.own else { return Ok(None) };
        own.child.kill()?;
        own.child.wait()?;
        let started = Instant::now();
        own.child = start(&own.binary, &own.flags, &own.dir)?;
        self.pids = vec![own.child.id()];
        self.wait_ready().await?;
        Ok(Some(started.elapsed()))
    }

    /// The server's metrics whose names begin so, with their labels and values.
    pub(crate) async fn metrics(&self, prefix: &str) -> anyhow::Result<Vec<(String, f64)>> {
        let text = reqwest::get(format!("{}/metrics", self.url)).await?.text().await?;
        let sample = |line: &str| line.rsplit_once(' ').and_then(|(name, value)| Some((name.to_owned(), value.parse().ok()?)));
        Ok(text.lines().filter(|line| line.starts_with(prefix)).filter_map(sample).collect())
    }

    async fn wait_ready(&self) -> anyhow::Result<()> {
        let client = reqwest::Client::new();
        let started = Instant::now();
        while started.elapsed() < START_TIMEOUT {
            if let Ok(response) = client.get(format!("{}/ready", self.url)).send().await
                && response.status().is_success()
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("the server at {} was not ready within {START_TIMEOUT:?}", self.url)
    }

    /// What it has used so far, all its processes together.
    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        let mut sum = Usage { cpu_seconds: 0.0, rss_bytes: 0, peak_rss_bytes: 0, file_rss_bytes: 0 };
        for pid in &self.pids {
            let one = Self::usage_of(*pid)?;
            sum.cpu_seconds += one.cpu_seconds;
            sum.rss_bytes += one.rss_bytes;
            sum.peak_rss_bytes += one.peak_rss_bytes;
            sum.file_rss_bytes += one.file_rss_bytes;
        }
        Ok(sum)
    }

    fn usage_of(pid: u32) -> anyhow::Result<Usage> {
        let proc = Path::new("/proc").join(pid.to_string());
        let stat = std::fs::read_to_string(proc.join("stat")).context("read the server's /proc/PID/stat")?;
        // The second field is the name in parentheses and may hold spaces; the rest is numbers.
        let fields: Vec<&str> = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
        let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).context("unexpected /proc/PID/stat");
        let status = std::fs::read_to_string(proc.join("status"))?;
        let kb = |name: &str| {
            let line = status.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default();
            line.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * 1_024
        };
        let per_second = rustix::param::clock_ticks_per_second() as f64;
        let cpu_seconds = (ticks(11)? + ticks(12)?) / per_second;
        Ok(Usage { cpu_seconds, rss_bytes: kb("VmRSS:"), peak_rss_bytes: kb("VmHWM:"), file_rss_bytes: kb("RssFile:") })
    }

    /// Bytes of its data directory, if it was started here.
    pub(crate) fn disk_bytes(&self) -> Option<u64> {
        self.own.as_ref().map(|own| tree_bytes(&own.dir.join("data")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(own) = &mut self.own {
            // It may have ended by itself; then there is nothing to end.
            let _ = own.child.kill();
            let _ = own.child.wait();
            let _ = std::fs::remove_dir_all(&own.dir);
        }
    }
}

fn start(binary: &Path, flags: &[String], dir: &Path) -> anyhow::Result<Child> {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(dir.join("log"))?;
    let command = Command::new(binary).args(flags).stdout(Stdio::null()).stderr(log).spawn();
    command.with_context(|| format!("start {}", binary.display()))
}

fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn tree_bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => tree_bytes(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}
