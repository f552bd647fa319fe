//! Series that were found canonical and within their tenant's limits before.
//!
//! The label block of a series is the same from scrape to scrape, so its hash tells whether it was checked. The cache is a set of 64-bit
//! tags in sets of eight, one cache line each: a probe is one cache miss, takes no lock, and an insertion allocates nothing. A tag mixes the
//! 128-bit hash of the block with a key made of the tenant, its label limits and a secret of this process, so that changed limits or another
//! tenant never find an old verdict, and no tenant can aim at another one's tags. A block that was never checked is taken for a known
//! one with a probability below 2⁻⁶⁰ per block; the consequence would be one series with labels as its sender wrote them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use limits::Limits;
use model::{SeriesHash, TenantId};
use parking_lot::{Mutex, RwLock};
use xxhash_rust::xxh3::xxh3_128_with_seed;

const WAYS: usize = 8;

/// Sets of an empty cache: 8,192 series in 64 KiB.
const FIRST_SETS: usize = 1 << 10;

/// One cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Set([AtomicU64; WAYS]);

/// What a verdict depends on besides the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerdictKey {
    low: u64,
    high: u64,
}

impl VerdictKey {
    /// The cache's tag of a block. 0 stands for an empty slot: the one block in 2⁶⁴ that has it is checked every time.
    #[inline]
    fn tag(self, hash: SeriesHash) -> u64 {
        let low = hash.0 as u64 ^ self.low;
        let high = (hash.0 >> 64) as u64 ^ self.high;
        low.wrapping_add(high.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

/// The cache. Begins small and doubles while it is more than half full, up to its capacity; then new tags replace old ones.
#[derive(Debug)]
pub struct KnownSeries {
    table: RwLock<Arc<Table>>,
    /// Held by who makes a larger table; taken before `table` is written.
    growing: Mutex<()>,
    max_sets: usize,
    secret: u64,
}

impl KnownSeries {
    /// A cache of at most `capacity` series (8 bytes each, rounded up to a power of two). `secret` is any number that senders cannot know.
    #[must_use]
    pub fn new(capacity: usize, secret: u64) -> Self {
        let max_sets = capacity.div_ceil(WAYS).next_power_of_two();
        let first = Table::new(max_sets.min(FIRST_SETS));
        Self { table: RwLock::new(Arc::new(first)), growing: Mutex::new(()), max_sets, secret }
    }

    /// The key of a tenant under its present limits.
    #[must_use]
    pub fn key(&self, tenant: &TenantId, limits: &Limits) -> VerdictKey {
        let mut bytes = Vec::with_capacity(192);
        for limit in [limits.max_label_names_per_series, limits.max_label_name_length, limits.max_label_value_length] {
            bytes.extend_from_slice(&(limit as u64).to_le_bytes());
        }
        bytes.extend_from_slice(tenant.as_str().as_bytes());
        let hash = xxh3_128_with_seed(&bytes, self.secret);
        VerdictKey { low: hash as u64, high: (hash >> 64) as u64 }
    }

    /// The table for the length of one request.
    #[must_use]
    pub fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.read())
    }

    /// Doubles the table if it is crowded. Called between requests. One caller copies while the others go on with the old table; an
    /// insertion that happens meanwhile may be lost, which costs one check.
    pub fn make_room(&self) {
        if !self.is_crowded(&self.table.read()) {
            return;
        }
        let Some(_growing) = self.growing.try_lock() else { return };
        // Only who holds the other lock replaces the table.
        let table = self.table();
        if self.is_crowded(&table) {
            let doubled = Arc::new(table.doubled());
            *self.table.write() = doubled;
        }
    }

    fn is_crowded(&self, table: &Table) -> bool {
        table.sets.len() < self.max_sets && table.filled.load(Ordering::Relaxed) > table.sets.len() * WAYS / 2
    }
}

/// The tags.
#[derive(Debug)]
pub struct Table {
    /// A power of two of them.
    sets: Box<[Set]>,
    filled: AtomicUsize,
}

impl Table {
    fn new(sets: usize) -> Self {
        Self { sets: (0..sets).map(|_| Set::default()).collect(), filled: AtomicUsize::new(0) }
    }

    #[inline]
    fn set(&self, tag: u64) -> Option<&Set> {
        self.sets.get(tag as usize & (self.sets.len() - 1))
    }

    /// Whether the block of this hash was found good under this key.
    #[inline]
    #[must_use]
    pub fn contains(&self, key: VerdictKey, hash: SeriesHash) -> bool {
        let tag = key.tag(hash);
        tag != 0 && self.set(tag).is_some_and(|set| set.0.iter().any(|slot| slot.load(Ordering::Relaxed) == tag))
    }

    /// Remembers a good block.
    pub fn insert(&self, key: VerdictKey, hash: SeriesHash) {
        self.insert_tag(key.tag(hash));
    }

    fn insert_tag(&self, tag: u64) {
        let Some(set) = self.set(tag) else { return };
        if set.0.iter().any(|slot| slot.load(Ordering::Relaxed) == tag) {
            return;
        }
        for slot in &set.0 {
            if slot.compare_exchange(0, tag, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                self.filled.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
        // The set is full: the tag's top bits, which do not choose the set, choose the victim.
        if let Some(victim) = set.0.get((tag >> 61) as usize) {
            victim.store(tag, Ordering::Relaxed);
        }
    }

    fn doubled(&self) -> Self {
        let next = Self::new(self.sets.len() * 2);
        for slot in self.sets.iter().flat_map(|set| &set.0) {
            match slot.load(Ordering::Relaxed) {
                0 => {}
                tag => next.insert_tag(tag),
            }
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use limits::Limits;
    use model::{SeriesHash, TenantId};

    use super::KnownSeries;

    fn hashes(n: u32) -> impl Iterator<Item = SeriesHash> {
        (0..n).map(|i| SeriesHash::of(&i.to_le_bytes()))
    }

    #[test]
    fn verdicts_belong_to_a_tenant_and_its_limits() {
        let known = KnownSeries::new(1 << 12, 7);
        let (a, b) = (TenantId::new("a").unwrap(), TenantId::new("b").unwrap());
        let limits = Limits::default();
        let tighter = Limits { max_label_value_length: 10, ..limits.clone() };
        let hash = SeriesHash::of(b"x");
        let table = known.table();
        table.insert(known.key(&a, &limits), hash);
        assert!(table.contains(known.key(&a, &limits), hash));
        assert!(!table.contains(known.key(&a, &tighter), hash));
        assert!(!table.contains(known.key(&b, &limits), hash));
        assert!(!table.contains(known.key(&a, &limits), SeriesHash::of(b"y")));
    }

    #[test]
    fn grows_to_its_capacity_and_no_further() {
        let known = KnownSeries::new(1 << 16, 1);
        let key = known.key(&TenantId::anonymous(), &Limits::default());
        for hash in hashes(200_000) {
            known.table().insert(key, hash);
            known.make_room();
        }
        let table = known.table();
        assert_eq!(table.sets.len() * 8, 1 << 16);
        // Full: the latest tags replaced earlier ones.
        let held = hashes(200_000).filter(|h| table.contains(key, *h)).count();
        assert!((60_000..=65_536).contains(&held), "{held}");
    }

    #[test]
    fn keeps_almost_all_while_it_may_grow() {
        let known = KnownSeries::new(1 << 20, 1);
        let key = known.key(&TenantId::anonymous(), &Limits::default());
        for hash in hashes(100_000) {
            known.table().insert(key, hash);
            known.make_room();
        }
        let table = known.table();
        let held = hashes(100_000).filter(|h| table.contains(key, *h)).count();
        assert!(held > 98_000, "{held}");
    }
}
