//! The oracle: a Prometheus of the version that the engine follows, with the same samples as a Plimsoll, asked the same questions.
//!
//! In reading order: [`random`] and [`data`] (what both are given), [`words`] and [`expression`] (what both are asked), [`question`] (an
//! expression, a time or a range, parameters), [`native`] (the same for native histograms), [`bad`] (requests to refuse), [`syntax`] (what an expression is), [`answer`] (two answers and how they may differ), [`deliberate`] (where they should).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use prost::Message;
use proto::remote_write_v1::WriteRequest;
use tempfile::TempDir;

use crate::client::Client;
use crate::deployment::Single;
use crate::process::{Process, eventually, free_port};

pub mod answer;
pub mod bad;
pub mod data;
pub mod deliberate;
pub mod expression;
pub mod native;
pub mod question;
pub mod random;
pub mod syntax;
pub mod words;

/// The script that knows where the oracle comes from.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../ci/oracle");

/// The features that Plimsoll has on without being asked, and experimental functions, which it is asked for.
const FEATURES: &str = "promql-experimental-functions,promql-duration-expr,native-histograms";

/// The directory of the oracle's programs, or `None` where it cannot be had, which is said loudly.
pub fn programs() -> anyhow::Result<Option<PathBuf>> {
    let run = Command::new(SCRIPT).stderr(std::process::Stdio::inherit()).output().context("run ci/oracle")?;
    let dir = String::from_utf8(run.stdout)?.trim().to_owned();
    if !run.status.success() || dir.is_empty() {
        eprintln!("\n!!! the oracle cannot be had: NOTHING was compared with it !!!\n");
        return Ok(None);
    }
    Ok(Some(PathBuf::from(dir)))
}

/// Both servers, with the same data.
pub struct Pair {
    /// Plimsoll.
    pub ours: Client,
    /// Prometheus.
    pub theirs: Client,
    /// The time of the first scrape, in milliseconds; a whole number of ten minutes.
    pub base: i64,
    _plimsoll: Single,
    _prometheus: Process,
    _dir: TempDir,
}

impl Pair {
    /// Starts both and writes the data set that `seed` makes.
    pub async fn start(programs: &Path, seed: u64) -> anyhow::Result<Self> {
        let requests = |base| {
            let series = data::series(seed, base);
            let samples: usize = series.iter().map(|s| s.samples.len()).sum();
            println!("oracle: {} series, {samples} samples, first scrape at {base}", series.len());
            data::requests(&series, base)
        };
        Self::with(programs, data::SPAN_MS, requests).await
    }

    /// Starts both and writes native histograms.
    pub async fn with_native_histograms(programs: &Path, seed: u64) -> anyhow::Result<Self> {
        Self::with(programs, native::data::SPAN_MS, |base| native::data::requests(seed, base)).await
    }

    /// Starts both and writes what `requests` makes from the time of the first scrape on.
    async fn with(programs: &Path, span_ms: i64, requests: impl FnOnce(i64) -> Vec<WriteRequest>) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let (prometheus, theirs) = start_prometheus(programs, dir.path())?;
        let config = dir.path().join("plimsoll.yaml");
        std::fs::write(&config, "limits:\n  promql:\n    experimental_functions: true\n")?;
        let plimsoll = Single::start(&["--config", &config.display().to_string()]).await?;
        let ours = plimsoll.node.client();
        eventually("the oracle is ready", Duration::from_secs(60), || async { theirs.is_ready().await }).await?;
        // All of it lies in the past.
        let base = (crate::ledger::now_ms() - span_ms - 600_000) / 600_000 * 600_000;
        for request in requests(base) {
            let body = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec())?;
            for client in [&ours, &theirs] {
                write(client, body.clone()).await?;
            }
        }
        Ok(Self { ours, theirs, base, _plimsoll: plimsoll, _prometheus: prometheus, _dir: dir })
    }
}

fn start_prometheus(programs: &Path, dir: &Path) -> anyhow::Result<(Process, Client)> {
    let at = format!("127.0.0.1:{}", free_port()?);
    let config = dir.join("prometheus.yml");
    // Subqueries without a step take the evaluation interval, as long as Plimsoll's default.
    std::fs::write(&config, "global: {scrape_interval: 1m, evaluation_interval: 1m}\n")?;
    let args = [
        format!("--config.file={}", config.display()),
        format!("--storage.tsdb.path={}", dir.join("tsdb").display()),
        format!("--web.listen-address={at}"),
        format!("--enable-feature={FEATURES}"),
        "--web.enable-remote-write-receiver".to_owned(),
        "--log.level=warn".to_owned(),
    ];
    let process = Process::start("oracle", &programs.join("prometheus"), &args, dir)?;
    Ok((process, Client::new(&format!("http://{at}"))))
}

async fn write(client: &Client, body: Vec<u8>) -> anyhow::Result<()> {
    let post = client.http().post(format!("{}/api/v1/write", client.base())).header("Content-Type", "application/x-protobuf");
    let response = post.header("Content-Encoding", "snappy").header("X-Prometheus-Remote-Write-Version", "0.1.0").body(body).send().await?;
    let status = response.status();
    ensure!(status.is_success(), "{} answered a write with {status}: {}", client.base(), response.text().await?);
    Ok(())
}
