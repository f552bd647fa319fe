//! Time: what happens next.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Events by time in milliseconds; of one time, in the order in which they were planned.
#[derive(Debug)]
pub(crate) struct Queue<E> {
    order: BinaryHeap<Reverse<(u64, u64)>>,
    events: BTreeMap<u64, E>,
    planned: u64,
    pub(crate) now: u64,
}

impl<E> Queue<E> {
    pub(crate) fn new() -> Self {
        Self { order: BinaryHeap::new(), events: BTreeMap::new(), planned: 0, now: 0 }
    }

    pub(crate) fn plan(&mut self, in_ms: u64, event: E) {
        self.order.push(Reverse((self.now + in_ms, self.planned)));
        self.events.insert(self.planned, event);
        self.planned += 1;
    }

    pub(crate) fn next(&mut self) -> Option<E> {
        let Reverse((at, number)) = self.order.pop()?;
        self.now = at;
        self.events.remove(&number)
    }
}
