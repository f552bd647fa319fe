//! The server under load: started here or found by its pid, and what it uses.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

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
}

/// A server; one that was started here is ended on drop.
pub(crate) struct Server {
    pub(crate) url: String,
    pids: Vec<u32>,
    own: Option<(Child, PathBuf)>,
}

/// What a process has used so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) cpu_seconds: f64,
    pub(crate) rss_bytes: u64,
    pub(crate) peak_rss_bytes: u64,
}

impl Server {
    /// Finds or starts the server and waits until it is ready.
    pub(crate) async fn get(place: &Where) -> anyhow::Result<Self> {
        if let Some(url) = &place.url {
            return Ok(Self { url: url.trim_end_matches('/').to_owned(), pids: place.pid.clone(), own: None });
        }
        let beside = std::env::current_exe()?.with_file_name("plimsoll");
        let binary = place.binary.clone().unwrap_or(beside);
        let dir = std::env::temp_dir().join(format!("plimsoll-loadtest-{}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        let (http, grpc) = (free_port()?, free_port()?);
        let log = std::fs::File::create(dir.join("log"))?;
        let child = Command::new(&binary)
            .args(["run", "--http-listen", &format!("127.0.0.1:{http}"), "--grpc-listen", &format!("127.0.0.1:{grpc}"), "--data-dir"])
            .arg(dir.join("data"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", binary.display()))?;
        let server = Self { url: format!("http://127.0.0.1:{http}"), pids: vec![child.id()], own: Some((child, dir)) };
        server.wait_ready().await?;
        Ok(server)
    }

    async fn wait_ready(&self) -> anyhow::Result<()> {
        let client = reqwest::Client::new();
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(60) {
            if let Ok(response) = client.get(format!("{}/ready", self.url)).send().await
                && response.status().is_success()
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("the server at {} was not ready within a minute", self.url)
    }

    /// What it has used so far, all its processes together.
    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        let mut sum = Usage { cpu_seconds: 0.0, rss_bytes: 0, peak_rss_bytes: 0 };
        for pid in &self.pids {
            let one = Self::usage_of(*pid)?;
            sum.cpu_seconds += one.cpu_seconds;
            sum.rss_bytes += one.rss_bytes;
            sum.peak_rss_bytes += one.peak_rss_bytes;
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
        Ok(Usage { cpu_seconds: (ticks(11)? + ticks(12)?) / per_second, rss_bytes: kb("VmRSS:"), peak_rss_bytes: kb("VmHWM:") })
    }

    /// Bytes of its data directory, if it was started here.
    pub(crate) fn disk_bytes(&self) -> Option<u64> {
        self.own.as_ref().map(|(_, dir)| tree_bytes(&dir.join("data")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some((child, dir)) = &mut self.own {
            // It may have ended by itself; then there is nothing to end.
            let _ = child.kill();
            let _ = child.wait();
            let _ = std::fs::remove_dir_all(dir);
        }
    }
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
