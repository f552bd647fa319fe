//! Why a chunk could not be read or a histogram not be written.

use super::histogram::{MAX_HISTOGRAM_BUCKETS, MAX_HISTOGRAM_DECODED_BYTES};

/// Why a chunk could not be read, or a histogram could not be appended to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// The bytes end before the samples that the header counts.
    #[error("chunk is shorter than its samples")]
    Truncated,
    /// A varint is longer than 64 bits.
    #[error("chunk holds a number of more than 64 bits")]
    Varint,
    /// The leading zeros and significant bits of a XOR window exceed 64.
    #[error("chunk holds a value window of more than 64 bits")]
    Window,
    /// The encoding asked for is not that of histograms.
    #[error("chunk does not hold histograms")]
    NotHistograms,
    /// The schema is none that we know: -4 to 8, or -53 for custom bounds.
    #[error("unknown histogram schema {0}")]
    Schema(i64),
    /// Span offsets or lengths are outside of what an index of 32 bits can name, or the spans overlap.
    #[error("histogram spans do not ascend within 32 bits")]
    Spans,
    /// Spans name another number of buckets than there are.
    #[error("histogram spans name {named} buckets, {given} are given")]
    Buckets {
        /// The sum of the span lengths.
        named: usize,
        /// The number of counts.
        given: usize,
    },
    /// More spans, buckets or bounds than a chunk may have.
    #[error("histogram has more than {MAX_HISTOGRAM_BUCKETS} spans, buckets or bounds")]
    TooManyBuckets,
    /// The decoded samples of one chunk would take more memory than allowed.
    #[error("histogram chunk decodes to more than {MAX_HISTOGRAM_DECODED_BYTES} bytes")]
    TooLarge,
}
