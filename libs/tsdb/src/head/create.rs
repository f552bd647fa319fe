//! Making series, in batches.

use std::sync::atomic::Ordering::Relaxed;

use hashbrown::HashMap;
use model::{BatchSeries, LabelBlock, RejectReason, SeriesHash};
use parking_lot::RwLockWriteGuard;

use super::Head;
use super::append::Push;
use super::hash_table::NONE;
use super::index::{Index, check_block, wire_pairs};
use super::outcome::{AppendOutcome, Refused};
use super::stripe::stripe_of;

/// Series made under one hold of the index lock: about a millisecond, which is what a query may have to wait.
pub(super) const CREATE_BATCH: usize = 256;

/// Makes series while it holds the index. A series is in its stripe at once, and found by matchers when this is dropped.
pub(super) struct Creator<'h, 'b> {
    head: &'h Head,
    index: RwLockWriteGuard<'h, Index>,
    /// Series to add to postings: `(pair, series)`.
    entries: Vec<(u32, u32)>,
    /// The labels of the series before, of which the next has most.
    last: Vec<(&'b [u8], u32)>,
    next: Vec<(&'b [u8], u32)>,
    ids: Vec<u32>,
    /// Series of each metric, by the pair of its name, that are in `entries` and not yet in postings.
    pending: HashMap<u32, usize>,
}

impl<'h, 'b> Creator<'h, 'b> {
    pub(super) fn new(head: &'h Head) -> Self {
        let index = head.index.write();
        Self { head, index, entries: Vec::new(), last: Vec::new(), next: Vec::new(), ids: Vec::new(), pending: HashMap::new() }
    }

    /// The slot of a series that is there.
    pub(super) fn find(&self, hash: SeriesHash) -> Option<u32> {
        let slot = self.head.stripes[stripe_of(hash, self.head.stripes.len())].read().find(hash);
        (slot != NONE).then_some(slot)
    }

    /// Makes a series that is not there, unless its metric has `max_per_metric` already; its slot.
    pub(super) fn create(&mut self, hash: SeriesHash, block: LabelBlock<'b>, max_per_metric: usize) -> Result<u32, RejectReason> {
        check_block(hash, block)?;
        // Before anything is interned: a flood of new values costs no label that has to be taken back.
        if max_per_metric < usize::MAX && self.series_of_metric(block) >= max_per_metric {
            return Err(RejectReason::MetricSeriesLimit);
        }
        self.intern(block)?;
        let stripe = stripe_of(hash, self.head.stripes.len());
        let slot = self.head.stripes[stripe].write().insert(hash, &self.ids, self.head.max_slots());
        let Some(slot) = slot else {
            // Labels that were interned for this series alone must not stay. Those of the series before have postings only now.
            self.index.add_series(&mut self.entries);
            self.entries.clear();
            self.pending.clear();
            self.index.release_unused(&mut self.ids);
            self.last.clear();
            return Err(RejectReason::SeriesLimit);
        };
        self.head.series.fetch_add(1, Relaxed);
        let id = self.head.id(hash, slot);
        self.entries.extend(self.ids.iter().map(|pair| (*pair, id)));
        if max_per_metric < usize::MAX
            && let Some(metric) = self.index.metric_of(block)
        {
            *self.pending.entry(metric).or_default() += 1;
        }
        Ok(slot)
    }

    fn series_of_metric(&self, block: LabelBlock<'_>) -> usize {
        let Some(metric) = self.index.metric_of(block) else { return 0 };
        self.index.series_of(metric).len() + self.pending.get(&metric).copied().unwrap_or(0)
    }

    /// Fills `ids` with the pairs of a block.
    fn intern(&mut self, block: LabelBlock<'b>) -> Result<(), RejectReason> {
        self.ids.clear();
        self.next.clear();
        let mut at = 0;
        for wire in wire_pairs(block.as_bytes()) {
            let known = self.last.get(at..).unwrap_or_default().iter().take(2).position(|(w, _)| *w == wire);
            let id = match known {
                Some(skipped) => {
                    at += skipped;
                    self.last[at].1
                }
                None => self.index.intern(wire).ok_or(RejectReason::SeriesLimit)?,
            };
            at += 1;
            self.ids.push(id);
            self.next.push((wire, id));
        }
        std::mem::swap(&mut self.last, &mut self.next);
        Ok(())
    }
}

impl Drop for Creator<'_, '_> {
    fn drop(&mut self) {
        self.index.add_series(&mut self.entries);
    }
}

/// Makes the series of `out.scratch.missing` and appends their samples.
pub(super) fn create_missing(push: &Push<'_>, out: &mut AppendOutcome) {
    let mut missing = std::mem::take(&mut out.scratch.missing);
    missing.sort_unstable();
    for positions in missing.chunks(CREATE_BATCH) {
        let mut creator = Creator::new(push.head);
        for position in positions {
            if let Some(series) = push.series(*position) {
                create_one(push, &mut creator, *position, series, out);
            }
        }
    }
    out.scratch.missing = missing;
}

fn create_one<'b>(push: &Push<'b>, creator: &mut Creator<'_, 'b>, position: u32, series: &BatchSeries, out: &mut AppendOutcome) {
    let times = push.batch.samples_of(series).iter().map(|s| s.t).chain(push.batch.histograms_of(series).iter().map(|h| h.t));
    if !times.clone().any(|t| push.bounds.contain(t)) {
        return refuse_times(push, position, series, out);
    }
    // The series may be in the batch twice, or another push may have made it meanwhile.
    let slot = match creator.find(series.hash) {
        Some(slot) => slot,
        None => {
            let limit = push.head.limits.max_series.load(Relaxed);
            let made = if push.head.series.load(Relaxed) < limit {
                creator.create(series.hash, push.batch.labels(series), push.head.limits.max_series_per_metric.load(Relaxed))
            } else {
                Err(RejectReason::SeriesLimit)
            };
            match made {
                Ok(slot) => {
                    out.created += 1;
                    slot
                }
                Err(reason) => return refuse_series(push, position, series, reason, out),
            }
        }
    };
    let stripe = stripe_of(series.hash, push.head.stripes.len());
    push.append_series(&mut push.head.stripes[stripe].write(), slot, position, series, out);
}

/// Refuses all samples of a series of which none is in bounds: such a series is not made.
fn refuse_times(push: &Push<'_>, position: u32, series: &BatchSeries, out: &mut AppendOutcome) {
    for sample in push.batch.samples_of(series) {
        push.refuse_time(position, None, sample.t, Refused::Sample, out);
    }
    for sample in push.batch.histograms_of(series) {
        push.refuse_time(position, None, sample.t, Refused::Histogram, out);
    }
}

/// How a refusal names the limit behind it.
fn named(limit: &str, value: usize) -> String {
    format!("limit: {limit} = {value} series per ingester; change limits.{limit} or the tenant's override")
}

fn refuse_series(push: &Push<'_>, position: u32, series: &BatchSeries, reason: RejectReason, out: &mut AppendOutcome) {
    let index = push.selection.series(position);
    let limits = &push.head.limits;
    let detail = || match reason {
        RejectReason::SeriesLimit => {
            format!(
                "the tenant has {} series in memory ({})",
                push.head.series_count(),
                named("max_series", limits.max_series.load(Relaxed))
            )
        }
        RejectReason::MetricSeriesLimit => {
            let limit = named("max_series_per_metric", limits.max_series_per_metric.load(Relaxed));
            format!("the metric has as many series in memory as it may ({limit})")
        }
        _ => "labels are not canonical or are not those of the series' hash".to_owned(),
    };
    let counts = [(Refused::Sample, &series.samples), (Refused::Histogram, &series.histograms), (Refused::Exemplar, &series.exemplars)];
    for (kind, range) in counts {
        if !range.is_empty() {
            out.reject(index, reason, kind, range.end.saturating_sub(range.start), detail);
        }
    }
}
