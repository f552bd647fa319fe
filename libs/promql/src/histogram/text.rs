//! A histogram as text, which `count_values` makes a label of.

use std::fmt::Write as _;

use model::FloatHistogram;

use super::buckets::{Bucket, negative, positive, zero};
use crate::functions::number;

/// `{count:4, sum:2.5, [-1,1]:3, (1,2]:1}`: the populated buckets in ascending order, numbers as Go prints them.
#[must_use]
pub fn to_text(h: &FloatHistogram) -> String {
    let mut out = format!("{{count:{}, sum:{}", number::general(h.count), number::general(h.sum));
    for bucket in unclipped(h).filter(|b| b.count != 0.0) {
        let Bucket { lower, upper, lower_inclusive, upper_inclusive, count } = bucket;
        let (open, close) = (if lower_inclusive { '[' } else { '(' }, if upper_inclusive { ']' } else { ')' });
        let (lower, upper, count) = (number::general(lower), number::general(upper), number::general(count));
        // Writing to a String does not fail.
        let _ = write!(out, ", {open}{lower},{upper}{close}:{count}");
    }
    out.push('}');
    out
}

/// All buckets with their own bounds, whatever the zero bucket covers.
fn unclipped(h: &FloatHistogram) -> impl Iterator<Item = Bucket> + '_ {
    negative(h).rev().chain(zero(h)).chain(positive(h))
}
