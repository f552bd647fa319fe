//! What was sent, and what is known of it.

use std::collections::BTreeMap;

use crate::tests::rig::NOW;

/// What is known of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Known {
    /// Sent, but not acknowledged: it may be there.
    Sent,
    /// Acknowledged, and then a sync failed: it is there unless the power is cut.
    Exposed,
    /// Acknowledged: it is there unless the power is cut before the next sync.
    Acknowledged,
    /// Acknowledged and synced: it is there.
    Durable,
}

/// By tenant and series, and by time.
#[derive(Default)]
pub(super) struct Ledger(pub(super) BTreeMap<(usize, usize), BTreeMap<i64, Known>>);

impl Ledger {
    pub(super) fn note(&mut self, sent: &[(usize, usize, i64)], known: Known) {
        for (tenant, series, t) in sent {
            let entry = self.0.entry((*tenant, *series)).or_default().entry(*t).or_insert(known);
            *entry = known.max(*entry);
        }
    }

    /// What an event makes of what was known.
    pub(super) fn change(&mut self, from: Known, to: Known) {
        self.0.values_mut().flat_map(|samples| samples.values_mut()).filter(|known| **known == from).for_each(|known| *known = to);
    }

    /// What a power cut makes of what was not synced.
    pub(super) fn power_cut(&mut self) {
        self.change(Known::Acknowledged, Known::Sent);
        self.change(Known::Exposed, Known::Sent);
    }
}

/// Every sample has its own value.
pub(super) fn value(series: usize, t: i64) -> f64 {
    (t - NOW) as f64 * 16.0 + series as f64
}
