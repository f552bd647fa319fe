//! When two results of floating point arithmetic count as the same.

use model::is_stale_nan;

/// The tolerated relative difference.
const EPSILON: f64 = 1e-6;

/// Equal to within one part in a million. Stale markers equal stale markers only, other NaNs each other.
pub(super) fn almost_equal(a: f64, b: f64) -> bool {
    if is_stale_nan(a) || is_stale_nan(b) {
        return is_stale_nan(a) && is_stale_nan(b);
    }
    if a.is_nan() || b.is_nan() {
        return a.is_nan() && b.is_nan();
    }
    if a == b {
        return true;
    }
    let (magnitude, difference) = (a.abs() + b.abs(), (a - b).abs());
    // Relative to almost nothing every difference is large: there the smallest normal number is the measure.
    if a == 0.0 || b == 0.0 || magnitude < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / magnitude.min(f64::MAX) < EPSILON
}

#[cfg(test)]
mod tests {
    use model::stale_nan;

    use super::almost_equal;

    #[test]
    fn tolerates_one_part_in_a_million() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        for (a, b) in
            [(1.0, 1.0), (1.0, 1.000_001), (-5.0, -5.000_005), (0.0, -0.0), (inf, inf), (nan, -nan), (f64::MAX, f64::MAX * 0.999_999_9)]
        {
            assert!(almost_equal(a, b), "{a} {b}");
        }
        assert!(almost_equal(stale_nan(), stale_nan()));
        for (a, b) in [(1.0, 1.000_003), (0.0, 1e-300), (inf, -inf), (inf, f64::MAX), (nan, 1.0), (1.0, -1.0), (0.0, f64::MIN_POSITIVE)] {
            assert!(!almost_equal(a, b), "{a} {b}");
            assert!(!almost_equal(b, a), "{b} {a}");
        }
        assert!(!almost_equal(stale_nan(), nan));
    }
}
