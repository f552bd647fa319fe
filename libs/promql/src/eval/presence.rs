//! At which steps there is a value, as bits.

use smallvec::SmallVec;

use super::column::{StepVector, is_absent};

/// A set of steps. Up to 128 steps take no allocation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Presence {
    words: SmallVec<[u64; 2]>,
}

impl Presence {
    /// The empty set over so many steps.
    pub(super) fn empty(steps: usize) -> Self {
        Self { words: SmallVec::from_elem(0, steps.div_ceil(64)) }
    }

    /// The steps at which a column has a value.
    pub(super) fn of(column: &StepVector) -> Self {
        let mut words: SmallVec<[u64; 2]> = column
            .values
            .chunks(64)
            .map(|chunk| chunk.iter().enumerate().fold(0, |word, (bit, v)| word | (u64::from(!is_absent(*v)) << bit)))
            .collect();
        for (step, _) in column.histograms() {
            if let Some(word) = words.get_mut(*step as usize / 64) {
                *word |= 1 << (step % 64);
            }
        }
        Self { words }
    }

    pub(super) fn insert(&mut self, step: usize) {
        if let Some(word) = self.words.get_mut(step / 64) {
            *word |= 1 << (step % 64);
        }
    }

    pub(super) fn contains(&self, step: usize) -> bool {
        self.words.get(step / 64).is_some_and(|word| word >> (step % 64) & 1 == 1)
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(a, b)| a & b != 0)
    }

    /// The first common step.
    pub(super) fn first_common(&self, other: &Self) -> Option<usize> {
        let common = self.words.iter().zip(&other.words).map(|(a, b)| a & b).enumerate().find(|(_, word)| *word != 0)?;
        Some(common.0 * 64 + common.1.trailing_zeros() as usize)
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (a, b) in self.words.iter_mut().zip(&other.words) {
            *a |= b;
        }
    }

    /// Adds the common steps of two sets.
    pub(super) fn add_common(&mut self, a: &Self, b: &Self) {
        let common = a.words.iter().zip(&b.words).map(|(a, b)| a & b);
        if self.words.is_empty() {
            self.words = common.collect();
        } else {
            self.words.iter_mut().zip(common).for_each(|(mine, common)| *mine |= common);
        }
    }

    /// The first step.
    pub(super) fn first(&self) -> Option<usize> {
        self.first_common(self)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Bytes outside of the value itself.
    pub(super) fn heap_bytes(&self) -> usize {
        if self.words.spilled() { self.words.len() * 8 } else { 0 }
    }
}
