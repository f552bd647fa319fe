//! Changes, resets and spread over a window.

use super::kahan::KahanSum;
use super::range::Windows;
use super::rate::has_new_start;
use crate::eval::Samples;

/// `changes`.
pub fn changes(windows: &Windows, s: &Samples, counts: &mut Vec<u32>, out: &mut [f64]) {
    count_changes(&s.vs, counts);
    windows.each(&s.ts, |w| out[w.step] = f64::from(counts[w.hi - 1] - counts[w.lo]));
}

/// `resets`.
pub fn resets(windows: &Windows, s: &Samples, counts: &mut Vec<u32>, out: &mut [f64]) {
    count_resets(s, counts);
    windows.each(&s.ts, |w| out[w.step] = f64::from(counts[w.hi - 1] - counts[w.lo]));
}

/// How many changes there are up to each sample.
pub(super) fn count_changes(vs: &[f64], counts: &mut Vec<u32>) {
    count_pairs(vs.len(), counts, |i| vs[i - 1] != vs[i] && !(vs[i - 1].is_nan() && vs[i].is_nan()));
}

/// How many resets there are up to each sample.
pub(super) fn count_resets(s: &Samples, counts: &mut Vec<u32>) {
    count_pairs(s.vs.len(), counts, |i| s.vs[i] < s.vs[i - 1] || has_new_start(&s.float_starts, &s.ts, i));
}

/// Running counts of the samples that, together with the one before, count.
fn count_pairs(len: usize, counts: &mut Vec<u32>, counts_as: impl Fn(usize) -> bool) {
    counts.clear();
    counts.reserve(len);
    let mut running = 0_u32;
    counts.extend((0..len).map(|i| {
        running += u32::from(i > 0 && counts_as(i));
        running
    }));
}

/// Population variance, by Welford's recurrence with compensated sums.
#[must_use]
pub fn variance(values: &[f64]) -> f64 {
    let (mut mean, mut aux) = (KahanSum::default(), KahanSum::default());
    let mut count = 0.0;
    for v in values {
        count += 1.0;
        let delta = v - mean.value();
        mean.add(delta / count);
        aux.add(delta * (v - mean.value()));
    }
    aux.value() / count
}
