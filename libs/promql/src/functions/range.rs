//! Range functions: which there are, and running one over all steps of a series.
//!
//! A series is decoded once; two indices move over its samples as the window moves over the steps, so that a sample enters
//! and leaves the window once. Functions whose value cannot be updated that way (regressions, quantiles) go over the window's
//! slice again.

use model::is_stale_nan;

use super::kahan::KahanSum;
use super::{extended, extreme, over_time, quantile, rate, regression, sums};
use crate::cancel::CancelToken;
use crate::error::QueryError;
use crate::eval::{Samples, ScalarColumn, StepVector};
use crate::plan::{Extension, Grid, Reference};

mod histograms;

pub(super) use histograms::{count_between, find_resets, finished, is_gauge, times};

/// A function of a window of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are PromQL's own")]
pub enum RangeFunction {
    AvgOverTime,
    Changes,
    CountOverTime,
    Delta,
    Deriv,
    DoubleExponentialSmoothing,
    FirstOverTime,
    Idelta,
    Increase,
    Irate,
    LastOverTime,
    MadOverTime,
    MaxOverTime,
    MinOverTime,
    PredictLinear,
    PresentOverTime,
    QuantileOverTime,
    Rate,
    Resets,
    StddevOverTime,
    StdvarOverTime,
    SumOverTime,
    TsOfFirstOverTime,
    TsOfLastOverTime,
    TsOfMaxOverTime,
    TsOfMinOverTime,
}

impl RangeFunction {
    /// The function of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "avg_over_time" => Self::AvgOverTime,
            "changes" => Self::Changes,
            "count_over_time" => Self::CountOverTime,
            "delta" => Self::Delta,
            "deriv" => Self::Deriv,
            "double_exponential_smoothing" => Self::DoubleExponentialSmoothing,
            "first_over_time" => Self::FirstOverTime,
            "idelta" => Self::Idelta,
            "increase" => Self::Increase,
            "irate" => Self::Irate,
            "last_over_time" => Self::LastOverTime,
            "mad_over_time" => Self::MadOverTime,
            "max_over_time" => Self::MaxOverTime,
            "min_over_time" => Self::MinOverTime,
            "predict_linear" => Self::PredictLinear,
            "present_over_time" => Self::PresentOverTime,
            "quantile_over_time" => Self::QuantileOverTime,
            "rate" => Self::Rate,
            "resets" => Self::Resets,
            "stddev_over_time" => Self::StddevOverTime,
            "stdvar_over_time" => Self::StdvarOverTime,
            "sum_over_time" => Self::SumOverTime,
            "ts_of_first_over_time" => Self::TsOfFirstOverTime,
            "ts_of_last_over_time" => Self::TsOfLastOverTime,
            "ts_of_max_over_time" => Self::TsOfMaxOverTime,
            "ts_of_min_over_time" => Self::TsOfMinOverTime,
            _ => return None,
        })
    }

    /// Whether the result is another quantity than the input, so that the metric name goes. The two that only look
    /// elsewhere in time keep it.
    #[must_use]
    pub fn drops_name(self) -> bool {
        !matches!(self, Self::FirstOverTime | Self::LastOverTime)
    }

    /// Whether the name of the metric is checked to be a counter's.
    #[must_use]
    pub fn wants_counter_name(self) -> bool {
        matches!(self, Self::Rate | Self::Increase)
    }
}

impl RangeFunction {
    /// Whether it matters when a counter began.
    #[must_use]
    pub fn uses_start_times(self) -> bool {
        matches!(self, Self::Rate | Self::Increase | Self::Irate | Self::Resets)
    }
}

/// The windows of one series: one per step, `(end − range, end]`.
#[derive(Debug, Clone, Copy)]
pub struct Windows {
    /// The steps.
    pub grid: Grid,
    /// Where a step's window ends.
    pub reference: Reference,
    /// Length in milliseconds.
    pub range_ms: i64,
}

/// The samples `lo..hi` of one step's window.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// The step.
    pub step: usize,
    /// The first sample.
    pub lo: usize,
    /// One past the last sample; > `lo`.
    pub hi: usize,
    /// The window's start, exclusive.
    pub start: i64,
    /// The window's end, inclusive.
    pub end: i64,
}

impl Windows {
    /// The same windows with the samples around them that an extension looks at.
    pub(crate) fn widened(&self, extension: Extension) -> Self {
        let Extension { before_ms, after_ms, .. } = extension;
        let reference = match self.reference {
            Reference::Offset(offset) => Reference::Offset(offset.saturating_sub(after_ms)),
            Reference::Fixed(t) => Reference::Fixed(t.saturating_add(after_ms)),
        };
        Self { reference, range_ms: self.range_ms.saturating_add(before_ms).saturating_add(after_ms), ..*self }
    }

    /// Calls `f` for every window that holds a sample. Times must ascend; windows ascend with the steps.
    #[inline]
    pub fn each(&self, ts: &[i64], mut f: impl FnMut(Window)) {
        let (mut lo, mut hi) = (0, 0);
        for step in 0..self.grid.count() {
            let end = self.reference.at(self.grid.at(step));
            let start = end.saturating_sub(self.range_ms);
            while lo < ts.len() && ts[lo] <= start {
                lo += 1;
            }
            hi = hi.max(lo);
            while hi < ts.len() && ts[hi] <= end {
                hi += 1;
            }
            if hi > lo {
                f(Window { step, lo, hi, start, end });
            }
        }
    }
}

/// What an evaluation has to say besides its values.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "each stands for one annotation")]
pub struct RangeNotes {
    /// Histograms in a window with floats were ignored.
    pub ignored_histograms: bool,
    /// A window had floats and histograms, which the function cannot take together: no result there.
    pub mixed: bool,
    /// Windows with a counter that began before the sample before it was taken, and not with it.
    pub start_overlaps: u64,
    /// A window had exponential and custom buckets, which cannot be combined: no result there.
    pub mixed_buckets: bool,
    /// A counter's function was given a gauge histogram.
    pub not_counter: bool,
    /// A gauge's function was given a counter histogram.
    pub not_gauge: bool,
    /// Histograms that were summed said both that there was a counter reset and that there was none.
    pub collision: bool,
    /// Custom bounds differed in a sum or a mean.
    pub reconciled_in_aggregation: bool,
    /// Custom bounds differed between the first and the last histogram.
    pub reconciled_in_subtraction: bool,
    /// Custom bounds differed when what a counter reset had lost was added.
    pub reconciled_in_addition: bool,
}

/// Buffers that live as long as a query, so that a series allocates nothing.
#[derive(Debug, Default)]
pub struct RangeScratch {
    /// Indices of samples before which a counter was reset.
    pub(super) resets: Vec<usize>,
    /// Running counts.
    pub(super) counts: Vec<u32>,
    /// Sums of suffixes.
    pub(super) sums: Vec<KahanSum>,
    /// A window's values.
    pub(super) values: Vec<f64>,
    /// Candidates for the extreme.
    pub(super) deque: std::collections::VecDeque<usize>,
    /// Steps of the last series whose quantile is outside 0 to 1.
    pub(crate) invalid_quantiles: Vec<usize>,
}

/// One call of a range function: everything but the series.
#[derive(Debug)]
pub struct RangeCall {
    /// The function.
    pub function: RangeFunction,
    /// The windows.
    pub windows: Windows,
    /// `anchored` or `smoothed`.
    pub extended: Option<Extension>,
    /// The scalar arguments.
    pub params: Vec<ScalarColumn>,
    /// Stops evaluations that go over long windows again and again.
    pub cancel: CancelToken,
}

/// After how many samples an evaluation looks at its [`CancelToken`] again: about a millisecond of work.
pub(super) const CHECK_AFTER: usize = 1 << 18;

impl RangeCall {
    /// Evaluates the function for one series at all steps into `out`, which is as long as the grid and absent throughout.
    /// Samples hold no stale markers.
    pub fn evaluate(&self, samples: &Samples, scratch: &mut RangeScratch, out: &mut StepVector) -> Result<RangeNotes, QueryError> {
        debug_assert!(!samples.vs.iter().any(|v| is_stale_nan(*v)));
        let mut notes = RangeNotes::default();
        scratch.invalid_quantiles.clear();
        if let Some(extension) = self.extended {
            extended::evaluate(self, extension, samples, scratch, out, &mut notes)?;
            return Ok(notes);
        }
        self.floats(samples, scratch, &mut out.values, &mut notes)?;
        if !samples.histograms.is_empty() {
            histograms::account(self, samples, scratch, out, &mut notes)?;
        }
        Ok(notes)
    }

    fn floats(&self, s: &Samples, scratch: &mut RangeScratch, out: &mut [f64], notes: &mut RangeNotes) -> Result<(), QueryError> {
        use RangeFunction as F;
        let (ts, vs, windows) = (s.ts.as_slice(), s.vs.as_slice(), &self.windows);
        match self.function {
            F::Rate => notes.start_overlaps = rate::extrapolated(windows, s, rate::Kind::Rate, &mut scratch.resets, out),
            F::Increase => notes.start_overlaps = rate::extrapolated(windows, s, rate::Kind::Increase, &mut scratch.resets, out),
            F::Delta => _ = rate::extrapolated(windows, s, rate::Kind::Delta, &mut scratch.resets, out),
            F::Irate => rate::instant(windows, s, true, out),
            F::Idelta => rate::instant(windows, s, false, out),
            F::Changes => over_time::changes(windows, s, &mut scratch.counts, out),
            F::Resets => over_time::resets(windows, s, &mut scratch.counts, out),
            F::MaxOverTime => extreme::over_time(windows, ts, vs, true, &mut scratch.deque, |i| vs[i], out),
            F::MinOverTime => extreme::over_time(windows, ts, vs, false, &mut scratch.deque, |i| vs[i], out),
            F::TsOfMaxOverTime => extreme::over_time(windows, ts, vs, true, &mut scratch.deque, |i| seconds(ts[i]), out),
            F::TsOfMinOverTime => extreme::over_time(windows, ts, vs, false, &mut scratch.deque, |i| seconds(ts[i]), out),
            F::CountOverTime => windows.each(ts, |w| out[w.step] = (w.hi - w.lo) as f64),
            F::PresentOverTime => windows.each(ts, |w| out[w.step] = 1.0),
            F::FirstOverTime => windows.each(ts, |w| out[w.step] = vs[w.lo]),
            F::LastOverTime => windows.each(ts, |w| out[w.step] = vs[w.hi - 1]),
            F::TsOfFirstOverTime => windows.each(ts, |w| out[w.step] = seconds(ts[w.lo])),
            F::TsOfLastOverTime => windows.each(ts, |w| out[w.step] = seconds(ts[w.hi - 1])),
            F::SumOverTime => sums::over_time(windows, ts, vs, false, &mut scratch.sums, out),
            F::AvgOverTime => sums::over_time(windows, ts, vs, true, &mut scratch.sums, out),
            F::StddevOverTime => self.rescan(ts, |w| out[w.step] = over_time::variance(&vs[w.lo..w.hi]).sqrt())?,
            F::StdvarOverTime => self.rescan(ts, |w| out[w.step] = over_time::variance(&vs[w.lo..w.hi]))?,
            F::MadOverTime => self.rescan(ts, |w| {
                refill(&mut scratch.values, &vs[w.lo..w.hi]);
                out[w.step] = quantile::median_absolute_deviation(&mut scratch.values);
            })?,
            F::QuantileOverTime => self.rescan(ts, |w| {
                let q = self.param(0, w.step);
                if !(0.0..=1.0).contains(&q) {
                    scratch.invalid_quantiles.push(w.step);
                }
                refill(&mut scratch.values, &vs[w.lo..w.hi]);
                out[w.step] = quantile::quantile(q, &mut scratch.values);
            })?,
            F::Deriv => self.rescan(ts, |w| {
                if w.hi - w.lo >= 2 {
                    out[w.step] = regression::linear(&ts[w.lo..w.hi], &vs[w.lo..w.hi], ts[w.lo]).0;
                }
            })?,
            F::PredictLinear => self.rescan(ts, |w| {
                if w.hi - w.lo >= 2 {
                    // Relative to the step, whatever the offset of the selector.
                    let (slope, intercept) = regression::linear(&ts[w.lo..w.hi], &vs[w.lo..w.hi], windows.grid.at(w.step));
                    out[w.step] = slope * self.param(0, w.step) + intercept;
                }
            })?,
            F::DoubleExponentialSmoothing => return self.smooth(ts, vs, out),
        }
        Ok(())
    }

    fn smooth(&self, ts: &[i64], vs: &[f64], out: &mut [f64]) -> Result<(), QueryError> {
        let mut wrong = None;
        self.rescan(ts, |w| match regression::smoothing_factors(self.param(0, w.step), self.param(1, w.step)) {
            Ok((smoothing, trend)) if w.hi - w.lo >= 2 => out[w.step] = regression::smooth(&vs[w.lo..w.hi], smoothing, trend),
            Ok(_) => {}
            Err(error) => wrong = wrong.take().or(Some(error)),
        })?;
        wrong.map_or(Ok(()), |text| Err(QueryError::Execution(text)))
    }

    /// [`Windows::each`] for functions that go over each window's samples; stops when the query is to stop.
    fn rescan(&self, ts: &[i64], mut f: impl FnMut(Window)) -> Result<(), QueryError> {
        let mut since_check = 0;
        let mut going = Ok(());
        self.windows.each(ts, |w| {
            since_check += w.hi - w.lo;
            if since_check > CHECK_AFTER {
                since_check = 0;
                going = going.clone().and_then(|()| self.cancel.check("expression evaluation"));
            }
            if going.is_ok() {
                f(w);
            }
        });
        going
    }

    fn param(&self, i: usize, step: usize) -> f64 {
        self.params.get(i).map_or(f64::NAN, |p| p.at(step))
    }
}

fn refill(buffer: &mut Vec<f64>, values: &[f64]) {
    buffer.clear();
    buffer.extend_from_slice(values);
}

#[inline]
fn seconds(t: i64) -> f64 {
    t as f64 / 1000.0
}

#[cfg(test)]
mod tests;
