//! What may be picked at one step of one group.

use std::cmp::Ordering;
use std::sync::Arc;

use model::FloatHistogram;

use super::heap::displaces;
use super::slots::Slots;
use crate::parser::ast::AggregateOp;

/// A series at one step.
pub(super) struct Candidate {
    pub(super) value: f64,
    pub(super) histogram: Option<Arc<FloatHistogram>>,
    pub(super) slot: u32,
    /// How many series before it are at least as good; below k.
    pub(super) better_before: u32,
}

/// Those that the heap of this step would take, in the order of labels.
#[derive(Default)]
pub(super) struct Candidates {
    all: Vec<Candidate>,
    /// A value that k of them are at least as good as: what comes after all of them and is no better is refused at a glance.
    bar: Option<f64>,
    /// How many were taken since the bar was set; it may only be too low.
    since: u32,
}

/// What came of an offer.
pub(super) enum Outcome {
    Refused,
    /// By how many bytes the candidates grew.
    Taken {
        grown: usize,
    },
}

impl Candidates {
    /// Takes a candidate that the heap would take, and drops those that it no longer would.
    pub(super) fn offer(&mut self, op: AggregateOp, k: usize, mut new: Candidate, slots: &mut Slots) -> Outcome {
        let rank = slots.rank_of(new.slot);
        // Of series that come in order, each is the last.
        let at = match self.all.last() {
            Some(last) if slots.rank_of(last.slot) > rank => self.all.partition_point(|known| slots.rank_of(known.slot) < rank),
            _ => self.all.len(),
        };
        if at == self.all.len() && self.bar.is_some_and(|bar| !displaces(op, new.value, bar)) {
            return Outcome::Refused;
        }
        let (before, after) = self.all.split_at_mut(at);
        for known in before {
            new.better_before += u32::from(!displaces(op, new.value, known.value));
            if new.better_before as usize >= k {
                return Outcome::Refused;
            }
        }
        let mut superfluous = false;
        for known in after {
            known.better_before += u32::from(!displaces(op, known.value, new.value));
            superfluous |= known.better_before as usize >= k;
        }
        let capacity = self.all.capacity();
        self.all.insert(at, new);
        if superfluous {
            self.all.retain(|known| {
                let stays = (known.better_before as usize) < k;
                if !stays {
                    slots.release(known.slot);
                }
                stays
            });
        }
        self.raise_bar(op, k);
        Outcome::Taken { grown: (self.all.capacity() - capacity) * size_of::<Candidate>() }
    }

    /// Sets the bar to the k-th best; now and then only if there are many.
    fn raise_bar(&mut self, op: AggregateOp, k: usize) {
        self.since += 1;
        if self.all.len() < k || (self.bar.is_some() && (self.since as usize) < self.all.len() / 16) {
            return;
        }
        let mut values: Vec<f64> = self.all.iter().map(|known| known.value).collect();
        let (_, bar, _) = values.select_nth_unstable_by(k - 1, |a, b| match (displaces(op, *a, *b), displaces(op, *b, *a)) {
            (true, _) => Ordering::Less,
            (_, true) => Ordering::Greater,
            _ => Ordering::Equal,
        });
        self.bar = Some(*bar);
        self.since = 0;
    }

    /// The rank of the first.
    pub(super) fn first(&self, slots: &Slots) -> Option<u32> {
        self.all.first().map(|candidate| slots.rank_of(candidate.slot))
    }

    /// All, in the order of labels.
    pub(super) fn into_vec(self) -> Vec<Candidate> {
        self.all
    }
}
