//! The spread of observations, estimated from the buckets.

use model::FloatHistogram;

use super::buckets::{Bucket, all};
use super::is_custom;
use crate::functions::kahan::KahanSum;

/// The variance, every observation taken to be in the middle of its bucket: the geometric middle of exponential buckets, 0 in the zero bucket.
#[must_use]
pub fn variance(h: &FloatHistogram) -> f64 {
    let mean = h.sum / h.count;
    let custom = is_custom(h);
    let mut sum = KahanSum::default();
    for bucket in all(h).filter(|b| b.count != 0.0) {
        let delta = middle(&bucket, custom) - mean;
        sum.add(bucket.count * delta * delta);
    }
    sum.value() / h.count
}

fn middle(bucket: &Bucket, custom: bool) -> f64 {
    if custom {
        f64::midpoint(bucket.upper, bucket.lower)
    } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
        0.0
    } else {
        (bucket.upper * bucket.lower).sqrt().copysign(bucket.upper)
    }
}
