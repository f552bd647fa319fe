//! One side of a histogram spread out: each bucket's index, count, and what compensated summation has put aside for it. All changes of a
//! layout (coarser schemas, new buckets, compaction) are made in this form.

use model::Span;

use super::buckets::Indexed;
use crate::functions::kahan::KahanSum;

/// A bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cell {
    pub(super) index: i64,
    pub(super) count: KahanSum,
}

impl Cell {
    fn is_empty(&self) -> bool {
        self.count.sum == 0.0 && self.count.compensation == 0.0
    }

    fn absorb(&mut self, count: KahanSum) {
        self.count.add(count.sum);
        self.count.add(count.compensation);
    }
}

/// One side in the form of a histogram, with the compensations of its counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Side {
    pub(super) spans: Vec<Span>,
    pub(super) counts: Vec<f64>,
    pub(super) rests: Vec<f64>,
}

/// Spreads a side out. Without `rests` nothing has been put aside.
pub(super) fn spread<'a>(spans: &'a [Span], counts: &'a [f64], rests: &'a [f64]) -> impl Iterator<Item = Cell> + 'a {
    let rests = rests.iter().copied().chain(std::iter::repeat(0.0));
    Indexed::new(spans, counts).zip(rests).map(|((index, sum), compensation)| Cell { index, count: KahanSum { sum, compensation } })
}

/// Puts cells, ascending by index, together again. Neighbours share a span.
pub(super) fn collect(cells: impl IntoIterator<Item = Cell>) -> Side {
    let mut side = Side::default();
    // One past the last bucket; the first span counts from zero.
    let mut next = 0_i64;
    for Cell { index, count } in cells {
        match side.spans.last_mut() {
            Some(span) if index == next => span.length += 1,
            _ => {
                let offset = (index - next).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32;
                side.spans.push(Span { offset, length: 1 });
            }
        }
        side.counts.push(count.sum);
        side.rests.push(count.compensation);
        next = index + 1;
    }
    side
}

/// The index of the bucket, `shift` schemas coarser, that holds the bucket `index`: upper bounds are inclusive.
pub(super) fn coarser_index(index: i64, shift: u32) -> i64 {
    ((index - 1) >> shift.min(62)) + 1
}

/// Merges cells into those of a schema that is coarser by `shift`.
pub(super) fn coarsen(cells: impl IntoIterator<Item = Cell>, shift: u32) -> Vec<Cell> {
    let mut coarse: Vec<Cell> = Vec::new();
    for cell in cells {
        let index = coarser_index(cell.index, shift);
        match coarse.last_mut() {
            Some(last) if last.index == index => last.absorb(cell.count),
            _ => coarse.push(Cell { index, count: cell.count }),
        }
    }
    coarse
}

/// Adds `b`, each count times `sign`, to `a`. Both ascend.
pub(super) fn add(a: impl IntoIterator<Item = Cell>, b: impl IntoIterator<Item = Cell>, sign: f64) -> Vec<Cell> {
    let signed = |cell: Cell| Cell { count: KahanSum { sum: sign * cell.count.sum, compensation: sign * cell.count.compensation }, ..cell };
    let (mut a, mut b) = (a.into_iter().peekable(), b.into_iter().map(signed).peekable());
    let mut out = Vec::with_capacity(a.size_hint().0.max(b.size_hint().0));
    loop {
        let next = match (a.peek(), b.peek()) {
            (Some(x), Some(y)) if x.index == y.index => {
                let both = a.next().zip(b.next());
                both.map(|(mut x, y)| {
                    x.absorb(y.count);
                    x
                })
            }
            (Some(x), Some(y)) if y.index < x.index => b.next(),
            (None, Some(_)) => b.next(),
            _ => a.next(),
        };
        match next {
            Some(cell) => out.push(cell),
            None => return out,
        }
    }
}

impl Side {
    /// Drops empty buckets and joins spans that touch.
    pub(super) fn compact(&mut self) {
        let touching = self.spans.iter().skip(1).any(|s| s.offset <= 0) || self.spans.iter().any(|s| s.length == 0);
        let empty = |(count, rest): (&f64, &f64)| *count == 0.0 && *rest == 0.0;
        if touching || self.counts.iter().zip(&self.rests).any(empty) {
            let cells: Vec<Cell> = spread(&self.spans, &self.counts, &self.rests).filter(|c| !c.is_empty()).collect();
            *self = collect(cells);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(pairs: &[(i64, f64)]) -> Vec<Cell> {
        pairs.iter().map(|(index, count)| Cell { index: *index, count: KahanSum::of(*count) }).collect()
    }

    #[test]
    fn spreading_and_collecting() {
        let all = cells(&[(-3, 1.0), (-2, 0.0), (5, 2.0)]);
        let side = collect(all.clone());
        assert_eq!(side.spans, [Span { offset: -3, length: 2 }, Span { offset: 6, length: 1 }]);
        assert_eq!(spread(&side.spans, &side.counts, &side.rests).collect::<Vec<_>>(), all);
        let mut compacted = side;
        compacted.compact();
        assert_eq!((compacted.spans.len(), compacted.counts), (2, vec![1.0, 2.0]));
    }

    #[test]
    fn coarser_buckets_hold_finer_ones() {
        // In schema 1 the buckets 1 and 2 are (1, √2] and (√2, 2], which schema 0 has in one; bucket 0 of both ends at 1.
        let coarse = coarsen(cells(&[(-1, 1.0), (0, 2.0), (1, 4.0), (2, 8.0), (3, 16.0)]), 1);
        assert_eq!(coarse, cells(&[(0, 3.0), (1, 12.0), (2, 16.0)]));
    }

    #[test]
    fn adding_keeps_what_only_one_has() {
        let sum = add(cells(&[(0, 1.0), (2, 1.0)]), cells(&[(-1, 5.0), (2, 3.0), (7, 1.0)]), -1.0);
        assert_eq!(sum, cells(&[(-1, -5.0), (0, 1.0), (2, -2.0), (7, -1.0)]));
    }
}
