//! Chunk encodings: runs of samples of one series, byte for byte as Prometheus writes them (`tsdb/chunkenc` in its source).
//!
//! | encoding | written by | read by |
//! |---|---|---|
//! | floats, XOR (Gorilla) | [`XorAppender`] | [`XorIterator`], [`decode_xor_into`] |
//! | histograms, integer counts | [`HistogramAppender`] | [`decode_histograms`], [`visit_histograms`] |
//! | histograms, float counts | [`FloatHistogramAppender`] | [`decode_histograms`], [`visit_histograms`] |
//!
//! An appender owns its bytes and is at every moment a valid chunk: [`XorAppender::bytes`] may be copied between two appends
//! and read while the series goes on. Readers take bytes that nobody vouches for: they check what they read against the
//! length that is there, allocate no more than the limits below allow, and answer damage with a [`ChunkError`], never with
//! a panic. A flipped bit that leaves a chunk well formed is not seen here; the checksums of the files around it are for that.
//! The bytes are described in `docs/formats/chunks.md`.

mod bitstream;
mod error;
mod histogram;
mod varbit;
mod xor;

pub use error::ChunkError;
pub use histogram::{
    AppendOutcome, CutReason, FloatHistogramAppender, HistogramAppender, MAX_HISTOGRAM_BUCKETS, MAX_HISTOGRAM_DECODED_BYTES,
    decode_histograms, find_histogram, visit_histogram_times, visit_histograms,
};
pub use xor::{XorAppender, XorIterator, decode_xor_into};

/// The most samples one chunk can hold: its count is 16 bits wide. Heads cut far below, at about 120 samples.
pub const MAX_CHUNK_SAMPLES: u16 = u16::MAX;

/// The number of samples that a chunk of any encoding says it has. The decoder finds out whether that is true.
pub fn sample_count(data: &[u8]) -> Result<u16, ChunkError> {
    match data.first_chunk::<2>() {
        Some(count) => Ok(u16::from_be_bytes(*count)),
        None => Err(ChunkError::Truncated),
    }
}
