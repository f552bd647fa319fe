//! Trimming: what is left of a histogram above or below a bound.
//!
//! A bucket that holds the bound is split where quantiles would be interpolated. A bucket without an end cannot be split: what may lie beyond the
//! bound goes. If anything goes, count and sum are estimated anew, each bucket's observations taken to be in its middle.

use model::FloatHistogram;

use super::buckets::{Bucket, negative, positive, zero};
use super::{compact, is_custom};

/// Which observations stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Those below the bound: `</`.
    Below,
    /// Those above the bound: `>/`.
    Above,
}

/// What is kept of a bucket.
#[derive(Debug, Clone, Copy)]
struct Kept {
    count: f64,
    middle: f64,
}

/// Keeps the observations on one side of `bound`.
#[must_use]
pub fn trim(h: &FloatHistogram, bound: f64, keep: Keep) -> FloatHistogram {
    let mut trimmer = Trimmer { bound, keep, linear: is_custom(h), count: 0.0, sum: 0.0, changed: false };
    let positive_buckets = trimmer.side(positive(h), true);
    let negative_buckets = trimmer.side(negative(h), false);
    let mut zero_count = h.zero_count;
    if let Some(bucket) = zero(h) {
        let populated = |counts: &[f64]| counts.iter().any(|c| *c != 0.0);
        let kept = trimmer.zero_bucket(bucket, populated(&h.negative_buckets), populated(&h.positive_buckets));
        zero_count = trimmer.note(h.zero_count, kept);
    }
    if !trimmer.changed {
        return h.clone();
    }
    let (count, sum) = (trimmer.count, trimmer.sum);
    compact(FloatHistogram { count, sum, zero_count, positive_buckets, negative_buckets, ..h.clone() })
}

struct Trimmer {
    bound: f64,
    keep: Keep,
    linear: bool,
    count: f64,
    sum: f64,
    changed: bool,
}

impl Trimmer {
    /// The counts of one side.
    fn side(&mut self, buckets: impl Iterator<Item = Bucket>, positive: bool) -> Vec<f64> {
        buckets
            .map(|bucket| {
                if bucket.count == 0.0 {
                    return bucket.count;
                }
                let kept = self.bucket(&bucket, positive);
                self.note(bucket.count, kept)
            })
            .collect()
    }

    /// Adds what is kept of `before` to the totals, and returns its count.
    fn note(&mut self, before: f64, kept: Kept) -> f64 {
        self.changed |= kept.count != before;
        if kept.count != 0.0 {
            self.count += kept.count;
            self.sum += kept.middle * kept.count;
        }
        kept.count
    }

    fn bucket(&self, bucket: &Bucket, positive: bool) -> Kept {
        let &Bucket { lower, upper, count, .. } = bucket;
        let (all_stays, is_cut) = match self.keep {
            Keep::Below => (upper <= self.bound, lower < self.bound),
            Keep::Above => (lower >= self.bound, upper > self.bound),
        };
        if all_stays {
            Kept { count, middle: self.middle(lower, upper, positive) }
        } else if is_cut {
            self.cut(bucket, positive)
        } else {
            Kept { count: 0.0, middle: 0.0 }
        }
    }

    /// A bucket in which the bound lies.
    fn cut(&self, bucket: &Bucket, positive: bool) -> Kept {
        let &Bucket { lower, upper, count, .. } = bucket;
        if lower == f64::NEG_INFINITY || upper == f64::INFINITY {
            return self.cut_endless(bucket);
        }
        let below = count * bucket.share_below(self.bound, self.linear);
        match self.keep {
            Keep::Below => Kept { count: below, middle: self.middle(lower, self.bound, positive) },
            Keep::Above => Kept { count: count - below, middle: self.middle(self.bound, upper, positive) },
        }
    }

    /// A first bucket with a positive end begins at 0; apart from that a bucket without an end stays only if the bound shows that all of it may.
    fn cut_endless(&self, bucket: &Bucket) -> Kept {
        let &Bucket { lower, upper, count, .. } = bucket;
        let bound = self.bound;
        let nothing = Kept { count: 0.0, middle: 0.0 };
        let from_zero = lower == f64::NEG_INFINITY && upper > 0.0 && upper.is_finite();
        match self.keep {
            Keep::Below if from_zero && bound > 0.0 => Kept { count: count * bound / upper, middle: bound / 2.0 },
            Keep::Below if lower == f64::NEG_INFINITY && upper <= 0.0 => Kept { count, middle: bound },
            Keep::Above if from_zero && bound >= 0.0 => Kept { count: count * (1.0 - bound / upper), middle: f64::midpoint(bound, upper) },
            Keep::Above if lower.is_finite() && bound >= lower => Kept { count, middle: bound },
            _ => nothing,
        }
    }

    fn zero_bucket(&self, bucket: Bucket, has_negative: bool, has_positive: bool) -> Kept {
        let lower = if has_positive && !has_negative { 0.0 } else { bucket.lower };
        let upper = if has_negative && !has_positive { 0.0 } else { bucket.upper };
        let (bound, width) = (self.bound, upper - lower);
        let all = Kept { count: bucket.count, middle: f64::midpoint(lower, upper) };
        let nothing = Kept { count: 0.0, middle: 0.0 };
        match self.keep {
            Keep::Below if bound <= lower => nothing,
            Keep::Below if bound >= upper => all,
            Keep::Below => Kept { count: bucket.count * ((bound - lower) / width), middle: f64::midpoint(lower, bound) },
            Keep::Above if bound <= lower => all,
            Keep::Above if bound >= upper => nothing,
            Keep::Above => Kept { count: bucket.count * ((upper - bound) / width), middle: f64::midpoint(bound, upper) },
        }
    }

    /// The middle of what is left of a bucket; the end of one that has only one, and half of it if it is positive.
    fn middle(&self, lower: f64, upper: f64, positive: bool) -> f64 {
        match (lower.is_infinite(), upper.is_infinite()) {
            (true, true) => 0.0,
            (true, false) => {
                if upper > 0.0 {
                    upper / 2.0
                } else {
                    upper
                }
            }
            (false, true) => lower,
            (false, false) if self.linear => f64::midpoint(lower, upper),
            (false, false) => {
                let middle = (lower * upper).abs().sqrt();
                if positive { middle } else { -middle }
            }
        }
    }
}
