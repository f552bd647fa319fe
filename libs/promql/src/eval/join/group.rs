//! The series of the "one" side that share their matching labels.

use model::Labels;

use super::{Presence, Series, SeriesMap, result_key};
use crate::error::QueryError;
use crate::limits::Charge;
use crate::parser::ast::{MatchCardinality, VectorMatching};

/// One group.
#[derive(Default)]
pub(super) struct Group {
    /// Its series; more than one only if they are at different steps, or it is an error.
    pub(super) series: Vec<Series>,
    present: Presence,
    /// Steps at which two of them have a sample.
    pub(super) conflicts: Presence,
    /// Results so far.
    pub(super) matches: Matches,
}

impl Group {
    pub(super) fn push(&mut self, series: Series) {
        let presence = Presence::of(&series.column);
        if self.series.is_empty() {
            self.present = presence;
        } else {
            self.conflicts.add_common(&self.present, &presence);
            self.present.add(&presence);
        }
        self.series.push(series);
    }

    /// The steps at which the group has a sample.
    pub(super) fn present(&self, steps: usize) -> Presence {
        if self.series.is_empty() { Presence::empty(steps) } else { self.present.clone() }
    }
}

/// At which steps a group has a result, to refuse a second one.
#[derive(Default)]
pub(super) struct Matches {
    /// One-to-one: any result.
    any: Option<Presence>,
    /// Many-to-one: by the result's labels.
    by_labels: SeriesMap<Presence>,
}

impl Matches {
    /// Notes results with `labels` at `steps`; an error if there is one already that excludes them.
    pub(super) fn add(&mut self, spec: &VectorMatching, labels: &Labels, steps: Presence, charge: &mut Charge) -> Result<(), QueryError> {
        if steps.is_empty() {
            return Ok(());
        }
        let one_to_one = spec.card == MatchCardinality::OneToOne;
        let known = if one_to_one { self.any.as_mut() } else { self.by_labels.get_mut(&result_key(labels)) };
        if let Some(known) = known {
            if known.overlaps(&steps) {
                let why = if one_to_one {
                    "many-to-one matching must be explicit (group_left/group_right)"
                } else {
                    "grouping labels must ensure unique matches"
                };
                return Err(QueryError::Execution(format!("multiple matches for labels: {why}")));
            }
            known.add(&steps);
            return Ok(());
        }
        charge.grow(64 + steps.heap_bytes())?;
        if one_to_one {
            self.any = Some(steps);
        } else {
            self.by_labels.insert(result_key(labels), steps);
        }
        Ok(())
    }

    /// All steps with a result.
    pub(super) fn all(&self, steps: usize) -> Presence {
        let mut all = Presence::empty(steps);
        self.any.iter().chain(self.by_labels.values()).for_each(|presence| all.add(presence));
        all
    }
}
