//! Series with late samples, read as if all had come in order.

use model::{Chunk, SeriesChunks};

use super::HeadError;
use super::series::{Cold, Hot};
use crate::block::recode::{self, OverlapStats, Point, merge_overlaps};

/// Sources of [`merge_overlaps`]: where, after damage, two have one time, what came in order counts.
const IN_ORDER: usize = 0;
const LATE: usize = 1;

/// What came late of a series in a range: taken under locks, merged when they are released.
#[derive(Debug)]
pub(super) struct Overlap {
    /// Into the answer.
    series: usize,
    chunks: Vec<Chunk>,
    waiting: Vec<Point>,
}

impl Overlap {
    /// What the series that will have the number `series` in the answer has late in the range (inclusive), if anything.
    pub(super) fn take(series: usize, hot: &Hot, cold: &Cold, min_t: i64, max_t: i64) -> Result<Option<Self>, HeadError> {
        let Some(late) = cold.late.as_ref().filter(|late| late.overlaps(min_t, max_t)) else { return Ok(None) };
        let chunks = late.chunks.iter().filter(|c| c.overlaps(min_t, max_t)).map(|c| c.to_chunk(hot.hash()));
        Ok(Some(Self { series, chunks: chunks.collect::<Result<_, _>>()?, waiting: late.waiting_in(min_t, max_t) }))
    }

    /// Merges it with what came in order, which is in the answer.
    pub(super) fn merge_into(self, out: &mut [SeriesChunks]) -> Result<(), HeadError> {
        let Some(series) = out.get_mut(self.series) else { return Ok(()) };
        let error = |source| HeadError::Late(Box::new(source));
        let waiting = recode::encode(self.waiting).map_err(error)?;
        let in_order = std::mem::take(&mut series.chunks).into_iter().map(|chunk| (IN_ORDER, chunk));
        let all = in_order.chain(self.chunks.into_iter().chain(waiting).map(|chunk| (LATE, chunk))).collect();
        series.chunks = merge_overlaps(all, &mut OverlapStats::default()).map_err(error)?;
        Ok(())
    }
}
