//! Finding series by their labels, or by some of them.

use std::hash::{BuildHasherDefault, Hasher};

use hashbrown::HashMap;
use model::labels::{METRIC_NAME, append_pair};
use model::{LabelBlock, Labels, SeriesHash};

/// Labels that say what a metric is; they go when a function makes it another quantity.
pub(super) fn is_metadata_label(name: &str) -> bool {
    matches!(name, METRIC_NAME | "__type__" | "__unit__")
}

/// The set without `__name__`, `__type__` and `__unit__`.
pub(super) fn without_metadata(labels: &Labels) -> Labels {
    labels.without(is_metadata_label)
}

/// Hashes a [`SeriesHash`] to itself: it is already one.
#[derive(Default)]
pub(super) struct SeriesHasher(u64);

impl Hasher for SeriesHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, n: u128) {
        self.0 = n as u64;
    }
}

/// A map by label set.
pub(super) type SeriesMap<V> = HashMap<SeriesHash, V, BuildHasherDefault<SeriesHasher>>;

/// Some of the labels of a series: what `by`, `without`, `on` and `ignoring` name.
#[derive(Debug, Clone)]
pub(super) struct LabelSubset {
    /// Sorted, each once.
    names: Vec<String>,
    keep: bool,
    scratch: Vec<u8>,
}

impl LabelSubset {
    /// Only these labels: `by`, `on`.
    pub(super) fn only(names: &[String]) -> Self {
        Self::new(names, true)
    }

    /// All but these labels and the metric name: `without`, `ignoring`.
    pub(super) fn all_but(names: &[String]) -> Self {
        let mut with_name = names.to_vec();
        with_name.push(METRIC_NAME.to_owned());
        Self::new(&with_name, false)
    }

    /// All but exactly these.
    pub(super) fn all_but_exactly(names: &[String]) -> Self {
        Self::new(names, false)
    }

    fn new(names: &[String], keep: bool) -> Self {
        let mut names = names.to_vec();
        names.sort_unstable();
        names.dedup();
        Self { names, keep, scratch: Vec::new() }
    }

    /// The subset's identity.
    pub(super) fn hash(&mut self, labels: &Labels) -> SeriesHash {
        self.fill(labels);
        SeriesHash::of(&self.scratch)
    }

    /// The subset.
    pub(super) fn of(&mut self, labels: &Labels) -> Labels {
        self.fill(labels);
        LabelBlock::from_validated(&self.scratch).to_labels()
    }

    fn fill(&mut self, labels: &Labels) {
        self.scratch.clear();
        if self.keep {
            for name in &self.names {
                if let Some(value) = labels.get(name) {
                    append_pair(&mut self.scratch, name, value);
                }
            }
            return;
        }
        let mut dropped = self.names.iter().map(String::as_str).peekable();
        for (name, value) in labels.iter() {
            while dropped.next_if(|d| *d < name).is_some() {}
            if dropped.peek().is_none_or(|d| *d != name) {
                append_pair(&mut self.scratch, name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subsets() {
        let labels = Labels::from_pairs([("__name__", "m"), ("a", "1"), ("b", "2"), ("c", "3")]);
        let names = |n: &[&str]| n.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        assert_eq!(LabelSubset::only(&names(&["c", "a", "x", "a"])).of(&labels).to_string(), r#"{a="1", c="3"}"#);
        assert_eq!(LabelSubset::all_but(&names(&["b", "aa"])).of(&labels).to_string(), r#"{a="1", c="3"}"#);
        assert_eq!(LabelSubset::all_but_exactly(&names(&["c"])).of(&labels).to_string(), r#"{__name__="m", a="1", b="2"}"#);
        let mut by = LabelSubset::only(&names(&["a"]));
        assert_eq!(by.hash(&labels), by.of(&labels).hash());
    }
}
