//! The fates of what was sent. All samples of one time travel together and share theirs; their values are known, so a time and a fate are all that is kept.

use std::collections::BTreeMap;

use crate::ledger::Fate;

/// Messages of failed pushes that are kept.
const FAILURES: usize = 10;

/// What came of pushing one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) fate: Fate,
    /// How often it was tried again.
    pub(super) retries: u64,
    /// What the last failed try said.
    pub(super) failure: Option<String>,
}

/// Everything that was sent; 16 bytes or so per time.
#[derive(Debug, Default)]
pub(super) struct Sent {
    times: BTreeMap<i64, Fate>,
    retries: u64,
    failures: Vec<String>,
}

/// Times that were sent, one after the other, with their fates: what a check looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Window(pub(super) BTreeMap<i64, Fate>);

impl Sent {
    pub(super) fn record(&mut self, t: i64, outcome: Outcome) {
        self.times.insert(t, outcome.fate);
        self.retries += outcome.retries;
        if let Some(failure) = outcome.failure
            && self.failures.len() < FAILURES
        {
            self.failures.push(format!("{t}: {failure}"));
        }
    }

    /// The newest times up to `visible`, at most `steps`; and, by `round`, a window of older ones.
    pub(super) fn windows(&self, visible: i64, steps: usize, round: usize) -> Vec<Window> {
        let mut all = windows(self.times.range(..=visible), steps);
        if all.len() <= 1 {
            return all;
        }
        let newest = self.times.range(..=visible).rev().take(steps).map(|(t, fate)| (*t, *fate)).collect();
        vec![Window(newest), all.swap_remove(round % (all.len() - 1))]
    }

    /// Everything, in windows of at most `steps`.
    pub(super) fn all(&self, steps: usize) -> Vec<Window> {
        windows(self.times.iter(), steps)
    }

    /// Times that were acknowledged.
    pub(super) fn acked(&self) -> usize {
        self.count(Fate::Acked)
    }

    pub(super) fn failures(&self) -> &[String] {
        &self.failures
    }

    /// For people, in samples.
    pub(super) fn summary(&self, series: usize) -> String {
        let [acked, refused, unknown] = [Fate::Acked, Fate::Refused, Fate::Unknown].map(|fate| self.count(fate) * series);
        format!(
            "{} samples: {acked} acknowledged, {refused} refused, {unknown} unknown; {} pushes tried again",
            self.times.len() * series,
            self.retries
        )
    }

    fn count(&self, fate: Fate) -> usize {
        self.times.values().filter(|f| **f == fate).count()
    }
}

fn windows<'a>(times: impl Iterator<Item = (&'a i64, &'a Fate)>, steps: usize) -> Vec<Window> {
    let mut all: Vec<Window> = Vec::new();
    for (t, fate) in times {
        match all.last_mut() {
            Some(window) if window.0.len() < steps => {
                window.0.insert(*t, *fate);
            }
            _ => all.push(Window(BTreeMap::from([(*t, *fate)]))),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::{Fate, Outcome, Sent};

    fn sent(times: i64) -> Sent {
        let mut sent = Sent::default();
        for t in 0..times {
            let fate = if t == 3 { Fate::Unknown } else { Fate::Acked };
            sent.record(t, Outcome { fate, retries: 0, failure: None });
        }
        sent
    }

    #[test]
    fn windows_hold_every_time_once() {
        let lengths: Vec<usize> = sent(10).all(4).iter().map(|w| w.0.len()).collect();
        assert_eq!(lengths, [4, 4, 2]);
        assert_eq!(sent(10).summary(5), "50 samples: 45 acknowledged, 0 refused, 5 unknown; 0 pushes tried again");
    }

    #[test]
    fn the_newest_and_older_ones_in_turn() {
        let first = |round| sent(10).windows(8, 4, round).iter().map(|w| *w.0.keys().next().unwrap()).collect::<Vec<_>>();
        assert_eq!([first(0), first(1), first(2)], [vec![5, 0], vec![5, 4], vec![5, 0]]);
        assert_eq!(sent(3).windows(8, 4, 7).len(), 1);
        assert!(sent(0).windows(8, 4, 7).is_empty());
    }
}
