//! Native histograms: one encoding for integer counts, one for float counts, alike but for how a count is written.

mod appender;
mod decode;
mod kind;
mod layout;
mod spans;
mod state;
#[cfg(test)]
mod tests;

use model::{FloatHistogram, Histogram};

use super::ChunkError;
use appender::Appender;
use kind::{Float, Int};

pub use decode::{decode_histograms, find_histogram, visit_histogram_times, visit_histograms};

/// The most spans, buckets (of one sign) or custom bounds of a chunk. Prometheus's own guard for one scraped histogram is
/// 160 buckets by default; a chunk's layout is the union of its samples' layouts.
pub const MAX_HISTOGRAM_BUCKETS: u32 = 16_384;

/// The most memory that the samples of one chunk may take once decoded, in bytes. Spans and bounds are written once per chunk
/// but held by every sample, so a few kilobytes could otherwise claim gigabytes. A chunk of 120 samples of 160 buckets takes 0.2 MB.
pub const MAX_HISTOGRAM_DECODED_BYTES: usize = 64 << 20;

/// The two top bits of the flags byte, which is the third of a chunk: what is known of a counter reset at the chunk's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum ResetHeader {
    Unknown = 0b0000_0000,
    NotReset = 0b0100_0000,
    Reset = 0b1000_0000,
    Gauge = 0b1100_0000,
}

impl ResetHeader {
    fn from_flags(flags: u8) -> Self {
        match flags >> 6 {
            0b00 => Self::Unknown,
            0b01 => Self::NotReset,
            0b10 => Self::Reset,
            _ => Self::Gauge,
        }
    }
}

/// What became of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendOutcome {
    /// It is in the chunk.
    Appended,
    /// It is in the chunk, all of which was written anew for buckets that it did not have. Copies of the earlier bytes stay
    /// readable, but they are no prefix of the chunk any more.
    Recoded,
    /// It is not in the chunk: the chunk ends here, and the histogram goes into its successor.
    NeedsNewChunk(CutReason),
    /// It is not in the chunk and fits no chunk: what it says of itself is contradictory or too large.
    Refused(ChunkError),
}

/// Why a histogram cannot follow the one before it in a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutReason {
    /// A count fell, or the sender says that there was a reset.
    CounterReset,
    /// A counter follows gauges, or a gauge follows counters.
    GaugeChange,
    /// The schema changed.
    Schema,
    /// The zero bucket became wider or narrower.
    ZeroThreshold,
    /// The custom bounds changed.
    CustomBounds,
    /// The last sample was a stale marker; only others may follow it.
    AfterStale,
    /// The buckets of all samples together exceed [`MAX_HISTOGRAM_BUCKETS`].
    TooManyBuckets,
    /// The chunk has [`super::MAX_CHUNK_SAMPLES`].
    Full,
}

macro_rules! appender {
    ($(#[$doc:meta])* $name:ident, $kind:ident, $histogram:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name(Appender<$kind>);

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl $name {
            /// An empty chunk of which nothing before is known.
            #[must_use]
            pub fn new() -> Self {
                Self(Appender::new(ResetHeader::Unknown))
            }

            /// An empty chunk that follows this one, to begin with `h`: its header says whether there was a counter reset in
            /// between. For a chunk that is cut because of [`AppendOutcome::NeedsNewChunk`], and as well for one that is cut for
            /// its size or its age.
            #[must_use]
            pub fn successor(&self, h: &$histogram) -> Self {
                Self(self.0.successor(h))
            }

            /// Appends a histogram, or says why that cannot be. Times are not checked; readers expect them to ascend. Of a
            /// stale marker (a sum with the stale marker's bits) nothing but time and sum is kept.
            pub fn append(&mut self, t: i64, h: &$histogram) -> AppendOutcome {
                self.0.append(t, h)
            }

            /// The number of samples.
            #[must_use]
            pub fn count(&self) -> u16 {
                self.0.count()
            }

            /// The time of the last sample.
            #[must_use]
            pub fn last_t(&self) -> Option<i64> {
                self.0.last_t()
            }

            /// The chunk as it is now.
            #[must_use]
            pub fn bytes(&self) -> &[u8] {
                self.0.bytes()
            }

            /// The chunk, in no more memory than it needs.
            #[must_use]
            pub fn finish(self) -> Vec<u8> {
                self.0.finish()
            }

            /// Bytes on the heap, for memory accounting.
            #[must_use]
            pub fn heap_bytes(&self) -> usize {
                self.0.heap_bytes()
            }

            /// An appender that goes on where `bytes` end; what it writes then is what the first writer would have written.
            /// Bytes behind the last sample are dropped. No bytes are an empty chunk.
            pub fn resume(bytes: &[u8]) -> Result<Self, ChunkError> {
                Ok(Self(Appender::resume(bytes)?))
            }
        }
    };
}

appender!(
    /// Writes a chunk of histograms with integer counts.
    HistogramAppender,
    Int,
    Histogram
);

appender!(
    /// Writes a chunk of histograms with float counts.
    FloatHistogramAppender,
    Float,
    FloatHistogram
);
