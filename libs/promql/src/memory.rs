//! A store in memory, for scripts and tests: complete, small, and unbounded but by what its owner appends.

mod chunks;

use std::collections::BTreeMap;

use model::{Labels, Matcher, SeriesChunks};
use tsdb::chunk::ChunkError;

use self::chunks::SeriesWriter;
use crate::error::QueryError;
use crate::storage::{Queryable, SelectRequest, SeriesSource};
use crate::value::Point;

/// Series per batch of a selection.
const BATCH_SERIES: usize = 256;

/// Series with their samples in encoded chunks, as a head would hold them. Cloning copies all of it but the encoded bytes.
#[derive(Debug, Clone, Default)]
pub struct MemoryStorage {
    series: BTreeMap<Labels, SeriesWriter>,
}

/// Why samples were not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// A sample is not newer than the one before it.
    #[error("sample of {labels} at {t} ms is not after the last one at {last} ms")]
    OutOfOrder {
        /// The series.
        labels: Labels,
        /// Milliseconds.
        t: i64,
        /// Milliseconds.
        last: i64,
    },
    /// A histogram contradicts itself.
    #[error("histogram of {labels} at {t} ms cannot be stored: {cause}")]
    Histogram {
        /// The series.
        labels: Labels,
        /// Milliseconds.
        t: i64,
        /// What is wrong.
        cause: ChunkError,
    },
}

impl MemoryStorage {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds samples, in ascending order of time, to a series that may have older ones. Histograms are stored with float counts.
    /// On an error the samples before the offending one are kept.
    pub fn append(&mut self, labels: &Labels, points: &[Point]) -> Result<(), MemoryError> {
        let writer = self.series.entry(labels.clone()).or_insert_with(|| SeriesWriter::new(labels.clone()));
        let appended = points.iter().try_for_each(|point| writer.append(point));
        writer.publish();
        appended
    }

    /// The number of series.
    #[must_use]
    pub fn series_count(&self) -> usize {
        self.series.len()
    }
}

impl Queryable for MemoryStorage {
    fn select(&self, request: SelectRequest) -> Result<Box<dyn SeriesSource>, QueryError> {
        let matching = self.series.values().map(SeriesWriter::published).filter(|s| matches(&request.matchers, &s.labels));
        let cut = |series: &SeriesChunks| {
            let chunks: Vec<_> = series.chunks.iter().filter(|c| c.max_t >= request.min_t && c.min_t <= request.max_t).cloned().collect();
            (!chunks.is_empty()).then(|| SeriesChunks { labels: series.labels.clone(), hash: series.hash, chunks })
        };
        let selected: Vec<SeriesChunks> = matching.filter_map(cut).collect();
        Ok(Box::new(Selected { series: selected.into_iter() }))
    }
}

fn matches(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|m| m.matches(labels.get(&m.name).unwrap_or_default()))
}

/// Series that were selected.
struct Selected {
    series: std::vec::IntoIter<SeriesChunks>,
}

impl SeriesSource for Selected {
    fn next_batch(&mut self) -> Result<Option<Vec<SeriesChunks>>, QueryError> {
        let batch: Vec<_> = self.series.by_ref().take(BATCH_SERIES).collect();
        Ok((!batch.is_empty()).then_some(batch))
    }
}

#[cfg(test)]
mod tests;
