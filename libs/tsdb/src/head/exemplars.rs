//! The newest exemplars of a tenant, in a ring.

use std::collections::VecDeque;

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
#[derive(Debug)]
pub(super) struct ExemplarRing {
    max: usize,
    /// In the order of arrival.
    ring: VecDeque<(SeriesHash, Exemplar)>,
    series: HashMap<SeriesHash, Owner>,
}

/// A series with exemplars in the ring.
#[derive(Debug)]
struct Owner {
    labels: Labels,
    count: usize,
    /// The exemplar that came last.
    newest: i64,
}

/// What became of an exemplar.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Offered {
    Taken,
    /// Equal to the series' newest.
    Duplicate,
    /// Older than the series' newest, which is at this time, or of the same time and different.
    OutOfOrder(i64),
}

impl ExemplarRing {
    pub(super) fn new(max: usize) -> Self {
        Self { max, ring: VecDeque::new(), series: HashMap::new() }
    }

    /// Adds an exemplar; the oldest one goes if there is no room. `labels` is asked for if the series has none in the ring.
    pub(super) fn offer(&mut self, hash: SeriesHash, labels: impl FnOnce() -> Labels, exemplar: &Exemplar) -> Offered {
        if self.max == 0 {
            return Offered::Duplicate;
        }
        if let Some(owner) = self.series.get(&hash)
            && exemplar.t <= owner.newest
        {
            return self.settle(hash, owner.newest, exemplar);
        }
        if self.ring.len() >= self.max {
            self.drop_oldest();
        }
        if self.ring.capacity() == 0 {
            self.ring.reserve(FIRST_CAPACITY.min(self.max));
        }
        let owner = self.series.entry(hash).or_insert_with(|| Owner { labels: labels(), count: 0, newest: exemplar.t });
        owner.count += 1;
        owner.newest = exemplar.t;
        self.ring.push_back((hash, exemplar.clone()));
        Offered::Taken
    }

    /// An exemplar that is not newer than the newest of its series.
    fn settle(&self, hash: SeriesHash, newest: i64, exemplar: &Exemplar) -> Offered {
        let last = self.ring.iter().rev().find(|(h, _)| *h == hash);
        let bits = |e: &Exemplar| (e.t, e.value.to_bits(), e.labels.clone());
        if last.is_some_and(|(_, last)| bits(last) == bits(exemplar)) { Offered::Duplicate } else { Offered::OutOfOrder(newest) }
    }

    fn drop_oldest(&mut self) {
        let Some((hash, _)) = self.ring.pop_front() else { return };
        if let Some(owner) = self.series.get_mut(&hash) {
            owner.count -= 1;
            if owner.count == 0 {
                self.series.remove(&hash);
            }
        }
    }

    pub(super) fn select(&self, sets: &[Vec<Matcher>], min_t: i64, max_t: i64) -> Vec<SeriesExemplars> {
        let matches = |labels: &Labels| sets.iter().any(|set| set.iter().all(|m| m.matches(labels.get(&m.name).unwrap_or_default())));
        let mut found: HashMap<SeriesHash, SeriesExemplars> = HashMap::new();
        for (hash, owner) in self.series.iter().filter(|(_, owner)| matches(&owner.labels)) {
            found.insert(*hash, SeriesExemplars { labels: owner.labels.clone(), exemplars: Vec::new() });
        }
        for (hash, exemplar) in self.ring.iter().filter(|(_, e)| min_t <= e.t && e.t <= max_t) {
            if let Some(series) = found.get_mut(hash) {
                series.exemplars.push(exemplar.clone());
            }
        }
        let mut out: Vec<_> = found.into_values().filter(|s| !s.exemplars.is_empty()).collect();
        out.sort_by(|a, b| a.labels.cmp(&b.labels));
        out
    }

    pub(super) fn len(&self) -> usize {
        self.ring.len()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let labels = self.series.values().map(|o| o.labels.as_bytes().len()).sum::<usize>();
        let own = self.ring.iter().map(|(_, e)| e.labels.as_bytes().len() + 16).sum::<usize>();
        let entry = size_of::<(SeriesHash, Owner)>() + 1;
        self.ring.capacity() * size_of::<(SeriesHash, Exemplar)>() + self.series.capacity() * entry + labels + own
    }
}

/// Takes the exemplars of a push. A series whose samples were all refused because it may not exist has none taken.
pub(super) fn append(push: &Push<'_>, out: &mut AppendOutcome) {
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
            match ring.offer(series.hash, || block.to_labels(), exemplar) {
                Offered::Taken => {
                    out.exemplars += 1;
                    out.record.max_t = out.record.max_t.max(exemplar.t);
                    writer.put(&mut out.record.body, owner, exemplar);
                }
                Offered::Duplicate => {}
                Offered::OutOfOrder(newest) => {
                    let detail = || format!("exemplar at {} is not newer than the newest of its series, {newest}", exemplar.t);
                    out.reject(push.selection.series(position), RejectReason::OutOfOrder, Refused::Exemplar, 1, detail);
                }
            }
        }
    }
    writer.end(&mut out.record.body);
    out.scratch.places = places;
}
