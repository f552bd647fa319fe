//! What may be picked at one step of one group.

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
pub(super) struct Candidates(Vec<Candidate>);

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
        let at = match self.0.last() {
            Some(last) if slots.rank_of(last.slot) > rank => self.0.partition_point(|known| slots.rank_of(known.slot) < rank),
            _ => self.0.len(),
        };
        let (before, after) = self.0.split_at_mut(at);
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
        let capacity = self.0.capacity();
        self.0.insert(at, new);
        if superfluous {
            self.0.retain(|known| {
                let stays = (known.better_before as usize) < k;
                if !stays {
                    slots.release(known.slot);
                }
                stays
            });
        }
        Outcome::Taken { grown: (self.0.capacity() - capacity) * size_of::<Candidate>() }
    }

    /// The rank of the first.
    pub(super) fn first(&self, slots: &Slots) -> Option<u32> {
        self.0.first().map(|candidate| slots.rank_of(candidate.slot))
    }

    /// All, in the order of labels.
    pub(super) fn into_vec(self) -> Vec<Candidate> {
        self.0
    }
}
