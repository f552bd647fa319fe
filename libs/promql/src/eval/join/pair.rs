//! The values of one pair of series.

use model::Labels;

use crate::eval::arithmetic::{Operand, Outcome, StepNotes, element, is_trim, operate};
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

    /// The result of a pair, and the steps at which both have a sample that the operator takes (also where a comparison then drops it).
    pub(super) fn pair(&self, many: &StepVector, one: &StepVector, notes: &mut StepNotes) -> (StepVector, Presence) {
        let mut column = StepVector::absent(self.steps);
        let mut matched = Presence::empty(self.steps);
        if is_trim(self.op) {
            self.general(many, one, &mut column, &mut matched, notes);
            return (column, matched);
        }
        for (step, ((out, m), o)) in column.values.iter_mut().zip(&many.values).zip(&one.values).enumerate() {
            if !is_absent(*m) && !is_absent(*o) {
                matched.insert(step);
                *out = self.apply(*m, *o);
            }
        }
        if !many.histograms().is_empty() || !one.histograms().is_empty() {
            self.general(many, one, &mut column, &mut matched, notes);
        }
        (column, matched)
    }

    /// Steps that numbers alone do not decide: those with a histogram, and all of a trim.
    fn general(&self, many: &StepVector, one: &StepVector, column: &mut StepVector, matched: &mut Presence, notes: &mut StepNotes) {
        let decided = |a: Operand<'_>, b: Operand<'_>| matches!((a, b), (Operand::Float(_), Operand::Float(_))) && !is_trim(self.op);
        for step in 0..self.steps {
            let (Some(m), Some(o)) = (operand(many, step), operand(one, step)) else { continue };
            if decided(m, o) {
                continue;
            }
            let (lhs, rhs) = if self.swapped { (o, m) } else { (m, o) };
            let (outcome, note) = operate(self.op, lhs, rhs);
            if let Some(note) = note {
                notes.add(step, note);
            }
            match outcome {
                Outcome::None => continue,
                Outcome::Histogram(_) if self.return_bool => column.values[step] = 1.0,
                Outcome::Histogram(histogram) => column.put_histogram(step, histogram),
                Outcome::Dropped if self.return_bool => column.values[step] = 0.0,
                Outcome::Dropped => {}
            }
            matched.insert(step);
        }
    }

    /// Results of a "many" series where its group has no sample.
    pub(super) fn fill_one(&self, many: &StepVector, present: &Presence, notes: &mut StepNotes) -> (StepVector, Presence) {
        self.pair(many, &self.filler(self.fill_one, present), notes)
    }

    /// Results of a "one" series where no series of the "many" side matched.
    pub(super) fn fill_many(&self, one: &StepVector, matched: &Presence, notes: &mut StepNotes) -> (StepVector, Presence) {
        self.pair(&self.filler(self.fill_many, matched), one, notes)
    }

    /// A column of `fill`, but at some steps.
    fn filler(&self, fill: Option<f64>, except: &Presence) -> StepVector {
        let fill = fill.unwrap_or(ABSENT);
        StepVector::of((0..self.steps).map(|step| if except.contains(step) { ABSENT } else { fill }).collect())
    }

    /// A series of results, if there are any.
    pub(super) fn result(&self, labels: Labels, column: StepVector) -> Option<Series> {
        (!column.is_empty()).then_some(Series { labels, drop_name: self.return_bool, first: None, column })
    }
}

fn operand(column: &StepVector, step: usize) -> Option<Operand<'_>> {
    match column.values.get(step) {
        Some(v) if !is_absent(*v) => Some(Operand::Float(*v)),
        _ => column.histogram_at(step).map(Operand::Histogram),
    }
}
