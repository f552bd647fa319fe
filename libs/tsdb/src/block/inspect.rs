//! What is in a block, for people.

use super::{Block, BlockError};
use crate::chunk::sample_count;

/// Labels that are listed.
const TOP: usize = 10;

/// What [`inspect`] found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Inspection {
    /// Series, also deleted ones.
    pub series: u64,
    /// Chunks.
    pub chunks: u64,
    /// Samples by the headers of the chunks, also deleted ones.
    pub samples: u64,
    /// Times of the first and the last sample by the index; `None` without chunks.
    pub range: Option<(i64, i64)>,
    /// Bytes of the index.
    pub index_bytes: u64,
    /// Bytes of the chunk segments.
    pub chunk_bytes: u64,
    /// Deleted intervals.
    pub tombstones: u64,
    /// The labels with the most values, and how many.
    pub cardinality: Vec<(String, usize)>,
}

impl Inspection {
    /// Bytes of index and chunks by sample; 0 without samples.
    #[must_use]
    pub fn bytes_per_sample(&self) -> f64 {
        per(self.index_bytes + self.chunk_bytes, self.samples)
    }

    /// Bytes of chunks by sample; 0 without samples.
    #[must_use]
    pub fn chunk_bytes_per_sample(&self) -> f64 {
        per(self.chunk_bytes, self.samples)
    }
}

fn per(bytes: u64, samples: u64) -> f64 {
    if samples == 0 { 0.0 } else { bytes as f64 / samples as f64 }
}

/// Counts what is in a block. Reads all of the index, and all chunks without decoding them.
pub fn inspect(block: &Block) -> Result<Inspection, BlockError> {
    let mut out = Inspection {
        index_bytes: block.index.bytes(),
        chunk_bytes: block.chunks.bytes(),
        tombstones: block.tombstones.count(),
        cardinality: block.index.cardinality()?,
        ..Inspection::default()
    };
    out.cardinality.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    out.cardinality.truncate(TOP);
    let mut series = block.index.series_cursor();
    let chunks = block.chunks.cursor();
    for id in block.index.postings("", "")? {
        out.series += 1;
        for meta in series.read(id)?.chunks {
            let stored = chunks.read(meta.reference)?;
            let samples = sample_count(&stored.data).map_err(|source| BlockError::Chunk { reference: meta.reference, source })?;
            out.chunks += 1;
            out.samples += u64::from(samples);
            let (min_t, max_t) = out.range.unwrap_or((meta.min_t, meta.max_t));
            out.range = Some((min_t.min(meta.min_t), max_t.max(meta.max_t)));
        }
    }
    Ok(out)
}
