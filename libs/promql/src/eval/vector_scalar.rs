//! A vector and a scalar.

use std::sync::Arc;

use super::QueryState;
use super::arithmetic::{Operand, Outcome, StepNotes, changes_quantity, element, holds, is_comparison, is_trim, operate};
use super::column::{ABSENT, ScalarColumn, StepVector, is_absent};
use super::scalar::ScalarSource;
use super::series::{BoxStream, DuplicateGuard, Series, Stream, drop_name};
use crate::error::QueryError;
use crate::parser::ast::{BinaryOp, TextSpan};

/// The operation, apart from its operands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operation {
    pub(super) op: BinaryOp,
    pub(super) return_bool: bool,
    pub(super) scalar_left: bool,
    pub(super) steps: usize,
    pub(super) span: TextSpan,
}

/// Applies a scalar to each series.
pub(super) struct VectorScalar {
    input: BoxStream,
    scalar: Option<ScalarSource>,
    column: ScalarColumn,
    operation: Operation,
    notes: StepNotes,
    guard: DuplicateGuard,
    state: Arc<QueryState>,
}

impl VectorScalar {
    pub(super) fn new(input: BoxStream, scalar: ScalarSource, operation: Operation, state: &Arc<QueryState>) -> Self {
        let guard = DuplicateGuard::new(state);
        Self {
            input,
            scalar: Some(scalar),
            column: ScalarColumn::Constant(f64::NAN),
            operation,
            notes: StepNotes::default(),
            guard,
            state: Arc::clone(state),
        }
    }

    fn drops_name(&self) -> bool {
        changes_quantity(self.operation.op) || self.operation.return_bool
    }

    fn apply(&mut self, column: &mut StepVector) {
        let Operation { op, return_bool, scalar_left, .. } = self.operation;
        if is_trim(op) || !column.histograms().is_empty() {
            self.general(column);
        }
        for (step, v) in column.values.iter_mut().enumerate().filter(|(_, v)| !is_absent(**v)) {
            let scalar = self.column.at(step);
            *v = match (scalar_left, is_comparison(op) && !return_bool) {
                (false, _) => element(op, *v, scalar, return_bool),
                // A comparison yields the vector's value, on whichever side it stands.
                (true, true) => {
                    if holds(op, scalar, *v) {
                        *v
                    } else {
                        ABSENT
                    }
                }
                (true, false) => element(op, scalar, *v, return_bool),
            };
        }
    }

    /// Histograms, and floats that cannot be trimmed.
    fn general(&mut self, column: &mut StepVector) {
        let Operation { op, scalar_left, .. } = self.operation;
        let mut operate_at = |step: usize, sample: Operand<'_>| {
            let scalar = Operand::Float(self.column.at(step));
            let (outcome, note) = if scalar_left { operate(op, scalar, sample) } else { operate(op, sample, scalar) };
            if let Some(note) = note {
                self.notes.add(step, note);
            }
            outcome
        };
        if is_trim(op) {
            for (step, v) in column.values.iter().enumerate().filter(|(_, v)| !is_absent(**v)) {
                operate_at(step, Operand::Float(*v));
            }
        }
        // Comparing a histogram with a number has no value, so `bool` plays no part.
        column.map_histograms(|step, histogram| match operate_at(step, Operand::Histogram(histogram)) {
            Outcome::Histogram(result) => Some(result),
            Outcome::Dropped | Outcome::None => None,
        });
    }
}

impl Stream for VectorScalar {
    fn next_batch(&mut self) -> Result<Option<Vec<Series>>, QueryError> {
        if let Some(scalar) = self.scalar.take() {
            self.column = scalar.evaluate(self.operation.steps)?;
        }
        while let Some(mut batch) = self.input.next_batch()? {
            self.state.check()?;
            for series in &mut batch {
                self.apply(&mut series.column);
            }
            batch.retain(|series| !series.column.is_empty());
            if self.drops_name() {
                for series in &mut batch {
                    drop_name(series, &self.state);
                    if !self.state.delayed_name_removal {
                        self.guard.check(series)?;
                    }
                }
            }
            if !batch.is_empty() {
                return Ok(Some(batch));
            }
        }
        self.notes.annotate(self.operation.op, self.operation.span, &self.state.annotations);
        Ok(None)
    }

    fn whole(&self) -> bool {
        let keeps = self.state.delayed_name_removal || !self.drops_name();
        self.operation.steps <= 1 || (keeps && self.input.whole())
    }
}
