//! Changes, resets and spread over a window.

use super::kahan::KahanSum;
use super::range::Windows;

/// `changes`.
pub fn changes(windows: &Windows, ts: &[i64], vs: &[f64], counts: &mut Vec<u32>, out: &mut [f64]) {
    count_pairs(windows, ts, vs, counts, out, |a, b| a != b && !(a.is_nan() && b.is_nan()));
}

/// `resets`.
pub fn resets(windows: &Windows, ts: &[i64], vs: &[f64], counts: &mut Vec<u32>, out: &mut [f64]) {
    count_pairs(windows, ts, vs, counts, out, |a, b| b < a);
}

/// Counts neighbours in each window for which `counts_as` holds, from running counts over the series.
fn count_pairs(windows: &Windows, ts: &[i64], vs: &[f64], counts: &mut Vec<u32>, out: &mut [f64], counts_as: impl Fn(f64, f64) -> bool) {
    counts.clear();
    counts.reserve(vs.len());
    let mut running = 0_u32;
    let mut previous = None;
    for v in vs {
        running += u32::from(previous.is_some_and(|p| counts_as(p, *v)));
        counts.push(running);
        previous = Some(*v);
    }
    windows.each(ts, |w| out[w.step] = f64::from(counts[w.hi - 1] - counts[w.lo]));
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
