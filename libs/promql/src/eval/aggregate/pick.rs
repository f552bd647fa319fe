//! `topk`, `bottomk`, `limitk`: the best few series of each group at each step.
//!
//! Which of several equal series stay is decided in Prometheus by the order in which a heap of k sees them, the order of labels. Here
//! series come in any order, so what the heap would take is kept instead: at a step a series gets into the heap unless k series before it,
//! in the order of labels, are at least as good. Those that get in are few (about k·ln(n/k) of n in random order, k of n equal ones; all n only
//! if each is better than those before), and [`heap::pick`] of them gives what it would give of all.
//!
//! A series' labels are kept only while it is a candidate at some step; its values live in the candidates. What is held is charged.

use std::sync::Arc;

use hashbrown::hash_map::Entry;

use super::Aggregation;
use crate::error::QueryError;
use crate::eval::column::{ScalarColumn, StepVector, is_absent};
use crate::eval::identity::SeriesMap;
use crate::eval::series::{Ready, Series, Stream};
use crate::limits::Charge;
use crate::parser::ast::AggregateOp;

mod candidates;
mod heap;
mod slots;

use candidates::{Candidate, Candidates, Outcome};
use slots::Slots;

/// Series are put in order and offered when so many bytes of them have come.
const ROUND_BYTES: usize = 4 << 20;

/// The operator.
pub(in crate::eval) struct Pick {
    aggregation: Aggregation,
    charge: Charge,
    ready: Option<Ready>,
}

/// What is kept of the series that have been offered.
#[derive(Default)]
struct Kept {
    index: SeriesMap<usize>,
    groups: Vec<Vec<Candidates>>,
    slots: Slots,
    ignored_histograms: bool,
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
        let mut kept = Kept::default();
        let mut waiting = Vec::new();
        let mut held = Charge::none(&self.aggregation.state.budget);
        loop {
            let batch = self.aggregation.input.next_batch()?;
            let ended = batch.is_none();
            for series in batch.unwrap_or_default() {
                held.grow(series.heap_bytes())?;
                waiting.push(series);
            }
            if ended || held.bytes() >= ROUND_BYTES {
                self.offer_all(&mut kept, std::mem::take(&mut waiting), &ks)?;
                held.set(0)?;
            }
            if ended {
                break;
            }
        }
        if kept.ignored_histograms {
            self.aggregation.ignored_histograms();
        }
        Ok(collect(self.aggregation.op, kept, &ks))
    }

    fn offer_all(&mut self, kept: &mut Kept, mut round: Vec<Series>, ks: &[usize]) -> Result<(), QueryError> {
        let a = &mut self.aggregation;
        a.state.check()?;
        round.sort_by(|a, b| a.order().cmp(b.order()));
        let numbers = kept.slots.rank(&round);
        for (place, (series, number)) in round.into_iter().zip(numbers).enumerate() {
            if place % 64 == 0 {
                a.state.check()?;
            }
            let group = match kept.index.entry(a.grouping.hash(&series.labels)) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => {
                    self.charge.grow(size_of::<Candidates>() * a.steps + 64)?;
                    kept.groups.push((0..a.steps).map(|_| Candidates::default()).collect());
                    *new.insert(kept.groups.len() - 1)
                }
            };
            kept.ignored_histograms |= a.op != AggregateOp::Limitk && !series.column.histograms().is_empty();
            let Some(candidates) = kept.groups.get_mut(group) else { continue };
            offer(a.op, series, number, ks, candidates, &mut kept.slots, &mut self.charge)?;
        }
        kept.slots.forget();
        Ok(())
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

/// Offers a series at each of its steps.
fn offer(
    op: AggregateOp,
    series: Series,
    slot: u32,
    ks: &[usize],
    steps: &mut [Candidates],
    slots: &mut Slots,
    charge: &mut Charge,
) -> Result<(), QueryError> {
    let mut taken = 0;
    for (step, (candidates, k)) in steps.iter_mut().zip(ks).enumerate().filter(|(_, (_, k))| **k > 0) {
        let value = series.column.values[step];
        let histogram: Option<Arc<_>> = if op == AggregateOp::Limitk { series.column.histogram_at(step).cloned() } else { None };
        if is_absent(value) && histogram.is_none() {
            continue;
        }
        let candidate = Candidate { value, histogram, slot, better_before: 0 };
        if let Outcome::Taken { grown } = candidates.offer(op, *k, candidate, slots) {
            charge.grow(grown)?;
            taken += 1;
        }
    }
    charge.grow(slots.keep(slot, series, taken))?;
    charge.shrink(slots.take_released());
    Ok(())
}

/// The result: per series a column. At a single step the series come group by group, the best first.
fn collect(op: AggregateOp, kept: Kept, ks: &[usize]) -> Vec<Series> {
    let Kept { mut groups, slots, .. } = kept;
    // As Prometheus meets them.
    groups.sort_by_key(|steps| steps.first().and_then(|candidates| candidates.first(&slots)));
    let mut out: Vec<Series> = Vec::new();
    let mut place: Vec<Option<usize>> = vec![None; slots.len()];
    for steps in groups {
        for (step, (candidates, k)) in steps.into_iter().zip(ks).enumerate() {
            for candidate in heap::pick(op, *k, candidates.into_vec()) {
                let Some(slot) = slots.get(candidate.slot) else { continue };
                let at = *place[candidate.slot as usize].get_or_insert_with(|| {
                    let column = StepVector::absent(ks.len());
                    out.push(Series { labels: slot.labels.clone(), drop_name: slot.drop_name, first: slot.first.clone(), column });
                    out.len() - 1
                });
                match candidate.histogram {
                    Some(histogram) => out[at].column.put_histogram(step, histogram),
                    None => out[at].column.values[step] = candidate.value,
                }
            }
        }
    }
    out
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

#[cfg(test)]
mod tests {
    use model::Labels;
    use proptest::prelude::*;

    use super::{AggregateOp, Candidate, Candidates, Kept, Outcome, collect, heap, offer};
    use crate::eval::column::StepVector;
    use crate::eval::series::Series;
    use crate::limits::{Budget, Charge, QueryLimits};

    fn series(n: usize, value: f64) -> Series {
        let labels = Labels::from_pairs([("n", format!("{n:04}"))]);
        Series { labels, drop_name: false, first: None, column: StepVector::of(vec![value]) }
    }

    proptest! {
        /// Whatever the order and the rounds in which series come, those are picked that the heap picks in the order of labels.
        #[test]
        fn the_order_in_which_series_come_does_not_matter(
            values in prop::collection::vec((0..6_u8, any::<u32>()), 1..80),
            k in 1..9_usize,
            per_round in 1..40_usize,
            op in prop::sample::select(vec![AggregateOp::Topk, AggregateOp::Bottomk, AggregateOp::Limitk]),
        ) {
            let value = |n: u8| if n == 5 { f64::NAN } else { f64::from(n) };
            let in_order: Vec<Series> = values.iter().enumerate().map(|(n, (v, _))| series(n, value(*v))).collect();
            let candidate = |(slot, series): (usize, &Series)| {
                Candidate { value: series.column.values[0], histogram: None, slot: slot as u32, better_before: 0 }
            };
            let mut wanted = heap::pick(op, k, in_order.iter().enumerate().map(candidate).collect());
            if op == AggregateOp::Limitk {
                wanted.truncate(k);
            }
            let wanted: Vec<String> = wanted.iter().map(|c| in_order[c.slot as usize].labels.to_string()).collect();

            let mut shuffled: Vec<(u32, Series)> = values.iter().map(|(_, key)| *key).zip(in_order).collect();
            shuffled.sort_by_key(|(key, _)| *key);
            let budget = std::sync::Arc::new(Budget::new(QueryLimits::default()));
            let mut charge = Charge::none(&budget);
            let mut kept = Kept { groups: vec![vec![Candidates::default()]], ..Kept::default() };
            let shuffled: Vec<Series> = shuffled.into_iter().map(|(_, series)| series).collect();
            for round in shuffled.chunks(per_round) {
                let mut round = round.to_vec();
                round.sort_by(|a, b| a.order().cmp(b.order()));
                let numbers = kept.slots.rank(&round);
                for (series, number) in round.into_iter().zip(numbers) {
                    offer(op, series, number, &[k], &mut kept.groups[0], &mut kept.slots, &mut charge).unwrap();
                }
                kept.slots.forget();
            }
            let picked: Vec<String> = collect(op, kept, &[k]).iter().map(|series| series.labels.to_string()).collect();
            prop_assert_eq!(picked, wanted);
        }
    }

    #[test]
    fn of_equal_series_few_are_held() {
        let mut kept = Kept { groups: vec![vec![Candidates::default()]], ..Kept::default() };
        let round: Vec<Series> = (0..1_000).map(|n| series(n, 1.0)).collect();
        let numbers = kept.slots.rank(&round);
        let taken = round.iter().zip(numbers).filter(|(series, number)| {
            let candidate = Candidate { value: series.column.values[0], histogram: None, slot: *number, better_before: 0 };
            matches!(kept.groups[0][0].offer(AggregateOp::Topk, 5, candidate, &mut kept.slots), Outcome::Taken { .. })
        });
        assert_eq!(taken.count(), 5);
    }
}
