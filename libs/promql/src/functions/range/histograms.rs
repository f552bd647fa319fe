//! Range functions over windows that hold native histograms.
//!
//! Functions that only count, pick or ignore samples are here; what adds histograms up is in [`totals`], what subtracts them in [`rates`].

use std::sync::Arc;

use model::FloatHistogram;

use super::{CHECK_AFTER, RangeCall, RangeFunction, RangeNotes, RangeScratch, Window};
use crate::error::QueryError;
use crate::eval::{ABSENT, Samples, StepVector};
use crate::functions::rate::has_new_start;
use crate::histogram;

mod rates;
mod totals;

use rates::Series;
pub(in crate::functions) use rates::{finished, is_gauge};

/// The samples of one step's window: floats `flo..fhi`, histograms `hlo..hhi`, which are not both empty.
struct MixedWindow {
    step: usize,
    flo: usize,
    fhi: usize,
    hlo: usize,
    hhi: usize,
}

/// Corrects the float result `out` at the steps whose window holds histograms.
pub(super) fn account(
    call: &RangeCall,
    samples: &Samples,
    scratch: &mut RangeScratch,
    out: &mut StepVector,
    notes: &mut RangeNotes,
) -> Result<(), QueryError> {
    let hts = times(samples);
    let mut floats = vec![(0, 0); out.values.len()];
    call.windows.each(&samples.ts, |w| floats[w.step] = (w.lo, w.hi));
    if call.function.wants_resets() {
        find_resets(samples, &hts, &mut scratch.resets);
    }
    let series = Series { call, samples, ts: &hts, resets: &scratch.resets };
    let (mut result, mut since_check) = (Ok(()), 0);
    call.windows.each(&hts, |w| {
        // A histogram is as much work as many floats.
        since_check += 16 * (w.hi - w.lo);
        if since_check > CHECK_AFTER {
            since_check = 0;
            result = result.clone().and_then(|()| call.cancel.check("expression evaluation"));
        }
        if result.is_ok() {
            let (flo, fhi) = floats[w.step];
            let window = MixedWindow { step: w.step, flo, fhi, hlo: w.lo, hhi: w.hi };
            if call.function.combines() {
                let combined = if flo == fhi { combine(&series, &w, notes) } else { None };
                notes.mixed |= flo < fhi;
                out.values[w.step] = ABSENT;
                window.put(out, combined);
            } else {
                window.apply(call.function, samples, &scratch.resets, out, notes);
            }
        }
    });
    result
}

/// The value of a function that makes one histogram out of a window's.
fn combine(series: &Series<'_>, w: &Window, notes: &mut RangeNotes) -> Option<FloatHistogram> {
    match series.call.function {
        RangeFunction::SumOverTime => totals::sum(&series.samples.histograms[w.lo..w.hi], notes),
        RangeFunction::AvgOverTime => totals::mean(&series.samples.histograms[w.lo..w.hi], notes),
        _ => series.extrapolated(w, notes),
    }
}

/// Times of the histograms.
pub(in crate::functions) fn times(samples: &Samples) -> Vec<i64> {
    samples.histograms.iter().map(|(t, _)| *t).collect()
}

/// Notes the indices of histograms before which a counter was reset.
pub(in crate::functions) fn find_resets(samples: &Samples, ts: &[i64], resets: &mut Vec<usize>) {
    resets.clear();
    let is_reset = |i: usize, pair: &[(i64, Arc<FloatHistogram>)]| {
        has_new_start(&samples.histogram_starts, ts, i + 1) || histogram::is_reset(&pair[1].1, &pair[0].1)
    };
    resets.extend(samples.histograms.windows(2).enumerate().filter(|(i, pair)| is_reset(*i, pair)).map(|(i, _)| i + 1));
}

impl RangeFunction {
    /// Whether it makes one histogram out of all of a window, in which it cannot use floats.
    fn combines(self) -> bool {
        matches!(self, Self::Rate | Self::Increase | Self::Delta | Self::SumOverTime | Self::AvgOverTime)
    }

    /// Whether counter resets between histograms matter to it.
    fn wants_resets(self) -> bool {
        matches!(self, Self::Rate | Self::Increase | Self::Irate | Self::Resets)
    }
}

/// `changes` or `resets` from the first to the last of these floats and histograms; `resets` are those of [`find_resets`].
pub(in crate::functions) fn count_between(
    function: RangeFunction,
    s: &Samples,
    floats: std::ops::Range<usize>,
    histograms: std::ops::Range<usize>,
    resets: &[usize],
) -> usize {
    let window = MixedWindow { step: 0, flo: floats.start, fhi: floats.end, hlo: histograms.start, hhi: histograms.end };
    if function == RangeFunction::Changes { window.changes(s) } else { window.resets(s, resets) }
}

impl MixedWindow {
    fn apply(&self, function: RangeFunction, s: &Samples, resets: &[usize], out: &mut StepVector, notes: &mut RangeNotes) {
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
            F::Resets => out.values[self.step] = self.resets(s, resets) as f64,
            F::Irate | F::Idelta if floats + count < 2 => {}
            F::Irate | F::Idelta => self.instant(function == F::Irate, s, resets, out, notes),
            _ => notes.ignored_histograms |= floats > 0,
        }
    }

    fn put(&self, out: &mut StepVector, histogram: Option<FloatHistogram>) {
        if let Some(histogram) = histogram {
            out.put_histogram(self.step, Arc::new(histogram));
        }
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
                (SampleIndex::Histogram(a), SampleIndex::Histogram(b)) => !histogram::equal(&s.histograms[a].1, &s.histograms[b].1),
                _ => true,
            });
        });
        changes
    }

    /// A sample of another kind is a reset, too.
    fn resets(&self, s: &Samples, known: &[usize]) -> usize {
        let mut resets = 0;
        self.neighbours(s, |a, b| {
            resets += usize::from(match (a, b) {
                (SampleIndex::Float(a), SampleIndex::Float(b)) => s.vs[b] < s.vs[a] || has_new_start(&s.float_starts, &s.ts, b),
                // Histograms with floats between them are no neighbours, so `b` follows `a` in the series as well.
                (SampleIndex::Histogram(_), SampleIndex::Histogram(b)) => known.binary_search(&b).is_ok(),
                _ => true,
            });
        });
        resets
    }

    /// `irate` and `idelta` look at the last two samples only.
    fn instant(&self, is_rate: bool, s: &Samples, resets: &[usize], out: &mut StepVector, notes: &mut RangeNotes) {
        let mut last_pair = None;
        self.neighbours(s, |a, b| last_pair = Some((a, b)));
        match last_pair {
            Some((SampleIndex::Float(_), SampleIndex::Float(_))) | None => {}
            Some((SampleIndex::Histogram(_), SampleIndex::Histogram(b))) => {
                out.values[self.step] = ABSENT;
                self.put(out, rates::instant(&s.histograms[b - 1..=b], is_rate, resets.binary_search(&b).is_ok(), notes));
            }
            Some(_) => {
                notes.mixed = true;
                out.values[self.step] = ABSENT;
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
