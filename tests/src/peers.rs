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
        Self::start_sharded(&[push_url]).await
    }

    /// The same with the series spread over several receivers by their hash.
    pub async fn start_sharded(push_urls: &[&str]) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let exporter_at = format!("127.0.0.1:{}", free_port()?);
        let prometheus_at = format!("127.0.0.1:{}", free_port()?);
        let exporter = Process::start(
            "node_exporter",
            &installed("prometheus-node-exporter")?,
            &[format!("--web.listen-address={exporter_at}")],
            dir.path(),
        )?;
        let mut config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
             scrape_configs:\n\
             - {{job_name: node, static_configs: [{{targets: ['{exporter_at}']}}]}}\n\
             - {{job_name: prometheus, static_configs: [{{targets: ['{prometheus_at}']}}]}}\n\
             remote_write:\n"
        );
        for (shard, push_url) in push_urls.iter().enumerate() {
            let labels = "[__name__, job, instance, cpu, mode, le, device]";
            config.push_str(&format!(
                "- url: {push_url}\n  \
                   name: shard-{shard}\n  \
                   send_exemplars: true\n  \
                   queue_config: {{batch_send_deadline: 500ms, min_backoff: 30ms, max_backoff: 500ms}}\n  \
                   metadata_config: {{send: true, send_interval: 2s}}\n  \
                   write_relabel_configs:\n  \
                   - {{source_labels: {labels}, modulus: {}, target_label: __tmp_shard, action: hashmod}}\n  \
                   - {{source_labels: [__tmp_shard], regex: '{shard}', action: keep}}\n  \
                   - {{regex: __tmp_shard, action: labeldrop}}\n",
                push_urls.len()
            ));
        }
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
