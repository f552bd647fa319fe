//! `topk`, `bottomk`, `limitk`: the best few series of each group at each step.
//!
//! Per group and step a heap of at most k entries, the worst on top. A series' labels are kept only while an entry of some heap
//! names it; its values live in the entries. So memory is k per group and step, whatever the input.

use std::cmp::Ordering;
use std::sync::Arc;

use hashbrown::hash_map::Entry as MapEntry;
use model::{FloatHistogram, Labels};

use super::Aggregation;
use crate::error::QueryError;
use crate::eval::column::{ScalarColumn, StepVector, is_absent};
use crate::eval::identity::SeriesMap;
use crate::eval::series::{Ready, Series, Stream};
use crate::limits::Charge;
use crate::parser::ast::AggregateOp;

/// The operator.
pub(in crate::eval) struct Pick {
    aggregation: Aggregation,
    charge: Charge,
    ready: Option<Ready>,
}

/// A candidate at one step of one group.
struct Entry {
    /// What decides: the value, or for `limitk` a number derived from the labels.
    rank: f64,
    value: f64,
    histogram: Option<Arc<FloatHistogram>>,
    slot: u32,
}

/// The candidates at one step of one group; the worst one first (a binary heap).
#[derive(Default)]
struct Heap(Vec<Entry>);

/// A series that some heap names.
struct Slot {
    labels: Labels,
    drop_name: bool,
    named_by: usize,
}

/// Series by number; numbers of forgotten series are used again.
#[derive(Default)]
struct Slots {
    all: Vec<Option<Slot>>,
    free: Vec<u32>,
}

impl Pick {
    pub(in crate::eval) fn new(aggregation: Aggregation) -> Self {
        let charge = Charge::none(&aggregation.state.budget);
        Self { aggregation, charge, ready: None }
    }

    fn run(&mut self) -> Result<Vec<Series>, QueryError> {
        let (param, _) = self.aggregation.take_param()?;
        let Some(ks) = sizes(&param, self.aggregation.steps)? else {
            self.aggregation.input.drain()?;
            return Ok(Vec::new());
        };
        let a = &mut self.aggregation;
        let mut index: SeriesMap<usize> = SeriesMap::default();
        let mut groups: Vec<Vec<Heap>> = Vec::new();
        let mut slots = Slots::default();
        let mut ignored = false;
        while let Some(batch) = a.input.next_batch()? {
            a.state.check()?;
            for series in batch {
                let group = match index.entry(a.grouping.hash(&series.labels)) {
                    MapEntry::Occupied(known) => *known.get(),
                    MapEntry::Vacant(new) => {
                        self.charge.grow(size_of::<Heap>() * a.steps + 64)?;
                        groups.push((0..a.steps).map(|_| Heap::default()).collect());
                        *new.insert(groups.len() - 1)
                    }
                };
                ignored |= offer(a.op, series, &ks, &mut groups[group], &mut slots, &mut self.charge)?;
            }
        }
        if ignored {
            a.ignored_histograms();
        }
        Ok(collect(a.op, groups, slots, a.steps))
    }
}

/// k per step; `None` if it is below 1 at every step.
fn sizes(param: &ScalarColumn, steps: usize) -> Result<Option<Vec<usize>>, QueryError> {
    if param.over(steps).all(|k| k < 1.0) {
        return Ok(None);
    }
    for k in param.over(steps) {
        let text = match k {
            k if k.is_nan() => "Parameter value is NaN".to_owned(),
            k if k <= i64::MIN as f64 => format!("Scalar value {} underflows int64", crate::functions::number::general(k)),
            k if k >= i64::MAX as f64 => format!("Scalar value {} overflows int64", crate::functions::number::general(k)),
            _ => continue,
        };
        return Err(QueryError::Execution(text));
    }
    Ok(Some((0..steps).map(|step| (param.at(step) as i64).max(0) as usize).collect()))
}

/// Offers a series to its group's heaps; whether histograms of it were ignored.
fn offer(
    op: AggregateOp,
    series: Series,
    ks: &[usize],
    heaps: &mut [Heap],
    slots: &mut Slots,
    charge: &mut Charge,
) -> Result<bool, QueryError> {
    let limit_rank = (op == AggregateOp::Limitk).then(|| (series.labels.hash().0 as u64) as f64);
    let slot = slots.claim(&series);
    let mut named = 0;
    for (step, (heap, k)) in heaps.iter_mut().zip(ks).enumerate().filter(|(_, (_, k))| **k > 0) {
        let value = series.column.values[step];
        let histogram = if limit_rank.is_some() { series.column.histogram_at(step).cloned() } else { None };
        if is_absent(value) && histogram.is_none() {
            continue;
        }
        let entry = Entry { rank: limit_rank.unwrap_or(value), value, histogram, slot };
        if heap.0.len() < *k {
            charge.grow(size_of::<Entry>())?;
        }
        match heap.offer(op, *k, entry) {
            Offer::Refused => {}
            Offer::Taken => named += 1,
            // Of another series: this one was not offered to this heap before.
            Offer::Replaced(other) => {
                named += 1;
                slots.release(other, charge);
            }
        }
    }
    charge.grow(slots.name(slot, named))?;
    Ok(limit_rank.is_none() && !series.column.histograms().is_empty())
}

/// The result: per series a column. At a single step the series come group by group, the best first.
fn collect(op: AggregateOp, groups: Vec<Vec<Heap>>, slots: Slots, steps: usize) -> Vec<Series> {
    let mut out: Vec<Series> = Vec::new();
    let mut place: Vec<Option<usize>> = vec![None; slots.all.len()];
    for heaps in groups {
        for (step, heap) in heaps.into_iter().enumerate() {
            let mut entries = heap.0;
            entries.sort_by(|a, b| worse(op, b.rank, a.rank));
            for entry in entries {
                let Some(Some(slot)) = slots.all.get(entry.slot as usize) else { continue };
                let at = *place[entry.slot as usize].get_or_insert_with(|| {
                    out.push(Series { labels: slot.labels.clone(), drop_name: slot.drop_name, column: StepVector::absent(steps) });
                    out.len() - 1
                });
                match entry.histogram {
                    Some(histogram) => out[at].column.put_histogram(step, histogram),
                    None => out[at].column.values[step] = entry.value,
                }
            }
        }
    }
    out
}

/// Orders ranks, the worse one first; NaN is worst.
fn worse(op: AggregateOp, a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => {
            let ascending = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
            if op == AggregateOp::Topk { ascending } else { ascending.reverse() }
        }
    }
}

enum Offer {
    Refused,
    Taken,
    /// In place of an entry of this series.
    Replaced(u32),
}

impl Heap {
    fn offer(&mut self, op: AggregateOp, k: usize, entry: Entry) -> Offer {
        if self.0.len() < k {
            self.0.push(entry);
            self.rise(op);
            return Offer::Taken;
        }
        match self.0.first_mut() {
            Some(worst) if worse(op, worst.rank, entry.rank) == Ordering::Less => {
                let old = std::mem::replace(worst, entry);
                self.sink(op);
                Offer::Replaced(old.slot)
            }
            _ => Offer::Refused,
        }
    }

    fn rise(&mut self, op: AggregateOp) {
        let mut at = self.0.len() - 1;
        while at > 0 {
            let parent = (at - 1) / 2;
            if worse(op, self.0[at].rank, self.0[parent].rank) != Ordering::Less {
                break;
            }
            self.0.swap(at, parent);
            at = parent;
        }
    }

    fn sink(&mut self, op: AggregateOp) {
        let mut at = 0;
        loop {
            let children = [2 * at + 1, 2 * at + 2].into_iter().filter(|c| *c < self.0.len());
            let Some(child) = children.min_by(|a, b| worse(op, self.0[*a].rank, self.0[*b].rank)) else { break };
            if worse(op, self.0[child].rank, self.0[at].rank) != Ordering::Less {
                break;
            }
            self.0.swap(at, child);
            at = child;
        }
    }
}

impl Slots {
    fn claim(&mut self, series: &Series) -> u32 {
        let slot = Slot { labels: series.labels.clone(), drop_name: series.drop_name, named_by: 0 };
        if let Some(free) = self.free.pop() {
            self.all[free as usize] = Some(slot);
            return free;
        }
        self.all.push(Some(slot));
        (self.all.len() - 1) as u32
    }

    /// Adds namings of a new series; it is forgotten if there are none. Returns the bytes it takes.
    fn name(&mut self, at: u32, times: usize) -> usize {
        let Some(slot) = &mut self.all[at as usize] else { return 0 };
        slot.named_by += times;
        if slot.named_by > 0 {
            return slot.bytes();
        }
        self.all[at as usize] = None;
        self.free.push(at);
        0
    }

    fn release(&mut self, at: u32, charge: &mut Charge) {
        let Some(slot) = &mut self.all[at as usize] else { return };
        slot.named_by = slot.named_by.saturating_sub(1);
        if slot.named_by == 0 {
            charge.shrink(slot.bytes());
            self.all[at as usize] = None;
            self.free.push(at);
        }
    }
}

impl Slot {
    fn bytes(&self) -> usize {
        size_of::<Option<Self>>() + self.labels.as_bytes().len()
    }
}

impl Stream for Pick {
    fn next_batch(&mut self) -> Result<Option<Vec<Series>>, QueryError> {
        if self.ready.is_none() {
            let series = self.run()?;
            let mut charge = std::mem::replace(&mut self.charge, Charge::none(&self.aggregation.state.budget));
            charge.set(series.iter().map(Series::heap_bytes).sum())?;
            self.ready = Some(Ready::new(series, charge));
        }
        Ok(self.ready.as_mut().and_then(Ready::next_batch))
    }

    fn whole(&self) -> bool {
        self.aggregation.steps <= 1 || self.aggregation.input.whole()
    }
}
