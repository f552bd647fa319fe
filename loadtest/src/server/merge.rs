//! Making a server put everything on disk in the form in which it stays there.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::disk::{Block, blocks, bytes_per_sample, folders, tree_bytes};
use super::kind::Kind;

/// How long a server may take to flush and to merge.
const TIMEOUT: Duration = Duration::from_secs(300);
const ASK_EVERY: Duration = Duration::from_millis(200);

/// Bytes per sample in the form in which samples stay.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct LongTerm {
    /// In blocks as they are cut, two hours each.
    pub(crate) as_cut: Option<f64>,
    /// After the server has merged what it would merge.
    pub(crate) merged: Option<f64>,
}

pub(super) async fn long_term(kind: Kind, url: &str, dir: &Path, samples: u64) -> anyhow::Result<LongTerm> {
    let client = reqwest::Client::builder().timeout(TIMEOUT).build()?;
    let data = kind.data_dir(dir);
    match kind {
        Kind::Plimsoll => plimsoll(&client, url, &data).await,
        Kind::Prometheus => prometheus(&client, url, &data).await,
        Kind::VictoriaMetrics => victoria_metrics(&client, url, &data, samples).await,
    }
}

async fn plimsoll(client: &reqwest::Client, url: &str, data: &Path) -> anyhow::Result<LongTerm> {
    let started = Instant::now();
    loop {
        let response = client.post(format!("{url}/ingester/flush?wait=true")).send().await?;
        // A flush of its own accord, or queries that are read to their end: try again.
        let busy = matches!(response.status().as_u16(), 409 | 503);
        if response.status().is_success() {
            break;
        }
        if !busy || started.elapsed() > TIMEOUT {
            bail!("the flush answered {}: {}", response.status(), response.text().await.unwrap_or_default());
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
    let as_cut = bytes_per_sample(&plimsoll_blocks(data));
    // Without the role of a compactor there is nothing to merge.
    let run = client.post(format!("{url}/compactor/run")).send().await?;
    let after = plimsoll_blocks(data);
    let merged = (run.status().is_success() && after.iter().any(|b| b.level > 1)).then(|| bytes_per_sample(&after)).flatten();
    Ok(LongTerm { as_cut, merged })
}

/// Those in the bucket, or, while none is there, those of the ingester; of all tenants.
fn plimsoll_blocks(data: &Path) -> Vec<Block> {
    let of = |dir: &Path| -> Vec<Block> { folders(dir).iter().flat_map(|tenant| blocks(tenant)).collect() };
    let shipped = of(&data.join("bucket"));
    if shipped.is_empty() { of(&data.join("blocks")) } else { shipped }
}

/// A snapshot holds its blocks and one more of what is in memory.
async fn prometheus(client: &reqwest::Client, url: &str, data: &Path) -> anyhow::Result<LongTerm> {
    let response = client.post(format!("{url}/api/v1/admin/tsdb/snapshot")).send().await?.error_for_status()?;
    let answer: serde_json::Value = serde_json::from_slice(&response.bytes().await?)?;
    let name = answer["data"]["name"].as_str().context("the snapshot has no name")?;
    Ok(LongTerm { as_cut: bytes_per_sample(&blocks(&data.join("snapshots").join(name))), merged: None })
}

async fn victoria_metrics(client: &reqwest::Client, url: &str, data: &Path, samples: u64) -> anyhow::Result<LongTerm> {
    for call in ["force_flush", "force_merge"] {
        client.get(format!("{url}/internal/{call}")).send().await?.error_for_status()?;
    }
    let started = Instant::now();
    while started.elapsed() < TIMEOUT {
        tokio::time::sleep(ASK_EVERY).await;
        let metrics = client.get(format!("{url}/metrics")).send().await?.text().await?;
        let merging = |line: &str| line.starts_with("vm_active_force_merges") && !line.ends_with(" 0");
        if !metrics.lines().any(merging) {
            return Ok(LongTerm { as_cut: None, merged: Some(tree_bytes(data) as f64 / samples.max(1) as f64) });
        }
    }
    bail!("VictoriaMetrics was still merging after {TIMEOUT:?}")
}
