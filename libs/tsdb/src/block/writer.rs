//! Writing a whole block.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use failpoints::Failpoint;
use model::{Chunk, ChunkEncoding, Labels, SeriesHash};

use super::chunk_writer::ChunkWriter;
use super::index_writer::IndexWriter;
use super::out_file::OutFile;
use super::sidecar::write_sidecar;
use super::{BlockError, BlockMeta, BlockStats, CHUNKS_DIR, ChunkMeta, Compaction, META_FILE, SEGMENT_BYTES, ThanosMeta, Ulid};
use crate::chunk::sample_count;
use crate::fs::Fs;

/// What a folder is called while the block in it is not whole. Prometheus removes such folders when it starts.
pub const TMP_SUFFIX: &str = ".tmp-for-creation";

/// What a block is, but for its contents.
#[derive(Debug, Clone)]
pub struct BlockSpec {
    /// Its name.
    pub ulid: Ulid,
    /// First time of its range, inclusive, in milliseconds.
    pub min_time: i64,
    /// End of its range, exclusive.
    pub max_time: i64,
    /// Where it comes from.
    pub compaction: Compaction,
    /// The section `thanos` of its `meta.json`.
    pub thanos: Option<ThanosMeta>,
}

impl BlockSpec {
    /// A block of level 1, its own source.
    #[must_use]
    pub fn level_1(ulid: Ulid, min_time: i64, max_time: i64) -> Self {
        let compaction = Compaction { level: 1, sources: vec![ulid], ..Compaction::default() };
        Self { ulid, min_time, max_time, compaction, thanos: None }
    }
}

/// Writes a block into a temporary folder, which gets the block's name when all of it is durable: a block is there whole or not at all.
/// Of a writer that is dropped before [`BlockWriter::finish`] the temporary folder may be left; [`BlockWriter::abort`] removes it, as does
/// the next writer of the same name.
#[derive(Debug)]
pub struct BlockWriter {
    fs: Arc<dyn Fs>,
    parent: PathBuf,
    tmp: PathBuf,
    spec: BlockSpec,
    stats: BlockStats,
    chunks: ChunkWriter,
    index: IndexWriter,
    /// Of the series, in their order, for the sidecar.
    hashes: Vec<SeriesHash>,
}

impl BlockWriter {
    /// A writer of the block `parent`/`spec.ulid`.
    pub fn create(fs: Arc<dyn Fs>, parent: &Path, spec: BlockSpec) -> Result<Self, BlockError> {
        Self::with_segments(fs, parent, spec, SEGMENT_BYTES)
    }

    pub(super) fn with_segments(fs: Arc<dyn Fs>, parent: &Path, spec: BlockSpec, segment_bytes: u64) -> Result<Self, BlockError> {
        let tmp = parent.join(format!("{}{TMP_SUFFIX}", spec.ulid));
        fs.remove_dir_all(&tmp).map_err(BlockError::io(&tmp))?;
        fs.create_dir_all(&tmp).map_err(BlockError::io(&tmp))?;
        let chunks = ChunkWriter::with_segments(fs.clone(), &tmp.join(CHUNKS_DIR), segment_bytes)?;
        let index = IndexWriter::create(fs.clone(), &tmp)?;
        Ok(Self { fs, parent: parent.to_owned(), tmp, spec, stats: BlockStats::default(), chunks, index, hashes: Vec::new() })
    }

    /// Adds a series. Series come in label order; its chunks ascend, do not overlap and lie within the block's range. A series
    /// without chunks is left out.
    pub fn put(&mut self, labels: &Labels, chunks: &[Chunk]) -> Result<(), BlockError> {
        if chunks.is_empty() {
            return Ok(());
        }
        let inside = |c: &Chunk| c.min_t >= self.spec.min_time && c.max_t < self.spec.max_time && c.min_t <= c.max_t;
        if !chunks.iter().all(inside) || !chunks.is_sorted_by(|a, b| a.max_t < b.min_t) {
            return Err(BlockError::ChunkRange(labels.to_string()));
        }
        let mut metas = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            let count = sample_count(&chunk.data).map_err(|source| BlockError::Chunk { reference: 0, source })?;
            let reference = self.chunks.put(chunk)?;
            metas.push(ChunkMeta { min_t: chunk.min_t, max_t: chunk.max_t, reference });
            self.stats.num_samples += u64::from(count);
            if chunk.encoding == ChunkEncoding::Xor {
                self.stats.num_float_samples += u64::from(count);
            } else {
                self.stats.num_histogram_samples += u64::from(count);
            }
        }
        self.stats.num_chunks += metas.len() as u64;
        self.stats.num_series += 1;
        self.index.put(labels, &metas)?;
        self.hashes.push(labels.hash());
        Ok(())
    }

    /// Writes the rest, `meta.json` last, and gives the folder its name. A block without series is not written: `None`.
    pub fn finish(self) -> Result<Option<BlockMeta>, BlockError> {
        if self.stats.num_series == 0 {
            self.abort();
            return Ok(None);
        }
        let Self { fs, parent, tmp, spec, stats, chunks, index, hashes } = self;
        let pass = |point| failpoints::hit(point).map_err(|injected| BlockError::io(&tmp)(injected.into()));
        pass(Failpoint::BlockWriteChunks)?;
        chunks.finish()?;
        pass(Failpoint::BlockWriteIndex)?;
        let ids = index.finish()?;
        write_sidecar(&*fs, &tmp, spec.ulid, &hashes, &ids)?;
        let BlockSpec { ulid, min_time, max_time, compaction, thanos } = spec;
        let meta = BlockMeta { ulid, min_time, max_time, stats, compaction, version: 1, thanos, other: serde_json::Map::new() };
        pass(Failpoint::BlockWriteMeta)?;
        let mut out = OutFile::create(&*fs, &tmp.join(META_FILE))?;
        out.put(&meta.to_json()?)?;
        out.finish()?;
        fs.sync_dir(&tmp).map_err(BlockError::io(&tmp))?;
        let dir = parent.join(ulid.to_string());
        fs.rename(&tmp, &dir).map_err(BlockError::io(&dir))?;
        fs.sync_dir(&parent).map_err(BlockError::io(&parent))?;
        Ok(Some(meta))
    }

    /// Removes what was written so far, as far as that can be done.
    pub fn abort(self) {
        let Self { fs, tmp, chunks, index, .. } = self;
        drop((chunks, index));
        if let Err(error) = fs.remove_dir_all(&tmp) {
            tracing::warn!(%error, path = %tmp.display(), "the folder of an unfinished block stays behind");
        }
    }
}

/// Writes a block of series that come in label order. On an error nothing of it stays.
pub fn write_block(
    fs: Arc<dyn Fs>,
    parent: &Path,
    spec: BlockSpec,
    series: impl IntoIterator<Item = Result<(Labels, Vec<Chunk>), BlockError>>,
) -> Result<Option<BlockMeta>, BlockError> {
    let tmp = parent.join(format!("{}{TMP_SUFFIX}", spec.ulid));
    let result = write_all(fs.clone(), parent, spec, series);
    if result.is_err() {
        // The first error is the one that matters.
        let _ = fs.remove_dir_all(&tmp);
    }
    result
}

fn write_all(
    fs: Arc<dyn Fs>,
    parent: &Path,
    spec: BlockSpec,
    series: impl IntoIterator<Item = Result<(Labels, Vec<Chunk>), BlockError>>,
) -> Result<Option<BlockMeta>, BlockError> {
    let mut writer = BlockWriter::create(fs, parent, spec)?;
    for series in series {
        let (labels, chunks) = series?;
        writer.put(&labels, &chunks)?;
    }
    writer.finish()
}
