//! The series that are candidates at some step, by number, and their order.

use model::Labels;

use crate::eval::series::Series;

/// A series that is a candidate at some step.
pub(super) struct Slot {
    pub(super) labels: Labels,
    pub(super) first: Option<Labels>,
    pub(super) drop_name: bool,
    /// At how many steps.
    named_by: usize,
}

/// Series by number. Ranks follow the order of labels and are given anew in each round.
#[derive(Default)]
pub(super) struct Slots {
    all: Vec<Option<Slot>>,
    /// Numbers that nobody has.
    free: Vec<u32>,
    ranks: Vec<u32>,
    /// The numbers in use, in the order of labels.
    in_order: Vec<u32>,
    /// Bytes of what has been released.
    released: usize,
}

impl Slots {
    /// Gives the series of a round, which are in order, the numbers returned, and everything its rank.
    pub(super) fn rank(&mut self, round: &[Series]) -> Vec<u32> {
        let mut numbers = Vec::with_capacity(round.len());
        let known = std::mem::take(&mut self.in_order);
        self.in_order.reserve_exact(known.len() + round.len());
        let mut known = known.into_iter().peekable();
        for series in round {
            while let Some(slot) = known.next_if(|slot| self.get(*slot).is_some_and(|slot| slot.order() <= series.order())) {
                self.in_order.push(slot);
            }
            let number = self.free.pop().unwrap_or_else(|| {
                self.all.push(None);
                (self.all.len() - 1) as u32
            });
            numbers.push(number);
            self.in_order.push(number);
        }
        self.in_order.extend(known);
        self.ranks.resize(self.all.len(), 0);
        for (rank, slot) in (0..).zip(&self.in_order) {
            self.ranks[*slot as usize] = rank;
        }
        numbers
    }

    /// Ends a round: what is no candidate is forgotten.
    pub(super) fn forget(&mut self) {
        let (all, free) = (&self.all, &mut self.free);
        self.in_order.retain(|slot| {
            let named = all.get(*slot as usize).is_some_and(Option::is_some);
            if !named {
                free.push(*slot);
            }
            named
        });
    }

    /// Keeps a series of this round if it is a candidate at some steps. Returns the bytes it takes.
    pub(super) fn keep(&mut self, number: u32, series: Series, steps: usize) -> usize {
        if steps == 0 {
            return 0;
        }
        let slot = Slot { labels: series.labels, first: series.first, drop_name: series.drop_name, named_by: steps };
        let bytes = slot.bytes();
        self.all[number as usize] = Some(slot);
        bytes
    }

    /// A series is a candidate at one step less.
    pub(super) fn release(&mut self, number: u32) {
        let Some(known) = self.all.get_mut(number as usize) else { return };
        let Some(slot) = known else { return };
        slot.named_by -= 1;
        if slot.named_by == 0 {
            self.released += slot.bytes();
            *known = None;
        }
    }

    /// The bytes released since this was asked last.
    pub(super) fn take_released(&mut self) -> usize {
        std::mem::take(&mut self.released)
    }

    /// Where a series stands in the order of labels.
    pub(super) fn rank_of(&self, number: u32) -> u32 {
        self.ranks[number as usize]
    }

    pub(super) fn get(&self, number: u32) -> Option<&Slot> {
        self.all.get(number as usize)?.as_ref()
    }

    /// One more than the highest number.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }
}

impl Slot {
    fn order(&self) -> &Labels {
        self.first.as_ref().unwrap_or(&self.labels)
    }

    fn bytes(&self) -> usize {
        size_of::<Option<Self>>()
            + 2 * size_of::<u32>()
            + self.labels.as_bytes().len()
            + self.first.as_ref().map_or(0, |l| l.as_bytes().len())
    }
}
