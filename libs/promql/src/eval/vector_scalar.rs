//! A vector and a scalar.

use std::sync::Arc;

use super::QueryState;
use super::arithmetic::{changes_quantity, element, holds, is_comparison, symbol};
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
    guard: DuplicateGuard,
    state: Arc<QueryState>,
}

impl VectorScalar {
    pub(super) fn new(input: BoxStream, scalar: ScalarSource, operation: Operation, state: &Arc<QueryState>) -> Self {
        let guard = DuplicateGuard::new(state);
        Self { input, scalar: Some(scalar), column: ScalarColumn::Constant(f64::NAN), operation, guard, state: Arc::clone(state) }
    }

    fn drops_name(&self) -> bool {
        changes_quantity(self.operation.op) || self.operation.return_bool
    }

    fn apply(&self, column: &mut StepVector) -> Result<(), QueryError> {
        let Operation { op, return_bool, scalar_left, .. } = self.operation;
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
        if matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower) && column.histograms().is_empty() {
            self.incompatible("float", "float");
        }
        self.histograms(column)
    }

    fn incompatible(&self, lhs: &str, rhs: &str) {
        let op = symbol(self.operation.op);
        let text = format!("incompatible sample types encountered for binary operator {op:?}: {lhs} {op} {rhs}");
        self.state.annotations.info(&text, self.operation.span);
    }

    fn histograms(&self, column: &mut StepVector) -> Result<(), QueryError> {
        if column.histograms().is_empty() {
            return Ok(());
        }
        let Operation { op, scalar_left, .. } = self.operation;
        let scales =
            matches!(op, BinaryOp::Mul) || (!scalar_left && matches!(op, BinaryOp::Div | BinaryOp::TrimUpper | BinaryOp::TrimLower));
        if scales {
            let text = format!("operator {} on native histograms is arithmetic that this version does not have", symbol(op));
            return Err(QueryError::Execution(text));
        }
        column.drop_histograms();
        let (lhs, rhs) = if scalar_left { ("float", "histogram") } else { ("histogram", "float") };
        self.incompatible(lhs, rhs);
        Ok(())
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
                self.apply(&mut series.column)?;
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
        Ok(None)
    }

    fn whole(&self) -> bool {
        let keeps = self.state.delayed_name_removal || !self.drops_name();
        self.operation.steps <= 1 || (keeps && self.input.whole())
    }
}
