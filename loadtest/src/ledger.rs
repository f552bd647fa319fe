//! What was sent, and whether what is answered fits it.
//!
//! Of every sample the ledger knows tenant, series, time, the bits of its value, and what came of sending it. An answer is good if
//!
//! - I1: every acknowledged sample that it was asked for is in it exactly once, bit by bit;
//! - I2: of unknown ones any may be in it, of refused ones none;
//! - I3: nothing is in it that was never sent;
//! - I4: nothing is in it that another tenant sent;
//! - I5: an answer that came while something was broken has all that was acknowledged before it was asked for, unless it is marked as incomplete.
//!
//! The same ledger is held against answers after restarts, compactions and losses (I6). [`series`] is what a sample belongs to, [`answer`] what was read,
//! [`check`] the judgement, [`findings`] what it says. Pure: who sends and who asks is elsewhere.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

mod answer;
mod check;
mod findings;
mod series;

pub use answer::{Answer, Fidelity, Row, Selection};
pub use findings::Findings;
pub use series::{Fate, Series, labels};

use series::Entry;

/// Messages of failed pushes that are kept as examples; beyond this they are only counted.
const EXAMPLES: usize = 20;

/// What was sent. Grows with every sample, some 60 bytes each; writers bound how many they send.
#[derive(Debug, Default, Clone)]
pub struct Ledger {
    series: HashMap<Series, BTreeMap<i64, Entry>>,
    /// How many samples were acknowledged so far.
    acks: u64,
    failed: usize,
    failures: Vec<String>,
}

/// A moment in the life of a ledger: what was acknowledged before it is owed to whoever asks after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

impl Mark {
    /// After everything.
    pub const END: Self = Self(u64::MAX);
}

impl Ledger {
    /// A sample is about to be sent. From now on it may be there. Sending it again is fine; with another value it is an error of the test.
    pub fn send(&mut self, series: &Series, t: i64, v: f64) {
        let bits = v.to_bits();
        let entry = self.series.entry(series.clone()).or_default().entry(t).or_insert(Entry { bits, fate: Fate::Sent, order: 0 });
        assert!(entry.bits == bits, "the ledger has one value per sample, and {series} has another one at {t} already");
        if entry.fate == Fate::Refused {
            entry.fate = Fate::Sent;
        }
    }

    /// What came of a sample that was sent. Once acknowledged stays so; and one whose fate is unknown may be there although a later try was refused.
    pub fn settle(&mut self, fate: Fate, series: &Series, t: i64) {
        let Some(entry) = self.series.get_mut(series).and_then(|samples| samples.get_mut(&t)) else { return };
        match (entry.fate, fate) {
            (Fate::Acked, _) | (_, Fate::Sent) | (Fate::Unknown, Fate::Refused) => {}
            (_, Fate::Acked) => {
                (entry.fate, entry.order) = (fate, self.acks);
                self.acks += 1;
            }
            _ => entry.fate = fate,
        }
    }

    /// Samples of a series that were sent, and what came of them.
    pub fn record(&mut self, fate: Fate, series: &Series, samples: impl IntoIterator<Item = (i64, f64)>) {
        for (t, v) in samples {
            self.send(series, t, v);
            self.settle(fate, series, t);
        }
    }

    /// Notes what a failed push said.
    pub fn fail(&mut self, what: String) {
        self.failed += 1;
        if self.failures.len() < EXAMPLES {
            self.failures.push(what);
        }
    }

    /// What pushes that failed said; the first few.
    #[must_use]
    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    /// How many pushes failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.failed
    }

    /// Now.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(self.acks)
    }

    /// How many samples have come to this.
    #[must_use]
    pub fn count(&self, fate: Fate) -> usize {
        self.series.values().flat_map(BTreeMap::values).filter(|entry| entry.fate == fate).count()
    }

    /// Who sent something.
    #[must_use]
    pub fn tenants(&self) -> BTreeSet<Arc<str>> {
        self.series.keys().map(|series| Arc::clone(&series.tenant)).collect()
    }

    /// The names of all metrics of all tenants.
    #[must_use]
    pub fn names(&self) -> BTreeSet<String> {
        self.series.keys().filter_map(|series| series.labels.get("__name__").map(str::to_owned)).collect()
    }

    /// How many samples of all tenants there are at each time of the series with these labels.
    #[must_use]
    pub fn times(&self, equal: &[(String, String)]) -> BTreeMap<i64, usize> {
        let mut times = BTreeMap::new();
        for (_, samples) in self.series.iter().filter(|(series, _)| series.has(equal)) {
            samples.keys().for_each(|t| *times.entry(*t).or_default() += 1);
        }
        times
    }
}

#[cfg(test)]
mod tests;
