//! A series from a snapshot.

use model::{ChunkEncoding, SeriesHash};

use super::{Hot, OpenHistograms, range_end};
use crate::chunk::{ChunkError, XorAppender};

impl Hot {
    /// A series without an open chunk whose newest sample was at this time; `i64::MIN` if that is not known.
    pub(in crate::head) fn closed(hash: SeriesHash, newest: i64) -> Self {
        Self { bound: newest, ..Self::new(hash) }
    }

    /// A series whose open chunk has these bytes, which may be any: what does not decode to at least one sample is an error.
    pub(in crate::head) fn resume(hash: SeriesHash, encoding: ChunkEncoding, data: &[u8], range: i64) -> Result<Self, ChunkError> {
        let mut hot = Self::new(hash);
        match encoding {
            ChunkEncoding::Xor => hot.floats = XorAppender::resume(data)?,
            ChunkEncoding::Histogram | ChunkEncoding::FloatHistogram => {
                hot.histograms = Some(Box::new(OpenHistograms::resume(encoding, data)?));
            }
        }
        hot.bound = range_end(hot.open_newest().ok_or(ChunkError::Truncated)?, range);
        Ok(hot)
    }
}
