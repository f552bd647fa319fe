//! Binary operators of which at least one operand is a histogram.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::FloatHistogram;

use super::symbol;
use crate::annotations::{Annotations, HistogramOperation};
use crate::histogram::{self, Combined, IncompatibleBuckets, Keep};
use crate::parser::ast::{BinaryOp, TextSpan};

/// A sample of either kind.
#[derive(Debug, Clone, Copy)]
pub(in crate::eval) enum Operand<'a> {
    Float(f64),
    Histogram(&'a Arc<FloatHistogram>),
}

/// The value of an operator.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::eval) enum Outcome {
    /// A histogram: of arithmetic, or the left operand of a comparison that holds.
    Histogram(Arc<FloatHistogram>),
    /// A comparison does not hold.
    Dropped,
    /// There is no value.
    None,
}

/// What there is to say about one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::eval) enum OperatorNote {
    IncompatibleSamples(&'static str, &'static str),
    IncompatibleBuckets,
    Collision(HistogramOperation),
    Reconciled(HistogramOperation),
}

/// `lhs op rhs` with a histogram on at least one side; comparisons without `bool`.
pub(in crate::eval) fn operate(op: BinaryOp, lhs: Operand<'_>, rhs: Operand<'_>) -> (Outcome, Option<OperatorNote>) {
    match (lhs, rhs) {
        (Operand::Histogram(a), Operand::Histogram(b)) => two_histograms(op, a, b),
        (Operand::Histogram(h), Operand::Float(v)) => match op {
            BinaryOp::Mul => (changed(h, |h| histogram::multiply(h, v)), None),
            BinaryOp::Div => (changed(h, |h| histogram::divide(h, v)), None),
            BinaryOp::TrimUpper => (Outcome::Histogram(Arc::new(histogram::trim(h, v, Keep::Below))), None),
            BinaryOp::TrimLower => (Outcome::Histogram(Arc::new(histogram::trim(h, v, Keep::Above))), None),
            _ => (Outcome::None, Some(OperatorNote::IncompatibleSamples("histogram", "float"))),
        },
        (Operand::Float(v), Operand::Histogram(h)) if op == BinaryOp::Mul => (changed(h, |h| histogram::multiply(h, v)), None),
        (Operand::Float(_), Operand::Histogram(_)) => (Outcome::None, Some(OperatorNote::IncompatibleSamples("float", "histogram"))),
        (Operand::Float(_), Operand::Float(_)) => (Outcome::None, Some(OperatorNote::IncompatibleSamples("float", "float"))),
    }
}

fn changed(h: &FloatHistogram, change: impl FnOnce(&mut FloatHistogram)) -> Outcome {
    let mut h = h.clone();
    change(&mut h);
    Outcome::Histogram(Arc::new(histogram::compact(h)))
}

fn two_histograms(op: BinaryOp, a: &Arc<FloatHistogram>, b: &Arc<FloatHistogram>) -> (Outcome, Option<OperatorNote>) {
    let compared = |holds: bool| (if holds { Outcome::Histogram(Arc::clone(a)) } else { Outcome::Dropped }, None);
    match op {
        BinaryOp::Add => combined(histogram::add(a, b), HistogramOperation::Addition),
        BinaryOp::Sub => combined(histogram::subtract(a, b), HistogramOperation::Subtraction),
        BinaryOp::Eql => compared(histogram::equal(a, b)),
        BinaryOp::Neq => compared(!histogram::equal(a, b)),
        _ => (Outcome::None, Some(OperatorNote::IncompatibleSamples("histogram", "histogram"))),
    }
}

/// Contradicting hints leave no value, as in Prometheus.
fn combined(
    result: Result<(FloatHistogram, Combined), IncompatibleBuckets>,
    operation: HistogramOperation,
) -> (Outcome, Option<OperatorNote>) {
    match result {
        Err(IncompatibleBuckets) => (Outcome::None, Some(OperatorNote::IncompatibleBuckets)),
        Ok((_, Combined { collision: true, .. })) => (Outcome::None, Some(OperatorNote::Collision(operation))),
        Ok((value, Combined { reconciled, .. })) => {
            (Outcome::Histogram(Arc::new(value)), reconciled.then_some(OperatorNote::Reconciled(operation)))
        }
    }
}

impl OperatorNote {
    /// Annotates the query with the note on an operator at `span`.
    pub(in crate::eval) fn annotate(self, op: BinaryOp, span: TextSpan, annotations: &Annotations) {
        match self {
            Self::IncompatibleSamples(lhs, rhs) => annotations.incompatible_samples(symbol(op), lhs, rhs, span),
            Self::IncompatibleBuckets => annotations.incompatible_buckets(symbol(op), span),
            Self::Collision(operation) => annotations.reset_collision(operation, span),
            Self::Reconciled(operation) => annotations.reconciled_bounds(operation, span),
        }
    }
}

/// The notes of an operator: as in Prometheus, of all that could be said at one step only the last is.
#[derive(Debug, Default)]
pub(in crate::eval) struct StepNotes(BTreeMap<usize, OperatorNote>);

impl StepNotes {
    pub(in crate::eval) fn add(&mut self, step: usize, note: OperatorNote) {
        self.0.insert(step, note);
    }

    /// Annotates the query with what has been noted.
    pub(in crate::eval) fn annotate(&mut self, op: BinaryOp, span: TextSpan, annotations: &Annotations) {
        for (_, note) in std::mem::take(&mut self.0) {
            note.annotate(op, span, annotations);
        }
    }
}
