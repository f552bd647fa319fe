//! `and`, `or`, `unless`.
//!
//! `and` and `unless` read the right side first and remember only at which steps each match group has a sample; the left side
//! streams. `or` streams the left side, remembering the same of it, then the right side.

use std::sync::Arc;

use super::QueryState;
use super::column::{ABSENT, StepVector};
use super::identity::{LabelSubset, SeriesMap};
use super::presence::Presence;
use super::series::{BoxStream, Series, Stream};
use crate::error::QueryError;
use crate::limits::Charge;
use crate::parser::ast::{BinaryOp, VectorMatching};

/// The operator.
pub(super) struct SetOperator {
    op: BinaryOp,
    lhs: BoxStream,
    rhs: BoxStream,
    lhs_done: bool,
    rhs_read: bool,
    signature: LabelSubset,
    /// Steps by match group: of the right side for `and` and `unless`, of the left for `or`.
    present: SeriesMap<Presence>,
    steps: usize,
    charge: Charge,
    state: Arc<QueryState>,
}

impl SetOperator {
    pub(super) fn new(
        (lhs, rhs): (BoxStream, BoxStream),
        op: BinaryOp,
        matching: &VectorMatching,
        steps: usize,
        state: &Arc<QueryState>,
    ) -> Self {
        let signature = if matching.on { LabelSubset::only(&matching.labels) } else { LabelSubset::all_but(&matching.labels) };
        let charge = Charge::none(&state.budget);
        let state = Arc::clone(state);
        Self { op, lhs, rhs, lhs_done: false, rhs_read: false, signature, present: SeriesMap::default(), steps, charge, state }
    }

    fn remember(&mut self, series: &Series) -> Result<(), QueryError> {
        let presence = Presence::of(&series.column);
        let hash = self.signature.hash(&series.labels);
        if let Some(known) = self.present.get_mut(&hash) {
            known.add(&presence);
            return Ok(());
        }
        self.charge.grow(64 + presence.heap_bytes())?;
        self.present.insert(hash, presence);
        Ok(())
    }

    /// Keeps the values at steps at which the series' match group is remembered (or is not).
    fn mask(&mut self, mut batch: Vec<Series>, keep_present: bool) -> Vec<Series> {
        for series in &mut batch {
            match self.present.get(&self.signature.hash(&series.labels)) {
                Some(present) => mask(&mut series.column, |step| present.contains(step) == keep_present),
                None if keep_present => series.column = StepVector::default(),
                None => {}
            }
        }
        batch.retain(|series| !series.column.is_empty());
        batch
    }

    fn filter(&mut self) -> Result<Option<Vec<Series>>, QueryError> {
        if !self.rhs_read {
            self.rhs_read = true;
            while let Some(batch) = self.rhs.next_batch()? {
                self.state.check()?;
                batch.iter().try_for_each(|series| self.remember(series))?;
            }
        }
        if self.op == BinaryOp::And && self.present.is_empty() {
            self.lhs.drain()?;
            return Ok(None);
        }
        self.lhs.next_batch().map(|batch| batch.map(|batch| self.mask(batch, self.op == BinaryOp::And)))
    }

    fn union(&mut self) -> Result<Option<Vec<Series>>, QueryError> {
        if !self.lhs_done {
            if let Some(batch) = self.lhs.next_batch()? {
                batch.iter().try_for_each(|series| self.remember(series))?;
                return Ok(Some(batch));
            }
            self.lhs_done = true;
        }
        self.rhs.next_batch().map(|batch| batch.map(|batch| self.mask(batch, false)))
    }
}

fn mask(column: &mut StepVector, keep: impl Fn(usize) -> bool) {
    for (step, v) in column.values.iter_mut().enumerate() {
        if !keep(step) {
            *v = ABSENT;
        }
    }
    column.retain_histograms(keep);
}

impl Stream for SetOperator {
    fn next_batch(&mut self) -> Result<Option<Vec<Series>>, QueryError> {
        loop {
            self.state.check()?;
            let batch = if self.op == BinaryOp::Or { self.union()? } else { self.filter()? };
            match batch {
                Some(batch) if batch.is_empty() => {}
                other => return Ok(other),
            }
        }
    }

    fn whole(&self) -> bool {
        self.steps <= 1 || (self.op != BinaryOp::Or && self.lhs.whole())
    }
}
