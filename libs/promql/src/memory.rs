//! A store in memory, for scripts and tests: complete, small, and unbounded but by what its owner appends.

mod chunks;

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;
use model::{Labels, Matcher, SeriesChunks, SeriesHash};
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
        self.append_with_start_times(labels, points, &[])
    }

    /// The same, with the time at which the counter began for each of the points, in milliseconds; `None`, or a list that is too short,
    /// says that it is unknown.
    pub fn append_with_start_times(&mut self, labels: &Labels, points: &[Point], starts: &[Option<i64>]) -> Result<(), MemoryError> {
        let writer = self.series.entry(labels.clone()).or_insert_with(|| SeriesWriter::new(labels.clone()));
        let mut starts = starts.iter().copied();
        let appended = points.iter().try_for_each(|point| writer.append(point, starts.next().flatten()));
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
        let matching = self.series.values().filter(|s| matches(&request.matchers, &s.published().labels));
        let mut starts = HashMap::new();
        let cut = |series: &SeriesChunks| {
            let chunks: Vec<_> = series.chunks.iter().filter(|c| c.max_t >= request.min_t && c.min_t <= request.max_t).cloned().collect();
            (!chunks.is_empty()).then(|| SeriesChunks { labels: series.labels.clone(), hash: series.hash, chunks, newest: None })
        };
        let selected: Vec<SeriesChunks> = matching
            .filter_map(|writer| {
                if request.hints.start_times && !writer.starts().is_empty() {
                    starts.insert(writer.published().hash, Arc::from(writer.starts()));
                }
                cut(writer.published())
            })
            .collect();
        Ok(Box::new(Selected { series: selected.into_iter(), starts }))
    }
}

fn matches(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|m| m.matches(labels.get(&m.name).unwrap_or_default()))
}

/// Series that were selected.
struct Selected {
    series: std::vec::IntoIter<SeriesChunks>,
    starts: HashMap<SeriesHash, Arc<[(i64, i64)]>>,
}

impl SeriesSource for Selected {
    fn next_batch(&mut self) -> Result<Option<Vec<SeriesChunks>>, QueryError> {
        let batch: Vec<_> = self.series.by_ref().take(BATCH_SERIES).collect();
        Ok((!batch.is_empty()).then_some(batch))
    }

    fn start_times(&mut self, series: SeriesHash) -> Option<Arc<[(i64, i64)]>> {
        self.starts.get(&series).cloned()
    }
}

#[cfg(test)]
mod tests;
