//! Label sets in one canonical byte form.
//!
//! A *label block* is the concatenation, for each label in ascending order of its name, of
//!
//! ```text
//! 0x0A  varint(pair length)  0x0A varint(name length) name  0x12 varint(value length) value
//! ```
//!
//! with minimal varints, unique non-empty names, non-empty values, all valid UTF-8. That is, to the byte, the encoding of
//! `repeated Label labels = 1` in a remote-write 1.0 `TimeSeries`, so a well-behaved sender's block is hashed and stored
//! without being taken apart; every other source is brought into this form once, at the door ([`LabelsBuilder`]).
//!
//! [`LabelBlock`] borrows a block, [`Labels`] owns one. Both are canonical by construction.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::hash::SeriesHash;
use crate::rejection::RejectReason;

mod builder;
mod wire;

pub use builder::{LabelsBuilder, append_pair};
pub use wire::read_varint;

/// The label that holds the metric name.
pub const METRIC_NAME: &str = "__name__";

/// A borrowed canonical label block.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LabelBlock<'a>(&'a [u8]);

impl<'a> LabelBlock<'a> {
    /// Checks that `bytes` are a canonical block. The error says what is wrong first; [`RejectReason::LabelsNotSorted`] also
    /// stands for encodings that are valid protobuf but not canonical, which [`LabelsBuilder`] can put in order.
    pub fn validate(bytes: &'a [u8]) -> Result<Self, RejectReason> {
        wire::validate(bytes)?;
        Ok(Self(bytes))
    }

    /// Takes `bytes` that were validated before, for example because their hash is known or because our own code wrote
    /// them. Bytes that are not canonical yield a block whose iteration ends early; nothing worse.
    #[inline]
    #[must_use]
    pub fn from_validated(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The block's bytes.
    #[inline]
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The series' identity.
    #[must_use]
    pub fn hash(self) -> SeriesHash {
        SeriesHash::of(self.0)
    }

    /// The labels, ascending by name.
    #[inline]
    #[must_use]
    pub fn iter(self) -> LabelIter<'a> {
        LabelIter { rest: self.0 }
    }

    /// The value of `name`, if the label is there.
    #[must_use]
    pub fn get(self, name: &str) -> Option<&'a str> {
        let mut rest = self.0;
        while let Some((n, v, next)) = wire::next_pair(rest) {
            if n == name.as_bytes() {
                return std::str::from_utf8(v).ok();
            }
            if n > name.as_bytes() {
                return None;
            }
            rest = next;
        }
        None
    }

    /// An owned copy.
    #[must_use]
    pub fn to_labels(self) -> Labels {
        Labels(self.0.into())
    }
}

impl fmt::Debug for LabelBlock<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_selector(self.iter(), f)
    }
}

/// Iterator over the labels of a block.
#[derive(Clone)]
pub struct LabelIter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for LabelIter<'a> {
    type Item = (&'a str, &'a str);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (name, value, rest) = wire::next_pair(self.rest)?;
        self.rest = rest;
        Some((std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?))
    }
}

/// An owned label set. Cloning is a reference count; the empty set is allowed (results of aggregations).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels(Arc<[u8]>);

impl Labels {
    /// The set without labels.
    #[must_use]
    pub fn empty() -> Self {
        Self(Arc::from([]))
    }

    /// A set of the given labels in any order; labels with empty values are left out, as Prometheus does, and of labels
    /// with the same name the last wins. For expressions, tests and rules; the write path uses [`LabelsBuilder`].
    #[must_use]
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut builder = LabelsBuilder::new();
        for (name, value) in pairs {
            builder.set(name.as_ref(), value.as_ref());
        }
        builder.build()
    }

    /// The bytes of the canonical block.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same set, borrowed.
    #[inline]
    #[must_use]
    pub fn as_block(&self) -> LabelBlock<'_> {
        LabelBlock(&self.0)
    }

    /// The labels, ascending by name.
    #[inline]
    #[must_use]
    pub fn iter(&self) -> LabelIter<'_> {
        self.as_block().iter()
    }

    /// The value of `name`, if the label is there.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.as_block().get(name)
    }

    /// Whether the set has no label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of labels; linear.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// The series' identity.
    #[must_use]
    pub fn hash(&self) -> SeriesHash {
        SeriesHash::of(&self.0)
    }

    /// The set without the labels for which `drop` says so.
    #[must_use]
    pub fn without(&self, mut drop: impl FnMut(&str) -> bool) -> Self {
        wire::filter(&self.0, |name| !drop(name)).map_or_else(|| self.clone(), |bytes| Self(bytes.into()))
    }

    /// The set of only the labels for which `keep` says so.
    #[must_use]
    pub fn keeping(&self, keep: impl FnMut(&str) -> bool) -> Self {
        wire::filter(&self.0, keep).map_or_else(|| self.clone(), |bytes| Self(bytes.into()))
    }
}

impl From<LabelBlock<'_>> for Labels {
    fn from(block: LabelBlock<'_>) -> Self {
        block.to_labels()
    }
}

/// Prometheus's order (`labels.Compare`): label by label, name before value; a prefix sorts first.
impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// As Prometheus prints a series: `{a="b", c="d"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_selector(self.iter(), f)
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_selector(self.iter(), f)
    }
}

fn fmt_selector(labels: LabelIter<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("{")?;
    for (i, (name, value)) in labels.enumerate() {
        let comma = if i == 0 { "" } else { ", " };
        if is_legacy_label_name(name) {
            write!(f, "{comma}{name}={value:?}")?;
        } else {
            write!(f, "{comma}{name:?}={value:?}")?;
        }
    }
    f.write_str("}")
}

/// Whether `name` is a label name that needs no quotes: `[a-zA-Z_][a-zA-Z0-9_]*`.
#[must_use]
pub fn is_legacy_label_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_') && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
}

/// Whether `name` is a metric name that needs no quotes: a label name that may also hold colons.
#[must_use]
pub fn is_legacy_metric_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let letter = |b: &u8| b.is_ascii_alphabetic() || *b == b'_' || *b == b':';
    bytes.first().is_some_and(letter) && bytes.iter().all(|b| letter(b) || b.is_ascii_digit())
}

#[cfg(test)]
mod tests;
