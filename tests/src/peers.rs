//! A real Prometheus that scrapes a real node_exporter and itself, and writes to Plimsoll.

use std::time::Duration;

use tempfile::TempDir;

use crate::client::Client;
use crate::process::{Process, eventually, free_port, installed};

/// The two programs.
pub struct ScrapingPrometheus {
    /// Prometheus's API.
    pub client: Client,
    _prometheus: Process,
    _exporter: Process,
    _dir: TempDir,
}

impl ScrapingPrometheus {
    /// Starts both on loopback, scraping every second, writing to `push_url`.
    pub async fn start(push_url: &str) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let exporter_at = format!("127.0.0.1:{}", free_port()?);
        let prometheus_at = format!("127.0.0.1:{}", free_port()?);
        let exporter = Process::start(
            "node_exporter",
            &installed("prometheus-node-exporter")?,
            &[format!("--web.listen-address={exporter_at}")],
            dir.path(),
        )?;
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
             scrape_configs:\n\
             - {{job_name: node, static_configs: [{{targets: ['{exporter_at}']}}]}}\n\
             - {{job_name: prometheus, static_configs: [{{targets: ['{prometheus_at}']}}]}}\n\
             remote_write:\n\
             - url: {push_url}\n  \
               send_exemplars: true\n  \
               queue_config: {{batch_send_deadline: 500ms, min_backoff: 30ms, max_backoff: 500ms}}\n  \
               metadata_config: {{send: true, send_interval: 2s}}\n"
        );
        let path = dir.path().join("prometheus.yml");
        std::fs::write(&path, config)?;
        let args = [
            format!("--config.file={}", path.display()),
            format!("--storage.tsdb.path={}", dir.path().join("tsdb").display()),
            format!("--web.listen-address={prometheus_at}"),
            "--log.level=warn".to_owned(),
        ];
        let prometheus = Process::start("prometheus", &installed("prometheus")?, &args, dir.path())?;
        let client = Client::new(&format!("http://{prometheus_at}"));
        eventually("Prometheus is ready", Duration::from_secs(60), || async { client.is_ready().await }).await?;
        Ok(Self { client, _prometheus: prometheus, _exporter: exporter, _dir: dir })
    }
}
