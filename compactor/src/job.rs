//! One merge: blocks come in from the bucket, one goes back.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bucket::Bucket;
use model::TenantId;
use runtime::Tasks;
use runtime::failpoint::{self, Failpoint};
use tsdb::block::{Block, BlockMeta, ThanosMeta, Ulid, verify};
use tsdb::compact::plan::MergeJob;
use tsdb::compact::{MergeOutcome, MergeSpec, merge_blocks};
use tsdb::fs::{Fs, RealFs};

use crate::error::Error;

/// What a merge made.
#[derive(Debug)]
pub struct Merged {
    /// The new block; `None` if every sample of the sources was deleted.
    pub meta: Option<BlockMeta>,
    /// Bytes of the sources.
    pub source_bytes: u64,
    /// Bytes of the new block.
    pub result_bytes: u64,
}

/// Does a job in the folder `dir`, which is made and removed again. When it returns, the new block is whole in the bucket; its sources are not marked yet.
pub async fn run(bucket: &Bucket, tasks: &Tasks, tenant: &TenantId, job: &MergeJob, name: Ulid, dir: &Path) -> Result<Merged, Error> {
    let result = merge(bucket, tasks, tenant, job, name, dir).await;
    // What is left is removed at the next start at the latest.
    if let Err(error) = tokio::fs::remove_dir_all(dir).await
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, path = %dir.display(), "the folder of a merge stays behind");
    }
    result
}

async fn merge(bucket: &Bucket, tasks: &Tasks, tenant: &TenantId, job: &MergeJob, name: Ulid, dir: &Path) -> Result<Merged, Error> {
    let mut sources = Vec::with_capacity(job.blocks.len());
    let mut source_bytes = 0;
    for block in &job.blocks {
        let source = dir.join(block.to_string());
        failpoint::hit(Failpoint::CompactDownload).await?;
        bucket.download_block(tenant, *block, &source).await?;
        source_bytes += folder_bytes(&source).map_err(Error::local("list", &source))?;
        sources.push((*block, source));
    }
    failpoint::hit(Failpoint::CompactMerge).await?;
    let (parent, tenant_name) = (dir.to_owned(), tenant.clone());
    let merged = tasks.spawn_blocking(move || merge_local(&parent, &sources, name)).await.map_err(|_| Error::Panicked)??;
    let Some(meta) = merged.meta else { return Ok(Merged { meta: None, source_bytes, result_bytes: 0 }) };
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    failpoint::hit(Failpoint::CompactUpload).await?;
    let written = bucket.upload_block(&tenant_name, &fs, &dir.join(name.to_string()), &meta).await?;
    Ok(Merged { meta: Some(written.meta), source_bytes, result_bytes: written.bytes })
}

/// Merges local blocks, and reads every byte of the result back.
fn merge_local(parent: &Path, sources: &[(Ulid, PathBuf)], name: Ulid) -> Result<MergeOutcome, Error> {
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let mut blocks = Vec::with_capacity(sources.len());
    for (block, dir) in sources {
        let opened = Block::open(Arc::clone(&fs), dir).map_err(|source| Error::Source { block: *block, source })?;
        // A damaged source must be told by its name, and before anything is written.
        if let Some(problem) = verify(&opened).problems.first() {
            tracing::warn!(block = %block, problem = %problem, "a block that is to be merged is damaged");
            return Err(Error::Unsound { block: *block, what: problem.to_string() });
        }
        blocks.push(opened);
    }
    let thanos = Some(ThanosMeta { source: "compactor".to_owned(), ..ThanosMeta::default() });
    let refs: Vec<&Block> = blocks.iter().collect();
    let merged = merge_blocks(Arc::clone(&fs), parent, &refs, MergeSpec { ulid: name, thanos }).map_err(Error::Merge)?;
    if merged.meta.is_some() {
        let result = Block::open(fs, &parent.join(name.to_string())).map_err(Error::Merge)?;
        if let Some(problem) = verify(&result).problems.first() {
            return Err(Error::Unsound { block: name, what: problem.to_string() });
        }
    }
    Ok(merged)
}

fn folder_bytes(dir: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        bytes += if meta.is_dir() { folder_bytes(&entry.path())? } else { meta.len() };
    }
    Ok(bytes)
}
