//! Debian's Prometheus over a folder of blocks, or scraping into one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;

use crate::client::Client;
use crate::process::{Process, eventually, free_port, installed};

/// A running Prometheus 2.42.
pub struct Prometheus {
    /// Its API.
    pub client: Client,
    _process: Process,
    dir: TempDir,
}

impl Prometheus {
    /// One that scrapes nothing and has copies of these blocks.
    pub async fn over_blocks(blocks: &[PathBuf]) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        for block in blocks {
            copy_dir(block, &dir.path().join("tsdb").join(block.file_name().context("a block's name")?))?;
        }
        // It must leave the blocks as they are.
        let args = ["--storage.tsdb.min-block-duration=2h".to_owned(), "--storage.tsdb.max-block-duration=2h".to_owned()];
        Self::start(dir, "global: {scrape_interval: 1m}\n", &args).await
    }

    /// One that scrapes itself every half second into blocks of ten seconds.
    pub async fn scraping_itself() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let config = "global: {scrape_interval: 500ms, scrape_timeout: 500ms}\n\
                      scrape_configs: [{job_name: self, static_configs: [{targets: ['ADDRESS']}]}]\n";
        let args = ["--storage.tsdb.min-block-duration=10s".to_owned(), "--storage.tsdb.max-block-duration=1h".to_owned()];
        Self::start(dir, config, &args).await
    }

    /// One that scrapes nothing, has nothing, and reads from this URL.
    pub async fn reading_from(url: &str) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        Self::start(dir, &format!("remote_read: [{{url: '{url}', read_recent: true}}]\n"), &[]).await
    }

    async fn start(dir: TempDir, config: &str, more: &[String]) -> anyhow::Result<Self> {
        let at = format!("127.0.0.1:{}", free_port()?);
        let path = dir.path().join("prometheus.yml");
        std::fs::write(&path, config.replace("ADDRESS", &at))?;
        let mut args = vec![
            format!("--config.file={}", path.display()),
            format!("--storage.tsdb.path={}", dir.path().join("tsdb").display()),
            format!("--web.listen-address={at}"),
            "--enable-feature=native-histograms".to_owned(),
            "--log.level=warn".to_owned(),
        ];
        args.extend_from_slice(more);
        let process = Process::start("prometheus", &installed("prometheus")?, &args, dir.path())?;
        let client = Client::new(&format!("http://{at}"));
        eventually("Prometheus is ready", Duration::from_secs(60), || async { client.is_ready().await }).await?;
        Ok(Self { client, _process: process, dir })
    }

    /// The folder of its blocks.
    #[must_use]
    pub fn tsdb(&self) -> PathBuf {
        self.dir.path().join("tsdb")
    }
}

/// The blocks in a folder, by name.
pub fn blocks(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.len() == 26 && path.join("meta.json").exists() {
            all.push(path);
        }
    }
    all.sort();
    Ok(all)
}

/// Copies a folder with what is in it.
pub fn copy_dir(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
