//! Encoded runs of samples, as they travel from a head or a block to a querier.

use bytes::Bytes;

use crate::hash::SeriesHash;
use crate::labels::Labels;
use crate::sample::Sample;

/// How a chunk's bytes are encoded. The numbers are those of Prometheus's chunk files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ChunkEncoding {
    /// Floats, XOR compressed (Gorilla).
    Xor = 1,
    /// Histograms with integer counts.
    Histogram = 2,
    /// Histograms with float counts.
    FloatHistogram = 3,
}

impl ChunkEncoding {
    /// The encoding of a number from a file or a message.
    #[must_use]
    pub fn from_wire(n: u8) -> Option<Self> {
        match n {
            1 => Some(Self::Xor),
            2 => Some(Self::Histogram),
            3 => Some(Self::FloatHistogram),
            _ => None,
        }
    }
}

/// A run of samples of one series in one encoding, ascending in time without duplicates.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// How to read `data`.
    pub encoding: ChunkEncoding,
    /// Time of the first sample, inclusive.
    pub min_t: i64,
    /// Time of the last sample, inclusive.
    pub max_t: i64,
    /// The encoded samples, beginning with Prometheus's big-endian u16 count. Not trusted: decoders check every read.
    pub data: Bytes,
}

/// All that one source holds of one series for a query.
#[derive(Debug, Clone)]
pub struct SeriesChunks {
    /// The series, or those of its labels that the reader asked for ([`crate::Projection::labels`]).
    pub labels: Labels,
    /// Its identity: `SeriesHash::of(labels.as_bytes())` if the labels are all there.
    pub hash: SeriesHash,
    /// Ordered by `min_t`. Chunks may overlap in time (out-of-order data, two sources); the reader merges by timestamp.
    pub chunks: Vec<Chunk>,
    /// A sample beside the chunks: the newest one of the source, where no more was asked for ([`crate::Projection::newest_only`]). Cheaper
    /// than a chunk of one sample.
    pub newest: Option<Sample>,
}

impl SeriesChunks {
    /// Bytes that this value holds in memory, for query budgets.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let data: usize = self.chunks.iter().map(|c| c.data.len()).sum();
        size_of::<Self>() + self.labels.as_bytes().len() + self.chunks.len() * size_of::<Chunk>() + data
    }
}
