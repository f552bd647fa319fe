//! Quantiles and fractions of classic histograms.

/// A cumulative bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// `le`.
    pub upper: f64,
    /// Observations up to `upper`.
    pub count: f64,
}

/// Counts that differ by less than this, relatively, are rounding errors of sums over rates.
const SMALL_DELTA: f64 = 1e-12;

/// How far counts had to be corrected to ascend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Correction {
    /// The lowest bound of a corrected bucket.
    pub min_bucket: f64,
    /// The highest one.
    pub max_bucket: f64,
    /// The largest correction.
    pub max_diff: f64,
}

/// The φ-quantile, and whether the counts had to be corrected for it. `buckets` is sorted and merged in place.
#[must_use]
pub fn quantile(q: f64, buckets: &mut Vec<Bucket>) -> (f64, Option<Correction>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if !prepare(buckets) {
        return (f64::NAN, None);
    }
    let correction = make_monotonic(buckets);
    (interpolate(q, buckets), correction)
}

fn interpolate(q: f64, buckets: &[Bucket]) -> f64 {
    let [lower @ .., highest] = buckets else { return f64::NAN };
    let (Some(first), Some(last_finite)) = (lower.first(), lower.last()) else { return f64::NAN };
    if highest.count == 0.0 {
        return f64::NAN;
    }
    let mut rank = q * highest.count;
    let at = lower.partition_point(|b| b.count < rank || b.count.is_nan() || rank.is_nan());
    let Some(bucket) = lower.get(at) else { return last_finite.upper };
    if at == 0 && first.upper <= 0.0 {
        return first.upper;
    }
    let (mut start, mut count) = (0.0, bucket.count);
    if let Some(before) = at.checked_sub(1).and_then(|i| lower.get(i)) {
        start = before.upper;
        count -= before.count;
        rank -= before.count;
    }
    start + (bucket.upper - start) * (rank / count)
}

/// The share of observations between two bounds.
#[must_use]
pub fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if !prepare(buckets) {
        return f64::NAN;
    }
    let Some(count) = buckets.last().map(|b| b.count) else { return f64::NAN };
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let below = |bound| rank_below(bound, buckets).map_or(count, |rank| if rank > count { count } else { rank });
    (below(upper) - below(lower)) / count
}

/// Observations below `bound`, by linear interpolation inside its bucket; `None` if it lies above all of them. A first bucket with a
/// positive bound begins at 0. Buckets with an infinite end cannot be interpolated: the bound counts as their finite end.
fn rank_below(bound: f64, buckets: &[Bucket]) -> Option<f64> {
    let mut start = if buckets.first()?.upper <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
    let mut rank = 0.0;
    for b in buckets {
        if start >= bound {
            return Some(rank);
        }
        if b.upper > bound {
            return Some(if start == f64::NEG_INFINITY { b.count } else { rank + (b.count - rank) * (bound - start) / (b.upper - start) });
        }
        rank = b.count;
        start = b.upper;
    }
    None
}

/// Sorts by bound and merges buckets with the same bound; whether the highest bound is +Inf, as it must be.
fn prepare(buckets: &mut Vec<Bucket>) -> bool {
    buckets.sort_by(|a, b| a.upper.partial_cmp(&b.upper).unwrap_or(std::cmp::Ordering::Equal));
    if buckets.last().is_none_or(|b| b.upper != f64::INFINITY) {
        return false;
    }
    buckets.dedup_by(|next, kept| {
        let same = next.upper == kept.upper;
        if same {
            kept.count += next.count;
        }
        same
    });
    true
}

/// Makes counts ascend: small differences silently, decreases with a [`Correction`].
fn make_monotonic(buckets: &mut [Bucket]) -> Option<Correction> {
    let (first, rest) = buckets.split_first_mut()?;
    let mut previous = first.count;
    let mut correction: Option<Correction> = None;
    for bucket in rest {
        let current = bucket.count;
        if current == previous {
            continue;
        }
        if nearly_equal(previous, current) {
            bucket.count = previous;
        } else if current < previous {
            bucket.count = previous;
            let c = correction.get_or_insert(Correction { min_bucket: f64::INFINITY, max_bucket: f64::NEG_INFINITY, max_diff: 0.0 });
            c.min_bucket = c.min_bucket.min(bucket.upper);
            c.max_bucket = c.max_bucket.max(bucket.upper);
            c.max_diff = c.max_diff.max(previous - current);
        } else {
            previous = current;
        }
    }
    correction
}

fn nearly_equal(a: f64, b: f64) -> bool {
    if a.is_nan() && b.is_nan() {
        return true;
    }
    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < SMALL_DELTA * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < SMALL_DELTA
}

#[cfg(test)]
mod tests {
    use super::{Bucket, Correction, fraction, quantile};

    fn buckets(pairs: &[(f64, f64)]) -> Vec<Bucket> {
        pairs.iter().map(|(upper, count)| Bucket { upper: *upper, count: *count }).collect()
    }

    #[test]
    fn quantiles_interpolate() {
        let data = buckets(&[(f64::INFINITY, 10.0), (1.0, 4.0), (2.0, 8.0)]);
        assert_eq!(quantile(0.2, &mut data.clone()), (0.5, None));
        assert_eq!(quantile(0.6, &mut data.clone()), (1.5, None));
        assert_eq!(quantile(0.9, &mut data.clone()), (2.0, None));
        assert_eq!(quantile(-1.0, &mut data.clone()).0, f64::NEG_INFINITY);
        assert!(quantile(0.5, &mut buckets(&[(1.0, 4.0), (2.0, 8.0)])).0.is_nan());
    }

    #[test]
    fn decreases_are_told_and_noise_is_not() {
        let mut data = buckets(&[(1.0, 4.0), (2.0, 3.0), (f64::INFINITY, 4.0)]);
        let want = Correction { min_bucket: 2.0, max_bucket: 2.0, max_diff: 1.0 };
        assert_eq!(quantile(0.5, &mut data), (0.5, Some(want)));
        let mut data = buckets(&[(1.0, 4.0), (2.0, 4.0 - 1e-13), (f64::INFINITY, 4.0)]);
        assert_eq!(quantile(0.5, &mut data), (0.5, None));
    }

    #[test]
    fn fractions() {
        let data = buckets(&[(1.0, 4.0), (2.0, 8.0), (f64::INFINITY, 10.0)]);
        assert_eq!(fraction(0.0, 1.0, &mut data.clone()), 0.4);
        assert_eq!(fraction(0.5, 1.5, &mut data.clone()), 0.4);
        assert_eq!(fraction(2.0, f64::INFINITY, &mut data.clone()), 0.2);
        assert_eq!(fraction(2.0, 1.0, &mut data.clone()), 0.0);
    }
}
