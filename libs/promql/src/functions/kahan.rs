//! Compensated summation (Kahan, with Neumaier's improvement), as Prometheus 3 sums.

/// A running sum and the rounding error that it lacks.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct KahanSum {
    /// The rounded sum.
    pub sum: f64,
    /// What to add for the better sum.
    pub compensation: f64,
}

impl KahanSum {
    /// A sum that begins with `value`.
    #[inline]
    #[must_use]
    pub fn of(value: f64) -> Self {
        Self { sum: value, compensation: 0.0 }
    }

    /// Adds a number. A sum that becomes infinite forgets its compensation, which would make it NaN.
    #[inline]
    pub fn add(&mut self, value: f64) {
        let t = self.sum + value;
        if t.is_infinite() {
            self.compensation = 0.0;
        } else if self.sum.abs() >= value.abs() {
            self.compensation += (self.sum - t) + value;
        } else {
            self.compensation += (value - t) + self.sum;
        }
        self.sum = t;
    }

    /// The better sum.
    #[inline]
    #[must_use]
    pub fn value(&self) -> f64 {
        self.sum + self.compensation
    }
}

/// A running mean: the compensated sum divided by the count, as long as the sum does not overflow; from then on the mean is
/// updated incrementally.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KahanMean {
    /// The sum, or the mean once `incremental`.
    state: KahanSum,
    count: f64,
    incremental: bool,
}

impl KahanMean {
    /// The mean of one value.
    #[inline]
    #[must_use]
    pub fn of(value: f64) -> Self {
        Self { state: KahanSum::of(value), count: 1.0, incremental: false }
    }

    /// Takes one more value.
    #[inline]
    pub fn add(&mut self, value: f64) {
        self.count += 1.0;
        if !self.incremental {
            let mut next = self.state;
            next.add(value);
            if !next.sum.is_infinite() {
                self.state = next;
                return;
            }
            self.incremental = true;
            self.state.sum /= self.count - 1.0;
            self.state.compensation /= self.count - 1.0;
        }
        let q = (self.count - 1.0) / self.count;
        self.state.sum *= q;
        self.state.compensation *= q;
        self.state.add(value / self.count);
    }

    /// The mean.
    #[inline]
    #[must_use]
    pub fn value(&self) -> f64 {
        if self.incremental { self.state.value() } else { self.state.sum / self.count + self.state.compensation / self.count }
    }
}

#[cfg(test)]
mod tests {
    use super::{KahanMean, KahanSum};

    #[test]
    fn small_terms_survive_large_ones() {
        let mut sum = KahanSum::default();
        [1.0, 1e100, 1.0, -1e100].into_iter().for_each(|v| sum.add(v));
        assert_eq!(sum.value(), 2.0);
        let mut sum = KahanSum::of(f64::MAX);
        [f64::MAX, 1.0].into_iter().for_each(|v| sum.add(v));
        assert_eq!(sum.value(), f64::INFINITY);
    }

    #[test]
    fn means_do_not_overflow() {
        let mut mean = KahanMean::of(9.9e307);
        (0..2).for_each(|_| mean.add(9.9e307));
        assert!((mean.value() / 9.9e307 - 1.0).abs() < 1e-12);
    }
}
