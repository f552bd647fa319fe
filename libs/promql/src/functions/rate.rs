//! `rate`, `increase`, `delta`, and their instant relatives.

use super::range::{Window, Windows};
use super::start_times;
use crate::eval::Samples;

/// Which of the extrapolating functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Per second, of a counter.
    Rate,
    /// Over the window, of a counter.
    Increase,
    /// Over the window, of a gauge.
    Delta,
}

/// A gap to the window's edge of up to this many average sample distances is taken to be sampling, not the series' end.
const EXTRAPOLATION_THRESHOLD: f64 = 1.1;

/// Evaluates one of the extrapolating functions at every step; how many windows hold a sample whose start time overlaps with the sample before.
///
/// Resets are found once per series; a window visits only those inside it, in order, so that the sum is rounded as it would
/// be by going over the samples.
pub fn extrapolated(windows: &Windows, s: &Samples, kind: Kind, resets: &mut Vec<usize>, out: &mut [f64]) -> u64 {
    let (ts, vs) = (s.ts.as_slice(), s.vs.as_slice());
    let is_counter = kind != Kind::Delta;
    let starts = if is_counter { s.float_starts.as_slice() } else { &[] };
    resets.clear();
    if is_counter {
        resets.extend(
            vs.windows(2).enumerate().filter(|(i, pair)| pair[1] < pair[0] || has_new_start(starts, ts, i + 1)).map(|(i, _)| i + 1),
        );
    }
    let per_second = if kind == Kind::Rate { windows.range_ms as f64 / 1000.0 } else { 1.0 };
    let (mut first_reset, mut overlapping) = (0, 0);
    let mut extrapolation = Extrapolation { per_second, ..Extrapolation::default() };
    windows.each(ts, |w| {
        let zero = starts.get(w.lo).and_then(|start| start_times::zero_point(*start, w.start, ts[w.lo]));
        if w.hi - w.lo < 2 && zero.is_none() {
            return;
        }
        if !starts.is_empty() {
            let overlaps = |i: usize| start_times::overlaps(starts[i - 1], ts[i - 1], starts[i]);
            overlapping += u64::from((w.lo + 1..w.hi).any(overlaps));
        }
        while first_reset < resets.len() && resets[first_reset] <= w.lo {
            first_reset += 1;
        }
        let mut result = vs[w.hi - 1] - vs[w.lo];
        for reset in resets[first_reset..].iter().take_while(|r| **r < w.hi) {
            result += vs[reset - 1];
        }
        let factor = match zero {
            Some(zero) => {
                result += vs[w.lo];
                factor_from_zero(&w, ts, zero) / per_second
            }
            None => extrapolation.factor(&w, ts, vs[w.lo], result, is_counter),
        };
        out[w.step] = result * factor;
    });
    overlapping
}

/// Whether start times, if there are any, tell a reset before sample `i`, which is not the first.
#[inline]
pub(super) fn has_new_start(starts: &[i64], ts: &[i64], i: usize) -> bool {
    !starts.is_empty() && start_times::is_reset(starts[i - 1], ts[i - 1], starts[i], ts[i])
}

/// How much longer the window is, in effect, than the time between its first and last sample.
#[inline]
pub(super) fn extrapolation_factor(w: &Window, ts: &[i64], first_value: f64, increase: f64, is_counter: bool) -> f64 {
    Extrapolation { per_second: 1.0, ..Extrapolation::default() }.factor(w, ts, first_value, increase, is_counter)
}

/// How much longer windows are, in effect, than the time between their first and last sample. Where samples come at even distances, one
/// window is like the next: what depends on times only is kept, and six divisions become one comparison.
#[derive(Debug, Default)]
struct Extrapolation {
    /// What factors are divided by: seconds for a rate, 1 for others.
    per_second: f64,
    /// Milliseconds from the window's start to the first sample, from there to the last one, and to the window's end; the number of samples.
    times: (i64, i64, i64, usize),
    sampled: f64,
    to_start: f64,
    to_end: f64,
    /// The factor of a window whose counter was far from zero.
    plain: f64,
}

impl Extrapolation {
    /// The factor of a window of at least two samples.
    #[inline]
    fn factor(&mut self, w: &Window, ts: &[i64], first_value: f64, increase: f64, is_counter: bool) -> f64 {
        let (first_t, last_t) = (ts[w.lo], ts[w.hi - 1]);
        let times = (first_t.wrapping_sub(w.start), last_t.wrapping_sub(first_t), w.end.wrapping_sub(last_t), w.hi - w.lo);
        if times != self.times {
            self.set(times);
        }
        // A counter was never below zero: do not extrapolate past the point where it would have been. That is before the window if the
        // counter has not doubled in it.
        let far_from_zero = first_value >= increase && self.to_start <= self.sampled;
        if is_counter && increase > 0.0 && first_value >= 0.0 && !far_from_zero {
            let to_zero = self.sampled * (first_value / increase);
            if to_zero < self.to_start {
                return (self.sampled + to_zero + self.to_end) / self.sampled / self.per_second;
            }
        }
        self.plain
    }

    #[inline(never)]
    fn set(&mut self, times: (i64, i64, i64, usize)) {
        let (to_start, sampled, to_end, samples) = times;
        self.times = times;
        self.to_start = to_start as f64 / 1000.0;
        self.to_end = to_end as f64 / 1000.0;
        self.sampled = sampled as f64 / 1000.0;
        let average = self.sampled / (samples - 1) as f64;
        let threshold = average * EXTRAPOLATION_THRESHOLD;
        if self.to_start >= threshold {
            self.to_start = average / 2.0;
        }
        if self.to_end >= threshold {
            self.to_end = average / 2.0;
        }
        self.plain = (self.sampled + self.to_start + self.to_end) / self.sampled / self.per_second;
    }
}

/// The same for a counter that was zero at a time inside of the window, which stands for a first sample: nothing is guessed before it.
pub(super) fn factor_from_zero(w: &Window, ts: &[i64], zero: i64) -> f64 {
    let last_t = ts[w.hi - 1];
    let seconds = |from: i64, to: i64| to.wrapping_sub(from) as f64 / 1000.0;
    let average = if w.hi - w.lo > 1 { seconds(ts[w.lo], last_t) / (w.hi - w.lo - 1) as f64 } else { 0.0 };
    let mut to_end = seconds(last_t, w.end);
    if to_end >= average * EXTRAPOLATION_THRESHOLD {
        to_end = average / 2.0;
    }
    let covered = seconds(zero, last_t);
    (covered + to_end) / covered
}

/// `irate` and `idelta`: the last two samples.
pub fn instant(windows: &Windows, s: &Samples, is_rate: bool, out: &mut [f64]) {
    let (ts, vs) = (s.ts.as_slice(), s.vs.as_slice());
    windows.each(ts, |w| {
        if w.hi - w.lo < 2 {
            return;
        }
        let (before, last) = (vs[w.hi - 2], vs[w.hi - 1]);
        // After a reset the counter started from zero.
        let reset = is_rate && (last < before || has_new_start(&s.float_starts, ts, w.hi - 1));
        let difference = if reset { last } else { last - before };
        let seconds = ts[w.hi - 1].wrapping_sub(ts[w.hi - 2]) as f64 / 1000.0;
        out[w.step] = if is_rate { difference / seconds } else { difference };
    });
}
