//! Binary operators on numbers.

use super::column::ABSENT;
use crate::parser::ast::BinaryOp;

mod histograms;

pub(super) use histograms::{Operand, Outcome, StepNotes, operate};

/// Whether the operator compares.
pub(super) fn is_comparison(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::Eql | BinaryOp::Neq | BinaryOp::Lss | BinaryOp::Lte | BinaryOp::Gtr | BinaryOp::Gte)
}

/// Whether the result is another quantity than the operands, so that the metric name goes.
pub(super) fn changes_quantity(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::Pow | BinaryOp::Atan2)
}

/// Whether the operator takes a part of a histogram.
pub(super) fn is_trim(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower)
}

/// As written.
fn symbol(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Add => "+",
        BinaryOp::Sub => "-",
        BinaryOp::Mul => "*",
        BinaryOp::Div => "/",
        BinaryOp::Mod => "%",
        BinaryOp::Pow => "^",
        BinaryOp::Atan2 => "atan2",
        BinaryOp::Eql => "==",
        BinaryOp::Neq => "!=",
        BinaryOp::Lss => "<",
        BinaryOp::Lte => "<=",
        BinaryOp::Gtr => ">",
        BinaryOp::Gte => ">=",
        BinaryOp::TrimUpper => "</",
        BinaryOp::TrimLower => ">/",
        BinaryOp::And => "and",
        BinaryOp::Or => "or",
        BinaryOp::Unless => "unless",
    }
}

/// Two scalars: comparisons give 1 or 0.
pub(crate) fn scalar(op: BinaryOp, a: f64, b: f64) -> f64 {
    if is_comparison(op) { f64::from(u8::from(holds(op, a, b))) } else { compute(op, a, b) }
}

/// What a vector element becomes: the result, or for comparisons the left value, 0 or 1 (`bool`), or absent.
#[inline]
pub(super) fn element(op: BinaryOp, a: f64, b: f64, return_bool: bool) -> f64 {
    if !is_comparison(op) {
        return compute(op, a, b);
    }
    match (holds(op, a, b), return_bool) {
        (true, true) => 1.0,
        (false, true) => 0.0,
        (true, false) => a,
        (false, false) => ABSENT,
    }
}

/// A comparison.
#[inline]
pub(super) fn holds(op: BinaryOp, a: f64, b: f64) -> bool {
    match op {
        BinaryOp::Eql => a == b,
        BinaryOp::Neq => a != b,
        BinaryOp::Lss => a < b,
        BinaryOp::Lte => a <= b,
        BinaryOp::Gtr => a > b,
        BinaryOp::Gte => a >= b,
        _ => false,
    }
}

#[inline]
fn compute(op: BinaryOp, a: f64, b: f64) -> f64 {
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Mod => a % b,
        BinaryOp::Pow => a.powf(b),
        BinaryOp::Atan2 => a.atan2(b),
        // Trimming is for histograms; between floats it has no result.
        _ => ABSENT,
    }
}
