//! The values of one pair of series.

use model::Labels;

use crate::error::QueryError;
use crate::eval::QueryState;
use crate::eval::arithmetic::{element, symbol};
use crate::eval::column::{ABSENT, StepVector, is_absent};
use crate::eval::presence::Presence;
use crate::eval::series::Series;
use crate::parser::ast::{BinaryOp, TextSpan};

/// The operation, apart from its operands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operation {
    pub(super) op: BinaryOp,
    pub(super) return_bool: bool,
    /// The "many" side is the right one.
    pub(super) swapped: bool,
    pub(super) steps: usize,
    pub(super) span: TextSpan,
    /// Stands in for a missing sample of the "many" side.
    pub(super) fill_many: Option<f64>,
    /// Stands in for a missing sample of the "one" side.
    pub(super) fill_one: Option<f64>,
}

impl Operation {
    #[inline]
    fn apply(&self, many: f64, one: f64) -> f64 {
        let (lhs, rhs) = if self.swapped { (one, many) } else { (many, one) };
        element(self.op, lhs, rhs, self.return_bool)
    }

    /// The result of a pair, and the steps at which both have a sample (also where a comparison then drops it).
    pub(super) fn pair(&self, many: &StepVector, one: &StepVector, state: &QueryState) -> Result<(StepVector, Presence), QueryError> {
        let mut column = StepVector::absent(self.steps);
        let mut matched = Presence::empty(self.steps);
        for (step, ((out, m), o)) in column.values.iter_mut().zip(&many.values).zip(&one.values).enumerate() {
            if !is_absent(*m) && !is_absent(*o) {
                matched.insert(step);
                *out = self.apply(*m, *o);
            }
        }
        if !many.histograms().is_empty() || !one.histograms().is_empty() {
            self.histograms(many, one, &mut column, &mut matched, state)?;
        }
        Ok((column, matched))
    }

    /// Pairs with a histogram: comparing two for equality is exact, most else has no result, the rest is refused.
    fn histograms(
        &self,
        many: &StepVector,
        one: &StepVector,
        column: &mut StepVector,
        matched: &mut Presence,
        state: &QueryState,
    ) -> Result<(), QueryError> {
        for step in 0..self.steps {
            let (hm, ho) = (many.histogram_at(step), one.histogram_at(step));
            if (hm.is_none() && ho.is_none()) || !many.is_present(step) || !one.is_present(step) {
                continue;
            }
            let (lhs, rhs) = if self.swapped { (ho, hm) } else { (hm, ho) };
            let computes = match (lhs.is_some(), rhs.is_some()) {
                (true, true) => matches!(self.op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Eql | BinaryOp::Neq),
                (false, true) => self.op == BinaryOp::Mul,
                _ => matches!(self.op, BinaryOp::Mul | BinaryOp::Div | BinaryOp::TrimUpper | BinaryOp::TrimLower),
            };
            let op = symbol(self.op);
            if computes {
                let text = format!("operator {op} on native histograms is arithmetic that this version does not have");
                return Err(QueryError::Execution(text));
            }
            let kind = |is_histogram: bool| if is_histogram { "histogram" } else { "float" };
            let (lhs, rhs) = (kind(lhs.is_some()), kind(rhs.is_some()));
            state
                .annotations
                .info(&format!("incompatible sample types encountered for binary operator {op:?}: {lhs} {op} {rhs}"), self.span);
            column.values[step] = ABSENT;
            if self.return_bool {
                matched.insert(step);
            }
        }
        Ok(())
    }

    /// Results of a "many" series where its group has no sample.
    pub(super) fn fill_one(&self, many: &StepVector, present: &Presence, state: &QueryState) -> Result<(StepVector, Presence), QueryError> {
        self.fill(many, present, self.fill_one, state, |v, fill| self.apply(v, fill))
    }

    /// Results of a "one" series where no series of the "many" side matched.
    pub(super) fn fill_many(&self, one: &StepVector, matched: &Presence, state: &QueryState) -> Result<(StepVector, Presence), QueryError> {
        self.fill(one, matched, self.fill_many, state, |v, fill| self.apply(fill, v))
    }

    fn fill(
        &self,
        values: &StepVector,
        except: &Presence,
        fill: Option<f64>,
        state: &QueryState,
        apply: impl Fn(f64, f64) -> f64,
    ) -> Result<(StepVector, Presence), QueryError> {
        let mut column = StepVector::absent(self.steps);
        let mut matched = Presence::empty(self.steps);
        let Some(fill) = fill else { return Ok((column, matched)) };
        for (step, (out, v)) in column.values.iter_mut().zip(&values.values).enumerate() {
            if !is_absent(*v) && !except.contains(step) {
                matched.insert(step);
                *out = apply(*v, fill);
            }
        }
        if values.histograms().iter().any(|(step, _)| !except.contains(*step as usize)) {
            let filler = StepVector::of(vec![fill; self.steps]);
            let mut ignored = Presence::empty(self.steps);
            self.histograms(values, &filler, &mut column, &mut ignored, state)?;
        }
        Ok((column, matched))
    }

    /// A series of results, if there are any.
    pub(super) fn result(&self, labels: Labels, column: StepVector) -> Option<Series> {
        (!column.is_empty()).then_some(Series { labels, drop_name: self.return_bool, column })
    }
}
