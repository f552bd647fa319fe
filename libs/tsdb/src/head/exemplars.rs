//! The exemplars of a tenant that came last, in a ring.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;

use hashbrown::HashMap;
use model::{Exemplar, Labels, Matcher, RejectReason, SeriesHash};

use super::SeriesExemplars;
use super::append::Push;
use super::index::check_block;
use super::outcome::{AppendOutcome, PlaceState, Refused};
use crate::wal::record::{ExemplarOwner, ExemplarWriter};

/// Room is made for this many exemplars at first.
const FIRST_CAPACITY: usize = 16;

/// A ring of exemplars; nothing is allocated before the first.
#[derive(Debug, Default)]
pub(super) struct ExemplarRing {
    /// In the order of arrival.
    ring: VecDeque<(SeriesHash, Exemplar)>,
    /// The number of the first in the ring; they are numbered as they arrive.
    first: u64,
    series: HashMap<SeriesHash, Owner>,
}

/// A series with exemplars in the ring.
#[derive(Debug)]
struct Owner {
    labels: Labels,
    /// Their numbers, in the order of [`order`].
    numbers: VecDeque<u64>,
}

/// What became of an exemplar.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Offered {
    Taken,
    /// The series has it already.
    Duplicate,
    /// Older than the series' newest, which is at this time, by more than the window.
    OutOfOrder(i64),
}

/// As Prometheus orders the exemplars of a series, of which several may have one time: one for each bucket of a histogram.
fn order(a: &Exemplar, b: &Exemplar) -> Ordering {
    a.t.cmp(&b.t).then_with(|| a.value.total_cmp(&b.value)).then_with(|| a.labels.cmp(&b.labels))
}

impl ExemplarRing {
    /// Adds an exemplar to a ring of at most `max`; the one that came first goes if there is no room. An exemplar may be older than the newest of
    /// its series by `window` milliseconds. `labels` is asked for if the series has none in the ring.
    pub(super) fn offer(
        &mut self,
        hash: SeriesHash,
        labels: impl FnOnce() -> Labels,
        exemplar: &Exemplar,
        window: i64,
        max: usize,
    ) -> Offered {
        if max == 0 {
            return Offered::Duplicate;
        }
        let owner = self.series.get(&hash);
        // Most are newer than all before, and are found to be so by one comparison.
        if let Some(last) = owner.and_then(|owner| self.get(*owner.numbers.back()?))
            && order(last, exemplar) != Ordering::Less
        {
            let newest = last.t;
            if owner.is_some_and(|owner| self.search(owner, exemplar).is_ok()) {
                return Offered::Duplicate;
            }
            if exemplar.t < newest.saturating_sub(window.max(0)) {
                return Offered::OutOfOrder(newest);
            }
        }
        self.shrink_to(max - 1);
        if self.ring.capacity() == 0 {
            self.ring.reserve(FIRST_CAPACITY.min(max));
        }
        let at = self.series.get(&hash).map_or(0, |owner| self.search(owner, exemplar).unwrap_or_else(|at| at));
        let number = self.first.saturating_add(self.ring.len() as u64);
        let owner = self.series.entry(hash).or_insert_with(|| Owner { labels: labels(), numbers: VecDeque::new() });
        owner.numbers.insert(at, number);
        self.ring.push_back((hash, exemplar.clone()));
        Offered::Taken
    }

    fn get(&self, number: u64) -> Option<&Exemplar> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.ring.get(at).map(|(_, exemplar)| exemplar)
    }

    /// Where an exemplar is among those of a series, or would be.
    fn search(&self, owner: &Owner, exemplar: &Exemplar) -> Result<usize, usize> {
        owner.numbers.binary_search_by(|number| self.get(*number).map_or(Ordering::Less, |there| order(there, exemplar)))
    }

    /// Keeps at most `max`, those that came last.
    pub(super) fn shrink_to(&mut self, max: usize) {
        while self.ring.len() > max {
            let Some((hash, _)) = self.ring.pop_front() else { return };
            if let Some(owner) = self.series.get_mut(&hash) {
                // Mostly the first: it came first.
                if let Some(at) = owner.numbers.iter().position(|number| *number == self.first) {
                    owner.numbers.remove(at);
                }
                if owner.numbers.is_empty() {
                    self.series.remove(&hash);
                }
            }
            self.first = self.first.saturating_add(1);
        }
    }

    pub(super) fn select(&self, sets: &[Vec<Matcher>], min_t: i64, max_t: i64) -> Vec<SeriesExemplars> {
        let matches = |labels: &Labels| sets.iter().any(|set| set.iter().all(|m| m.matches(labels.get(&m.name).unwrap_or_default())));
        let owners = self.series.values().filter(|owner| matches(&owner.labels));
        let in_range = |number: &u64| self.get(*number).filter(|e| min_t <= e.t && e.t <= max_t).cloned();
        let mut out: Vec<SeriesExemplars> = owners
            .map(|owner| SeriesExemplars { labels: owner.labels.clone(), exemplars: owner.numbers.iter().filter_map(in_range).collect() })
            .filter(|series| !series.exemplars.is_empty())
            .collect();
        out.sort_by(|a, b| a.labels.cmp(&b.labels));
        out
    }

    /// All exemplars with their series, in the order of arrival.
    pub(super) fn in_order(&self) -> impl Iterator<Item = (SeriesHash, &Labels, &Exemplar)> {
        self.ring.iter().filter_map(|(hash, exemplar)| Some((*hash, &self.series.get(hash)?.labels, exemplar)))
    }

    pub(super) fn len(&self) -> usize {
        self.ring.len()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let series = self.series.values().map(|o| o.labels.as_bytes().len() + o.numbers.capacity() * size_of::<u64>()).sum::<usize>();
        let own = self.ring.iter().map(|(_, e)| e.labels.as_bytes().len() + 16).sum::<usize>();
        let entry = size_of::<(SeriesHash, Owner)>() + 1;
        self.ring.capacity() * size_of::<(SeriesHash, Exemplar)>() + self.series.capacity() * entry + series + own
    }
}

/// Takes the exemplars of a push. A series whose samples were all refused because it may not exist has none taken.
pub(super) fn append(push: &Push<'_>, out: &mut AppendOutcome) {
    let max = push.head.limits.max_exemplars.load(Relaxed);
    let mut ring = push.head.exemplars.lock();
    let places = std::mem::take(&mut out.scratch.places);
    let mut writer = ExemplarWriter::begin(&mut out.record.body);
    for (position, place) in (0..).zip(&places) {
        let Some(series) = push.series(position).filter(|s| !s.exemplars.is_empty()) else { continue };
        let block = push.batch.labels(series);
        let absent = place.state == PlaceState::Absent;
        // Without samples nothing was said about the series yet, and nobody looked at its labels.
        let has_samples = !series.samples.is_empty() || !series.histograms.is_empty();
        if absent && (has_samples || check_block(series.hash, block).is_err()) {
            continue;
        }
        let owner = if absent { ExemplarOwner::Block(block.as_bytes()) } else { ExemplarOwner::Reference(place.reference) };
        for exemplar in push.batch.exemplars_of(series) {
            if !push.bounds.contain(exemplar.t) {
                push.refuse_time(position, None, exemplar.t, Refused::Exemplar, out);
                continue;
            }
            match ring.offer(series.hash, || block.to_labels(), exemplar, push.bounds.window, max) {
                Offered::Taken => {
                    out.exemplars += 1;
                    out.record.max_t = out.record.max_t.max(exemplar.t);
                    writer.put(&mut out.record.body, owner, exemplar);
                }
                Offered::Duplicate => {}
                Offered::OutOfOrder(newest) => {
                    let (t, window) = (exemplar.t, push.bounds.window.max(0));
                    let detail = || {
                        format!(
                            "exemplar at {t} is more than {window} ms (out_of_order_time_window_ms) older than the newest of its series, {newest}"
                        )
                    };
                    out.reject(push.selection.series(position), RejectReason::OutOfOrder, Refused::Exemplar, 1, detail);
                }
            }
        }
    }
    writer.end(&mut out.record.body);
    out.scratch.places = places;
}
