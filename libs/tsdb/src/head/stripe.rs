//! A part of a head's series, behind one lock.

use model::SeriesHash;

use super::hash_table::{HashTable, NONE};
use super::series::{Cold, Hot};

/// The stripe is told by six bits of the hash.
pub(super) const MAX_STRIPES: usize = 64;

/// Series of a page. A page is allocated at once, but for the first, which grows with a small tenant.
const PAGE: usize = 128;

/// Makes room for `more` values, and for a quarter of those that are there: doubling would leave a third of the memory of many small tenants, and of
/// one large one, unused.
pub(super) fn make_room<T>(vec: &mut Vec<T>, more: usize) {
    if vec.capacity() - vec.len() < more {
        vec.reserve_exact(more.max(vec.len() / 4).max(4));
    }
}

/// A vector in pages: growing never moves what is there, and never takes long.
#[derive(Debug)]
pub(super) struct Pages<T> {
    pages: Vec<Vec<T>>,
    len: usize,
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self { pages: Vec::new(), len: 0 }
    }
}

impl<T> Pages<T> {
    #[inline]
    pub(super) fn get(&self, slot: u32) -> Option<&T> {
        self.pages.get(slot as usize / PAGE)?.get(slot as usize % PAGE)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.pages.get_mut(slot as usize / PAGE)?.get_mut(slot as usize % PAGE)
    }

    fn push(&mut self, value: T) {
        if self.len.is_multiple_of(PAGE) {
            self.pages.push(if self.len == 0 { Vec::new() } else { Vec::with_capacity(PAGE) });
        }
        if let Some(page) = self.pages.last_mut() {
            make_room(page, 1);
            page.push(value);
        }
        self.len += 1;
    }

    fn heap_bytes(&self) -> usize {
        self.pages.capacity() * size_of::<Vec<T>>() + self.pages.iter().map(|p| p.capacity() * size_of::<T>()).sum::<usize>()
    }
}

/// A stripe.
#[derive(Debug, Default)]
pub(super) struct Stripe {
    pub(super) table: HashTable,
    pub(super) hot: Pages<Hot>,
    pub(super) cold: Pages<Cold>,
    /// Pair ids of all series, each series' in one run.
    pairs: Vec<u32>,
    /// Runs of collected series, by length.
    free_runs: Vec<Vec<u32>>,
    /// Slots of collected series.
    free_slots: Vec<u32>,
}

/// The bits of the hash that a table places by. The low half of the hash makes the ring token by its high bits, so that
/// these spread evenly also in an ingester that owns a part of the ring.
#[inline]
pub(super) fn key(hash: SeriesHash) -> u32 {
    hash.0 as u32
}

/// The stripe of a hash, of `stripes` (a power of two) many.
#[inline]
pub(super) fn stripe_of(hash: SeriesHash, stripes: usize) -> usize {
    (hash.0 >> 122) as usize & (stripes - 1)
}

impl Stripe {
    /// The slot of a series, or [`NONE`].
    pub(super) fn find(&self, hash: SeriesHash) -> u32 {
        self.table.find(key(hash), |slot| self.hot.get(slot).is_some_and(|hot| hot.is(hash)))
    }

    /// The slot of a series whose table bucket named `candidate`: one comparison unless 32 bits of two hashes are the same.
    #[inline]
    pub(super) fn settle(&self, hash: SeriesHash, candidate: u32) -> u32 {
        if candidate == NONE || self.hot.get(candidate).is_some_and(|hot| hot.is(hash)) { candidate } else { self.find(hash) }
    }

    /// Adds a series that is not there. `None` when slots from `limit` on would be needed.
    pub(super) fn insert(&mut self, hash: SeriesHash, pairs: &[u32], limit: u32) -> Option<u32> {
        let pairs_len = u16::try_from(pairs.len()).ok()?;
        let slot = match self.free_slots.last() {
            Some(slot) => *slot,
            None => u32::try_from(self.hot.len).ok().filter(|slot| *slot < limit)?,
        };
        let pairs_at = self.store_pairs(pairs)?;
        if self.free_slots.pop().is_none() {
            self.hot.push(Hot::default());
            self.cold.push(Cold::default());
        }
        if let (Some(hot), Some(cold)) = (self.hot.get_mut(slot), self.cold.get_mut(slot)) {
            *hot = Hot::new(hash);
            *cold = Cold { pairs_at, pairs_len, ..Cold::default() };
        }
        self.table.insert(key(hash), slot);
        Some(slot)
    }

    fn store_pairs(&mut self, pairs: &[u32]) -> Option<u32> {
        if let Some(at) = self.free_runs.get_mut(pairs.len()).and_then(Vec::pop) {
            self.pairs[at as usize..at as usize + pairs.len()].copy_from_slice(pairs);
            return Some(at);
        }
        let at = u32::try_from(self.pairs.len()).ok()?;
        make_room(&mut self.pairs, pairs.len());
        self.pairs.extend_from_slice(pairs);
        Some(at)
    }

    /// Removes a series and everything of it.
    pub(super) fn remove(&mut self, slot: u32) {
        let (Some(hot), Some(cold)) = (self.hot.get_mut(slot), self.cold.get_mut(slot)) else { return };
        self.table.remove(key(hot.hash()), slot);
        let len = usize::from(cold.pairs_len);
        if self.free_runs.len() <= len {
            self.free_runs.resize_with(len + 1, Vec::new);
        }
        self.free_runs[len].push(cold.pairs_at);
        *hot = Hot::default();
        *cold = Cold::default();
        self.free_slots.push(slot);
    }

    /// The pair ids of a series; empty for a free slot.
    pub(super) fn pairs_of(&self, cold: &Cold) -> &[u32] {
        let at = cold.pairs_at as usize;
        self.pairs.get(at..at + usize::from(cold.pairs_len)).unwrap_or_default()
    }

    /// One more than the highest slot in use.
    pub(super) fn slots(&self) -> u32 {
        self.hot.len as u32
    }

    /// Heap bytes of: table, hot, cold, pairs and free lists.
    pub(super) fn heap_bytes(&self) -> [usize; 4] {
        let free: usize = self.free_runs.iter().map(|v| v.capacity() * 4 + size_of::<Vec<u32>>()).sum();
        let pairs = self.pairs.capacity() * 4 + self.free_slots.capacity() * 4 + free;
        [self.table.heap_bytes(), self.hot.heap_bytes(), self.cold.heap_bytes(), pairs]
    }
}
