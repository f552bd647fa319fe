//! When counters began. A sample may come with the time at which its counter was last at zero; 0 says that nobody knows.
//!
//! Of deltas, each sample begins where the one before it was taken; of cumulative counters, at the same time until there is a reset.

/// Whether a counter was reset between two samples, as far as their start times tell.
#[must_use]
pub fn is_reset(previous_start: i64, previous_t: i64, start: i64, t: i64) -> bool {
    if start == 0 || start >= t || start < previous_t {
        return false;
    }
    if start > previous_t {
        return true;
    }
    // It began with the previous sample. So do deltas; and so does a cumulative counter whose first sample is taken for its start, because
    // the real one is unknown. What is known of the previous sample tells them apart.
    previous_start != 0 && previous_start < previous_t
}

/// Whether a sample covers time that the sample before it has covered already, although both do not have the same start.
#[must_use]
pub fn overlaps(previous_start: i64, previous_t: i64, start: i64) -> bool {
    start != 0 && start < previous_t && start != previous_start
}

/// The time inside of a window, before its first sample, at which the counter was zero.
#[must_use]
pub fn zero_point(start: i64, window_start: i64, first_t: i64) -> Option<i64> {
    (start != 0 && start > window_start && start < first_t).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::{is_reset, overlaps, zero_point};

    #[test]
    fn resets() {
        // Samples at 10 and 20.
        for (previous_start, start, want) in [
            (5, 0, false),
            (5, 5, false),
            (5, 11, true),
            (5, 20, false),
            (5, 21, false),
            (5, 10, true),
            (0, 10, false),
            (10, 10, false),
            (15, 10, false),
        ] {
            assert_eq!(is_reset(previous_start, 10, start, 20), want, "{previous_start} {start}");
        }
    }

    #[test]
    fn overlapping_starts() {
        assert!(overlaps(5, 10, 8));
        assert!(!overlaps(5, 10, 5) && !overlaps(5, 10, 10) && !overlaps(5, 10, 0));
    }

    #[test]
    fn zero_points_lie_inside() {
        assert_eq!(zero_point(5, 4, 6), Some(5));
        assert_eq!([zero_point(5, 5, 6), zero_point(5, 4, 5), zero_point(0, -1, 6)], [None; 3]);
    }
}
