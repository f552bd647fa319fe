//! Numbers out of measurements.

use std::time::Duration;

/// Latencies, sorted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn new(mut all: Vec<Duration>) -> Self {
        all.sort_unstable();
        Self(all)
    }

    /// The latency that a share `q` (0 to 1) of all do not exceed, by nearest rank, in milliseconds; 0 of none.
    pub(crate) fn ms(&self, q: f64) -> f64 {
        let rank = ((self.0.len() as f64 * q).ceil() as usize).max(1);
        self.0.get(rank.min(self.0.len()).saturating_sub(1)).map_or(0.0, |d| d.as_secs_f64() * 1_000.0)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The geometric mean of values above zero; a value below `least` counts as `least`, so that one that is too small to measure does not make the mean zero.
pub(crate) fn geometric_mean(values: impl IntoIterator<Item = f64>, least: f64) -> f64 {
    let logarithms: Vec<f64> = values.into_iter().map(|v| v.max(least).ln()).collect();
    if logarithms.is_empty() {
        return 0.0;
    }
    (logarithms.iter().sum::<f64>() / logarithms.len() as f64).exp()
}

/// A number for people: three digits that mean something, thousands set apart.
pub(crate) fn plain(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 100.0 {
        return thousands(value.round() as i64);
    }
    let decimals = if magnitude >= 10.0 { 1 } else { 2 };
    format!("{value:.decimals$}")
}

fn thousands(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if value < 0 { format!("-{out}") } else { out }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Latencies, geometric_mean, plain};

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let all = Latencies::new((1..=100).rev().map(Duration::from_millis).collect());
        assert_eq!((all.ms(0.5), all.ms(0.99), all.ms(1.0), all.ms(0.0)), (50.0, 99.0, 100.0, 1.0));
        assert_eq!(Latencies::new(vec![Duration::from_millis(7)]).ms(0.99), 7.0);
        assert_eq!(Latencies::default().ms(0.99), 0.0);
    }

    #[test]
    fn a_geometric_mean_is_not_zero_because_of_one_value() {
        assert!((geometric_mean([1.0, 100.0], 0.01) - 10.0).abs() < 1e-9);
        assert!((geometric_mean([0.0, 100.0], 1.0) - 10.0).abs() < 1e-9);
        assert_eq!(geometric_mean([], 1.0), 0.0);
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(
            [plain(2_796_000.4), plain(-1_234.0), plain(100.0), plain(43.26), plain(4.637)],
            ["2,796,000", "-1,234", "100", "43.3", "4.64"]
        );
    }
}
