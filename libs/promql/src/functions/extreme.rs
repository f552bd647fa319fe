//! The largest and smallest value of a moving window.

use std::collections::VecDeque;

use super::range::Windows;

/// Finds, for every window, the last sample with the extreme value, and puts `take(index)` into `out`.
///
/// The deque holds the indices that can still become the extreme, the best first; every sample enters and leaves it once.
/// NaN is no candidate; in a window of only NaN the last one is taken.
pub fn over_time(
    windows: &Windows,
    ts: &[i64],
    vs: &[f64],
    max: bool,
    deque: &mut VecDeque<usize>,
    take: impl Fn(usize) -> f64,
    out: &mut [f64],
) {
    deque.clear();
    let mut next = 0;
    windows.each(ts, |w| {
        next = next.max(w.lo);
        while next < w.hi {
            let v = vs[next];
            if !v.is_nan() {
                while deque.back().is_some_and(|back| if max { vs[*back] <= v } else { vs[*back] >= v }) {
                    deque.pop_back();
                }
                deque.push_back(next);
            }
            next += 1;
        }
        while deque.front().is_some_and(|front| *front < w.lo) {
            deque.pop_front();
        }
        out[w.step] = take(deque.front().copied().unwrap_or(w.hi - 1));
    });
}
