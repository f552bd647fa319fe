//! Functions of single values, and unary minus.

use std::sync::Arc;

use super::QueryState;
use super::column::{ScalarColumn, StepVector, is_absent};
use super::scalar::ScalarSource;
use super::series::{BoxStream, DuplicateGuard, Series, Stream, drop_name};
use crate::error::QueryError;
use crate::functions::ElementFunction;
use crate::histogram;
use crate::plan::Grid;

/// What is done to each series.
pub(super) enum Mapping {
    /// A function; histograms are left out.
    Function(ElementFunction),
    /// `-v`.
    Negate,
    /// Nothing but that the name goes.
    Identity,
}

/// Maps the values of each series; the metric name goes.
pub(super) struct ElementOperator {
    input: BoxStream,
    mapping: Mapping,
    params: Vec<ScalarSource>,
    columns: Vec<ScalarColumn>,
    grid: Grid,
    guard: DuplicateGuard,
    state: Arc<QueryState>,
}

impl ElementOperator {
    pub(super) fn new(input: BoxStream, mapping: Mapping, params: Vec<ScalarSource>, grid: Grid, state: &Arc<QueryState>) -> Self {
        let guard = DuplicateGuard::new(state);
        Self { input, mapping, params, columns: Vec::new(), grid, guard, state: Arc::clone(state) }
    }

    fn map(&self, column: &mut StepVector) {
        match self.mapping {
            Mapping::Function(ElementFunction::Timestamp) => {
                for step in 0..column.values.len() {
                    if column.is_present(step) {
                        column.values[step] = self.grid.at(step) as f64 / 1000.0;
                    }
                }
                column.drop_histograms();
            }
            Mapping::Function(function) => {
                column.drop_histograms();
                function.apply(&mut column.values, &self.columns);
            }
            Mapping::Identity => {}
            Mapping::Negate => {
                column.map_histograms(|_, h| {
                    let mut negated = h.as_ref().clone();
                    histogram::multiply(&mut negated, -1.0);
                    Some(Arc::new(negated))
                });
                for v in &mut column.values {
                    if !is_absent(*v) {
                        *v = if v.is_nan() { f64::NAN } else { -*v };
                    }
                }
            }
        }
    }
}

impl Stream for ElementOperator {
    fn next_batch(&mut self) -> Result<Option<Vec<Series>>, QueryError> {
        for param in self.params.drain(..) {
            self.columns.push(param.evaluate(self.grid.count())?);
        }
        while let Some(mut batch) = self.input.next_batch()? {
            self.state.check()?;
            for series in &mut batch {
                self.map(&mut series.column);
                drop_name(series, &self.state);
            }
            batch.retain(|series| !series.column.is_empty());
            if !self.state.delayed_name_removal {
                batch.iter().try_for_each(|series| self.guard.check(series))?;
            }
            if !batch.is_empty() {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    fn whole(&self) -> bool {
        self.grid.count() <= 1 || (self.state.delayed_name_removal && self.input.whole())
    }
}
