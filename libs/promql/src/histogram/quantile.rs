//! Quantiles and fractions of native histograms.
//!
//! Inside a custom bucket and the zero bucket observations are taken to be spread evenly; inside an exponential bucket evenly on a logarithmic
//! scale. The zero bucket of a histogram without negative (or positive) buckets begins (or ends) at 0.

use model::FloatHistogram;

use super::buckets::{Bucket, all};
use super::is_custom;

/// What there is to say about a histogram that counts NaN, which is in no bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NanNote {
    /// The quantile lies among the NaNs.
    QuantileIsNan,
    /// The quantile lies too high, since NaN counts as the largest value.
    QuantileIsSkewed,
    /// The NaNs are in no fraction.
    NotInFraction,
}

/// The φ-quantile. NaN without observations and for φ = NaN, infinite for φ outside 0 to 1.
#[must_use]
pub fn quantile(q: f64, h: &FloatHistogram) -> (f64, Option<NanNote>) {
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if h.count == 0.0 || q.is_nan() {
        return (f64::NAN, None);
    }
    // A sum of NaN tells of NaN observations, which belong above all buckets: their number shows only from below.
    let from_below = h.sum.is_nan() || q < 0.5;
    let rank = if from_below { q * h.count } else { (1.0 - q) * h.count };
    let mut ascending = all(h);
    let found = if from_below { Found::by(ascending.by_ref(), rank) } else { Found::by(all(h).rev(), rank) };
    let Found { mut bucket, mut count } = found;
    if is_custom(h) {
        if bucket.lower == f64::NEG_INFINITY {
            if bucket.upper <= 0.0 {
                return (bucket.upper, None);
            }
            bucket.lower = 0.0;
        } else if bucket.upper == f64::INFINITY {
            return (bucket.lower, None);
        }
    } else {
        let is_zero_bucket = bucket.lower < 0.0 && bucket.upper > 0.0;
        confine_zero_bucket(&mut bucket, h, is_zero_bucket);
    }
    // Rounding errors may have made the buckets hold more than there is.
    count = count.min(h.count);
    if count < rank {
        return if h.sum.is_nan() { (f64::NAN, Some(NanNote::QuantileIsNan)) } else { (bucket.upper, None) };
    }
    let rank = if from_below { rank - (count - bucket.count) } else { count - rank };
    let mut note = None;
    if h.sum.is_nan() {
        for above in ascending {
            count += above.count;
            // As in Prometheus, what is interpolated is then the last bucket.
            bucket = above;
        }
        note = (count < h.count).then_some(NanNote::QuantileIsSkewed);
    }
    (interpolate(&bucket, rank / bucket.count, is_custom(h)), note)
}

/// The bucket in which a rank lies, and what it and those before it hold.
struct Found {
    bucket: Bucket,
    count: f64,
}

impl Found {
    /// The first populated bucket at which the running count reaches `rank`, else the last populated one.
    fn by(buckets: impl Iterator<Item = Bucket>, rank: f64) -> Self {
        let none = Bucket { lower: 0.0, upper: 0.0, lower_inclusive: false, upper_inclusive: false, count: 0.0 };
        let mut found = Self { bucket: none, count: 0.0 };
        for bucket in buckets {
            if bucket.count == 0.0 {
                found.bucket = bucket;
                continue;
            }
            found = Self { bucket, count: found.count + bucket.count };
            if found.count >= rank {
                break;
            }
        }
        found
    }
}

fn interpolate(bucket: &Bucket, fraction: f64, custom: bool) -> f64 {
    if custom || (bucket.lower <= 0.0 && bucket.upper >= 0.0) {
        return bucket.lower + (bucket.upper - bucket.lower) * fraction;
    }
    let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
    if bucket.lower > 0.0 { (lower + (upper - lower) * fraction).exp2() } else { -(upper + (lower - upper) * (1.0 - fraction)).exp2() }
}

/// A zero bucket of a histogram with buckets on one side only reaches to that side only.
fn confine_zero_bucket(bucket: &mut Bucket, h: &FloatHistogram, is_zero_bucket: bool) {
    if is_zero_bucket && h.negative_buckets.is_empty() && !h.positive_buckets.is_empty() {
        bucket.lower = 0.0;
    } else if is_zero_bucket && h.positive_buckets.is_empty() && !h.negative_buckets.is_empty() {
        bucket.upper = 0.0;
    }
}

/// The share of observations between two bounds. NaN without observations and for bounds of NaN.
#[must_use]
pub fn fraction(lower: f64, upper: f64, h: &FloatHistogram) -> (f64, Option<NanNote>) {
    if h.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return (f64::NAN, None);
    }
    if lower >= upper {
        return (0.0, None);
    }
    let (mut below_lower, mut below_upper) = (None, None);
    let mut rank = 0.0;
    for mut bucket in all(h) {
        let is_zero_bucket = bucket.lower <= 0.0 && bucket.upper >= 0.0;
        confine_zero_bucket(&mut bucket, h, is_zero_bucket);
        let linear = is_custom(h) || is_zero_bucket;
        below_lower = below_lower.or_else(|| rank_below(lower, &bucket, rank, linear));
        below_upper = below_upper.or_else(|| rank_below(upper, &bucket, rank, linear));
        if below_lower.is_some() && below_upper.is_some() {
            break;
        }
        rank += bucket.count;
    }
    let (mut count, mut note) = (h.count, None);
    if h.sum.is_nan() {
        count = all(h).map(|b| b.count).sum();
        note = (count < h.count).then_some(NanNote::NotInFraction);
    }
    let capped = |rank: Option<f64>| rank.filter(|rank| *rank <= count || rank.is_nan()).unwrap_or(count);
    ((capped(below_upper) - capped(below_lower)) / h.count, note)
}

/// Observations below `bound` if it lies before the end of `bucket`, below which there are `rank`. Of a bucket without a lower end all count, of one
/// without an upper end none.
fn rank_below(bound: f64, bucket: &Bucket, rank: f64, linear: bool) -> Option<f64> {
    if bucket.lower >= bound {
        return Some(rank);
    }
    let inside = bucket.lower < bound && bucket.upper > bound;
    inside.then(|| match bucket.lower {
        f64::NEG_INFINITY if linear => bucket.count,
        _ => rank + bucket.count * bucket.share_below(bound, linear),
    })
}
