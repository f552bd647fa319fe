//! Values that are a function of series and time.

/// The curves of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Curve {
    pub(super) series: usize,
    /// Samples are at multiples of it.
    pub(super) interval_ms: i64,
}

impl Curve {
    /// Whole numbers below 2^23 + the number of series: sums of thousands of them are exact. Neighbours in time or number differ.
    pub(super) fn value(self, series: usize, t: i64) -> f64 {
        let step = t.div_euclid(self.interval_ms).rem_euclid(1 << 20);
        (step * (series % 7 + 1) as i64) as f64 + series as f64
    }

    pub(super) fn values(self, t: i64) -> impl Iterator<Item = f64> {
        (0..self.series).map(move |series| self.value(series, t))
    }
}

#[cfg(test)]
mod tests {
    use super::Curve;

    #[test]
    fn neighbours_differ_and_sums_are_exact() {
        let curve = Curve { series: 10_000, interval_ms: 1_000 };
        let t = 1_700_000_123_000;
        assert_ne!(curve.value(3, t), curve.value(3, t + 1_000));
        assert_ne!(curve.value(3, t), curve.value(4, t));
        assert_eq!(curve.value(3, t), curve.value(3, t));
        assert!(curve.values(t).sum::<f64>() < (1_u64 << 53) as f64);
        assert!(curve.values(t).all(|v| v.fract() == 0.0));
    }
}
