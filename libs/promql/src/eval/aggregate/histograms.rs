//! Sums and means of histograms in one group.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram};

use super::accumulator::GroupNotes;
use crate::eval::column::{ABSENT, StepVector, is_absent};
use crate::histogram::{self, HistogramMean, HistogramSum, IncompatibleBuckets};

/// What a group has seen of histograms, per step. Takes nothing until the first one comes.
#[derive(Default)]
pub(super) struct HistogramTotals {
    cells: Vec<Cell>,
    mean: bool,
}

/// One step of a group.
#[derive(Default)]
enum Cell {
    /// No histogram so far.
    #[default]
    Empty,
    /// Histograms after a float: there will be no result.
    AfterFloat,
    /// A sum or a mean.
    Total(Box<Total>),
    /// Exponential and custom buckets, and whether there had been a float before: there will be no result.
    Incompatible { mixed: bool },
}

struct Total {
    state: State,
    seen_reset: bool,
    seen_not_reset: bool,
}

enum State {
    Sum(HistogramSum),
    Mean(HistogramMean),
}

impl HistogramTotals {
    /// An empty group of `sum` or `avg`.
    pub(super) fn new(mean: bool) -> Self {
        Self { cells: Vec::new(), mean }
    }

    /// Adds a series' histograms. `has_float` tells the steps at which the group has seen a float. Returns by how many bytes it has grown.
    pub(super) fn add(&mut self, column: &StepVector, has_float: impl Fn(usize) -> bool, notes: &mut GroupNotes) -> usize {
        let mut grown = 0;
        if self.cells.is_empty() {
            self.cells.resize_with(column.values.len(), Cell::default);
            grown += size_of::<Cell>() * self.cells.len();
        }
        for (step, h) in column.histograms() {
            if let Some(cell) = self.cells.get_mut(*step as usize) {
                grown += cell.add(h, self.mean, has_float(*step as usize), notes);
            }
        }
        grown
    }

    /// Puts the results into a column of the group's floats, which go where there are histograms as well.
    pub(super) fn finish(self, column: &mut StepVector, notes: &mut GroupNotes) {
        for (step, cell) in self.cells.into_iter().enumerate() {
            let Some(float) = column.values.get_mut(step) else { continue };
            let has_float = !is_absent(*float);
            match cell {
                Cell::Empty => continue,
                Cell::Incompatible { mixed } => notes.mixed_samples |= mixed,
                Cell::AfterFloat => notes.mixed_samples = true,
                Cell::Total(_) if has_float => notes.mixed_samples = true,
                Cell::Total(total) => {
                    notes.collision |= total.seen_reset && total.seen_not_reset;
                    column.put_histogram(step, Arc::new(total.state.into_value()));
                    continue;
                }
            }
            *float = ABSENT;
        }
    }
}

impl Cell {
    fn add(&mut self, h: &Arc<FloatHistogram>, mean: bool, has_float: bool, notes: &mut GroupNotes) -> usize {
        match self {
            Self::Empty if has_float => *self = Self::AfterFloat,
            Self::Empty => {
                let total = Total::of(h, mean);
                let bytes = size_of::<Total>() + total.heap_bytes();
                *self = Self::Total(Box::new(total));
                return bytes;
            }
            Self::Total(total) => {
                let before = total.heap_bytes();
                if let Err(IncompatibleBuckets) = total.add(h, notes) {
                    notes.mixed_buckets = true;
                    *self = Self::Incompatible { mixed: has_float };
                    return 0;
                }
                return total.heap_bytes().saturating_sub(before);
            }
            Self::AfterFloat | Self::Incompatible { .. } => {}
        }
        0
    }
}

impl Total {
    fn of(h: &Arc<FloatHistogram>, mean: bool) -> Self {
        let first = h.as_ref().clone();
        let state = if mean { State::Mean(HistogramMean::of(first)) } else { State::Sum(HistogramSum::of(first)) };
        let mut total = Self { state, seen_reset: false, seen_not_reset: false };
        total.note_hint(h);
        total
    }

    fn add(&mut self, h: &FloatHistogram, notes: &mut GroupNotes) -> Result<(), IncompatibleBuckets> {
        self.note_hint(h);
        let combined = match &mut self.state {
            State::Sum(sum) => sum.add(h)?,
            State::Mean(mean) => mean.add(h)?,
        };
        notes.reconciled |= combined.reconciled;
        Ok(())
    }

    fn note_hint(&mut self, h: &FloatHistogram) {
        self.seen_reset |= h.counter_reset_hint == CounterResetHint::Reset;
        self.seen_not_reset |= h.counter_reset_hint == CounterResetHint::NotReset;
    }

    fn heap_bytes(&self) -> usize {
        match &self.state {
            State::Sum(sum) => sum.heap_bytes(),
            State::Mean(mean) => mean.heap_bytes(),
        }
    }
}

impl State {
    fn into_value(self) -> FloatHistogram {
        histogram::compact(match self {
            Self::Sum(sum) => sum.into_value(),
            Self::Mean(mean) => mean.into_value(),
        })
    }
}
