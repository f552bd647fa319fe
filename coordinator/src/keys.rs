//! Small values by name, each changed only by who knows its last version. Pure and deterministic, a part of [`crate::machine::State`].
//!
//! Every change takes the next number of one counter, so that a follower can say up to where it knows everything. A removed key is remembered
//! for a while, for followers that are behind; who is further behind is sent everything anew.

use std::collections::BTreeMap;

use rpc::keys::{MAX_KEY_BYTES, MAX_VALUE_BYTES};
use rpc::{KeyEntry, KeysUpdate, Swap, Swapped};
use serde::{Deserialize, Serialize};

/// Keys at a time.
pub const MAX_KEYS: usize = 20_000;
/// Bytes of all names and values.
pub const MAX_TOTAL_BYTES: usize = 4 << 20;
/// Removed keys that are remembered.
const MAX_REMOVED: usize = 1_000;

/// All keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    entries: BTreeMap<String, KeyEntry>,
    by_version: BTreeMap<u64, String>,
    bytes: usize,
    live: usize,
}

/// The counters of the keys, a part of the state's head.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// The last version given out.
    pub last: u64,
    /// Removals up to here are forgotten.
    pub forgotten: u64,
}

impl Keys {
    /// Puts keys together from their rows.
    #[must_use]
    pub fn of(rows: impl IntoIterator<Item = (String, KeyEntry)>) -> Self {
        let mut keys = Self::default();
        for (key, entry) in rows {
            keys.put(key, entry);
        }
        keys
    }

    /// What is known of a key, also that it was removed.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&KeyEntry> {
        self.entries.get(key)
    }

    /// All keys, removed ones among them, by name.
    pub fn rows(&self) -> impl Iterator<Item = (&String, &KeyEntry)> {
        self.entries.iter()
    }

    /// Applies one change; the names of the rows that changed or went are added to `touched`.
    pub fn swap(&mut self, swap: Swap, counters: &mut Counters, touched: &mut Vec<String>) -> Swapped {
        let there = self.entries.get(&swap.key).filter(|entry| entry.value.is_some());
        if there.map_or(0, |entry| entry.version) != swap.expected {
            return Swapped::Conflict { current: there.cloned().unwrap_or_default() };
        }
        let before = there.map_or(0, |entry| weight(&swap.key, entry));
        if swap.value.is_none() && before == 0 {
            return Swapped::Done { version: 0 };
        }
        let entry = KeyEntry { version: counters.last + 1, value: swap.value };
        if entry.value.is_some() {
            let full = before == 0 && self.live >= MAX_KEYS;
            let heavier = self.bytes - before + weight(&swap.key, &entry) > MAX_TOTAL_BYTES;
            if full || heavier || swap.key.len() > MAX_KEY_BYTES || entry.value.as_ref().is_some_and(|v| v.len() > MAX_VALUE_BYTES) {
                return Swapped::Full;
            }
        }
        counters.last += 1;
        touched.push(swap.key.clone());
        self.put(swap.key, entry);
        self.forget_removed(counters, touched);
        Swapped::Done { version: counters.last }
    }

    /// What a follower of the keys with this prefix needs that knows everything up to `known`; 0 knows nothing.
    #[must_use]
    pub fn since(&self, known: u64, prefix: &str, counters: Counters) -> KeysUpdate {
        let reset = known == 0 || known < counters.forgotten || known > counters.last;
        let from = if reset { 0 } else { known + 1 };
        let changed = self.by_version.range(from..).filter(|(_, key)| key.starts_with(prefix));
        let entries = changed.filter_map(|(_, key)| self.entries.get(key).map(|entry| (key.clone(), entry.clone())));
        // Who begins anew need not hear of what is not there.
        let entries = entries.filter(|(_, entry)| !reset || entry.value.is_some()).collect();
        KeysUpdate { reset, version: counters.last, entries }
    }

    fn put(&mut self, key: String, entry: KeyEntry) {
        if let Some(old) = self.take(&key) {
            self.by_version.remove(&old.version);
        }
        self.bytes += weight(&key, &entry);
        self.live += usize::from(entry.value.is_some());
        self.by_version.insert(entry.version, key.clone());
        self.entries.insert(key, entry);
    }

    fn take(&mut self, key: &str) -> Option<KeyEntry> {
        let old = self.entries.remove(key)?;
        self.bytes -= weight(key, &old);
        self.live -= usize::from(old.value.is_some());
        Some(old)
    }

    fn forget_removed(&mut self, counters: &mut Counters, touched: &mut Vec<String>) {
        while self.entries.len() - self.live > MAX_REMOVED {
            let removed = |key: &String| self.entries.get(key).is_some_and(|entry| entry.value.is_none());
            let Some((version, key)) = self.by_version.iter().find(|(_, key)| removed(key)).map(|(v, key)| (*v, key.clone())) else {
                return;
            };
            self.by_version.remove(&version);
            self.take(&key);
            counters.forgotten = counters.forgotten.max(version);
            touched.push(key);
        }
    }
}

/// Bytes that count; a removed key weighs nothing, for there are few of them.
fn weight(key: &str, entry: &KeyEntry) -> usize {
    entry.value.as_ref().map_or(0, |value| key.len() + value.len())
}

#[cfg(test)]
mod tests;
