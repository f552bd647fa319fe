//! Bringing two bucket layouts of one sign together.

use model::Span;

use super::kind::Kind;

/// The buckets of two layouts, `a` and `b`, as one.
#[derive(Debug)]
pub(super) struct Merge {
    /// Spans of all buckets in either, as few as possible.
    pub(super) spans: Vec<Span>,
    /// For each bucket of `a`, its place among all.
    a: Vec<u32>,
    /// For each bucket of `b`, its place among all.
    b: Vec<u32>,
    len: u32,
}

impl Merge {
    /// Merges spans that ascend.
    pub(super) fn new(a: &[Span], b: &[Span]) -> Self {
        let mut merge = Self { spans: Vec::new(), a: Vec::new(), b: Vec::new(), len: 0 };
        let (mut of_a, mut of_b) = (indices(a).peekable(), indices(b).peekable());
        let mut end = 0_i64;
        while let Some(index) = [of_a.peek(), of_b.peek()].into_iter().flatten().min().copied() {
            if of_a.next_if_eq(&index).is_some() {
                merge.a.push(merge.len);
            }
            if of_b.next_if_eq(&index).is_some() {
                merge.b.push(merge.len);
            }
            match merge.spans.last_mut() {
                Some(span) if index == end => span.length += 1,
                _ => merge.spans.push(Span { offset: (index - end) as i32, length: 1 }),
            }
            end = index + 1;
            merge.len += 1;
        }
        merge
    }

    /// The number of all buckets.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// Whether `b` has buckets that `a` lacks.
    pub(super) fn a_lacks(&self) -> bool {
        self.a.len() < self.len as usize
    }

    /// Whether `a` has buckets that `b` lacks.
    pub(super) fn b_lacks(&self) -> bool {
        self.b.len() < self.len as usize
    }

    /// The counts of `a` with zeros for what it lacks.
    pub(super) fn widen_a<K: Kind>(&self, counts: &[u64]) -> Vec<u64> {
        widen::<K>(counts, &self.a, self.len)
    }

    /// The counts of `b` with zeros for what it lacks.
    pub(super) fn widen_b<K: Kind>(&self, counts: &[u64]) -> Vec<u64> {
        widen::<K>(counts, &self.b, self.len)
    }
}

/// Spreads relative counts over a larger layout.
fn widen<K: Kind>(counts: &[u64], places: &[u32], len: u32) -> Vec<u64> {
    let mut out = vec![0; len as usize];
    let mut absolute = 0;
    for (count, place) in counts.iter().zip(places) {
        absolute = K::absolute(absolute, *count);
        if let Some(slot) = out.get_mut(*place as usize) {
            *slot = absolute;
        }
    }
    let mut before = 0;
    for slot in &mut out {
        let absolute = *slot;
        *slot = K::relative(before, absolute);
        before = absolute;
    }
    out
}

/// The indices of the buckets. Callers have checked that they ascend and fit 32 bits.
fn indices(spans: &[Span]) -> impl Iterator<Item = i64> {
    let mut end = 0_i64;
    spans.iter().flat_map(move |span| {
        let start = end + i64::from(span.offset);
        end = start + i64::from(span.length);
        start..end
    })
}

#[cfg(test)]
mod tests {
    use model::Span;

    use super::super::kind::Int;
    use super::{Merge, indices};

    fn spans(pairs: &[(i32, u32)]) -> Vec<Span> {
        pairs.iter().map(|(offset, length)| Span { offset: *offset, length: *length }).collect()
    }

    #[test]
    fn indices_skip_empty_spans() {
        let got: Vec<i64> = indices(&spans(&[(-2, 0), (1, 2), (0, 0), (3, 1), (0, 1)])).collect();
        assert_eq!(got, [-1, 0, 4, 5]);
    }

    #[test]
    fn widening_inserts_empty_buckets_and_mends_the_next_delta() {
        let old = spans(&[(0, 2), (2, 1), (3, 2), (3, 1), (1, 1)]);
        let new = spans(&[(0, 3), (1, 1), (1, 4), (3, 3)]);
        let merge = Merge::new(&old, &new);
        assert_eq!(merge.spans, new);
        assert!(merge.a_lacks() && !merge.b_lacks());
        let deltas: Vec<u64> = [6_i64, -3, 0, -1, 2, 1, -4].map(|d| d as u64).to_vec();
        let want: Vec<u64> = [6_i64, -3, -3, 3, -3, 0, 2, 2, 1, -5, 1].map(|d| d as u64).to_vec();
        assert_eq!(merge.widen_a::<Int>(&deltas), want);
    }

    #[test]
    fn disjoint_layouts_lack_each_other() {
        let merge = Merge::new(&spans(&[(5, 2)]), &spans(&[(-3, 1), (20, 1)]));
        assert_eq!(merge.spans, spans(&[(-3, 1), (7, 2), (11, 1)]));
        assert!(merge.a_lacks() && merge.b_lacks());
        assert_eq!(merge.widen_b::<Int>(&[4, 0]), [4, 4_u64.wrapping_neg(), 0, 4]);
    }
}
