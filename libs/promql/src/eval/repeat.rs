//! Step-invariant vectors: evaluated once, repeated at every step.

use std::sync::Arc;

use super::batch_len;
use super::column::{StepVector, is_absent};
use super::series::{BoxStream, Series, Stream};
use crate::error::QueryError;

/// Widens columns of one step.
pub(super) struct Repeat {
    input: BoxStream,
    pending: std::vec::IntoIter<Series>,
    steps: usize,
}

impl Repeat {
    /// `input` has one step.
    pub(super) fn new(input: BoxStream, steps: usize) -> Self {
        Self { input, pending: Vec::new().into_iter(), steps }
    }

    fn widen(&self, mut series: Series) -> Series {
        let once = std::mem::take(&mut series.column);
        series.column = match once.values.first() {
            Some(v) if !is_absent(*v) => StepVector::of(vec![*v; self.steps]),
            _ => StepVector::absent(self.steps),
        };
        if let Some(histogram) = once.histogram_at(0) {
            (0..self.steps).for_each(|step| series.column.put_histogram(step, Arc::clone(histogram)));
        }
        series
    }
}

impl Stream for Repeat {
    fn next_batch(&mut self) -> Result<Option<Vec<Series>>, QueryError> {
        if self.pending.len() == 0 {
            match self.input.next_batch()? {
                Some(batch) => self.pending = batch.into_iter(),
                None => return Ok(None),
            }
        }
        let batch: Vec<Series> = self.pending.by_ref().take(batch_len(self.steps)).collect();
        Ok(Some(batch.into_iter().map(|series| self.widen(series)).collect()))
    }

    fn whole(&self) -> bool {
        // Pieces of one step cannot be of one series.
        true
    }
}
