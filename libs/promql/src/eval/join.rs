//! Arithmetic and comparison of two vectors.
//!
//! The side on which a match must be unique ("one": the right side, or the left with `group_right`) is collected by the hash of the
//! matching labels; the other ("many") streams past it. What Prometheus checks at each step is checked here per group over all
//! steps with bit sets: two series of one group on the "one" side at one step (an error only if the other side has any
//! sample at that step), two results of one group with the same labels.

use std::sync::Arc;

use model::{Labels, LabelsBuilder, SeriesHash};

use super::arithmetic::{StepNotes, changes_quantity};
use super::identity::{LabelSubset, SeriesMap, is_metadata_label};
use super::presence::Presence;
use super::series::{BoxStream, Series, Stream};
use super::{QueryState, batch_len, column_bytes};
use crate::error::QueryError;
use crate::limits::Charge;
use crate::parser::ast::{BinaryOp, MatchCardinality, TextSpan, VectorMatching};

mod group;
mod pair;

use group::Group;
use pair::Operation;

/// The operator.
pub(super) struct Join {
    many: BoxStream,
    one: Option<BoxStream>,
    matching: Matching,
    operation: Operation,
    groups: SeriesMap<Group>,
    /// Steps at which the "many" side has any sample.
    many_present: Presence,
    /// Computed and not yet handed out.
    pending: Vec<Series>,
    /// Bytes of the histograms among it.
    pending_histograms: usize,
    /// With `fill` for the "many" side, what is left to do once it has ended.
    unmatched: Option<std::vec::IntoIter<Group>>,
    done: bool,
    notes: StepNotes,
    charge: Charge,
    in_flight: Charge,
    state: Arc<QueryState>,
}

/// Which series match, and what the labels of results are.
struct Matching {
    spec: VectorMatching,
    signature: LabelSubset,
    /// What one-to-one results keep.
    result: LabelSubset,
    drops_name: bool,
}

impl Join {
    pub(super) fn new(
        (lhs, rhs): (BoxStream, BoxStream),
        op: BinaryOp,
        spec: VectorMatching,
        return_bool: bool,
        (steps, span): (usize, TextSpan),
        state: &Arc<QueryState>,
    ) -> Self {
        let swapped = spec.card == MatchCardinality::OneToMany;
        let (many, one) = if swapped { (rhs, lhs) } else { (lhs, rhs) };
        let drops_name = changes_quantity(op) || (return_bool && !state.delayed_name_removal);
        // As in Prometheus, also with group_right: `fill_left` stands in for the "many" side, `fill_right` for the "one" side.
        let (fill_many, fill_one) = (spec.fill_left, spec.fill_right);
        let signature = if spec.on { LabelSubset::only(&spec.labels) } else { LabelSubset::all_but(&spec.labels) };
        let result = if spec.on { LabelSubset::only(&spec.labels) } else { LabelSubset::all_but_exactly(&spec.labels) };
        Self {
            many,
            one: Some(one),
            matching: Matching { spec, signature, result, drops_name },
            operation: Operation { op, return_bool, swapped, steps, span, fill_many, fill_one },
            groups: SeriesMap::default(),
            many_present: Presence::empty(steps),
            pending: Vec::new(),
            pending_histograms: 0,
            unmatched: None,
            done: false,
            notes: StepNotes::default(),
            charge: Charge::none(&state.budget),
            in_flight: Charge::none(&state.budget),
            state: Arc::clone(state),
        }
    }

    /// Reads the whole "one" side.
    fn collect(&mut self, mut one: BoxStream) -> Result<(), QueryError> {
        while let Some(batch) = one.next_batch()? {
            self.state.check()?;
            for series in batch {
                self.charge.grow(series.heap_bytes() + size_of::<Group>())?;
                let hash = self.matching.signature.hash(&series.labels);
                self.groups.entry(hash).or_default().push(series);
            }
        }
        Ok(())
    }

    /// Joins one series of the "many" side with its group.
    fn join(&mut self, series: &Series) -> Result<(), QueryError> {
        self.many_present.add(&Presence::of(&series.column));
        let hash = self.matching.signature.hash(&series.labels);
        let fills = self.operation.fill_one.is_some();
        let group = match self.groups.get_mut(&hash) {
            Some(group) => group,
            None if fills => {
                self.charge.grow(size_of::<Group>() + 32)?;
                self.groups.entry(hash).or_default()
            }
            None => return Ok(()),
        };
        let always = self.operation.fill_many.is_some();
        if (always && !group.conflicts.is_empty()) || group.conflicts.overlaps(&self.many_present) {
            // The query has failed; the pairs of a large group would only take time.
            return self.check_one_side();
        }
        for one in &group.series {
            self.in_flight.set((self.pending.len() + 1) * column_bytes(self.operation.steps) + self.pending_histograms)?;
            let (column, matched) = self.operation.pair(&series.column, &one.column, &mut self.notes);
            let labels = self.matching.labels(&series.labels, &one.labels);
            group.matches.add(&self.matching.spec, &labels, matched, &mut self.charge)?;
            self.pending_histograms += column.histogram_bytes();
            self.pending.extend(self.operation.result(labels, column).map(|result| after(series, result, &self.state)));
        }
        if fills {
            let (column, matched) = self.operation.fill_one(&series.column, &group.present(self.operation.steps), &mut self.notes);
            let labels = self.matching.labels(&series.labels, &self.matching.signature.clone().of(&series.labels));
            group.matches.add(&self.matching.spec, &labels, matched, &mut self.charge)?;
            self.pending_histograms += column.histogram_bytes();
            self.pending.extend(self.operation.result(labels, column).map(|result| after(series, result, &self.state)));
        }
        Ok(())
    }

    /// Two series of one group at one step on the "one" side, at the first such step at which it matters.
    fn check_one_side(&self) -> Result<(), QueryError> {
        let always = self.operation.fill_many.is_some();
        let first = |group: &Group| if always { group.conflicts.first() } else { group.conflicts.first_common(&self.many_present) };
        match self.groups.values().filter_map(|group| Some((first(group)?, group))).min_by_key(|(step, _)| *step) {
            Some((step, group)) => Err(self.matching.many_to_many(step, group)),
            None => Ok(()),
        }
    }

    /// What can be said only after all of the "many" side: whether the "one" side was unique, and what `fill` adds for groups
    /// that found no match.
    fn finish(&mut self) -> Result<(), QueryError> {
        self.check_one_side()?;
        if self.operation.fill_many.is_some() {
            let groups: Vec<Group> = std::mem::take(&mut self.groups).into_values().filter(|g| !g.series.is_empty()).collect();
            self.unmatched = Some(groups.into_iter());
        }
        Ok(())
    }

    /// Results of a group at steps at which the "many" side has no match.
    fn fill_many(&mut self, mut group: Group) -> Result<(), QueryError> {
        let matched = group.matches.all(self.operation.steps);
        for one in &group.series {
            let (column, steps) = self.operation.fill_many(&one.column, &matched, &mut self.notes);
            let labels = self.matching.labels(&self.matching.signature.clone().of(&one.labels), &one.labels);
            group.matches.add(&self.matching.spec, &labels, steps, &mut self.charge)?;
            self.pending_histograms += column.histogram_bytes();
            self.pending.extend(self.operation.result(labels, column));
        }
        Ok(())
    }

    /// Computes more results; false at the end.
    fn advance(&mut self) -> Result<bool, QueryError> {
        if let Some(group) = self.unmatched.as_mut().and_then(Iterator::next) {
            self.fill_many(group)?;
            return Ok(true);
        }
        if self.done {
            let Operation { op, span, .. } = self.operation;
            self.notes.annotate(op, span, &self.state.annotations);
            return Ok(false);
        }
        match self.many.next_batch()? {
            Some(batch) => {
                for series in &batch {
                    self.state.check()?;
                    if let Err(error) = self.join(series) {
                        // Prometheus looks at the "one" side first.
                        self.check_one_side()?;
                        return Err(error);
                    }
                }
            }
            None => {
                self.done = true;
                self.finish()?;
            }
        }
        Ok(true)
    }
}

impl Stream for Join {
    fn next_batch(&mut self) -> Result<Option<Vec<Series>>, QueryError> {
        if let Some(one) = self.one.take() {
            self.collect(one)?;
            if self.groups.is_empty() && self.operation.fill_one.is_none() {
                // Nothing can match.
                self.many.drain()?;
                self.done = true;
            }
        }
        let len = batch_len(self.operation.steps);
        while self.pending.len() < len && self.advance()? {}
        let rest = self.pending.split_off(len.min(self.pending.len()));
        let batch = std::mem::replace(&mut self.pending, rest);
        self.pending_histograms = self.pending.iter().map(|series| series.column.histogram_bytes()).sum();
        Ok((!batch.is_empty()).then_some(batch))
    }

    fn whole(&self) -> bool {
        self.operation.steps <= 1
    }
}

impl Matching {
    /// The labels of the result of a pair.
    fn labels(&self, many: &Labels, one: &Labels) -> Labels {
        let mut labels = if self.drops_name { many.without(is_metadata_label) } else { many.clone() };
        if self.spec.card == MatchCardinality::OneToOne {
            labels = self.result.clone().of(&labels);
        }
        if self.spec.include.is_empty() {
            return labels;
        }
        let mut builder = LabelsBuilder::from_labels(&labels);
        for name in &self.spec.include {
            builder.set(name, one.get(name).unwrap_or_default());
        }
        builder.build()
    }

    /// Prometheus's error for two series of one group at a step on the "one" side.
    fn many_to_many(&self, step: usize, group: &Group) -> QueryError {
        let mut at_step: Vec<&Labels> = group.series.iter().filter(|s| s.column.is_present(step)).map(|s| &s.labels).collect();
        at_step.sort_unstable();
        let mut texts: Vec<String> = at_step.iter().take(2).map(ToString::to_string).collect();
        texts.sort_unstable();
        let matched = at_step.first().map_or_else(Labels::empty, |labels| self.signature.clone().of(labels));
        let side = if self.spec.card == MatchCardinality::OneToMany { "left" } else { "right" };
        QueryError::Execution(format!(
            "found duplicate series for the match group {matched} on the {side} hand-side of the operation: [{}];\
             many-to-many matching not allowed: matching labels must be unique on one side",
            texts.join(", ")
        ))
    }
}

/// A result stands where its series of the "many" side stood.
fn after(many: &Series, mut result: Series, state: &QueryState) -> Series {
    if state.ordered && many.order() != &result.labels {
        result.first = Some(many.order().clone());
    }
    result
}

/// The identity of a result inside its group.
fn result_key(labels: &Labels) -> SeriesHash {
    labels.hash()
}
