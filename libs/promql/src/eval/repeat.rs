//! Step-invariant vectors: evaluated once, repeated at every step.

use std::sync::Arc;

use super::column::{StepVector, is_absent};
use super::series::{BoxStream, Series, Stream};
use super::{QueryState, batch_len, column_bytes};
use crate::error::QueryError;
use crate::limits::Charge;

/// Widens columns of one step.
pub(super) struct Repeat {
    input: BoxStream,
    pending: std::vec::IntoIter<Series>,
    steps: usize,
    in_flight: Charge,
}

impl Repeat {
    /// `input` has one step.
    pub(super) fn new(input: BoxStream, steps: usize, state: &QueryState) -> Self {
        Self { input, pending: Vec::new().into_iter(), steps, in_flight: Charge::none(&state.budget) }
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
        self.in_flight.set(batch.len() * column_bytes(self.steps))?;
        Ok(Some(batch.into_iter().map(|series| self.widen(series)).collect()))
    }

    fn whole(&self) -> bool {
        // Pieces of one step cannot be of one series.
        true
    }
}
