//! Series in label order, without their labels in memory.
//!
//! A series is a list of pair ids in order of names. Pairs are ranked by name and value, once; then series compare by their lists of ranks. In memory
//! are four bytes for each label of each series, and the text of the values of one label name at a time.

use hashbrown::HashMap;

use super::Head;

/// Series or pairs that are looked at under one hold of a lock.
const BATCH: usize = 1024;

/// Ids of series, each with its run of pair ids (later ranks) in one arena.
#[derive(Default)]
struct Keys {
    ids: Vec<u32>,
    ends: Vec<usize>,
    arena: Vec<u32>,
}

impl Keys {
    fn key(&self, n: u32) -> &[u32] {
        let n = n as usize;
        let start = n.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.ends.get(n).and_then(|end| self.arena.get(start..*end)).unwrap_or_default()
    }

    fn into_order(self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.ids.len() as u32).collect();
        order.sort_unstable_by(|a, b| self.key(*a).cmp(self.key(*b)));
        order.into_iter().filter_map(|n| self.ids.get(n as usize).copied()).collect()
    }
}

/// See [`Head::sealed_in_label_order`]. No series of the result may be collected meanwhile: its pair ids would be given to others.
pub(super) fn sealed_in_label_order(head: &Head, min_t: i64, max_t: i64) -> Vec<u32> {
    let mut keys = Keys::default();
    for (number, stripe) in head.stripes.iter().enumerate() {
        let mut from = 0;
        loop {
            let stripe = stripe.read();
            let to = stripe.slots().min(from + BATCH as u32);
            if from >= to {
                break;
            }
            for slot in from..to {
                let Some(cold) = stripe.cold.get(slot) else { continue };
                if cold.finished().any(|c| c.is_sealed() && c.overlaps(min_t, max_t)) {
                    keys.ids.push(slot * head.stripes.len() as u32 + number as u32);
                    keys.arena.extend_from_slice(stripe.pairs_of(cold));
                    keys.ends.push(keys.arena.len());
                }
            }
            from = to;
        }
    }
    let ranks = ranks(head, &keys.arena);
    for pair in &mut keys.arena {
        *pair = ranks.get(*pair as usize).copied().unwrap_or_default();
    }
    keys.into_order()
}

/// The rank of each of these pairs, by pair id; zero for others.
fn ranks(head: &Head, pairs: &[u32]) -> Vec<u32> {
    let mut ranks = vec![0; pairs.iter().max().map_or(0, |last| *last as usize + 1)];
    for pair in pairs {
        if let Some(used) = ranks.get_mut(*pair as usize) {
            *used = 1;
        }
    }
    let used: Vec<u32> = (0..).zip(&ranks).filter(|(_, used)| **used == 1).map(|(pair, _)| pair).collect();
    let mut by_name = pairs_by_name(head, &used);
    let mut rank = 0;
    let mut texts = Texts::default();
    for (_, pairs) in &mut by_name {
        texts.read(head, pairs);
        for pair in texts.in_order() {
            if let Some(slot) = ranks.get_mut(pair as usize) {
                *slot = rank;
            }
            rank += 1;
        }
    }
    ranks
}

/// The pairs of each name, in order of names.
fn pairs_by_name(head: &Head, used: &[u32]) -> Vec<(String, Vec<u32>)> {
    let mut groups: HashMap<u32, Vec<u32>> = HashMap::new();
    for pairs in used.chunks(BATCH) {
        let index = head.index.read();
        for pair in pairs {
            groups.entry(index.name_of(*pair).unwrap_or_default()).or_default().push(*pair);
        }
    }
    let index = head.index.read();
    let mut by_name: Vec<_> = groups.into_iter().map(|(name, pairs)| (index.name(name).to_owned(), pairs)).collect();
    drop(index);
    by_name.sort_unstable();
    by_name
}

/// The values of one name.
#[derive(Default)]
struct Texts {
    bytes: Vec<u8>,
    /// Where a value ends, and its pair.
    values: Vec<(usize, u32)>,
}

impl Texts {
    fn read(&mut self, head: &Head, pairs: &[u32]) {
        self.bytes.clear();
        self.values.clear();
        for pairs in pairs.chunks(BATCH) {
            let index = head.index.read();
            for pair in pairs {
                self.bytes.extend_from_slice(index.value_of(*pair).as_bytes());
                self.values.push((self.bytes.len(), *pair));
            }
        }
    }

    fn in_order(&self) -> impl Iterator<Item = u32> {
        let mut start = 0;
        let mut sorted: Vec<(&[u8], u32)> = Vec::with_capacity(self.values.len());
        for (end, pair) in &self.values {
            sorted.push((self.bytes.get(start..*end).unwrap_or_default(), *pair));
            start = *end;
        }
        sorted.sort_unstable();
        sorted.into_iter().map(|(_, pair)| pair)
    }
}
