//! The buckets of a histogram, one after another.

use model::FloatHistogram;
use model::Span;

use super::{bounds, is_custom};

/// A bucket with its bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Where it begins.
    pub lower: f64,
    /// Where it ends.
    pub upper: f64,
    /// Whether `lower` belongs to it.
    pub lower_inclusive: bool,
    /// Whether `upper` belongs to it.
    pub upper_inclusive: bool,
    /// Observations.
    pub count: f64,
}

impl Bucket {
    /// The share of the bucket's width below `v`, which lies inside its finite bounds: on the number line, or (`linear` is false) on a
    /// logarithmic scale, on which all buckets of an exponential schema are equally wide.
    pub(super) fn share_below(&self, v: f64, linear: bool) -> f64 {
        if linear {
            return (v - self.lower) / (self.upper - self.lower);
        }
        let (lower, upper, v_log) = (self.lower.abs().log2(), self.upper.abs().log2(), v.abs().log2());
        if v > 0.0 { (v_log - lower) / (upper - lower) } else { 1.0 - (v_log - upper) / (lower - upper) }
    }
}

/// All buckets in ascending order of their bounds, empty ones included; the zero bucket only if it holds observations. Buckets that overlap with
/// the zero bucket begin (or end) where it ends (or begins).
pub fn all(h: &FloatHistogram) -> impl DoubleEndedIterator<Item = Bucket> + '_ {
    let threshold = h.zero_threshold;
    let below = negative(h).rev().map(move |mut b| {
        if b.upper < 0.0 && b.upper > -threshold {
            b.upper = -threshold;
        }
        b
    });
    let above = positive(h).map(move |mut b| {
        if b.lower > 0.0 && b.lower < threshold {
            b.lower = threshold;
        }
        b
    });
    below.chain(zero(h)).chain(above)
}

/// The zero bucket, if there are observations in it.
pub(super) fn zero(h: &FloatHistogram) -> Option<Bucket> {
    let there = h.zero_count > 0.0 && !is_custom(h);
    there.then_some(Bucket {
        lower: -h.zero_threshold,
        upper: h.zero_threshold,
        lower_inclusive: true,
        upper_inclusive: true,
        count: h.zero_count,
    })
}

/// Positive buckets (and all custom ones), ascending.
pub(super) fn positive(h: &FloatHistogram) -> impl DoubleEndedIterator<Item = Bucket> + '_ {
    let custom = is_custom(h);
    let bound = move |index| if custom { bounds::custom(index, &h.custom_values) } else { bounds::exponential(index, h.schema) };
    Indexed::new(&h.positive_spans, &h.positive_buckets).map(move |(index, count)| {
        let (lower, upper) = (bound(index - 1), bound(index));
        let (lower_inclusive, upper_inclusive) = if custom { (index == 0, true) } else { (lower < 0.0, upper > 0.0) };
        Bucket { lower, upper, lower_inclusive, upper_inclusive, count }
    })
}

/// Negative buckets from zero downwards.
pub(super) fn negative(h: &FloatHistogram) -> impl DoubleEndedIterator<Item = Bucket> + '_ {
    Indexed::new(&h.negative_spans, &h.negative_buckets).map(|(index, count)| {
        let (lower, upper) = (-bounds::exponential(index, h.schema), -bounds::exponential(index - 1, h.schema));
        Bucket { lower, upper, lower_inclusive: lower < 0.0, upper_inclusive: upper > 0.0, count }
    })
}

/// The counts of one side with their indices, from both ends. Spans and counts of different length end with the shorter.
#[derive(Debug, Clone)]
pub(super) struct Indexed<'a> {
    spans: &'a [Span],
    counts: &'a [f64],
    front: Place,
    back: Place,
}

/// A place between two buckets.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    span: usize,
    /// Buckets of the span before this place.
    within: u32,
    /// The index of the bucket after this place.
    index: i64,
}

impl<'a> Indexed<'a> {
    pub(super) fn new(spans: &'a [Span], counts: &'a [f64]) -> Self {
        let mut back = Place::default();
        let mut missing = counts.len();
        for (i, span) in spans.iter().enumerate() {
            let within = span.length.min(u32::try_from(missing).unwrap_or(u32::MAX));
            back = Place { span: i, within, index: back.index + i64::from(span.offset) + i64::from(within) };
            missing -= within as usize;
            if missing == 0 {
                break;
            }
        }
        let front = Place { span: 0, within: 0, index: spans.first().map_or(0, |s| i64::from(s.offset)) };
        Self { spans, counts: counts.get(..counts.len() - missing).unwrap_or_default(), front, back }
    }
}

impl Iterator for Indexed<'_> {
    type Item = (i64, f64);

    #[inline]
    fn next(&mut self) -> Option<(i64, f64)> {
        let (count, rest) = self.counts.split_first()?;
        while self.front.within >= self.spans.get(self.front.span)?.length {
            self.front.span += 1;
            self.front.within = 0;
            self.front.index += i64::from(self.spans.get(self.front.span)?.offset);
        }
        self.counts = rest;
        self.front.within += 1;
        self.front.index += 1;
        Some((self.front.index - 1, *count))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.counts.len(), Some(self.counts.len()))
    }
}

impl DoubleEndedIterator for Indexed<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<(i64, f64)> {
        let (count, rest) = self.counts.split_last()?;
        while self.back.within == 0 {
            self.back.index -= i64::from(self.spans.get(self.back.span)?.offset);
            self.back.span = self.back.span.checked_sub(1)?;
            self.back.within = self.spans.get(self.back.span)?.length;
        }
        self.counts = rest;
        self.back.within -= 1;
        self.back.index -= 1;
        Some((self.back.index, *count))
    }
}

impl ExactSizeIterator for Indexed<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_see_the_same() {
        let span = |offset, length| Span { offset, length };
        let spans = [span(-2, 0), span(0, 2), span(3, 0), span(1, 1), span(0, 2)];
        let counts = [1.0, 2.0, 3.0, 4.0, 5.0];
        let forward: Vec<_> = Indexed::new(&spans, &counts).collect();
        assert_eq!(forward, [(-2, 1.0), (-1, 2.0), (4, 3.0), (5, 4.0), (6, 5.0)]);
        let mut backward: Vec<_> = Indexed::new(&spans, &counts).rev().collect();
        backward.reverse();
        assert_eq!(backward, forward);
        let mut both = Indexed::new(&spans, &counts);
        assert_eq!((both.next(), both.next_back(), both.next(), both.len()), (Some(forward[0]), Some(forward[4]), Some(forward[1]), 2));
    }

    #[test]
    fn spans_and_counts_of_different_length() {
        let spans = [Span { offset: 1, length: 3 }];
        assert_eq!(Indexed::new(&spans, &[1.0, 2.0]).rev().collect::<Vec<_>>(), [(2, 2.0), (1, 1.0)]);
        assert_eq!(Indexed::new(&spans, &[1.0; 5]).next_back(), Some((3, 1.0)));
        assert_eq!(Indexed::new(&[], &[1.0]).next(), None);
    }

    #[test]
    fn ascending_with_the_zero_bucket_in_the_middle() {
        let spans = vec![Span { offset: 0, length: 2 }];
        let h = FloatHistogram {
            zero_threshold: 0.75,
            zero_count: 5.0,
            positive_spans: spans.clone(),
            positive_buckets: vec![1.0, 2.0],
            negative_spans: spans,
            negative_buckets: vec![3.0, 4.0],
            ..FloatHistogram::default()
        };
        let got: Vec<_> = all(&h).map(|b| (b.lower, b.upper, b.count)).collect();
        assert_eq!(got, [(-2.0, -1.0, 4.0), (-1.0, -0.75, 3.0), (-0.75, 0.75, 5.0), (0.75, 1.0, 1.0), (1.0, 2.0, 2.0)]);
        assert_eq!(all(&h).rev().map(|b| b.count).collect::<Vec<_>>(), [2.0, 1.0, 5.0, 3.0, 4.0]);
    }
}
