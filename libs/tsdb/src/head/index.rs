//! Labels and postings of all stripes.
//!
//! A *pair* is a distinct `name="value"`; it is stored once, as it is encoded in label blocks, so that a series' block is the
//! concatenation of its pairs. Pair ids are reused only after no series has the pair.

use hashbrown::{HashMap, HashTable};
use model::labels::{LabelBlock, METRIC_NAME, read_varint};
use model::{Labels, SeriesHash};
use xxhash_rust::xxh3::xxh3_64;

use super::postings::{IdList, insert_sorted};
use super::stripe::make_room;

/// A distinct label.
#[derive(Debug)]
struct Pair {
    /// XXH3-64 of `wire`, so that the table grows without reading all labels.
    hash: u64,
    /// The label as in a label block; empty in a free entry.
    wire: Box<[u8]>,
    /// Into [`Index::names`].
    name: u32,
    /// The series that have it, ascending.
    series: IdList,
}

#[derive(Debug, Default)]
struct Name {
    text: Box<str>,
    /// Pair ids, in no order.
    pairs: Vec<u32>,
}

/// The index.
#[derive(Debug, Default)]
pub(super) struct Index {
    pairs: Vec<Pair>,
    free_pairs: Vec<u32>,
    by_wire: HashTable<u32>,
    /// A name stays when its last pair goes: names are few.
    names: Vec<Name>,
    by_name: HashMap<Box<str>, u32>,
    removals: u64,
}

/// The labels of a block as encoded. Ends early where the bytes are not a block.
pub(crate) fn wire_pairs(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = block;
    std::iter::from_fn(move || {
        let (len, at) = match rest.get(1)? {
            len if *len < 0x80 => (u64::from(*len), 1),
            _ => read_varint(rest.get(1..)?)?,
        };
        let end = usize::try_from(len).ok()?.checked_add(1 + at)?;
        let (pair, after) = rest.split_at_checked(end)?;
        rest = after;
        Some(pair)
    })
}

/// The only label of a block of one pair.
fn parse(wire: &[u8]) -> Option<(&str, &str)> {
    LabelBlock::from_validated(wire).iter().next()
}

impl Index {
    /// The id of a pair, which is added if it is new. `None` if `wire` is not a label or ids have run out.
    pub(super) fn intern(&mut self, wire: &[u8]) -> Option<u32> {
        let hash = xxh3_64(wire);
        let pairs = &self.pairs;
        if let Some(id) = self.by_wire.find(hash, |id| pairs[*id as usize].wire.as_ref() == wire) {
            return Some(*id);
        }
        let name = self.intern_name(parse(wire)?.0);
        let pair = Pair { hash, wire: wire.into(), name, series: IdList::new() };
        let id = match self.free_pairs.pop() {
            Some(id) => {
                self.pairs[id as usize] = pair;
                id
            }
            None => {
                let id = u32::try_from(self.pairs.len()).ok()?;
                make_room(&mut self.pairs, 1);
                self.pairs.push(pair);
                id
            }
        };
        let pairs = &self.pairs;
        self.by_wire.insert_unique(hash, id, |id| pairs[*id as usize].hash);
        let of_name = &mut self.names[name as usize].pairs;
        make_room(of_name, 1);
        of_name.push(id);
        Some(id)
    }

    fn intern_name(&mut self, text: &str) -> u32 {
        if let Some(id) = self.by_name.get(text) {
            return *id;
        }
        let id = self.names.len() as u32;
        self.names.push(Name { text: text.into(), pairs: Vec::new() });
        self.by_name.insert(text.into(), id);
        id
    }

    /// The text of a pair as it is encoded in label blocks, and a hash of it.
    pub(super) fn pair(&self, id: u32) -> Option<(u64, &[u8])> {
        self.pairs.get(id as usize).map(|pair| (pair.hash, &*pair.wire))
    }

    /// Adds new series to their pairs: `(pair, series)` in any order.
    pub(super) fn add_series(&mut self, entries: &mut [(u32, u32)]) {
        entries.sort_unstable();
        let mut ids = Vec::new();
        for group in entries.chunk_by(|a, b| a.0 == b.0) {
            ids.clear();
            ids.extend(group.iter().map(|(_, series)| *series));
            if let Some(pair) = group.first().and_then(|(pair, _)| self.pairs.get_mut(*pair as usize)) {
                insert_sorted(&mut pair.series, &ids);
            }
        }
    }

    /// Removes collected series from these pairs; pairs without series go.
    pub(super) fn remove_series(&mut self, pairs: &mut Vec<u32>, gone: impl Fn(u32) -> bool) {
        self.removals = self.removals.wrapping_add(1);
        pairs.sort_unstable();
        pairs.dedup();
        let mut names = Vec::new();
        for id in &*pairs {
            let Some(pair) = self.pairs.get_mut(*id as usize) else { continue };
            pair.series.retain(|series| !gone(*series));
            pair.series.shrink_to_fit();
            if pair.series.is_empty() {
                names.push(pair.name);
                self.release(*id);
            }
        }
        names.sort_unstable();
        names.dedup();
        let pairs = &self.pairs;
        for name in names {
            self.names[name as usize].pairs.retain(|id| !pairs[*id as usize].wire.is_empty());
        }
    }

    /// Frees a pair that no series has; the caller takes it out of its name. A pair that is free already stays so.
    pub(super) fn release(&mut self, id: u32) {
        let pair = &mut self.pairs[id as usize];
        if pair.wire.is_empty() {
            return;
        }
        pair.wire = Box::default();
        pair.series = IdList::new();
        if let Ok(entry) = self.by_wire.find_entry(pair.hash, |other| *other == id) {
            entry.remove();
        }
        self.free_pairs.push(id);
    }

    /// Frees those of these pairs that were interned for series that then were not made.
    pub(super) fn release_unused(&mut self, pairs: &mut Vec<u32>) {
        pairs.retain(|id| self.pairs.get(*id as usize).is_some_and(|pair| pair.series.is_empty()));
        self.remove_series(pairs, |_| false);
    }

    /// The series with a label.
    pub(super) fn series_with(&self, name: &str, value: &str) -> &[u32] {
        let mut wire = Vec::with_capacity(name.len() + value.len() + 10);
        model::labels::append_pair(&mut wire, name, value);
        let id = self.by_wire.find(xxh3_64(&wire), |id| *self.pairs[*id as usize].wire == *wire);
        id.map_or(&[], |id| &self.pairs[*id as usize].series)
    }

    /// The pairs with this name, in no order.
    pub(super) fn pairs_with_name(&self, name: &str) -> &[u32] {
        self.by_name.get(name).and_then(|id| self.names.get(*id as usize)).map_or(&[], |name| &name.pairs)
    }

    /// Whether any series has or just gets the pair; others may be given to other labels.
    pub(super) fn is_used(&self, pair: u32) -> bool {
        self.pairs.get(pair as usize).is_some_and(|p| !p.wire.is_empty())
    }

    /// The pair that is the metric name of a block, if any series has it.
    pub(super) fn metric_of(&self, block: LabelBlock<'_>) -> Option<u32> {
        let wire = wire_pairs(block.as_bytes()).find(|wire| parse(wire).is_some_and(|(name, _)| name == METRIC_NAME))?;
        self.by_wire.find(xxh3_64(wire), |id| *self.pairs[*id as usize].wire == *wire).copied()
    }

    /// The series with a pair, ascending.
    pub(super) fn series_of(&self, pair: u32) -> &[u32] {
        self.pairs.get(pair as usize).map_or(&[], |p| &p.series)
    }

    /// How often series were removed. While it is the same, every id means the same series.
    pub(super) fn removals(&self) -> u64 {
        self.removals
    }

    /// The names that any series has, in no order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().filter(|name| !name.pairs.is_empty()).map(|name| name.text.as_ref())
    }

    /// The id of a pair's name, for sets of names, and [`Index::name`] back.
    pub(super) fn name_of(&self, pair: u32) -> Option<u32> {
        self.pairs.get(pair as usize).map(|p| p.name)
    }

    /// The id of a name that any series has or had.
    pub(super) fn name_id(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    /// Whether any series has a label of this name.
    pub(super) fn has_name(&self, name: &str) -> bool {
        self.name_id(name).and_then(|id| self.names.get(id as usize)).is_some_and(|name| !name.pairs.is_empty())
    }

    pub(super) fn name(&self, id: u32) -> &str {
        self.names.get(id as usize).map_or("", |name| &name.text)
    }

    /// The value of a pair.
    pub(super) fn value_of(&self, pair: u32) -> &str {
        self.pairs.get(pair as usize).and_then(|p| parse(&p.wire)).map_or("", |(_, value)| value)
    }

    /// Writes the label block of pairs into `block` and makes it labels.
    pub(super) fn labels(&self, pairs: &[u32], block: &mut Vec<u8>) -> Labels {
        block.clear();
        for pair in pairs.iter().filter_map(|id| self.pairs.get(*id as usize)) {
            block.extend_from_slice(&pair.wire);
        }
        debug_assert!(LabelBlock::validate(block).is_ok());
        LabelBlock::from_validated(block).to_labels()
    }

    /// Distinct pairs.
    pub(super) fn pair_count(&self) -> usize {
        self.pairs.len() - self.free_pairs.len()
    }

    /// Heap bytes of: label text, structures, postings.
    pub(super) fn heap_bytes(&self) -> [usize; 3] {
        let text = self.pairs.iter().map(|p| p.wire.len()).sum::<usize>() + self.names.iter().map(|n| n.text.len() * 2).sum::<usize>();
        let names = self.names.iter().map(|n| n.pairs.capacity() * 4).sum::<usize>() + self.names.capacity() * size_of::<Name>();
        let table = self.by_wire.capacity() * 8 / 7 * 5 + self.by_name.capacity() * 8 / 7 * 25;
        let structures = self.pairs.capacity() * size_of::<Pair>() + self.free_pairs.capacity() * 4 + names + table;
        let postings = self.pairs.iter().filter(|p| p.series.spilled()).map(|p| p.series.capacity() * 4).sum();
        [text, structures, postings]
    }
}

/// Whether `block` is canonical, not empty, and has this hash: what a series is made of must be right, whoever sent it.
pub(super) fn check_block(hash: SeriesHash, block: LabelBlock<'_>) -> Result<(), model::RejectReason> {
    if block.as_bytes().is_empty() {
        return Err(model::RejectReason::MissingMetricName);
    }
    LabelBlock::validate(block.as_bytes())?;
    if block.hash() != hash { Err(model::RejectReason::LabelsNotSorted) } else { Ok(()) }
}
