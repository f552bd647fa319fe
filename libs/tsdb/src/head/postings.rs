//! Sorted lists of series ids.

use smallvec::SmallVec;

/// The series of one label pair, ascending. Most pairs have few series: those need no allocation.
pub(super) type IdList = SmallVec<[u32; 4]>;

/// Adds ascending ids that are not in the list. Costs as much as what has to move: next to nothing when the ids are new and
/// high, at most the length of the list once per batch when they are reused.
pub(super) fn insert_sorted(list: &mut IdList, ids: &[u32]) {
    let old = list.len();
    if list.capacity() - old < ids.len() {
        list.reserve_exact(ids.len().max(old / 4));
    }
    list.extend_from_slice(ids);
    // Merge from the back; what is below the lowest new id is in place already.
    let (mut from, mut to) = (old, list.len());
    for id in ids.iter().rev() {
        while from > 0 && list[from - 1] > *id {
            to -= 1;
            from -= 1;
            list[to] = list[from];
        }
        to -= 1;
        list[to] = *id;
    }
}

/// Keeps those ids of `ids` (ascending) that are in `other` (ascending), or those that are not.
pub(super) fn filter_by_list(ids: &mut Vec<u32>, other: &[u32], keep_members: bool) {
    let mut rest = other;
    ids.retain(|id| {
        // Galloping: the next hit is usually near, and far when `other` is much longer.
        let mut step = 1;
        while rest.get(step).is_some_and(|v| v < id) {
            step *= 2;
        }
        let window = &rest[..rest.len().min(step + 1)];
        rest = &rest[window.partition_point(|v| v < id)..];
        (rest.first() == Some(id)) == keep_members
    });
}

/// A set of ids for unions of many lists.
#[derive(Debug, Default)]
pub(super) struct Bitmap {
    words: Vec<u64>,
}

impl Bitmap {
    pub(super) fn add(&mut self, ids: &[u32]) {
        if let Some(last) = ids.last() {
            let words = *last as usize / 64 + 1;
            if words > self.words.len() {
                self.words.resize(words, 0);
            }
        }
        for id in ids {
            self.words[*id as usize / 64] |= 1 << (id % 64);
        }
    }

    pub(super) fn contains(&self, id: u32) -> bool {
        self.words.get(id as usize / 64).is_some_and(|word| word >> (id % 64) & 1 == 1)
    }

    /// The members, ascending.
    pub(super) fn to_ids(&self) -> Vec<u32> {
        let mut ids = Vec::with_capacity(self.words.iter().map(|w| w.count_ones() as usize).sum());
        for (i, word) in self.words.iter().enumerate() {
            let mut word = *word;
            while word != 0 {
                ids.push((i * 64) as u32 + word.trailing_zeros());
                word &= word - 1;
            }
        }
        ids
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::{Bitmap, IdList, filter_by_list, insert_sorted};

    proptest! {
        #[test]
        fn lists_and_bitmaps_are_sets(
            a in proptest::collection::btree_set(0_u32..300, 0..120),
            b in proptest::collection::btree_set(0_u32..300, 0..120),
        ) {
            let vec = |s: &BTreeSet<u32>| s.iter().copied().collect::<Vec<_>>();
            let (va, vb) = (vec(&a), vec(&b));
            let mut list = IdList::from_slice(&va);
            insert_sorted(&mut list, &vec(&(&b - &a)));
            prop_assert_eq!(list.to_vec(), vec(&(&a | &b)));
            let mut both = va.clone();
            filter_by_list(&mut both, &vb, true);
            prop_assert_eq!(both, vec(&(&a & &b)));
            let mut rest = va.clone();
            filter_by_list(&mut rest, &vb, false);
            prop_assert_eq!(rest, vec(&(&a - &b)));
            let mut bitmap = Bitmap::default();
            bitmap.add(&va);
            bitmap.add(&vb);
            prop_assert_eq!(bitmap.to_ids(), vec(&(&a | &b)));
            prop_assert!((0..400).all(|id| bitmap.contains(id) == (a.contains(&id) || b.contains(&id))));
        }
    }
}
