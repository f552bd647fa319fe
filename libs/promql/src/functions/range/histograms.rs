//! Range functions over windows that hold native histograms.
//!
//! Functions that only count, pick or ignore histograms have their Prometheus value. Those that would add, subtract or
//! compare histograms are refused by an error: there is no wrong value.

use std::sync::Arc;

use model::FloatHistogram;

use super::{RangeCall, RangeFunction, RangeNotes};
use crate::error::QueryError;
use crate::eval::{ABSENT, Samples, StepVector};

/// The samples of one step's window: floats `flo..fhi`, histograms `hlo..hhi`.
struct MixedWindow {
    step: usize,
    flo: usize,
    fhi: usize,
    hlo: usize,
    hhi: usize,
}

/// Corrects the float result `out` at the steps whose window holds histograms.
pub(super) fn account(call: &RangeCall, samples: &Samples, out: &mut StepVector, notes: &mut RangeNotes) -> Result<(), QueryError> {
    let hts: Vec<i64> = samples.histograms.iter().map(|(t, _)| *t).collect();
    let mut floats = vec![(0, 0); out.values.len()];
    call.windows.each(&samples.ts, |w| floats[w.step] = (w.lo, w.hi));
    let mut result = Ok(());
    call.windows.each(&hts, |w| {
        if result.is_ok() {
            let (flo, fhi) = floats[w.step];
            let window = MixedWindow { step: w.step, flo, fhi, hlo: w.lo, hhi: w.hi };
            result = window.apply(call.function, samples, out, notes);
        }
    });
    result
}

impl MixedWindow {
    fn apply(&self, function: RangeFunction, s: &Samples, out: &mut StepVector, notes: &mut RangeNotes) -> Result<(), QueryError> {
        use RangeFunction as F;
        let floats = self.fhi - self.flo;
        let count = self.hhi - self.hlo;
        match function {
            F::CountOverTime => out.values[self.step] = (floats + count) as f64,
            F::PresentOverTime => out.values[self.step] = 1.0,
            F::FirstOverTime => self.pick(s, self.first(s), out),
            F::LastOverTime => self.pick(s, self.last(s), out),
            F::TsOfFirstOverTime => out.values[self.step] = s.time_of(self.first(s)) as f64 / 1000.0,
            F::TsOfLastOverTime => out.values[self.step] = s.time_of(self.last(s)) as f64 / 1000.0,
            F::Changes => out.values[self.step] = self.changes(s) as f64,
            F::Resets => return self.resets(s, out),
            F::Rate | F::Increase | F::Delta | F::SumOverTime | F::AvgOverTime if floats > 0 => {
                notes.mixed = true;
                out.values[self.step] = ABSENT;
            }
            F::Rate | F::Increase | F::Delta | F::Irate | F::Idelta if floats + count < 2 => {}
            F::Irate | F::Idelta => return self.instant(s, out, notes, function),
            F::Rate | F::Increase | F::Delta | F::SumOverTime | F::AvgOverTime => return Err(arithmetic(function)),
            _ => notes.ignored_histograms |= floats > 0,
        }
        Ok(())
    }

    fn first(&self, s: &Samples) -> SampleIndex {
        match s.ts.get(self.flo) {
            Some(t) if self.fhi > self.flo && *t < s.histograms[self.hlo].0 => SampleIndex::Float(self.flo),
            _ => SampleIndex::Histogram(self.hlo),
        }
    }

    fn last(&self, s: &Samples) -> SampleIndex {
        if self.fhi > self.flo && s.ts[self.fhi - 1] > s.histograms[self.hhi - 1].0 {
            SampleIndex::Float(self.fhi - 1)
        } else {
            SampleIndex::Histogram(self.hhi - 1)
        }
    }

    fn pick(&self, s: &Samples, at: SampleIndex, out: &mut StepVector) {
        match at {
            SampleIndex::Float(i) => out.values[self.step] = s.vs[i],
            SampleIndex::Histogram(i) => {
                out.values[self.step] = ABSENT;
                out.put_histogram(self.step, Arc::clone(&s.histograms[i].1));
            }
        }
    }

    /// Calls `f` with each pair of neighbours in time order.
    fn neighbours(&self, s: &Samples, mut f: impl FnMut(SampleIndex, SampleIndex)) {
        let (mut i, mut j) = (self.flo, self.hlo);
        let mut previous = None;
        while i < self.fhi || j < self.hhi {
            let float_next = j >= self.hhi || (i < self.fhi && s.ts[i] < s.histograms[j].0);
            let current = if float_next { SampleIndex::Float(i) } else { SampleIndex::Histogram(j) };
            if float_next {
                i += 1;
            } else {
                j += 1;
            }
            if let Some(previous) = previous.replace(current) {
                f(previous, current);
            }
        }
    }

    fn changes(&self, s: &Samples) -> usize {
        let mut changes = 0;
        self.neighbours(s, |a, b| {
            changes += usize::from(match (a, b) {
                (SampleIndex::Float(a), SampleIndex::Float(b)) => s.vs[a] != s.vs[b] && !(s.vs[a].is_nan() && s.vs[b].is_nan()),
                (SampleIndex::Histogram(a), SampleIndex::Histogram(b)) => !same(&s.histograms[a].1, &s.histograms[b].1),
                _ => true,
            });
        });
        changes
    }

    fn resets(&self, s: &Samples, out: &mut StepVector) -> Result<(), QueryError> {
        let (mut resets, mut compares) = (0_usize, false);
        self.neighbours(s, |a, b| match (a, b) {
            (SampleIndex::Float(a), SampleIndex::Float(b)) => resets += usize::from(s.vs[b] < s.vs[a]),
            (SampleIndex::Histogram(_), SampleIndex::Histogram(_)) => compares = true,
            _ => resets += 1,
        });
        if compares {
            return Err(arithmetic(RangeFunction::Resets));
        }
        out.values[self.step] = resets as f64;
        Ok(())
    }

    /// `irate` and `idelta` look at the last two samples only.
    fn instant(&self, s: &Samples, out: &mut StepVector, notes: &mut RangeNotes, function: RangeFunction) -> Result<(), QueryError> {
        let mut last_pair = None;
        self.neighbours(s, |a, b| last_pair = Some((a, b)));
        match last_pair {
            Some((SampleIndex::Float(_), SampleIndex::Float(_))) | None => Ok(()),
            Some((SampleIndex::Histogram(_), SampleIndex::Histogram(_))) => Err(arithmetic(function)),
            Some(_) => {
                notes.mixed = true;
                out.values[self.step] = ABSENT;
                Ok(())
            }
        }
    }
}

/// A sample of either kind.
#[derive(Clone, Copy)]
pub(super) enum SampleIndex {
    Float(usize),
    Histogram(usize),
}

impl Samples {
    fn time_of(&self, at: SampleIndex) -> i64 {
        match at {
            SampleIndex::Float(i) => self.ts[i],
            SampleIndex::Histogram(i) => self.histograms[i].0,
        }
    }
}

/// Equality as `changes` sees it: the hint does not count.
fn same(a: &FloatHistogram, b: &FloatHistogram) -> bool {
    a == &FloatHistogram { counter_reset_hint: a.counter_reset_hint, ..b.clone() }
}

fn arithmetic(function: RangeFunction) -> QueryError {
    QueryError::Execution(format!("{function:?} needs arithmetic on native histograms, which this version does not have"))
}
