//! Building label sets from parts.

use super::wire::put_pair;
use super::{LabelBlock, Labels};

/// Collects labels in any order and writes the canonical block.
#[derive(Debug, Default, Clone)]
pub struct LabelsBuilder {
    pairs: Vec<(String, String)>,
}

impl LabelsBuilder {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A set to change.
    #[must_use]
    pub fn from_labels(labels: &Labels) -> Self {
        Self::from_block(labels.as_block())
    }

    /// A set to change.
    #[must_use]
    pub fn from_block(block: LabelBlock<'_>) -> Self {
        Self { pairs: block.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect() }
    }

    /// Sets a label; an empty value removes it.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        match self.pairs.iter_mut().find(|(n, _)| n == name) {
            Some(pair) => value.clone_into(&mut pair.1),
            None => self.pairs.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Removes a label.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.pairs.retain(|(n, _)| n != name);
        self
    }

    /// The value set for `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    /// The label set.
    #[must_use]
    pub fn build(mut self) -> Labels {
        self.pairs.sort_unstable();
        let mut out = Vec::new();
        for (name, value) in &self.pairs {
            if !value.is_empty() && !name.is_empty() {
                put_pair(&mut out, name.as_bytes(), value.as_bytes());
            }
        }
        Labels(out.into())
    }
}

/// Appends one label to a block under construction. The caller appends names in ascending order, each once, with non-empty
/// values, all UTF-8; [`LabelBlock::validate`] tells whether it did.
pub fn append_pair(out: &mut Vec<u8>, name: &str, value: &str) {
    put_pair(out, name.as_bytes(), value.as_bytes());
}
