//! Places on the ring for numbered instances, such that for every n the numbers 0 to n − 1 own the same. Pure, integers only: the same on every machine.
//!
//! Number 0 has the ring in equal intervals. Each further number n takes, from each of the n before it, the same part of its share, so that all have 1/(n + 1): it cuts the
//! largest intervals of each in two and takes the lower parts. Nobody before it moves, so a number's places do not depend on those after it; and no more than 1/(n + 1) of the
//! keys change their owner, all of them to the newcomer.

use std::collections::BinaryHeap;

use crate::token::{MAX_ORDINAL, TOKENS_PER_INSTANCE, mix};

/// The whole ring.
const RING: u128 = 1 << 64;

/// Rows are made in advance, so that a cluster that grows one by one does not begin anew with each.
const ROWS_AT_A_TIME: usize = 32;

/// The tokens of the numbers from 0 on.
#[derive(Debug, Default)]
pub(crate) struct Spread {
    rows: Vec<Box<[u64]>>,
}

/// The keys after `start`, `len` of them. The last is the token.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Interval {
    len: u64,
    /// Decides among equal lengths, so that what is cut next is not all in one part of the ring.
    lot: u64,
    start: u64,
}

impl Interval {
    fn new(start: u64, len: u64) -> Self {
        Self { len, lot: mix(start), start }
    }
}

/// What a number owns.
struct Owner {
    share: u128,
    intervals: BinaryHeap<Interval>,
}

impl Spread {
    /// The rows of at least the numbers below `count`; no more than [`MAX_ORDINAL`].
    pub(crate) fn with_rows(count: usize) -> Self {
        let count = count.next_multiple_of(ROWS_AT_A_TIME).min(MAX_ORDINAL);
        let mut owners = Vec::with_capacity(count);
        let rows = (0..count).map(|_| {
            let newcomer = if owners.is_empty() { first() } else { join(&mut owners) };
            let mut row: Vec<u64> = newcomer.intervals.iter().map(|i| i.start.wrapping_add(i.len)).collect();
            // Any first part of a row is to be spread like the whole, and rows are made owner by owner.
            row.sort_unstable_by_key(|token| mix(*token));
            owners.push(newcomer);
            row.into()
        });
        Self { rows: rows.collect() }
    }

    /// How many numbers have a row.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The tokens of a number.
    pub(crate) fn row(&self, number: usize) -> Option<&[u64]> {
        self.rows.get(number).map(|row| &**row)
    }
}

fn first() -> Owner {
    let len = (RING / TOKENS_PER_INSTANCE as u128) as u64;
    Owner { share: RING, intervals: (0..TOKENS_PER_INSTANCE as u64).map(|i| Interval::new(i * len, len)).collect() }
}

/// Takes from each owner what it has beyond its part of the ring with one more. With more owners than tokens, from those that have most.
fn join(owners: &mut [Owner]) -> Owner {
    let target = RING / (owners.len() as u128 + 1);
    let mut givers: Vec<&mut Owner> = owners.iter_mut().collect();
    givers.sort_by_key(|owner| std::cmp::Reverse(owner.share));
    givers.truncate(TOKENS_PER_INSTANCE);
    let count = givers.len();
    let held: u128 = givers.iter().map(|owner| owner.share).sum();
    let level = held.saturating_sub(target) / count as u128;
    let mut newcomer = Owner { share: 0, intervals: BinaryHeap::with_capacity(TOKENS_PER_INSTANCE) };
    for (place, giver) in givers.into_iter().enumerate() {
        let cuts = TOKENS_PER_INSTANCE / count + usize::from(place < TOKENS_PER_INSTANCE % count);
        let largest: Vec<Interval> = (0..cuts).filter_map(|_| giver.intervals.pop()).collect();
        let sum: u128 = largest.iter().map(|i| u128::from(i.len)).sum();
        let give = giver.share.saturating_sub(level);
        for Interval { start, len, .. } in largest {
            // Both parts keep at least one key; with MAX_ORDINAL rows, intervals are of some 2^44 keys.
            let part = (u128::from(len) * give / sum).clamp(1, u128::from(len) - 1) as u64;
            giver.share -= u128::from(part);
            newcomer.share += u128::from(part);
            newcomer.intervals.push(Interval::new(start, part));
            giver.intervals.push(Interval::new(start.wrapping_add(part), len - part));
        }
    }
    newcomer
}

#[cfg(test)]
mod tests {
    use super::Spread;
    use crate::token::{MAX_ORDINAL, TOKENS_PER_INSTANCE};

    /// The largest deviation from the mean among the first `count` numbers.
    fn worst(spread: &Spread, count: usize) -> f64 {
        let mut places: Vec<(u64, usize)> = (0..count).flat_map(|n| spread.row(n).unwrap().iter().map(move |token| (*token, n))).collect();
        places.sort_unstable();
        assert!(places.windows(2).all(|pair| pair[0].0 != pair[1].0), "no token twice");
        let mut shares = vec![0.0; count];
        let mut previous = places[places.len() - 1].0;
        for (token, n) in places {
            shares[n] += token.wrapping_sub(previous) as f64 / 2f64.powi(64) * count as f64;
            previous = token;
        }
        if count == 1 { 0.0 } else { shares.into_iter().map(|share| (share - 1.0).abs()).fold(0.0, f64::max) }
    }

    #[test]
    fn every_first_part_of_the_numbers_is_balanced() {
        let spread = Spread::with_rows(400);
        for count in (1..40).chain([64, 99, 100, 128, 199, 255, 256, 257, 333, 400]) {
            assert!(worst(&spread, count) < 4e-3, "{count}: {}", worst(&spread, count));
        }
    }

    #[test]
    fn rows_are_the_same_however_many_there_are_and_bounded() {
        let (few, many) = (Spread::with_rows(3), Spread::with_rows(MAX_ORDINAL + 7));
        assert_eq!(many.len(), MAX_ORDINAL);
        assert!((0..few.len()).all(|n| few.row(n) == many.row(n)));
        assert!((0..many.len()).all(|n| many.row(n).unwrap().len() == TOKENS_PER_INSTANCE));
        assert!(worst(&many, MAX_ORDINAL) < 5e-3, "{}", worst(&many, MAX_ORDINAL));
    }
}
