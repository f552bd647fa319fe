//! Sums and means over a moving window.
//!
//! A compensated sum cannot be updated by subtracting what leaves the window: what rounding lost to a large value does not come back.
//! So long windows are cut in two, at a point that moves on only when the window has passed it: sums of every suffix before
//! the cut, computed once, and a running sum after it. Each sample is added twice, however long the window.

use super::kahan::{KahanMean, KahanSum};
use super::range::{Window, Windows};

/// Windows shorter than this are summed anew.
const LONG_WINDOW: i64 = 16;

/// Values beyond this may overflow in one order of addition and not in another; they are added in order of time.
const SAFE_MAGNITUDE: f64 = 1e290;

/// `sum_over_time`, or `avg_over_time`.
pub fn over_time(windows: &Windows, ts: &[i64], vs: &[f64], mean_of: bool, suffixes: &mut Vec<KahanSum>, out: &mut [f64]) {
    if !is_long(windows, ts) || vs.iter().any(|v| v.abs() > SAFE_MAGNITUDE) {
        windows.each(ts, |w| out[w.step] = if mean_of { mean(&vs[w.lo..w.hi]) } else { sum(&vs[w.lo..w.hi]) });
        return;
    }
    let mut moving = MovingSum { vs, suffixes, from: 0, cut: 0, next: 0, after: KahanSum::default() };
    windows.each(ts, |w| {
        let sum = moving.at(w);
        let count = (w.hi - w.lo) as f64;
        out[w.step] = if mean_of { sum.sum / count + sum.compensation / count } else { sum.value() };
    });
}

/// Whether windows overlap and hold many samples.
fn is_long(windows: &Windows, ts: &[i64]) -> bool {
    let (Some(first), Some(last)) = (ts.first(), ts.last()) else { return false };
    let span = i128::from(*last) - i128::from(*first);
    windows.grid.step() < windows.range_ms && i128::from(windows.range_ms) * ts.len() as i128 > i128::from(LONG_WINDOW) * span
}

struct MovingSum<'a> {
    vs: &'a [f64],
    /// `suffixes[i]` is the sum of samples `from + i..cut`.
    suffixes: &'a mut Vec<KahanSum>,
    from: usize,
    cut: usize,
    /// One past the last sample in `after`.
    next: usize,
    after: KahanSum,
}

impl MovingSum<'_> {
    /// The sum of a window; windows come in order.
    fn at(&mut self, w: Window) -> KahanSum {
        if w.lo >= self.cut {
            self.cut_at_end(w);
        }
        self.vs[self.next..w.hi].iter().for_each(|v| self.after.add(*v));
        self.next = w.hi;
        let mut sum = self.suffixes.get(w.lo - self.from).copied().unwrap_or_default();
        sum.add(self.after.sum);
        sum.compensation += self.after.compensation;
        sum
    }

    /// Moves the cut to the end of the window.
    fn cut_at_end(&mut self, w: Window) {
        self.from = w.lo;
        self.cut = w.hi;
        self.next = w.hi;
        self.after = KahanSum::default();
        let mut running = KahanSum::default();
        self.suffixes.clear();
        self.suffixes.extend(self.vs[w.lo..w.hi].iter().rev().map(|v| {
            running.add(*v);
            running
        }));
        self.suffixes.reverse();
    }
}

fn sum(values: &[f64]) -> f64 {
    let mut sum = KahanSum::default();
    values.iter().for_each(|v| sum.add(*v));
    if sum.sum.is_infinite() { sum.sum } else { sum.value() }
}

fn mean(values: &[f64]) -> f64 {
    let Some((first, rest)) = values.split_first() else { return f64::NAN };
    let mut mean = KahanMean::of(*first);
    rest.iter().for_each(|v| mean.add(*v));
    mean.value()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::Budget;
    use crate::plan::{Grid, Reference};

    proptest! {
        #[test]
        fn cut_windows_sum_as_whole_ones(values in proptest::collection::vec(-1e6_f64..1e6, 1..200), step in 1_i64..40, range in 1_i64..2_000) {
            let ts: Vec<i64> = (0..values.len() as i64).map(|i| i * 10).collect();
            let grid = Grid::new(-30, 2_100, step, &Budget::default()).unwrap();
            let windows = Windows { grid, reference: Reference::Offset(0), range_ms: range };
            for mean_of in [false, true] {
                let mut got = vec![f64::NAN; grid.count()];
                over_time(&windows, &ts, &values, mean_of, &mut Vec::new(), &mut got);
                windows.each(&ts, |w| {
                    let want = if mean_of { mean(&values[w.lo..w.hi]) } else { sum(&values[w.lo..w.hi]) };
                    assert!((got[w.step] - want).abs() <= 1e-9 * want.abs().max(1e-3), "{} {want}", got[w.step]);
                });
            }
        }
    }

    #[test]
    fn what_a_large_value_hid_comes_back() {
        let mut values = vec![1.0; 100];
        values[30] = 1e100;
        values[50] = -1e100;
        let ts: Vec<i64> = (0..100).collect();
        let windows = Windows { grid: Grid::new(0, 99, 1, &Budget::default()).unwrap(), reference: Reference::Offset(0), range_ms: 40 };
        let mut got = vec![0.0; 100];
        over_time(&windows, &ts, &values, false, &mut Vec::new(), &mut got);
        assert_eq!((got[29], got[60], got[95]), (30.0, 38.0, 40.0));
    }
}
