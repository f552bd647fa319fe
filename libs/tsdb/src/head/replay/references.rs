//! What the references of the log mean.

use hashbrown::HashMap;

use crate::wal::Generation;

/// A series that was defined.
#[derive(Debug, Clone, Copy)]
pub(super) struct Defined {
    pub(super) id: u32,
    /// Distinguishes it from another series that gets the id after it was collected.
    pub(super) hash: u64,
}

/// An id that no series has, and one that another worker replays.
pub(super) const UNDEFINED: Defined = Defined { id: u32::MAX, hash: 0 };
pub(super) const OTHERS: Defined = Defined { id: u32::MAX, hash: 1 };

/// References in a page: few, because a process may replay many tenants of few series.
pub(super) const PAGE: u32 = 64;

/// What references mean, by generation: records of the generation before may come a little late.
#[derive(Debug, Default)]
pub(super) struct References {
    generations: Vec<(Generation, Pages)>,
}

#[derive(Debug, Default)]
pub(super) struct Pages {
    pages: HashMap<u32, Box<[Defined]>>,
}

impl References {
    pub(super) fn of(&mut self, generation: Generation) -> &mut Pages {
        let found = self.generations.iter().position(|(g, _)| *g == generation);
        let at = found.unwrap_or_else(|| {
            if self.generations.len() == 2 {
                self.generations.remove(0);
            }
            self.generations.push((generation, Pages::default()));
            self.generations.len() - 1
        });
        &mut self.generations[at].1
    }
}

impl Pages {
    pub(super) fn set(&mut self, reference: u32, defined: Defined) {
        let page = self.pages.entry(reference / PAGE).or_insert_with(|| vec![UNDEFINED; PAGE as usize].into_boxed_slice());
        page[(reference % PAGE) as usize] = defined;
    }

    /// The page of a reference; empty if nothing on it is defined.
    pub(super) fn page(&self, reference: u32) -> &[Defined] {
        self.pages.get(&(reference / PAGE)).map_or(&[], |page| page)
    }

    pub(super) fn get(&self, reference: u32) -> Defined {
        self.page(reference).get((reference % PAGE) as usize).copied().unwrap_or(UNDEFINED)
    }
}
