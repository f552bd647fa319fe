//! Custom bounds: histograms whose bounds differ are brought to those that they share.

use model::Span;

use super::buckets::Indexed;
use super::cells::Cell;
use crate::functions::kahan::KahanSum;

/// The bounds that both have. Both ascend.
pub(super) fn shared_bounds(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut b = b.iter().copied().peekable();
    a.iter()
        .copied()
        .filter(|bound| {
            while b.next_if(|other| other < bound).is_some() {}
            b.next_if(|other| other == bound).is_some()
        })
        .collect()
}

/// Adds each count, times `sign`, to the bucket of `target` that holds it. `totals` has a bucket for each bound of `target` and one for
/// what lies above.
pub(super) fn project(cells: impl IntoIterator<Item = Cell>, bounds: &[f64], target: &[f64], sign: f64, totals: &mut [KahanSum]) {
    for cell in cells {
        let upper = usize::try_from(cell.index).ok().and_then(|i| bounds.get(i));
        let at = upper.map_or(target.len(), |upper| target.partition_point(|t| t < upper));
        if let Some(total) = totals.get_mut(at) {
            total.add(sign * cell.count.sum);
            total.add(sign * cell.count.compensation);
        }
    }
}

/// The buckets of dense totals that are not empty.
pub(super) fn occupied(totals: Vec<KahanSum>) -> impl Iterator<Item = Cell> {
    let cells = totals.into_iter().enumerate().map(|(i, count)| Cell { index: i as i64, count });
    cells.filter(|cell| cell.count.sum != 0.0 || cell.count.compensation != 0.0)
}

/// Whether any bucket of the shared bounds counts less in `current` than in `previous`; each is spans, counts and bounds.
pub(super) fn decreased(current: (&[Span], &[f64], &[f64]), previous: (&[Span], &[f64], &[f64])) -> bool {
    let shared = shared_bounds(current.2, previous.2);
    let totals = |(spans, counts, bounds): (&[Span], &[f64], &[f64])| {
        let mut totals = vec![KahanSum::default(); shared.len() + 1];
        let cells = Indexed::new(spans, counts).map(|(index, count)| Cell { index, count: KahanSum::of(count) });
        project(cells, bounds, &shared, 1.0, &mut totals);
        totals
    };
    totals(current).iter().zip(totals(previous)).any(|(now, before)| now.value() < before.value())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_that_both_have() {
        assert_eq!(shared_bounds(&[1.0, 2.0, 5.0, 10.0], &[2.0, 3.0, 10.0, 11.0]), [2.0, 10.0]);
        assert!(shared_bounds(&[1.0], &[2.0]).is_empty());
        assert!(shared_bounds(&[], &[2.0]).is_empty());
    }

    #[test]
    fn counts_move_to_the_bucket_that_holds_theirs() {
        let mut totals = vec![KahanSum::default(); 3];
        let counts = [1.0, 2.0, 4.0, 8.0, 16.0];
        let cells = counts.iter().enumerate().map(|(i, c)| Cell { index: i as i64, count: KahanSum::of(*c) });
        project(cells, &[1.0, 2.0, 5.0, 10.0], &[2.0, 10.0], 1.0, &mut totals);
        assert_eq!(totals.iter().map(KahanSum::value).collect::<Vec<_>>(), [3.0, 12.0, 16.0]);
    }

    #[test]
    fn decreases_are_seen_through_different_bounds() {
        let spans = [Span { offset: 0, length: 3 }];
        let current: (&[Span], &[f64], &[f64]) = (&spans, &[3.0, 1.0, 4.0], &[1.0, 2.0]);
        let more_below: (&[Span], &[f64], &[f64]) = (&spans, &[2.0, 1.0, 3.0], &[0.5, 2.0]);
        let less_below: (&[Span], &[f64], &[f64]) = (&spans, &[2.0, 3.0, 3.0], &[0.5, 2.0]);
        assert!(!decreased(current, more_below));
        assert!(decreased(current, less_below));
    }
}
