//! From 32 bits of a series' hash to its slot: open addressing with linear probing.
//!
//! A table of our own, because an append must be able to touch a bucket ahead of using it, and because growing must not
//! visit the series: an entry carries all the hash bits that placement needs.

/// No slot.
pub(super) const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Entry {
    key: u32,
    slot: u32,
}

const EMPTY: Entry = Entry { key: 0, slot: NONE };

/// A multimap from key to slot.
#[derive(Debug, Default)]
pub(super) struct HashTable {
    /// Empty, or a power of two long and at most thirteen sixteenths full: three buckets are looked at then, of one cache line mostly.
    entries: Vec<Entry>,
    len: usize,
}

impl HashTable {
    /// Loads the bucket where `key` would be. The result says nothing; use it so that the load is not optimised away.
    #[inline]
    pub(super) fn touch(&self, key: u32) -> u32 {
        self.entries.get(self.bucket(key)).map_or(0, |e| e.slot)
    }

    #[inline]
    fn bucket(&self, key: u32) -> usize {
        key as usize & self.entries.len().wrapping_sub(1)
    }

    /// The first slot with this key, [`NONE`] if there is none. Another key's slot is never given, another series' may be.
    #[inline]
    pub(super) fn first(&self, key: u32) -> u32 {
        self.find(key, |_| true)
    }

    /// The first slot with this key that `wanted` says yes to, or [`NONE`].
    #[inline]
    pub(super) fn find(&self, key: u32, mut wanted: impl FnMut(u32) -> bool) -> u32 {
        let mut at = self.bucket(key);
        while let Some(entry) = self.entries.get(at) {
            if entry.slot == NONE || (entry.key == key && wanted(entry.slot)) {
                return entry.slot;
            }
            at = (at + 1) & (self.entries.len() - 1);
        }
        NONE
    }

    /// Adds an entry.
    pub(super) fn insert(&mut self, key: u32, slot: u32) {
        if (self.len + 1) * 16 > self.entries.len() * 13 {
            self.grow();
        }
        self.place(Entry { key, slot });
        self.len += 1;
    }

    fn place(&mut self, entry: Entry) {
        let mask = self.entries.len() - 1;
        let mut at = self.bucket(entry.key);
        while self.entries[at].slot != NONE {
            at = (at + 1) & mask;
        }
        self.entries[at] = entry;
    }

    fn grow(&mut self) {
        let capacity = (self.entries.len() * 2).max(8);
        let old = std::mem::replace(&mut self.entries, vec![EMPTY; capacity]);
        for entry in old.into_iter().filter(|e| e.slot != NONE) {
            self.place(entry);
        }
    }

    /// Removes the entry of `slot`, if it is there, and moves later ones of its run back.
    pub(super) fn remove(&mut self, key: u32, slot: u32) {
        if self.entries.is_empty() {
            return;
        }
        let mask = self.entries.len() - 1;
        let mut hole = self.bucket(key);
        while (self.entries[hole].key, self.entries[hole].slot) != (key, slot) {
            if self.entries[hole].slot == NONE {
                return;
            }
            hole = (hole + 1) & mask;
        }
        self.len -= 1;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let entry = self.entries[at];
            if entry.slot == NONE {
                break;
            }
            // An entry may move into the hole unless its own bucket lies behind the hole.
            let from_home = at.wrapping_sub(self.bucket(entry.key)) & mask;
            let from_hole = at.wrapping_sub(hole) & mask;
            if from_home >= from_hole {
                self.entries[hole] = entry;
                hole = at;
            }
        }
        self.entries[hole] = EMPTY;
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::{HashTable, NONE};

    proptest! {
        #[test]
        fn behaves_as_a_set(ops in proptest::collection::vec((any::<bool>(), 0_u32..24, 0_u32..40), 0..400)) {
            let mut table = HashTable::default();
            let mut model = BTreeSet::new();
            for (add, key, slot) in ops {
                // Few distinct keys near the end of the table, so that runs collide and wrap around.
                let key = key.wrapping_sub(4);
                if add {
                    if model.insert((key, slot)) {
                        table.insert(key, slot);
                    }
                } else if model.remove(&(key, slot)) {
                    table.remove(key, slot);
                }
                for slot in 0..40 {
                    prop_assert_eq!(table.find(key, |s| s == slot) != NONE, model.contains(&(key, slot)));
                }
            }
            prop_assert_eq!(table.len, model.len());
        }
    }
}
