//! Subqueries: an inner expression evaluated on its own steps, whose results are the samples of the outer window.

use std::sync::Arc;

use model::Labels;

use super::QueryState;
use super::column::is_absent;
use super::samples::Samples;
use super::series::{BoxStream, Series};
use crate::error::QueryError;
use crate::histogram;
use crate::limits::Charge;
use crate::plan::Grid;

/// The inner series as samples, one at a time.
pub(super) struct SubqueryFeed {
    /// Whole series: a window must see all of a series' points.
    input: BoxStream,
    pending: std::vec::IntoIter<Series>,
    grid: Grid,
    samples: Samples,
    charge: Charge,
}

impl SubqueryFeed {
    /// `input` yields whole series on `grid`.
    pub(super) fn new(input: BoxStream, grid: Grid, state: &Arc<QueryState>) -> Self {
        Self { input, pending: Vec::new().into_iter(), grid, samples: Samples::default(), charge: Charge::none(&state.budget) }
    }

    /// The next series with its points.
    pub(super) fn next(&mut self) -> Result<Option<(Labels, bool, &Samples)>, QueryError> {
        loop {
            if let Some(series) = self.pending.next() {
                self.charge.set(series.heap_bytes() + 2 * size_of::<f64>() * self.grid.count())?;
                self.fill(&series);
                return Ok(Some((series.labels, series.drop_name, &self.samples)));
            }
            match self.input.next_batch()? {
                Some(batch) => self.pending = batch.into_iter(),
                None => return Ok(None),
            }
        }
    }

    fn fill(&mut self, series: &Series) {
        self.samples.clear();
        for (step, v) in series.column.values.iter().enumerate() {
            if !is_absent(*v) {
                self.samples.ts.push(self.grid.at(step));
                self.samples.vs.push(*v);
            }
        }
        // A subquery sees other neighbours than the store did, so what the store knew about resets between neighbours is void.
        let histograms = series.column.histograms().iter();
        self.samples.histograms.extend(histograms.map(|(step, h)| (self.grid.at(*step as usize), histogram::without_reset_hint(h))));
    }
}
