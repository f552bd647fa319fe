//! Appending a batch.

use std::hint::black_box;
use std::sync::atomic::Ordering::Relaxed;

use model::{BatchSeries, RejectReason, Sample, SeriesHash, WriteBatch};

use super::outcome::{AppendOutcome, Place, PlaceState, Refused, Selection};
use super::series::{Cold, Hot, Value, Verdict};
use super::stripe::{Stripe, key, stripe_of};
use super::{Head, create, exemplars, log, metadata};
use crate::wal::Generation;

mod by_time;

pub(super) use by_time::accepted;

/// Series that are touched ahead: few enough for their lines to be still there when they are used (64 series × 4 lines are half
/// of a first-level cache), enough for the misses to overlap.
pub(super) const WINDOW: usize = 64;

/// What an append needs throughout.
#[derive(Clone, Copy)]
pub(super) struct Push<'a> {
    pub(super) head: &'a Head,
    pub(super) batch: &'a WriteBatch,
    pub(super) selection: Selection<'a>,
    pub(super) bounds: Bounds,
    /// What [`super::series::LogState::epoch`] is for series that the log knows.
    pub(super) confirmed: u32,
}

/// The times that are accepted, both inclusive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) min: i64,
    pub(super) max: i64,
    now: i64,
    /// How much older than the newest sample of its series a new one may be; 0: not at all.
    pub(super) window: i64,
}

impl Bounds {
    #[inline]
    pub(super) fn contain(&self, t: i64) -> bool {
        self.min <= t && t <= self.max
    }
}

/// See [`Head::append`].
pub(super) fn append(
    head: &Head,
    batch: &WriteBatch,
    selection: Selection<'_>,
    generation: Generation,
    now_ms: i64,
    out: &mut AppendOutcome,
) {
    out.clear(generation);
    let max = now_ms.saturating_add(head.limits.creation_grace_ms.load(Relaxed));
    let window = head.limits.out_of_order_time_window_ms.load(Relaxed);
    let bounds = Bounds { min: head.oldest.load(Relaxed), max, now: now_ms, window };
    let push = Push { head, batch, selection, bounds, confirmed: log::epoch(generation) | 1 };
    out.scratch.places.resize(selection.len(batch), Place::default());
    push.group_by_stripe(out);
    let mut start = 0;
    for stripe in 0..head.stripes.len() {
        let end = out.scratch.ends[stripe];
        if end > start {
            push.append_to_stripe(stripe, start as usize..end as usize, out);
        }
        start = end;
    }
    if batch.is_by_hash() {
        push.note_unknown(out);
    } else if !out.scratch.missing.is_empty() {
        create::create_missing(&push, out);
    }
    log::begin(&push, out);
    if !batch.exemplars.is_empty() {
        exemplars::append(&push, out);
    }
    if !batch.metadata.is_empty() {
        metadata::append(&push, out);
    }
    head.totals.add(out);
}

impl Push<'_> {
    /// The series at a position of the selection.
    #[inline]
    pub(super) fn series(&self, position: u32) -> Option<&BatchSeries> {
        self.batch.series.get(self.selection.series(position) as usize)
    }

    /// Counting sort of the positions by stripe.
    fn group_by_stripe(&self, out: &mut AppendOutcome) {
        let scratch = &mut out.scratch;
        let stripes = self.head.stripes.len();
        scratch.ends.resize(stripes, 0);
        let positions = 0..scratch.places.len() as u32;
        let series = |p: u32| self.series(p).map(|s| stripe_of(s.hash, stripes));
        for stripe in positions.clone().filter_map(series) {
            scratch.ends[stripe] += 1;
        }
        let mut total = 0;
        for end in &mut scratch.ends {
            // For now where the group begins; filling moves it to where the group ends.
            total += std::mem::replace(end, total);
        }
        scratch.order.resize(total as usize, 0);
        for position in positions {
            if let Some(stripe) = series(position) {
                let at = &mut scratch.ends[stripe];
                scratch.order[*at as usize] = position;
                *at += 1;
            }
        }
    }

    fn append_to_stripe(&self, stripe: usize, group: std::ops::Range<usize>, out: &mut AppendOutcome) {
        let mut stripe = self.head.stripes[stripe].write();
        let order = std::mem::take(&mut out.scratch.order);
        for window in order[group].chunks(WINDOW) {
            self.append_window(&mut stripe, window, out);
        }
        out.scratch.order = order;
    }

    /// The passes. Loads of one pass do not depend on each other, so the processor has many of them under way at a time.
    fn append_window(&self, stripe: &mut Stripe, window: &[u32], out: &mut AppendOutcome) {
        let mut slots = [super::hash_table::NONE; WINDOW];
        let hash = |position: u32| self.series(position).map_or(SeriesHash(0), |s| s.hash);
        let mut sink = 0;
        for position in window {
            sink ^= stripe.table.touch(key(hash(*position)));
        }
        black_box(sink);
        for (slot, position) in slots.iter_mut().zip(window) {
            *slot = stripe.table.first(key(hash(*position)));
        }
        let mut sink = 0;
        for slot in &slots[..window.len()] {
            sink ^= stripe.hot.get(*slot).map_or(0, Hot::touch);
        }
        black_box(sink);
        let mut sink = 0;
        for slot in &slots[..window.len()] {
            sink ^= stripe.hot.get(*slot).map_or(0, Hot::touch_chunk);
        }
        black_box(sink);
        for (slot, position) in slots.iter().zip(window) {
            let Some(series) = self.series(*position) else { continue };
            let slot = stripe.settle(series.hash, *slot);
            if slot == super::hash_table::NONE || (self.batch.is_by_hash() && !self.is_logged(stripe, slot)) {
                out.scratch.missing.push(*position);
            } else {
                self.append_series(stripe, slot, *position, series, out);
            }
        }
    }

    /// Whether the log knows the series. If not, its next record needs the labels.
    fn is_logged(&self, stripe: &Stripe, slot: u32) -> bool {
        stripe.hot.get(slot).is_some_and(|hot| hot.log.epoch == self.confirmed)
    }

    /// What is missing from a batch without labels cannot be made.
    fn note_unknown(&self, out: &mut AppendOutcome) {
        let missing = out.scratch.missing.iter().map(|position| self.selection.series(*position));
        out.unknown.extend(missing);
        out.unknown.sort_unstable();
    }

    /// Appends the samples of one series to its slot and notes its place.
    #[inline]
    pub(super) fn append_series(&self, stripe: &mut Stripe, slot: u32, position: u32, series: &BatchSeries, out: &mut AppendOutcome) {
        let Stripe { hot, cold, .. } = stripe;
        let (Some(hot), Some(place)) = (hot.get_mut(slot), out.scratch.places.get_mut(position as usize)) else { return };
        place.id = self.head.id(series.hash, slot);
        place.reference = hot.log.reference;
        place.state = if hot.log.epoch == self.confirmed { PlaceState::Logged } else { PlaceState::Unlogged };
        let samples = self.batch.samples_of(series);
        if !series.histograms.is_empty() || !samples.is_sorted_by_key(|s| s.t) {
            return self.append_by_time(hot, cold.get_mut(slot), position, series, 0, out);
        }
        for (i, sample) in samples.iter().enumerate() {
            let went_on = self.append_float(hot, || cold.get_mut(slot), position, series.samples.start + i as u32, *sample, out);
            if !went_on {
                return self.append_by_time(hot, cold.get_mut(slot), position, series, i, out);
            }
        }
    }

    /// Appends a float that is newer than all before. False if it is late: then nothing was done with it.
    #[inline]
    fn append_float<'c>(
        &self,
        hot: &mut Hot,
        cold: impl FnOnce() -> Option<&'c mut Cold>,
        position: u32,
        index: u32,
        sample: Sample,
        out: &mut AppendOutcome,
    ) -> bool {
        if !self.bounds.contain(sample.t) {
            self.refuse_time(position, Some(index), sample.t, Refused::Sample, out);
            return true;
        }
        let mut closed = None;
        match hot.append_float(sample, self.head.config.chunk_range_ms, &mut closed) {
            Verdict::Taken => {
                out.samples += 1;
                out.note_time(sample.t);
                if let (Some(chunk), Some(cold)) = (closed, cold()) {
                    cold.push(chunk);
                }
            }
            Verdict::Duplicate => {
                out.duplicates += 1;
                out.note_time(sample.t);
            }
            Verdict::Conflict(there) => self.refuse_conflict(position, index, Value::Float(sample), there, out),
            Verdict::Late => return false,
        }
        true
    }

    /// Refuses a sample for its time. `index` is left out for exemplars and for series that are not made.
    #[cold]
    pub(super) fn refuse_time(&self, position: u32, index: Option<u32>, t: i64, kind: Refused, out: &mut AppendOutcome) {
        if let Some(index) = index {
            self.note_refused(position, index, kind, out);
        }
        let series = self.selection.series(position);
        if t < self.bounds.min {
            let detail = || {
                format!(
                    "timestamp {t} is older than {}, the oldest that is taken (block_retention_seconds, out_of_order_time_window_ms)",
                    self.bounds.min
                )
            };
            out.reject(series, RejectReason::TooOld, kind, 1, detail);
        } else {
            let grace = self.bounds.max.saturating_sub(self.bounds.now);
            let detail =
                || format!("timestamp {t} is more than {grace} ms (creation_grace_period_ms) ahead of the clock, {}", self.bounds.now);
            out.reject(series, RejectReason::TooFarInFuture, kind, 1, detail);
        }
    }

    pub(super) fn note_refused(&self, position: u32, index: u32, kind: Refused, out: &mut AppendOutcome) {
        if let Some(place) = out.scratch.places.get_mut(position as usize) {
            place.partial = true;
        }
        match kind {
            Refused::Sample => out.scratch.refused_samples.push(index),
            Refused::Histogram => out.scratch.refused_histograms.push(index),
            Refused::Exemplar => {}
        }
    }
}

impl Head {
    /// The id of a slot in the stripe of a hash. Ids of slots that are made one after the other are near to each other, so
    /// that new series go to the ends of postings.
    #[inline]
    pub(super) fn id(&self, hash: SeriesHash, slot: u32) -> u32 {
        slot * self.stripes.len() as u32 + stripe_of(hash, self.stripes.len()) as u32
    }

    /// The stripe and the slot of an id.
    #[inline]
    pub(super) fn locate(&self, id: u32) -> (usize, u32) {
        let stripes = self.stripes.len() as u32;
        ((id & (stripes - 1)) as usize, id / stripes)
    }

    /// Slots that a stripe may have, so that every id fits 32 bits.
    pub(super) fn max_slots(&self) -> u32 {
        u32::MAX / self.stripes.len() as u32
    }
}
