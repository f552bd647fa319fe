//! Scalars: one number per step.

use super::arithmetic;
use super::column::{ScalarColumn, is_absent};
use super::series::BoxStream;
use crate::error::QueryError;
use crate::functions::{go_max, go_min};
use crate::parser::ast::BinaryOp;
use crate::plan::Grid;

/// A scalar expression whose selectors have been opened.
pub(super) enum ScalarSource {
    Constant(f64),
    Time(Grid),
    Negate(Box<ScalarSource>),
    Binary(BinaryOp, Box<ScalarSource>, Box<ScalarSource>),
    Extreme {
        max: bool,
        lhs: Box<ScalarSource>,
        rhs: Box<ScalarSource>,
    },
    /// The value of the only series at each step, else NaN.
    FromVector(BoxStream),
    /// A scalar of one step.
    Repeat(Box<ScalarSource>),
}

impl ScalarSource {
    /// The numbers at all steps of the expression's grid.
    pub(super) fn evaluate(self, steps: usize) -> Result<ScalarColumn, QueryError> {
        Ok(match self {
            Self::Constant(v) => ScalarColumn::Constant(v),
            Self::Time(grid) => ScalarColumn::Steps(grid.iter().map(|t| t as f64 / 1000.0).collect()),
            Self::Negate(inner) => map(inner.evaluate(steps)?, |v| -v),
            Self::Binary(op, lhs, rhs) => zip(lhs.evaluate(steps)?, rhs.evaluate(steps)?, steps, |a, b| arithmetic::scalar(op, a, b)),
            Self::Extreme { max, lhs, rhs } => {
                let extreme = if max { go_max } else { go_min };
                zip(lhs.evaluate(steps)?, rhs.evaluate(steps)?, steps, extreme)
            }
            Self::FromVector(stream) => from_vector(stream, steps)?,
            Self::Repeat(inner) => ScalarColumn::Constant(inner.evaluate(1)?.at(0)),
        })
    }
}

fn map(column: ScalarColumn, f: impl Fn(f64) -> f64) -> ScalarColumn {
    match column {
        ScalarColumn::Constant(v) => ScalarColumn::Constant(f(v)),
        ScalarColumn::Steps(mut all) => {
            all.iter_mut().for_each(|v| *v = f(*v));
            ScalarColumn::Steps(all)
        }
    }
}

fn zip(lhs: ScalarColumn, rhs: ScalarColumn, steps: usize, f: impl Fn(f64, f64) -> f64) -> ScalarColumn {
    match (&lhs, &rhs) {
        (ScalarColumn::Constant(a), ScalarColumn::Constant(b)) => ScalarColumn::Constant(f(*a, *b)),
        _ => ScalarColumn::Steps((0..steps).map(|i| f(lhs.at(i), rhs.at(i))).collect()),
    }
}

/// Histograms do not count: a vector of one float and many histograms is that float.
fn from_vector(mut stream: BoxStream, steps: usize) -> Result<ScalarColumn, QueryError> {
    let mut seen = vec![false; steps];
    let mut values = vec![f64::NAN; steps];
    while let Some(batch) = stream.next_batch()? {
        for series in batch {
            for ((slot, seen), v) in values.iter_mut().zip(&mut seen).zip(&series.column.values) {
                if !is_absent(*v) {
                    *slot = if *seen { f64::NAN } else { *v };
                    *seen = true;
                }
            }
        }
    }
    Ok(ScalarColumn::Steps(values))
}
