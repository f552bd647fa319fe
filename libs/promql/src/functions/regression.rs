//! Trends: least squares and double exponential smoothing.

use super::kahan::KahanSum;

/// Slope per second, and value at `intercept_t`, of the least-squares line. A constant series has slope 0 exactly.
#[must_use]
pub fn linear(ts: &[i64], vs: &[f64], intercept_t: i64) -> (f64, f64) {
    let Some(first) = vs.first().copied() else { return (f64::NAN, f64::NAN) };
    let [mut sum_x, mut sum_y, mut sum_xy, mut sum_xx] = [KahanSum::default(); 4];
    let mut constant = true;
    for (t, y) in ts.iter().zip(vs) {
        constant &= *y == first;
        let x = t.wrapping_sub(intercept_t) as f64 / 1000.0;
        sum_x.add(x);
        sum_y.add(*y);
        sum_xy.add(x * y);
        sum_xx.add(x * x);
    }
    if constant {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let n = vs.len() as f64;
    let (x, y) = (sum_x.value(), sum_y.value());
    let covariance = sum_xy.value() - x * y / n;
    let variance = sum_xx.value() - x * x / n;
    let slope = covariance / variance;
    (slope, y / n - slope * x / n)
}

/// Checks the factors of `double_exponential_smoothing`.
pub fn smoothing_factors(smoothing: f64, trend: f64) -> Result<(f64, f64), String> {
    if smoothing <= 0.0 || smoothing >= 1.0 {
        return Err(format!("invalid smoothing factor. Expected: 0 < sf < 1, got: {smoothing:.6}"));
    }
    if trend <= 0.0 || trend >= 1.0 {
        return Err(format!("invalid trend factor. Expected: 0 < tf < 1, got: {trend:.6}"));
    }
    Ok((smoothing, trend))
}

/// The smoothed last value of at least two values.
#[must_use]
pub fn smooth(values: &[f64], smoothing: f64, trend: f64) -> f64 {
    let [first, second, ..] = values else { return f64::NAN };
    let (mut before, mut level) = (0.0, *first);
    let mut slope = second - first;
    for (i, value) in values.iter().enumerate().skip(1) {
        if i > 1 {
            slope = trend * (level - before) + (1.0 - trend) * slope;
        }
        let next = smoothing * value + (1.0 - smoothing) * (level + slope);
        before = level;
        level = next;
    }
    level
}
